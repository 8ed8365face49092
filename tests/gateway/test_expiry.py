"""After its time an approval sends nothing: not the next of a list, not the next try, not what a restart takes up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from skyflo_runbooks.gateway.clock import Clock
from skyflo_runbooks.model.proposal import ProposalId
from tests.gateway import requests as make
from tests.gateway.world import Front, World, world

LISTED = [make.create(make.settings(name)) for name in ("one", "two", "three")]


class Hour:
    """A wall clock that an event of the test sets forward."""

    def __init__(self) -> None:
        self.over = False

    def set_in(self, here: World) -> None:
        """Have the gateway's record tell this time."""
        here.gateway.store.clock = Clock(wall=self)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=31 * self.over)


def after(hour: Hour, when: Callable[[httpx.Request], bool]) -> Front:
    """Let the time be over from the request on for which `when` holds."""

    def front(request: httpx.Request) -> None:
        hour.over = hour.over or when(request)

    return front


def is_write(request: httpx.Request, name: str) -> bool:
    """Whether this really writes an object of that name."""
    return request.method == "POST" and name.encode() in request.content and "dryRun" not in str(request.url)


async def names(here: World) -> list[str]:
    """Return which of the ConfigMaps are there."""
    listed = await here.gateway.cluster.list("ConfigMap", "checkout")
    return sorted({item["metadata"]["name"] for item in listed.items} & {"one", "two", "three"})


async def first_of(here: World, id_: ProposalId) -> None:
    """Begin the attempt and apply its first request, as a process that dies then."""
    store, executor = here.gateway.store, here.gateway._executor
    store.start_attempt(id_, "at-1")
    row = store.get(id_)
    assert row.attempt is not None
    sealed = here.gateway.proposer.sealed(id_)[0]
    assert await executor._step(row, row.attempt, sealed, 0).apply() is None


async def test_a_list_that_was_begun_stops_when_its_time_is_over(tmp_path: Path) -> None:
    """It says what was applied, until when the approval held, and only that much is led back."""
    hour = Hour()
    front = after(hour, lambda request: is_write(request, '"two"'))
    async with world(tmp_path, tools=make.tool(LISTED), front=front) as here:
        row = await here.propose("t", {})
        hour.set_in(here)
        done = await here.approve(row)
        assert (done.state, await names(here)) == ("failed", ["one", "two"])
        assert done.message.startswith("2 of 3 requests were applied")
        assert f"the approval held until {row.proposal.binding.expires}" in done.message


async def test_a_look_that_takes_too_long_sends_nothing(tmp_path: Path) -> None:
    """The dry run before the first write answers after the time."""
    hour = Hour()
    dispatched: list[bool] = []
    front = after(hour, lambda request: bool(dispatched) and "dryRun" in str(request.url))
    async with world(tmp_path, tools=make.tool(LISTED[:1]), front=front) as here:
        row = await here.propose("t", {})
        hour.set_in(here)
        dispatched.append(True)
        done = await here.approve(row)
        assert (done.state, await names(here)) == ("void", [])
        assert "nothing is sent after that" in done.message
        assert [entry for entry in here.gateway.store.entries() if entry.kind == "sending"] == []


async def test_what_a_restart_takes_up_is_held_to_its_time_too(tmp_path: Path) -> None:
    """A process died between two requests of a list, and the next one comes an hour later."""
    async with world(tmp_path, tools=make.tool(LISTED)) as here:
        row = await here.propose("t", {})
        here.record(row)
        hour = Hour()
        hour.set_in(here)
        await first_of(here, row.proposal.id)
        hour.over = True
        done = await here.gateway._executor.resume(row.proposal.id)
        assert (done.state, await names(here)) == ("failed", ["one"])
        assert done.message.startswith("1 of 3 requests were applied")


async def test_what_was_applied_as_a_whole_is_executed_however_late_that_is_noted(tmp_path: Path) -> None:
    """Nothing is left to be sent, so nothing is too late."""
    async with world(tmp_path, tools=make.tool(LISTED[:1])) as here:
        row = await here.propose("t", {})
        here.record(row)
        hour = Hour()
        hour.set_in(here)
        await first_of(here, row.proposal.id)
        hour.over = True
        assert (await here.gateway._executor.resume(row.proposal.id)).state == "executed"
