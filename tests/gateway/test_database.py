"""The database's contract: the same for a file and for one in memory; what a file alone can suffer stands below."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.gateway.database import (
    Database,
    RecordDamaged,
    RecordUnusable,
    SqliteDatabase,
    Transaction,
    statements,
)
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import BadInput, ExitCode, OurBug

FRUIT = "CREATE TABLE fruit (name TEXT PRIMARY KEY, weight INTEGER NOT NULL) STRICT;"


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each implementation, with one table."""
    made = SqliteDatabase(tmp_path / "gateway.db" if request.param == "file" else None)
    made.migrate([FRUIT])
    yield made
    made.close()


def write(database: Database, *rows: tuple[object, object]) -> None:
    """Write rows together."""
    with database.transaction() as db:
        for row in rows:
            db.execute("INSERT INTO fruit VALUES (?, ?)", row)


def test_what_was_written_together_is_read(database: Database) -> None:
    """And a query without rows is None, or an empty list."""
    with database.transaction() as db:
        assert db.execute("INSERT INTO fruit VALUES (?, ?), (?, ?)", ("apple", 1, "pear", 2)).rowcount == 2
        assert db.execute("DELETE FROM fruit WHERE name = ? RETURNING weight", ("pear",)).fetchone() == (2,)
    assert database.one("SELECT name, weight FROM fruit") == ("apple", 1)
    assert database.all("SELECT name FROM fruit") == [("apple",)]
    assert database.one("SELECT 1 FROM fruit WHERE name = ?", ("plum",)) is None
    assert database.all("SELECT 1 FROM fruit WHERE name = ?", ("plum",)) == []


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    """Our own error, and one of the database, leave nothing of it; the next one works."""
    with pytest.raises(sqlite3.ProgrammingError):
        write(database, ("apple", 1), ("pear", lambda: "no value"))
    with pytest.raises(sqlite3.IntegrityError):
        write(database, ("apple", 1), ("apple", 2))
    assert database.all("SELECT * FROM fruit") == []
    with database.transaction() as db:
        db.execute("INSERT INTO fruit VALUES ('apple', 1)")
    assert database.one("SELECT count(*) FROM fruit") == (1,)


def test_none_lies_inside_another(database: Database) -> None:
    """The inner one is refused, and the outer one is nothing with it."""

    def both() -> None:
        with database.transaction() as db:
            db.execute("INSERT INTO fruit VALUES ('apple', 1)")
            write(database, ("pear", 2))

    with pytest.raises(OurBug, match="inside another one"):
        both()
    assert database.all("SELECT * FROM fruit") == []


def test_each_migration_is_made_once_and_in_order(database: Database) -> None:
    """SQL and functions; what is there already is not made again."""

    def plant(db: Transaction) -> None:
        db.execute("INSERT INTO fruit VALUES ('plum', 3, 'blue')")

    database.migrate([FRUIT, "ALTER TABLE fruit ADD COLUMN colour TEXT NOT NULL DEFAULT 'red';", plant])
    database.migrate([FRUIT, "never again", plant])
    assert database.shape() == 3
    assert database.all("SELECT * FROM fruit") == [("plum", 3, "blue")]


def test_a_migration_that_fails_leaves_the_old_shape(database: Database) -> None:
    """Also what it had done before it failed."""
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        database.migrate([FRUIT, "CREATE TABLE nuts (name TEXT) STRICT; CREATE TABLE fruit (name TEXT) STRICT;"])
    assert database.shape() == 1
    assert database.one("SELECT count(*) FROM sqlite_schema WHERE name = 'nuts'") == (0,)


def test_a_newer_shape_is_refused(database: Database) -> None:
    """Whoever knows fewer migrations than were made does not touch it."""
    with pytest.raises(BadInput, match=r"newer version wrote the record .*schema 1, known 0"):
        database.migrate([])


def test_a_full_one_records_nothing_and_says_so(database: Database) -> None:
    """What was there stays; with room again it goes on."""
    assert isinstance(database, SqliteDatabase)
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RecordUnusable, match="full") as told:
        write(database, ("apple", 1), ("pear" * 5000, 2))
    assert told.value.exit_code == ExitCode.BAD_INPUT
    assert "Nothing was decided or applied" in told.value.next_step
    assert database.all("SELECT * FROM fruit") == []
    database.connection.execute("PRAGMA max_page_count = 100000")
    with database.transaction() as db:
        db.execute("INSERT INTO fruit VALUES ('apple', 1)")
    assert database.one("SELECT count(*) FROM fruit") == (1,)


def test_the_store_works_over_memory(tmp_path: Path) -> None:
    """The same store, without a file."""
    store = Store(tmp_path, SqliteDatabase())
    store.record("note", {"n": 1})
    assert [entry.body for entry in store.entries()] == [{"n": 1}]
    assert not (tmp_path / "gateway.db").exists()
    store.close()


def test_a_locked_file_records_nothing_and_says_so(tmp_path: Path) -> None:
    """Another process holds it: an error after the wait, nothing lost, and it goes on afterwards."""
    database = SqliteDatabase(tmp_path / "gateway.db")
    database.migrate([FRUIT])
    database.connection.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(tmp_path / "gateway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(RecordUnusable, match="locked"), database.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.transaction() as db:
        db.execute("INSERT INTO fruit VALUES ('apple', 1)")
    database.close()


def test_a_file_that_is_no_database_is_damaged(tmp_path: Path) -> None:
    """Bytes of something else: said in words, and left as they are."""
    (tmp_path / "gateway.db").write_bytes(b"not a database at all" * 500)
    before = (tmp_path / "gateway.db").read_bytes()
    with pytest.raises(RecordDamaged, match="damaged: file is not a database"):
        SqliteDatabase(tmp_path / "gateway.db")
    with pytest.raises(RecordDamaged, match="damaged"):
        Store(tmp_path)
    assert (tmp_path / "gateway.db").read_bytes() == before
    (tmp_path / "gateway.db").unlink()
    Store(tmp_path).close()  # The lock was let go of.


@settings(deadline=None)
@given(st.lists(st.sampled_from(["SELECT 1;", "SELECT ';';", "\n", str(FRUIT)]), max_size=6))
def test_a_script_is_taken_apart_at_its_statements(parts: list[str]) -> None:
    """Whatever lies between them."""
    said = list(statements(" ".join(parts)))
    assert said == [part for part in parts if part.strip()]


def test_a_trigger_is_one_statement() -> None:
    """Its body ends with the END."""
    script = MIGRATIONS[0]
    assert isinstance(script, str)
    triggers = [one for one in statements(script) if one.startswith("CREATE TRIGGER")]
    assert len(triggers) == 2
    assert all(one.endswith("END;") for one in triggers)
