"""Approved and not dispatched: said everywhere while it lasts, once, and its end as well; the patrol finishes it."""

import asyncio
import logging
from pathlib import Path

import pytest

from skyflo_runbooks.gateway.alarm import Alarm
from skyflo_runbooks.gateway.patrol import Patrol
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.proposal import ProposalId
from tests.gateway.test_restored import approved
from tests.gateway.world import World, world


class Held:
    """An executor that is held until it is let go of."""

    def __init__(self, here: World) -> None:
        self.go = asyncio.Event()
        self._resume = here.gateway._executor.resume

    async def resume(self, id_: ProposalId) -> Row:
        """Wait, then do what the executor does."""
        await self.go.wait()
        return await self._resume(id_)


async def test_a_held_executor_is_an_alarm_and_then_finished(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An event, a ledger entry, a log line and the status; then the patrol applies it, and the end is told."""
    async with world(tmp_path) as here:
        gateway = here.gateway
        held = Held(here)
        for task in gateway._tasks:  # Its own rounds would not be held.
            task.cancel()
        patrol = Patrol(
            cluster=gateway.cluster,
            store=gateway.store,
            resume=held.resume,
            moved=gateway._moved,
            policy=gateway.policy.name,
        )
        id_ = await approved(here)
        alarm = Alarm(store=gateway.store, events=gateway.events, after=0.0)
        await patrol.round()
        with caplog.at_level(logging.WARNING, "skyflo_runbooks"):
            alarm.look()
            alarm.look()
        assert [one["proposal"] for one in alarm.now()] == [id_]
        assert [record.message.split(" was approved ")[0] for record in caplog.records] == [id_]
        told = [entry.body for entry in gateway.store.entries() if entry.kind == "alarm"]
        assert [body["proposal"] for body in told] == [id_]
        assert gateway.store.get(id_).state == "approved"

        held.go.set()
        await asyncio.wait_for(patrol.settled(), 20)
        assert (gateway.store.get(id_).state, await here.limit(), here.writes()) == ("executed", "512Mi", 1)
        alarm.look()
        assert alarm.now() == []
        said = [event.data for _, event in gateway.events._kept if event.kind == "alarm"]
        assert [one["over"] for one in said] == [False, True]
        assert "it is executed" in said[1]["message"]


async def test_what_is_dispatched_in_time_is_no_alarm(tmp_path: Path) -> None:
    """Before `SECONDS` are over nobody is alarmed."""
    async with world(tmp_path) as here:
        for task in here.gateway._tasks:
            task.cancel()
        await approved(here)
        alarm = Alarm(store=here.gateway.store, events=here.gateway.events, after=3600.0)
        alarm.look()
        assert alarm.now() == []
        assert "alarm" not in [entry.kind for entry in here.gateway.store.entries()]


async def test_the_gateway_watches_by_itself(tmp_path: Path) -> None:
    """Its own alarm raises what waits, without anybody looking."""
    async with world(tmp_path) as here:
        here.gateway.alarm._after = -3600.0
        held = Held(here)
        here.gateway._executor.resume = held.resume  # type: ignore[method-assign]
        id_ = await approved(here)
        async with asyncio.timeout(10):
            while not here.gateway.alarm.now():
                await here.gateway.events.changed(0.5)
        assert [one["proposal"] for one in here.gateway.alarm.now()] == [id_]
        held.go.set()
