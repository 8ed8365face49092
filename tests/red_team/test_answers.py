"""An API server, or something on the way to it, that answers late, twice, falsely, or not at all.

Whatever it says, the record must come to say what the cluster shows, and one approval must be written once.
"""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from skyflo_runbooks.model.json import Json
from tests.gateway.world import OPERATOR, World
from tests.red_team.house import Between, besieged
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

FALSE = ("409", "429", "500", "503")


class Unsteady(Between):
    """What happens to the next real write: `twice`, `closed`, `late`, or the status that is answered instead.

    The write has reached the API server in all of them. `accepted` counts the writes that it took.
    """

    mishap = ""
    accepted = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one call on, with its mishap."""
        if scope["type"] != "http" or scope["method"] != "PATCH" or b"dryRun" in scope["query_string"]:
            await self._app(scope, receive, send)
            return
        mishap, self.mishap = self.mishap, ""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)

        async def once() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def counted(told: Any) -> None:
            self.accepted += told["type"] == "http.response.start" and told["status"] < 300

        async def passed(told: Any) -> None:
            await counted(told)
            await send(told)

        await self._app(scope, once, counted if mishap else passed)
        if mishap == "twice":
            await self._app(scope, once, passed)
        elif mishap == "closed":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")
        elif mishap == "late":
            await asyncio.Event().wait()
        elif mishap:
            said = {"kind": "Status", "apiVersion": "v1", "code": int(mishap), "message": "from a proxy on the way"}
            await JSONResponse(said, int(mishap))(scope, once, send)


# Without `test` operations of its own: what stops a second delivery is what the gateway adds.
MERGED: Json = {
    "kind": "Deployment",
    "namespace": "checkout",
    "name": "payment-service",
    "patch": {"metadata": {"annotations": {"note": "written once"}}},
}


async def applied(world: World, between: Between, mishap: str) -> tuple[str, int]:
    """Approve a change under a mishap; return the record's word and how many writes the API server took."""
    assert isinstance(between, Unsteady)
    row = await world.propose("k8s_patch", MERGED)
    between.mishap = mishap
    await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
    async with asyncio.timeout(15):
        while (state := world.gateway.store.get(row.proposal.id).state) in ("approved", "executing", "unknown"):
            await world.gateway.events.changed(0.1)
    return state, between.accepted


@pytest.mark.parametrize("mishap", [*FALSE, "closed", "late"])
@against(ATTACKS["false-answer"])
async def test_a_write_that_is_said_to_have_failed(tmp_path: Path, gate: Gate, mishap: str) -> None:
    """It was applied: the record must not say otherwise, and must not send it again."""
    async with besieged(tmp_path, between=Unsteady, timeout=1.0) as (world, between):
        state, accepted = await applied(world, between, mishap)
    assert accepted == 1
    gate.bites(state != "executed", state)


@against(ATTACKS["delivered-twice"])
async def test_a_write_that_is_delivered_twice(tmp_path: Path, gate: Gate) -> None:
    """The second one is refused by the server itself, by the version that the first one moved."""
    async with besieged(tmp_path, between=Unsteady) as (world, between):
        state, accepted = await applied(world, between, "twice")
    gate.bites(accepted > 1, state)
