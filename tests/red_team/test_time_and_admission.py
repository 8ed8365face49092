"""Promise 2 attacked from the server's side and by time: admission that changes its mind, clocks and files set back."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model import lifecycle
from skyflo_runbooks.model.lifecycle import TooEarly, TooLate
from tests.gateway.world import OPERATOR
from tests.red_team.house import House
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS


async def test_admission_that_never_answers_the_same_is_named(house: House) -> None:
    """A webhook sets another value at each dry run: the card names the field that is not under the digest."""
    async with house.besieged() as (world, between):
        between.admission = lambda number, dry: number
        row = await world.propose()
        assert "spec.minReadySeconds" in row.proposal.unstable


@against(ATTACKS["admission-changed"])
async def test_admission_that_changes_after_the_approval(house: House, gate: Gate) -> None:
    """Twice the same at the proposal, another value at the dispatch: nothing is sent."""
    async with house.besieged() as (world, between):
        between.admission = lambda number, dry: 3
        row = await world.propose()
        assert row.proposal.unstable == ()
        between.admission = lambda number, dry: 9
        done = await world.approve(row)
        gate.bites(between.writes > 0, done.state)


async def test_admission_that_lies_in_every_dry_run_is_told(house: House) -> None:
    """Only the real write gets the other value: it cannot be prevented, so the receipt says it."""
    async with house.besieged() as (world, between):
        between.admission = lambda number, dry: 3 if dry else 9
        done = await world.approve(await world.propose())
        assert done.state == "executed"
        assert "something else than its dry run" in str(world.gateway.view(done)["receipt"])


async def test_honest_admission_is_not_accused(house: House) -> None:
    """The same value in dry run and write: nothing is said."""
    async with house.besieged() as (world, between):
        between.admission = lambda number, dry: 3
        done = await world.approve(await world.propose())
        assert done.state == "executed"
        assert "something else" not in str(world.gateway.view(done)["receipt"])


@pytest.mark.parametrize(("moved", "refusal"), [(-60, TooEarly), (31 * 60, TooLate)], ids=["back", "forward"])
async def test_a_clock_that_was_moved_approves_nothing(
    practice_house: House, moved: int, refusal: type[lifecycle.TooEarly | lifecycle.TooLate]
) -> None:
    """Back behind the proposal, or forward past its end: the guard refuses either."""
    async with practice_house.besieged() as (world, _):
        binding = (await world.propose()).proposal.binding
        with pytest.raises(refusal):
            lifecycle.admit_decision(
                state="proposed",
                event="approve",
                expected_digest="d",
                digest="d",
                not_before=datetime.fromisoformat(binding.not_before),
                expires=datetime.fromisoformat(binding.expires),
                now=datetime.now(UTC) + timedelta(seconds=moved),
            )


async def test_a_record_set_back_to_before_the_attempt_applies_nothing_again(house: House) -> None:
    """Yesterday's file says approved, the cluster has the change: looked at, void, and not written twice."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        store = world.gateway.store
        ballot = world.ballot(row)
        saved = house.tmp / "saved"
        await world.gateway.decide(row.proposal.id, ballot, OPERATOR)
        # Still approved: the dispatch runs when this test lets go of the loop.
        assert store.get(row.proposal.id).state == "approved"
        saved.mkdir()
        for path in (house.tmp / "data").iterdir():
            shutil.copy(path, saved / path.name)
        assert (await world.gateway.settled(row.proposal.id, 10)).state == "executed"
        old = Store(saved)
        world.gateway.store.close()
        gateway = world.gateway
        executor = type(gateway._executor)(
            cluster=gateway.cluster,
            store=old,
            proposer=gateway.proposer,
            redactor=gateway.redactor,
            approvals=type(gateway.approvals)(
                cluster=gateway.cluster, store=old, rules=gateway.rules, site=gateway.approvals.site
            ),
        )
        gateway.proposer._store = old
        gateway.proposer._images._store = old
        gateway.store = old
        done = await executor.resume(row.proposal.id)
        assert (done.state, between.writes) == ("void", 1)
