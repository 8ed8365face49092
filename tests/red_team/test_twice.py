"""A write that something on the way delivers twice, or into somebody else's object: the record, and the way back."""

from typing import Any

import pytest
from starlette.responses import JSONResponse

from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.grounds import body_of
from tests.red_team.house import Between, House, saying

BY_NAME: Json = {"kind": "ConfigMap", "namespace": "checkout", "name": "settings"}
MADE: Json = {"namespace": "checkout", "manifest": make.SETTINGS}
APPLIED: Json = {"namespace": "checkout", "content": [make.SETTINGS]}
HELD: Json = {**make.SETTINGS, "metadata": {**make.SETTINGS["metadata"], "finalizers": ["example.com/hold"]}}


class Twice(Between):
    """Delivers the next real write twice and gives the second answer; with `lost`, no answer at all."""

    lost = False
    armed = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one call on."""
        if scope["type"] != "http" or scope["method"] == "GET" or scope["path"].endswith("reviews"):
            await self._app(scope, receive, send)
            return
        body = await body_of(receive)
        if self.armed and b"dryRun" not in scope["query_string"] + body:
            self.armed = False
            if self.before_write is not None:
                await self.before_write()
            await self._app(scope, saying(body), nowhere)
            if self.lost:
                await JSONResponse({"kind": "Status", "code": 504}, 504)(scope, saying(body), send)
                return
        await self._app(scope, saying(body), send)


async def nowhere(message: Any) -> None:
    """Swallow an answer."""


async def done(world: Gated, between: Between, tool: str, arguments: Json) -> tuple[Row, Json]:
    """Approve what is proposed while the next write goes twice; return how it ended, and the way back's verbs."""
    assert isinstance(between, Twice)
    row = await world.propose(tool, arguments)
    between.armed = True
    await world.approve(row)
    row = world.gateway.store.get(row.proposal.id)
    assert row.attempt is not None
    return row, row.attempt.applied[0] if row.attempt.applied else {}


async def way_back(world: Gated, row: Row) -> list[str]:
    """Return the verbs of the way back."""
    back = await world.gateway.roll_back(row.proposal.id, OPERATOR)
    return [request.verb for request in back.proposal.requests]


async def test_a_deletion_whose_second_answer_is_404_is_done_and_has_its_way_back(house: House) -> None:
    """The stored object can be made again."""
    async with house.besieged(between=Twice) as (world, between):
        await make.put(world.gateway.cluster)
        row, applied = await done(world, between, "k8s_delete", BY_NAME)
        assert (row.state, applied["status"]) == ("executed", 200)
        assert "ConfigMap/checkout/settings is gone; the answer" in applied["message"]
        assert await way_back(world, row) == ["create"]


async def test_a_deletion_that_waits_for_a_finalizer_is_not_somebody_elses_change(house: House) -> None:
    """Its second answer says that the object moved: it is on its way out."""
    async with house.besieged(between=Twice) as (world, between):
        await make.put(world.gateway.cluster, HELD)
        row, applied = await done(world, between, "k8s_delete", BY_NAME)
        assert row.state == "executed"
        assert "ConfigMap/checkout/settings is going; the answer" in applied["message"]


async def test_a_creation_whose_second_answer_is_409_is_done_and_has_its_way_back(house: House) -> None:
    """The name is taken by our own object."""
    async with house.besieged(between=Twice) as (world, between):
        row, applied = await done(world, between, "k8s_create", MADE)
        live = await world.gateway.cluster.get(make.ref())
        assert (row.state, applied["uid"]) == ("executed", live["metadata"]["uid"])
        assert await way_back(world, row) == ["delete"]


async def test_a_name_that_somebody_else_takes_at_that_moment_is_a_failure(house: House) -> None:
    """A 409 for an object that is not ours is taken at its word, and at once."""
    async with house.besieged(between=Twice) as (world, between):

        async def theirs() -> None:
            await make.put(world.gateway.cluster, make.settings(mode="theirs"))

        between.before_write = theirs
        row, applied = await done(world, between, "k8s_create", MADE)
        assert (row.state, applied) == ("failed", {})
        assert row.attempt is not None
        assert "already exists" in row.attempt.message
        assert "lose" not in [entry.kind for entry in world.gateway.store.entries()]


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
async def test_what_was_merged_into_somebody_elses_object_is_never_led_back_by_its_deletion(
    house: House, lost: bool
) -> None:
    """Bob makes the object in the moment before the apply arrives."""
    async with house.besieged(between=Twice) as (world, between):

        async def bob() -> None:
            await make.put(world.gateway.cluster)

        assert isinstance(between, Twice)
        between.before_write, between.lost = bob, lost
        row, applied = await done(world, between, "k8s_apply", APPLIED)
        assert (row.state, applied["shared"]) == ("executed", True)
        with pytest.raises(Refused, match="may be somebody else's"):
            await world.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_what_an_apply_made_alone_is_led_back_after_a_lost_answer(house: House) -> None:
    """Nobody else has written to it."""
    async with house.besieged(between=Twice) as (world, between):
        assert isinstance(between, Twice)
        between.lost = True
        row, applied = await done(world, between, "k8s_apply", APPLIED)
        assert (row.state, applied["shared"]) == ("executed", False)
        assert await way_back(world, row) == ["delete"]
