"""An API server, or something on the way to it, that answers late, twice, falsely, or not at all.

Whatever it says, the record must come to say what the cluster shows, and one approval must be written once.
"""

import asyncio
from typing import Any

import pytest
from starlette.responses import JSONResponse

from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.model.json import Json
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.grounds import body_of
from tests.red_team.house import Between, House, saying
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
        body = await body_of(receive)

        async def counted(told: Any) -> None:
            self.accepted += told["type"] == "http.response.start" and told["status"] < 300

        async def passed(told: Any) -> None:
            await counted(told)
            await send(told)

        await self._app(scope, saying(body), counted if mishap else passed)
        if mishap == "twice":
            await self._app(scope, saying(body), passed)
        elif mishap == "closed":
            await cut_short(send)
        elif mishap == "late":
            await receive()  # until the client goes
        elif mishap:
            said = {"kind": "Status", "apiVersion": "v1", "code": int(mishap), "message": "from a proxy on the way"}
            await JSONResponse(said, int(mishap))(scope, saying(body), send)


async def cut_short(send: Any) -> None:
    """Begin an answer, and close the connection in the middle of it."""
    length = [(b"content-length", b"4096"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b'{"kind": "Deploy', "more_body": True})
    raise ConnectionAbortedError


# Without `test` operations of its own: what stops a second delivery is what the gateway adds.
MERGED: Json = {
    "kind": "Deployment",
    "namespace": "checkout",
    "name": "payment-service",
    "patch": {"metadata": {"annotations": {"note": "written once"}}},
}


async def applied(world: Gated, between: Between, mishap: str) -> tuple[str, int]:
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
async def test_a_write_that_is_said_to_have_failed(house: House, gate: Gate, mishap: str) -> None:
    """It was applied: the record must not say otherwise, and must not send it again."""
    async with house.besieged(between=Unsteady, timeout=1.0, wired=True) as (world, between):
        state, accepted = await applied(world, between, mishap)
    assert accepted == 1
    gate.bites(state != "executed", state)


class Holding(Between):
    """Something on the way that keeps the next real write after its sender has gone, and then hands it on.

    `handed` are the writes that it handed on, and what the API server answered to them.
    """

    held = 0.0

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.handed: list[asyncio.Task[int]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Keep one call and answer nothing, so that its sender gives up."""
        if scope["type"] != "http" or scope["method"] != "PATCH" or b"dryRun" in scope["query_string"] or self.handed:
            await self._app(scope, receive, send)
            return
        self.handed.append(asyncio.create_task(self._later(scope, await body_of(receive))))
        raise ConnectionAbortedError

    async def _later(self, scope: Any, body: bytes) -> int:
        await asyncio.sleep(self.held)
        status = [0]

        async def heard(told: Any) -> None:
            status[0] = told.get("status", status[0])

        await self._app(scope, saying(body), heard)
        return status[0]


# What is held for shorter than `arrival` may come at any time; one look takes much less.
SLOWLY = Patience(settle=0.2, arrival=4.0)


async def held(house: House, seconds: float, patience: Patience) -> tuple[str, bool, int]:
    """Approve a change that is held on its way; return the record's word, whether it was written, and the answer."""
    async with house.besieged(between=Holding, wired=True, patience=patience) as (world, between):
        assert isinstance(between, Holding)
        between.held = seconds
        row = await world.propose("k8s_patch", MERGED)
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        async with asyncio.timeout(20):
            while (state := world.gateway.store.get(row.proposal.id).state) in ("approved", "executing", "unknown"):
                await world.gateway.events.changed(0.1)
            status = await between.handed[0]
        shown = await house.deployment()
    return state, "note" in (shown["metadata"].get("annotations") or {}), status


@against(ATTACKS["held-back"])
async def test_a_write_that_is_held_back_until_nobody_looks_any_more(house: House, gate: Gate) -> None:
    """It comes after several looks have not seen it: until nothing can come any more, nothing is concluded."""
    state, written, _ = await held(house, 1.5, SLOWLY)
    gate.bites(state == "void" and written, (state, written))


async def test_what_is_held_back_for_longer_is_refused_once_its_object_has_moved(house: House) -> None:
    """A controller writes a status: then no time has to pass, because the server itself refuses what comes late."""
    async with house.besieged(between=Holding, wired=True, patience=Patience(settle=0.2, arrival=600.0)) as (world, on):
        assert isinstance(on, Holding)
        on.held = 3.0
        row = await world.propose("k8s_patch", MERGED)
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        async with asyncio.timeout(20):
            while world.gateway.store.get(row.proposal.id).state != "unknown":
                await world.gateway.events.changed(0.1)
            await house.somebody({"metadata": {"annotations": {"by": "somebody"}}})()
            while (after := world.gateway.store.get(row.proposal.id)).state == "unknown":
                await world.gateway.events.changed(0.1)
            assert (after.state, on.handed[0].done()) == ("void", False)
            assert await on.handed[0] == 409
    assert "note" not in (await house.deployment())["metadata"]["annotations"]


@against(ATTACKS["delivered-twice"])
async def test_a_write_that_is_delivered_twice(house: House, gate: Gate) -> None:
    """The second one is refused by the server itself, by the version that the first one moved."""
    async with house.besieged(between=Unsteady, wired=True) as (world, between):
        state, accepted = await applied(world, between, "twice")
    gate.bites(accepted > 1, state)
