"""Records of every shape that a released or landed version ever wrote, as SQL text: `schema_1.sql` and so on.

`python -m tests.gateway.shapes` writes the one of the present shape, by a story that fills its tables.
"""

import asyncio
import sqlite3
from pathlib import Path

from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.gateway.witness import Witness
from skyflo_runbooks.model.json import Json
from tests.gateway.world import OPERATOR, RAISE, World, world

FOLDER = Path(__file__).parent
SHAPE = len(MIGRATIONS)
# What the story leaves: every state that a record keeps, by the step that leads there.
STATES = {
    "rolled_back": "rolled_back",
    "way_back": "executed",
    "rejected": "rejected",
    "superseded": "superseded",
    "approved": "approved",
    "unknown": "unknown",
    "in_place": "in_place",
}


def fixture(shape: int) -> Path:
    """Return where the record of a shape lies."""
    return FOLDER / f"schema_{shape}.sql"


def laid(shape: int, directory: Path) -> Path:
    """Write the record of a shape as a database file into `directory`, with its witness; return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    file = sqlite3.connect(directory / "gateway.db", isolation_level=None)
    file.executescript(fixture(shape).read_text())
    seq, hash_, at = file.execute("SELECT seq, hash, at FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    file.close()
    witness = Witness(directory / "witness")
    witness.note(seq=seq, hash_=hash_, at=at)
    witness.close()
    return directory


async def tell(folder: Path) -> None:
    """Live the story on a practice cluster, and keep its record as the present shape's."""
    async with world(folder) as here:
        await _story(here)
        database = here.gateway.store.database
        assert isinstance(database, SqliteDatabase)
        lines = [*database.connection.iterdump(), f"PRAGMA user_version = {SHAPE};"]
    fixture(SHAPE).write_text("\n".join(lines) + "\n")


async def _story(here: World) -> None:
    gateway, store = here.gateway, here.gateway.store
    gateway.register("rb-test", {"digest": "d", "steps": []})
    gateway.lease("key", 60)
    done = await here.approve(await here.propose(step="rolled_back"))
    back = await gateway.roll_back(done.proposal.id, OPERATOR)
    await here.approve(back)
    row = await here.propose(step="rejected", arguments=limited("300Mi"))
    await gateway.decide(row.proposal.id, here.ballot(row, "reject", "not tonight"), OPERATOR)
    row = await here.propose(step="superseded", arguments=limited("310Mi"))
    await gateway.modify(row.proposal.id, {"limits.memory": "320Mi"}, OPERATOR)
    await here.propose(step="in_place", arguments=limited("256Mi"))
    for step, memory in (("approved", "330Mi"), ("unknown", "340Mi")):
        row = await here.propose(step=step, arguments=limited(memory))
        here.record(row)
        if step == "unknown":
            store.start_attempt(row.proposal.id, "at-0000000000")
            store.mark_sent("at-0000000000", 1)
            store.move(row.proposal.id, "lose", {"message": "no answer came"})


def limited(memory: str) -> Json:
    """Return the arguments that set another memory limit."""
    return {**RAISE, "limits": {"memory": memory}}


def main() -> None:
    """Write the record of the present shape."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(tell(Path(folder)))
    print(fixture(SHAPE))
