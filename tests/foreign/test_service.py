"""The operator's own servers through the whole service: REST, MCP, record, events, and what each caller may."""

import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.foreign.config import Server
from skyflo_runbooks.gateway.foreign.standing import Standing
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service import mcp
from tests.foreign.reaching import SHOP, VARIABLES, configured
from tests.service.running import Service, running

MCP = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(autouse=True)
def shop_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway's environment has the server's secret."""
    monkeypatch.setenv("SHOP_KEY", VARIABLES["SHOP_KEY"])


async def read(service: Service, name: str, token: str = "", **arguments: Any) -> httpx.Response:
    """Call a tool over REST."""
    async with service.client(token or service.kernel) as client:
        return await client.post(f"/api/v1/tools/{name}", json={"arguments": arguments})


async def told(service: Service, method: str, **parameters: Any) -> Json:
    """Return the result of an MCP request."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    async with service.client(service.kernel) as client:
        answered: Json = (await client.post("/mcp/", json=message, headers=MCP)).json()["result"]
    return answered


async def test_a_read_over_rest_and_over_mcp(tmp_path: Path) -> None:
    """The same answer, masked; the tool is listed with whose it is, and its call is in the event stream."""
    async with running(tmp_path, servers=(configured("honest"),)) as service:
        answered = await read(service, "shop_status", **SHOP)
        assert answered.status_code == 200, answered.text
        said = answered.json()
        assert said["redacted"] is True
        assert said["result"]["server"] == "shop"
        assert said["result"]["answer"]["shop"] == "open"
        assert "hunter2" not in answered.text

        listed = {tool["name"]: tool for tool in (await told(service, "tools/list"))["tools"]}
        assert listed["shop_status"]["annotations"]["readOnlyHint"] is True
        assert listed["shop_status"]["description"].startswith("A read of the MCP server shop")
        assert listed["shop_status"]["inputSchema"]["required"] == ["shop"]
        called = await told(service, "tools/call", name="shop_status", arguments=SHOP)
        assert called["structuredContent"]["result"] == said["result"]
        assert not called.get("isError")

        async with service.client(service.kernel) as client:
            catalogue = {tool["name"]: tool for tool in (await client.get("/api/v1/tools")).json()}
        assert catalogue["shop_status"]["effect"] == "read"
        assert catalogue["shop_status"]["domain"] == "shop"
        assert catalogue["k8s_get"]["domain"] == "kubernetes"


async def test_a_call_over_mcp_lists_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a call of our tool nor one of the server's waits for the lists of the operator's servers."""
    async with running(tmp_path, servers=(configured("honest"),)) as service:
        foreign, listings = service.desk.gate.foreign, list[float]()
        standing = foreign.standing

        async def counted(seconds: float) -> list[Standing]:
            listings.append(seconds)
            return await standing(seconds)

        monkeypatch.setattr(foreign, "standing", counted)
        headers = {"Authorization": f"Bearer {service.kernel}"}
        async with Client(StreamableHttpTransport(f"{service.url}/mcp", headers=headers)) as client:
            assert "shop_status" in {tool.name for tool in await client.list_tools()}
            listed = len(listings)
            ours = await client.call_tool("k8s_get", {"kind": "Namespace", "name": "checkout"})
            theirs = await client.call_tool("shop_status", SHOP)
        assert ours.structured_content["result"]["kind"] == "Namespace"
        assert theirs.structured_content["result"]["server"] == "shop"
        assert 0 < listed == len(listings)


async def test_the_headers_of_a_call_are_held_against_what_was_listed(tmp_path: Path) -> None:
    """The library still has each tool's schema: ours from the start, a server's once it was listed."""
    async with running(tmp_path, servers=(configured("honest"),)) as service:
        gate = service.desk.gate
        served = mcp.server(gate, mcp.desk_proposer(service.desk), service.desk.gateway.redactor)
        schema = served._mcp_server.get_tool_input_schema
        assert {tool.name: schema(tool.name) for tool in gate.tools()} == {
            tool.name: tool.schema for tool in gate.tools()
        }
        assert schema("shop_status") is None
        listed = {tool.name: tool.parameters for tool in await served.list_tools()}
        assert schema("shop_status") == listed["shop_status"]
        assert schema("shop_status")["required"] == ["shop"]
        assert schema("shop_wipe") is None


async def test_what_is_not_in_reads_is_refused_at_every_door(tmp_path: Path) -> None:
    """REST, proposal and MCP say the same, with the next step, and nothing is proposed."""
    async with running(tmp_path, servers=(configured("says-it-reads"),)) as service:
        direct = (await read(service, "shop_wipe")).json()["error"]
        assert direct["code"] == 13
        assert "[mcp_servers.shop]" in direct["message"]
        assert "names it in reads" in direct["next_step"]
        async with service.client(service.kernel) as client:
            body = {"tool": "shop_wipe", "arguments": {}}
            proposed = (await client.post("/api/v1/proposals", json=body)).json()["error"]
            body["tool"] = "shop_status"
            pointless = (await client.post("/api/v1/proposals", json=body)).json()["error"]
        assert proposed == direct
        assert (pointless["code"], pointless["next_step"]) == (2, "Use runbook.read(…).")
        called = await told(service, "tools/call", name="shop_wipe", arguments={})
        assert called["isError"]
        assert "not among the reads" in called["content"][0]["text"]
        assert "shop_wipe" not in {tool["name"] for tool in (await told(service, "tools/list"))["tools"]}
        assert service.desk.gateway.store.find() == []


async def test_a_narrowed_token_reaches_none_and_sees_none(tmp_path: Path) -> None:
    """Whatever namespace its arguments name."""
    async with running(tmp_path, servers=(configured("honest"),)) as service:
        store = service.desk.gateway.store
        narrow = identity.issue(store, "kernel", "narrow", identity.PROCESS_LIFE, namespaces=("checkout",))
        refused = await read(service, "shop_status", narrow, namespace="checkout", **SHOP)
        assert refused.json()["error"]["code"] == 5
        async with service.client(narrow) as client:
            assert "shop_status" not in (await client.get("/api/v1/tools")).text
            assert (await client.get("/api/v1/servers")).json()["error"]["code"] == 5


async def test_a_server_in_trouble_keeps_nobody_else_from_anything(tmp_path: Path) -> None:
    """One dies, one is away, one is fine: each is its own error, and our own tools go on."""
    away = Server(name="away", url="http://127.0.0.1:1/mcp", reads={"status": ""})
    dies = Server(name="dying", command=configured("dies").command, reads={"status": ""})
    async with running(tmp_path, servers=(configured("honest"), dies, away)) as service:
        codes = [(await read(service, f"{name}_status", **SHOP)).status_code for name in ("shop", "dying", "away")]
        assert codes[0] == 200
        assert set(codes[1:]) == {503}
        assert (await read(service, "k8s_get", kind="Pod", namespace="checkout")).status_code == 200
        async with service.client(service.kernel) as client:
            standing = {one["name"]: one for one in (await client.get("/api/v1/servers")).json()}
        assert standing["shop"]["problem"] == ""
        assert standing["away"]["problem"] == "The MCP server away cannot be reached."
        assert {tool["name"] for tool in (await told(service, "tools/list"))["tools"]} >= {"k8s_get", "shop_status"}


async def test_what_was_pinned_is_in_the_record_and_no_secret_is(tmp_path: Path) -> None:
    """The ledger tells which tools of whom, by their digests; what the server was given is in no file."""
    async with running(tmp_path, servers=(configured("fails"),)) as service:
        failed = await read(service, "shop_status", **SHOP)
        assert failed.json()["error"]["code"] == 4
        assert "no such shop" in failed.text
        (entry,) = [one for one in service.desk.gateway.store.entries() if one.kind == "mcp_server"]
        assert list(entry.body["reads"]) == ["status"]
        kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert VARIABLES["SHOP_KEY"] not in failed.text
    assert VARIABLES["SHOP_KEY"].encode() not in kept


async def test_a_masked_value_is_not_handed_to_them(tmp_path: Path) -> None:
    """A mark stands for a secret of the cluster's, and no read carries one."""
    async with running(tmp_path, servers=(configured("honest"),)) as service:
        refused = await read(service, "shop_status", shop="«masked:0123456789ab»")
    assert refused.json()["error"]["code"] == 2
    assert "takes no masked value" in refused.text


async def test_the_service_ends_their_processes(tmp_path: Path) -> None:
    """With its own end."""

    memory = tmp_path / "started"
    async with running(tmp_path, servers=(configured("stays", memory),)) as service:
        await read(service, "shop_status", **SHOP)
    with pytest.raises(ProcessLookupError):
        os.kill(int(memory.read_text()), 0)
