"""Promise 1 attacked by clients that hold a kernel's token and nothing else, through REST, MCP and the files."""

from typing import Any

import pytest

from tests.red_team.house import House

MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
BASE = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}


def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the MCP message that calls a tool."""
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}


@pytest.mark.parametrize("extra", [{}, {"approved": True}, {"dry_run": False}, {"force": "yes"}], ids=str)
async def test_an_mcp_client_never_executes(house: House, extra: dict[str, Any]) -> None:
    """Whatever it adds to the arguments: a proposal or an error, and the cluster stays as it was."""
    async with house.running() as service, service.client(service.kernel) as client:
        message = call("k8s_scale", {**BASE, "replicas": 0, **extra})
        answer = await client.post("/mcp/", json=message, headers=MCP)
        assert answer.status_code == 200, answer.text
        assert "executed" not in answer.text
        assert all(row.state == "proposed" for row in service.desk.gateway.store.find())
        live = await client.post("/api/v1/tools/k8s_get", json={"arguments": BASE})
        assert live.json()["result"]["spec"]["replicas"] == 3


@pytest.mark.parametrize("tool", ["approve", "decide", "k8s_exec", "rollback", "../decision"])
async def test_mcp_has_no_tool_that_decides(practice_house: House, tool: str) -> None:
    """Names that one would try."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        view = await service.propose()
        answer = await client.post("/mcp/", json=call(tool, {"id": view["id"]}), headers=MCP)
        assert '"isError":true' in answer.text.replace(" ", "") or '"error"' in answer.text
        assert service.desk.gateway.store.get(view["id"]).state == "proposed"


@pytest.mark.parametrize("field", ["state", "decision", "operator", "digest", "verification", "generator", "requester"])
async def test_a_proposal_takes_no_member_of_its_own_fate(practice_house: House, field: str) -> None:
    """A cell sends what only the gateway says."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        body = {"tool": "k8s_scale", "arguments": {**BASE, "replicas": 1}, field: "approved"}
        answer = await client.post("/api/v1/proposals", json=body)
        assert answer.status_code == 400
        assert service.desk.gateway.store.find() == []


async def test_a_modification_by_a_cell_carries_no_approval_and_names_the_cell(house: House) -> None:
    """It may replace what waits; what stands then waits again, as the cell's own wish."""
    async with house.running() as service, service.client(service.kernel) as client:
        view = await service.propose()
        path = f"/api/v1/proposals/{view['id']}/modify"
        made = (await client.post(path, json={"set": {"limits.memory": "1Gi"}})).json()
        assert (made["state"], made["requester"]) == ("proposed", "kernel:notebook")
        assert made["digest"] != view["digest"]
        refused = await service.decide(view["id"])
        assert refused.status_code == 409
        assert (await client.post("/api/v1/tools/k8s_get", json={"arguments": BASE})).json()["result"]["spec"][
            "template"
        ]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "256Mi"


async def test_a_session_of_resolve_is_not_chosen_for_by_a_cell(practice_house: House) -> None:
    """Retry and roll back are the operator's; ids of others and paths lead nowhere."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        for id_ in ("rs-0000000000", "..", "rs-%00", "rb-rs-x"):
            answer = await client.post(f"/api/v1/resolve/{id_}/choose", json={"option": "retry"})
            assert answer.status_code in (400, 403, 404, 405), (id_, answer.status_code)


@pytest.mark.parametrize("path", ["/static/../../gateway.py", "/static/..%2f..%2fapi.py", "/static//etc/passwd"])
async def test_static_files_end_at_their_folder(practice_house: House, path: str) -> None:
    """No source, no data, no key."""
    async with practice_house.running() as service, service.client() as client:
        answer = await client.get(path)
        assert answer.status_code == 404


async def test_a_lease_of_another_caller_is_not_taken(practice_house: House) -> None:
    """Leases are kept by caller: a second client cannot starve the first one by its key."""
    from skyflo_runbooks.gateway import identity

    async with practice_house.running() as service:
        agent = identity.issue(service.desk.gateway.store, "agent", "other", identity.PROCESS_LIFE)
        granted = []
        for token in (agent, service.kernel, service.kernel):
            async with service.client(token) as client:
                answer = await client.post("/api/v1/leases", json={"key": "run/cell", "seconds": 60})
                granted.append(answer.json()["granted"])
        assert granted == [True, True, False]
