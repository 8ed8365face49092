"""The patrol goes on, whatever one proposal does."""

import logging
from pathlib import Path

import pytest

from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.patrol import Patrol
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.proposal import ProposalId
from tests.gateway.world import OPERATOR, World, world


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
            await walking.round()

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
        await walking.round()

        assert settled.count(id_) == 2
        assert [entry for entry in here.gateway.store.entries() if entry.kind == "alarm"] == []
