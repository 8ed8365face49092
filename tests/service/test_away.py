"""While the cluster is away nothing is approved: the answer says so, and the change waits on as it was."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.service import desk
from tests.service.running import running


async def gone(request: httpx.Request) -> httpx.Response:
    """Nobody listens."""
    raise httpx.ConnectError("refused", request=request)


async def silent(request: httpx.Request) -> httpx.Response:
    """Somebody listens and says nothing."""
    await asyncio.Event().wait()
    raise AssertionError(request)


@pytest.mark.parametrize("away", [gone, silent])
async def test_an_approval_is_not_used_up_while_the_cluster_is_away(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    away: Callable[[httpx.Request], Coroutine[None, None, httpx.Response]],
) -> None:
    """503 before anything is signed; a rejection needs no cluster; afterwards the same change is applied."""
    monkeypatch.setattr(desk, "REACHABLE_SECONDS", 0.2)
    async with running(tmp_path) as service:
        view, other = await service.propose(), await service.propose(step="another")
        await service.login()
        here = service.desk.reader
        transport = httpx.MockTransport(away)
        service.desk.reader = Cluster(httpx.AsyncClient(transport=transport, base_url="http://practice"))
        async with service.client(service.session) as client:
            answer = await client.get(f"/api/v1/proposals/{view['id']}/nonce")
            said = answer.json()["error"]
            assert (answer.status_code, said["code"]) == (503, 20)
            assert "nothing is approved, and the change waits on" in said["message"]
            assert (await client.get("/api/v1/status")).json()["cluster"]["reachable"] is False
            assert (await service.decide(other["id"], "reject", "not now")).json()["state"] == "rejected"
            assert (await client.get(f"/api/v1/proposals/{view['id']}")).json() == view
            service.desk.reader = here
            assert (await service.decide(view["id"])).status_code == 200
            settled = (await client.get(f"/api/v1/proposals/{view['id']}?wait=20")).json()
            assert settled["state"] == "executed"
