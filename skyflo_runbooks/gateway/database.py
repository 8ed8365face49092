"""The record's database behind one small interface: a SQLite file, or one in memory; PostgreSQL can stand there too.

Rules:
  1. A transaction is all or nothing, and durable (written through to the disk) when its block is left. None lies inside
     another, and nobody awaits anything inside one.
  2. The shape of a database is the number of migrations that were made. Each is made once, in order, in one transaction
     with that number. A shape with more migrations than are known is refused: a newer version wrote it.
  3. What cannot be written now (locked, full, read-only) is `RecordUnusable`: nothing of what was asked is recorded.
     What cannot be read as a database any more is `RecordDamaged`. Nothing is decided or applied on either. Errors of
     our own statements pass as they are.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from skyflo_runbooks.model.errors import BadInput, OurBug

LOCK_SECONDS = 5.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNUSABLE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


class RecordUnusable(BadInput):
    """The database cannot be written or read now: nothing of what was asked was recorded."""


class RecordDamaged(RecordUnusable):
    """The file is not a whole database any more."""


class Result(Protocol):
    """What a statement found or did."""

    @property
    def rowcount(self) -> int:
        """How many rows were changed."""

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left, as tuples."""


class Transaction(Protocol):
    """Runs statements that are recorded together. Values stand for `?` in their order."""

    def execute(self, query: str, values: Sequence[Any] = (), /) -> Result:
        """Run one statement."""


Migration: TypeAlias = str | Callable[[Transaction], None]


class Database(Protocol):
    """What the store needs of a database."""

    where: str

    def transaction(self) -> AbstractContextManager[Transaction]:
        """One transaction, by rule 1."""

    def one(self, query: str, values: Sequence[object] = ()) -> tuple[object, ...] | None:
        """Return the first row of a query, or None."""

    def all(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return every row of a query."""

    def shape(self) -> int:
        """Return how many migrations were made."""

    def migrate(self, migrations: Sequence[Migration]) -> None:
        """Make the migrations that were not made yet, by rule 2."""

    def opening(self) -> AbstractContextManager[None]:
        """While a record is opened, whatever statement fails means that it is damaged; its pages are checked first."""

    def close(self) -> None:
        """Let go of it."""


class SqliteDatabase:
    """A SQLite database: a file with write-ahead log and full sync, or one in memory that goes with the process."""

    def __init__(self, path: Path | None = None) -> None:
        self.where = str(path.parent) if path else "memory"
        self._opening = True
        with self._told():
            self.connection = sqlite3.connect(
                path or ":memory:", isolation_level=None, check_same_thread=False, timeout=LOCK_SECONDS
            )
        # What is no text any more must not stop the reading: its hash says so.
        self.connection.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            with self._told():
                self.connection.execute("PRAGMA journal_mode=WAL")
                self.connection.execute("PRAGMA synchronous=FULL")
                self.connection.execute("SELECT count(*) FROM sqlite_schema")
            if path is not None:
                path.chmod(0o600)
        except BaseException:
            self.connection.close()
            raise
        self._opening = False

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """See `Database`."""
        if self.connection.in_transaction:
            raise OurBug("A transaction was begun inside another one.")
        with self._told():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def one(self, query: str, values: Sequence[object] = ()) -> tuple[object, ...] | None:
        """See `Database`."""
        with self._told():
            row: tuple[object, ...] | None = self.connection.execute(query, tuple(values)).fetchone()
        return row

    def all(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """See `Database`."""
        with self._told():
            return self.connection.execute(query, tuple(values)).fetchall()

    def shape(self) -> int:
        """See `Database`."""
        row = self.one("PRAGMA user_version")
        return int(str(row[0])) if row else 0

    def migrate(self, migrations: Sequence[Migration]) -> None:
        """See `Database`."""
        done = self.shape()
        if done > len(migrations):
            raise BadInput(
                f"A newer version wrote the record in {self.where} (schema {done}, known {len(migrations)}).",
                next_step="Start the newer version, or choose another --data-dir.",
            )
        for number, migration in enumerate(migrations[done:], start=done + 1):
            with self.transaction() as db:
                if callable(migration):
                    migration(db)
                else:
                    for statement in statements(migration):
                        db.execute(statement)
                db.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def opening(self) -> Iterator[None]:
        """See `Database`."""
        said = self.one("PRAGMA quick_check(1)")
        if said != ("ok",):
            raise self._damaged(said[0] if said else "it does not answer")
        self._opening = True
        try:
            yield
        finally:
            self._opening = False

    def close(self) -> None:
        """See `Database`."""
        self.connection.close()

    def _damaged(self, said: object) -> RecordDamaged:
        return RecordDamaged(
            f"The record in {self.where} is damaged: {said}.",
            next_step="Nothing was decided or applied. Restore the data directory from a backup.",
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in our words what the database says, by rule 3."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise self._damaged(error) from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what extends it
            if code in _DAMAGED or (self._opening and code not in _UNUSABLE):
                raise self._damaged(error) from error
            if code in _UNUSABLE:
                raise RecordUnusable(
                    f"The record in {self.where} cannot be written: {error}.",
                    next_step="Nothing was decided or applied. Free space or unlock the file, then try again.",
                ) from error
            raise


def statements(script: str) -> Iterator[str]:
    """Yield the statements of an SQL script; a trigger's body is part of its statement."""
    kept = ""
    for piece in script.split(";"):
        kept += piece + ";"
        if sqlite3.complete_statement(kept):
            if kept.strip(" \n;"):
                yield kept.strip()
            kept = ""
