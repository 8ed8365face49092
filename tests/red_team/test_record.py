"""The record: locked, full, read-only, rewritten, shared, and a process that is killed beside it."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from skyflo_runbooks.gateway import ledger
from skyflo_runbooks.gateway.database import RecordUnusable, SqliteDatabase
from skyflo_runbooks.gateway.gateway import open_store
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from tests.gateway.test_restored import approved, copy
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.grounds import listening
from tests.red_team.house import House, at_rest, attempts, tried
from tests.red_team.weakening import Gate, against, command
from tests.red_team.weaknesses import ATTACKS


def spoil(world: Gated, how: str, stack: ExitStack) -> None:
    """Let nothing more be written to the record."""
    database = world.gateway.store.database
    assert isinstance(database, SqliteDatabase)
    if how == "locked":
        database.connection.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(Path(database.where) / "gateway.db", isolation_level=None)
        stack.callback(other.close)
        other.execute("BEGIN IMMEDIATE")
    elif how == "full":
        fill(world)
    else:
        database.connection.execute("PRAGMA query_only = ON")


def fill(world: Gated) -> None:
    """Let the file not grow any more, and use up what room its pages have left."""
    database = world.gateway.store.database
    assert isinstance(database, SqliteDatabase)
    pages = database.one("PRAGMA page_count") or (0,)
    database.connection.execute(f"PRAGMA max_page_count = {pages[0]}")
    for size in (2000, 500, 100, 1):
        with suppress(RecordUnusable):
            for _ in range(12):  # no page holds more; a gate that goes on in memory is never full
                world.gateway.store.record("note", {"pad": "x" * size})


@pytest.mark.parametrize("how", ["locked", "full", "read-only"])
@against(ATTACKS["record-unwritable"])
async def test_a_record_that_cannot_be_written(house: House, gate: Gate, how: str) -> None:
    """Then nothing is decided and nothing applied; nothing goes on in memory."""
    async with house.besieged() as (at_home, _):
        row = await at_home.propose()
        ballot = at_home.ballot(row)
        with ExitStack() as stack:
            spoil(at_home, how, stack)
            await tried(at_home.gateway.decide(row.proposal.id, ballot, OPERATOR))
            with suppress(TimeoutError):
                await at_rest(at_home.gateway, row.proposal.id, 3)
            limit = await at_home.limit()
    gate.bites(limit == "512Mi")


@against(ATTACKS["record-rewritten"])
async def test_a_rewritten_entry(house: House, gate: Gate) -> None:
    """Who owns the file takes the trigger away and puts another name under an approval."""
    async with house.world() as at_home:
        await at_home.approve(await at_home.propose())
        with at_home.gateway.store.transaction() as db:
            db.execute("DROP TRIGGER entries_never_change")
            db.execute("UPDATE entries SET body = replace(body, 'on-call', 'the boss') WHERE kind = 'approve'")
        seen = False
        try:
            ledger.verify(at_home.gateway.store.entries())
        except ledger.LedgerBroken:
            seen = True
        gate.bites(not seen)


@against(ATTACKS["two-gateways"])
async def test_a_second_gateway_on_the_same_record(practice_house: House, gate: Gate) -> None:
    """Both would dispatch what was approved."""
    async with practice_house.world():
        opened = False
        with suppress(BadInput):
            open_store(practice_house.tmp / "data").close()
            opened = True
        gate.bites(opened)


@against(ATTACKS["record-restored"])
async def test_an_approval_that_was_used_since(house: House, gate: Gate) -> None:
    """A copy with an open approval is put back after it was applied and undone again."""
    data, before = house.tmp / "data", house.tmp / "before"
    async with house.world() as at_home:
        id_ = await approved(at_home)
        copy(data, before)
        await at_rest(at_home.gateway, id_)
        await at_home.approve(await at_home.gateway.roll_back(id_, OPERATOR))
        assert await at_home.limit() == "256Mi"
    copy(before, data)
    async with house.world() as at_home:
        await at_rest(at_home.gateway, id_)
        gate.bites(await at_home.limit() == "512Mi")


async def process(arguments: Sequence[str]) -> str:
    """Run one process to its end and return what it printed."""
    child = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    return out.decode()


async def after_a_kill(house: House, gate: Gate, step: str, patience: int = 20) -> tuple[str, str, int]:
    """Kill a gateway at `step`, start it again; return the record's word, the limit in the cluster, and the writes."""
    async with listening(house.app) as url:
        given = [str(house.tmp / "data"), url, "http://127.0.0.1:9", "patch"]
        await process(command(gate, "tests.gateway.dying", [*given, step]))
        said = await process(command(gate, "tests.gateway.dying", [*given, "", str(patience)]))
    shown = await house.deployment()
    limit = at(shown, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory")
    return (said.split() or ["nothing"])[0], str(limit), attempts(shown)


@against(ATTACKS["killed-said-undone"])
async def test_a_write_that_a_restart_records_as_undone(house: House, gate: Gate) -> None:
    """SIGKILL between the write and its answer: the next process must find it."""
    state, limit, writes = await after_a_kill(house, gate, "after the request arrived")
    assert (limit, writes) == ("512Mi", 1)
    gate.bites(state != "executed", state)


@against(ATTACKS["killed-forgotten"])
async def test_an_approval_that_a_restart_forgets(house: House, gate: Gate) -> None:
    """SIGKILL right after the approval was recorded: the next process must apply it."""
    state, limit, _ = await after_a_kill(house, gate, "after approve", 4 if gate.weakened else 20)
    gate.bites((state, limit) == ("approved", "256Mi"), state)
