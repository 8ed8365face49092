"""Promise 2 attacked at the worst moment: second writers, lost and false answers, a record that cannot be written."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.gateway import open_store
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import BadInput, Refused, SkyfloError
from skyflo_runbooks.model.json import Json
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.house import House, tried
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

FOREIGN = {"metadata": {"labels": {"team": "others"}}}


def limited(memory: str) -> Json:
    """Return a patch that sets another memory limit."""
    resources = {"limits": {"memory": memory}}
    container = {"name": "payment-service", "image": "payment-svc:v2.4.1", "resources": resources}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def pragma(world: Gated, said: str) -> None:
    """Set something on the record's own connection."""
    assert isinstance(world.gateway.store.database, SqliteDatabase)
    world.gateway.store.database.connection.execute(f"PRAGMA {said}")


async def state_of(world: Gated, row: Row, *states: str) -> Row:
    """Wait until the proposal is in one of `states`, at most 15 s, and return it."""
    async with asyncio.timeout(15):
        while (now := world.gateway.store.get(row.proposal.id)).state not in states:
            await world.gateway.events.changed(0.1)
    return now


async def test_a_second_writer_before_the_last_dry_run_voids_it(house: House) -> None:
    """Exactly between reading and the dry run."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        between.before_dry_run = house.somebody(FOREIGN)
        done = await world.approve(row)
        assert done.state == "void"
        assert (await world.limit(), await world.writes()) == ("256Mi", 0)


@against(ATTACKS["second-writer"])
async def test_a_second_writer_before_the_write(house: House, gate: Gate) -> None:
    """Exactly between the last dry run and the write."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        between.before_write = house.somebody(FOREIGN)
        done = await world.approve(row)
        gate.bites(await world.writes() > 0, done.state)
        if not gate.weakened:
            assert (done.state, await world.limit()) == ("void", "256Mi")


@pytest.mark.parametrize("tool", ["k8s_scale", "k8s_patch"])
@against(ATTACKS["preview-writes"])
async def test_a_dry_run_that_is_none(house: House, gate: Gate, tool: str) -> None:
    """What is proposed is tried on the real object."""
    target: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
    wanted: Json = {"replicas": 0} if tool == "k8s_scale" else {"patch": {"spec": {"replicas": 0}}}
    async with house.besieged() as (world, _):
        before = (await house.deployment())["metadata"]
        await tried(world.propose(tool, {**target, **wanted}))
        after = (await house.deployment())["metadata"]
        # Not by what is left: the trial of the way back would have led it back.
        gate.bites(before["generation"] != after["generation"])


@against(ATTACKS["preview-deletes"])
async def test_a_deletions_dry_run_that_is_none(house: House, gate: Gate) -> None:
    """The ConfigMap is there afterwards, and is the same one."""
    named: Json = {"kind": "ConfigMap", "namespace": "checkout", "name": "payment-settings"}
    async with house.besieged() as (world, _), house.cluster() as cluster:
        before = await cluster.list("ConfigMap", "checkout", field_selector="metadata.name=payment-settings")
        await tried(world.propose("k8s_delete", named))
        after = await cluster.list("ConfigMap", "checkout", field_selector="metadata.name=payment-settings")
        assert len(before.items) == 1
        gate.bites(before.items != after.items)


async def test_a_writer_that_changes_the_very_value_voids_it(house: House) -> None:
    """He sets the approved value himself: nothing is sent over it, and nobody claims it."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        between.before_write = house.somebody(limited("512Mi"))
        done = await world.approve(row)
        assert (done.state, await world.writes()) == ("void", 0)


@pytest.mark.parametrize("status", [500, 502, 504, 409], ids=["500", "502", "504", "409 after a retry"])
async def test_an_applied_write_with_a_false_answer_is_found(house: House, status: int) -> None:
    """A proxy says it failed: the live object decides, and nothing is sent twice."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        between.answers = [status]
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        done = await state_of(world, row, "executed", "failed", "void")
        assert (done.state, between.writes, await world.writes()) == ("executed", 1, 1)
        assert await world.limit() == "512Mi"


async def test_a_locked_record_after_the_write_loses_nothing(house: House) -> None:
    """Another process holds the database while the answer comes: not "failed", and settled when it lets go."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        pragma(world, "busy_timeout = 10")
        other = sqlite3.connect(house.tmp / "data" / "gateway.db", isolation_level=None)

        async def lock() -> None:
            other.execute("BEGIN IMMEDIATE")

        between.before_write = lock
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        async with asyncio.timeout(10):
            while await world.limit() != "512Mi":
                await world.gateway.events.changed(0.05)
        assert world.gateway.store.get(row.proposal.id).state == "executing"
        other.execute("ROLLBACK")
        other.close()
        done = await state_of(world, row, "executed", "failed", "void")
        assert (done.state, between.writes, await world.writes()) == ("executed", 1, 1)


async def test_a_record_that_cannot_be_written_decides_nothing(house: House) -> None:
    """Read-only at the moment of the decision: an error, no attempt; the ballot counts when it is writable again."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        ballot = world.ballot(row)
        pragma(world, "query_only = ON")
        with pytest.raises(BadInput, match="cannot be written"):
            await world.gateway.decide(row.proposal.id, ballot, OPERATOR)
        assert (world.gateway.store.get(row.proposal.id).state, between.writes) == ("proposed", 0)
        pragma(world, "query_only = OFF")
        await world.gateway.decide(row.proposal.id, ballot, OPERATOR)
        assert (await world.gateway.settled(row.proposal.id, 10)).state == "executed"


async def test_the_patrol_outlives_a_record_that_cannot_be_written(practice_house: House) -> None:
    """The time of a proposal ends while the disk is full: it expires when there is room again."""
    async with practice_house.besieged(life=0.3) as (world, _):
        row = await world.propose()
        pragma(world, "query_only = ON")
        async with asyncio.timeout(10):
            while datetime.fromisoformat(row.proposal.binding.expires) + timedelta(seconds=2.2) > datetime.now(UTC):
                await world.gateway.events.changed(0.2)
        pragma(world, "query_only = OFF")
        await state_of(world, row, "expired")


async def test_two_who_look_at_once_settle_it_once(house: House) -> None:
    """The executor and the patrol look for the same lost answer: one settles, the other one agrees."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        between.answers = [504]
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        await state_of(world, row, "unknown", "executed")
        look = world.gateway._executor.look
        found = await asyncio.gather(*(look(row.proposal.id) for _ in range(3)), return_exceptions=True)
        assert not [one for one in found if isinstance(one, BaseException)], found
        await state_of(world, row, "executed")
        kinds = [entry.kind for entry in world.gateway.store.entries()]
        assert kinds.count("settle_executed") == 1


@against(ATTACKS["approved-at-once"])
async def test_two_approvals_at_once(house: House, gate: Gate) -> None:
    """Two rightly signed ballots with their own nonces."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        ballots = [world.ballot(row), world.ballot(row)]
        said = await asyncio.gather(
            *(world.gateway.decide(row.proposal.id, ballot, OPERATOR) for ballot in ballots), return_exceptions=True
        )
        gate.bites(not any(isinstance(one, SkyfloError) for one in said), said)
        assert (await world.gateway.settled(row.proposal.id, 10)).state == "executed"
        assert between.writes == 1


async def test_ten_equal_wishes_at_once_are_one_proposal(house: House) -> None:
    """Ten tabs run the same cell."""
    async with house.besieged() as (world, _):
        rows = await asyncio.gather(*(world.propose() for _ in range(10)))
        assert len({row.proposal.id for row in rows}) == 1


async def test_a_second_gateway_on_the_same_record_is_refused(practice_house: House) -> None:
    """Two would apply one approval twice."""
    async with practice_house.besieged():
        with pytest.raises(BadInput, match="Another gateway"):
            open_store(practice_house.tmp / "data")


async def test_a_modification_after_the_approval_leaves_one_write(house: House) -> None:
    """Either the approval was used first, or it is gone: never both values."""
    async with house.besieged() as (world, between):
        row = await world.propose()
        await world.gateway.decide(row.proposal.id, world.ballot(row), OPERATOR)
        with pytest.raises(SkyfloError):
            await world.gateway.modify(row.proposal.id, {"limits.memory": "768Mi"}, OPERATOR)
        await world.gateway.settled(row.proposal.id, 10)
        assert between.writes <= 1
        assert await world.limit() in ("256Mi", "512Mi")


async def test_the_way_back_over_a_foreign_change_is_refused(house: House) -> None:
    """Somebody set another limit since: his value is not undone with ours."""
    async with house.besieged() as (world, between):
        done = await world.approve(await world.propose())
        await house.somebody(limited("1Gi"))()
        with pytest.raises(SkyfloError):
            await world.gateway.roll_back(done.proposal.id, OPERATOR)
        assert (await world.limit(), between.writes) == ("1Gi", 1)


async def test_the_way_back_is_gone_once(house: House) -> None:
    """It needs its own approval, and a second one is refused."""
    async with house.besieged() as (world, between):
        done = await world.approve(await world.propose())
        back = await world.gateway.roll_back(done.proposal.id, OPERATOR)
        assert (back.state, between.writes) == ("proposed", 1)
        again = await world.gateway.roll_back(done.proposal.id, OPERATOR)
        assert again.proposal.id == back.proposal.id
        assert (await world.approve(back)).state == "executed"
        assert await world.limit() == "256Mi"
        with pytest.raises(Refused):
            await world.gateway.roll_back(done.proposal.id, OPERATOR)
