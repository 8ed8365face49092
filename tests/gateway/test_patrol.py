"""The patrol goes on, whatever one proposal does."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from skyflo_runbooks.gateway.clock import Clock
from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.patrol import Patrol
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.proposal import ProposalId
from tests.gateway.world import OPERATOR, World, world

LABEL = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "set": {"a": "b"}}


def patrol(here: World, error: Exception, settled: list[str]) -> Patrol:
    """Return a patrol for which the first proposal that it settles is a defect."""

    async def resume(id_: ProposalId) -> Row:
        settled.append(id_)
        raise error

    gateway = here.gateway
    return Patrol(
        cluster=gateway.cluster,
        store=gateway.store,
        resume=resume,
        moved=lambda row: None,
        policy=gateway.policy.name,
    )


async def approved(here: World) -> str:
    """Return a proposal that is approved and not dispatched."""
    row = await here.propose()
    await here.gateway.approvals.decide(row.proposal.id, here.ballot(row), OPERATOR)
    return row.proposal.id


async def test_a_defect_is_told_once_and_ends_no_round(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It stands in the log and in the record, by its kind alone: its message could quote anything."""
    async with world(tmp_path) as here:
        id_ = await approved(here)
        settled: list[str] = []
        walking = patrol(here, RecursionError("password=hunter2"), settled)
        with caplog.at_level(logging.ERROR):
            await walking.round()
            await walking.settled()
            await walking.round()
            await walking.settled()

        told = [entry.body for entry in here.gateway.store.entries() if entry.kind == "alarm"]
        assert settled.count(id_) == 2
        assert [body["message"] for body in told] == [f"{id_} cannot be settled: RecursionError"]
        assert caplog.text.count(id_) == 1
        assert "hunter2" not in caplog.text


async def test_a_record_that_cannot_be_read_concludes_nothing(tmp_path: Path) -> None:
    """The next round tries again, and nobody is alarmed by it."""
    async with world(tmp_path) as here:
        id_ = await approved(here)
        settled: list[str] = []
        walking = patrol(here, RecordUnusable("locked"), settled)
        await walking.round()
        await walking.settled()
        await walking.round()
        await walking.settled()

        assert settled.count(id_) == 2
        assert [entry for entry in here.gateway.store.entries() if entry.kind == "alarm"] == []


async def test_one_that_takes_long_holds_up_nothing_else(tmp_path: Path) -> None:
    """A drain that waits for its budget: the round ends, what is too old expires, another one is settled meanwhile."""
    async with world(tmp_path, life=0.5) as here:
        gateway = here.gateway
        for task in gateway._tasks:  # its own rounds would do it, too
            task.cancel()
        go, settled = asyncio.Event(), list[str]()
        stuck, other = [await approved_as(here, step) for step in ("stuck", "other")]
        waiting = await here.propose("k8s_label", LABEL, step="waits")

        async def resume(id_: ProposalId) -> Row:
            if id_ == stuck:
                await go.wait()
            settled.append(id_)
            return gateway.store.get(id_)

        walking = patrol(here, RuntimeError(), [])
        walking._resume = resume
        gateway.store.clock = Clock(wall=lambda: datetime.now(UTC) + timedelta(hours=1))
        await asyncio.wait_for(walking.round(), 10)
        assert gateway.store.get(waiting.proposal.id).state == "expired"
        await asyncio.wait_for(walking.round(), 10)
        assert stuck not in settled
        go.set()
        await walking.settled()
        assert settled.count(stuck) == 1
        assert other in settled


async def test_what_is_being_settled_ends_with_the_patrol(tmp_path: Path) -> None:
    """Nothing of it outlives the gateway; the record has it, and the next process takes it up."""
    async with world(tmp_path) as here:
        id_ = await approved(here)
        ended = asyncio.Event()

        async def resume(_: ProposalId) -> Row:
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return here.gateway.store.get(id_)

        walking = patrol(here, RuntimeError(), [])
        walking._resume = resume
        await walking.round()
        await asyncio.wait_for(walking.rest(), 10)
        assert walking._settling == {}


async def approved_as(here: World, step: str) -> ProposalId:
    """Return a change of one step that is approved and not dispatched."""
    row = await here.propose("k8s_label", {**LABEL, "set": {"step": step}}, step=step)
    here.record(row)
    return row.proposal.id
