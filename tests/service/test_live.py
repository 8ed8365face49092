"""What is seen live: server-sent events that miss nothing, and MCP that never executes."""

from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.service.running import Service, running


async def until(service: Service, kind: str, last: str = "") -> list[tuple[str, str]]:
    """Read the stream until an event of that kind; return ids and kinds."""
    seen: list[tuple[str, str]] = []
    headers = {"Last-Event-ID": last} if last else {}
    id_ = ""
    async with (
        service.client(service.kernel) as client,
        client.stream("GET", "/api/v1/events", headers=headers) as answer,
    ):
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                id_ = line[4:]
            if line.startswith("event: "):
                seen.append((id_, line[7:]))
                if line[7:] == kind:
                    break
    return seen


async def test_a_client_that_reconnects_misses_nothing(tmp_path: Path) -> None:
    """From any id on, every later event comes, once, in order."""
    async with running(tmp_path) as service:
        before = service.desk.gateway.events.publish("thought", {"text": "begin"}).id
        view = await service.propose()
        await service.decide(view["id"], "reject", "no")
        service.desk.gateway.events.publish("verdict", {"step": "end"})
        whole = await until(service, "verdict", before)
        kinds = [kind for _, kind in whole]
        assert kinds == ["proposal", "decision", "proposal", "verdict"]
        for place, (id_, _) in enumerate(whole[:-1]):
            assert await until(service, "verdict", id_) == whole[place + 1 :]


async def test_an_id_of_another_process_is_answered_with_a_reset(tmp_path: Path) -> None:
    """The client reads the state again."""
    async with running(tmp_path) as service:
        assert (await until(service, "reset", "0000-5"))[0][1] == "reset"


def mcp(service: Service, token: str) -> "Client[Any]":
    """Return an MCP client with that token."""
    return Client(StreamableHttpTransport(f"{service.url}/mcp/", headers={"Authorization": f"Bearer {token}"}))


async def test_mcp_reads_and_never_executes(tmp_path: Path) -> None:
    """The catalogue with its hints; a read answers; a change answers with the proposal and where to decide."""
    async with running(tmp_path) as service, mcp(service, service.kernel) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        hints = {name: bool(tool.annotations and tool.annotations.read_only_hint) for name, tool in tools.items()}
        assert hints["k8s_get"]
        assert not hints["k8s_scale"]
        pods = await client.call_tool("k8s_get", {"kind": "Pod", "namespace": "checkout"})
        assert "payment-service" in str(pods.structured_content)
        arguments = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "replicas": 0}
        answer = (await client.call_tool("k8s_scale", arguments)).structured_content or {}
        assert answer["state"] == "proposed"
        assert answer["url"].endswith(answer["proposal"])
        assert "Nothing was changed" in answer["message"]
        row = service.desk.gateway.store.get(answer["proposal"])
        assert (row.state, row.attempt) == ("proposed", None)


async def test_mcp_errors_say_the_next_step(tmp_path: Path) -> None:
    """No traceback, no internals."""
    async with running(tmp_path) as service, mcp(service, service.kernel) as client:
        answer = await client.call_tool("k8s_get", {"kind": "Nonsense"}, raise_on_error=False)
        assert answer.is_error
        assert "no kind named" in str(answer.content)


@pytest.mark.parametrize(
    "name",
    ["k8s_log", "x" * 20_000, "k8s_get\x1b[2J\nand more", "shop_\x1b[2J" + "y" * 1_000],
    ids=["near", "long", "escape", "foreign"],
)
async def test_a_name_that_no_tool_has_comes_back_cut_and_quoted(tmp_path: Path, name: str) -> None:
    """What a client sends is not echoed whole, nor as it is; the nearest tools are said, and a known one still runs."""
    async with running(tmp_path) as service, mcp(service, service.kernel) as client:
        answer = await client.call_tool(name, {}, raise_on_error=False)
        assert answer.is_error
        (said,) = [one.text for one in answer.content]
        assert "There is no tool named" in said
        assert len(said) < 2_000
        assert said.isprintable()
        assert ("k8s_logs" in said) or name != "k8s_log"
        found = await client.call_tool("k8s_get", {"kind": "Namespace"})
        assert found.structured_content
