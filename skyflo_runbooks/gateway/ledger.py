"""The append-only, hash-chained record.

Rules:
  1. An entry's hash is SHA-256 over the RFC 8785 JSON of {seq, at, kind, body, prev}; `prev` is the hash before it, and
     the first entry's is 64 zeros.
  2. Entries are only ever added; the database refuses to change or delete one (triggers), and a file changed by other
     means no longer verifies: `verify` names the first broken entry.
  3. An entry and the state that it tells of are written in one transaction, fully synced, before the effect shows.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from skyflo_runbooks.gateway.database import Database, Transaction
from skyflo_runbooks.model.errors import ExitCode, SkyfloError
from skyflo_runbooks.model.json import Json, canonical

GENESIS = "0" * 64
COMPARE = "Restore the data directory from a backup and compare; entries before it still hold."
# How many entries are held in memory at a time.
PAGE = 1000


_ENTRIES = "SELECT seq, at, kind, body, prev, hash FROM entries"
# An entry is of a run by what it says, or because its proposal, or its attempt's proposal, is.
_OF_RUN = """(json_extract(body, '$.run') = ?
  OR json_extract(body, '$.proposal') IN (SELECT id FROM proposals WHERE run = ?)
  OR json_extract(body, '$.attempt') IN (
    SELECT a.id FROM attempts a JOIN proposals p ON p.id = a.proposal WHERE p.run = ?))"""


class Entry(msgspec.Struct, frozen=True):
    """One entry: its place, its time (RFC 3339), its kind, its body, and the chain."""

    seq: int
    at: str
    kind: str
    body: Json
    prev: str
    hash: str


class Wanted(msgspec.Struct, frozen=True):
    """Which entries are read: after `since`, before `before` (0: no end), of a run, of a kind; the newest first."""

    since: int = 0
    limit: int = PAGE
    before: int = 0
    run: str = ""
    kind: str = ""
    newest: bool = False


class LedgerBroken(SkyfloError):
    """The chain does not hold; `good` entries before the break do."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, *, good: int, next_step: str) -> None:
        super().__init__(message, next_step=next_step)
        self.good = good


def entry_hash(*, seq: int, at: str, kind: str, body: Json, prev: str) -> str:
    """Return the hash of an entry, by rule 1."""
    return hashlib.sha256(_hashed(seq=seq, at=at, kind=kind, body=body, prev=prev)).hexdigest()


def text(entry: Entry) -> str:
    """Return the text whose SHA-256 is the entry's hash."""
    return _hashed(seq=entry.seq, at=entry.at, kind=entry.kind, body=entry.body, prev=entry.prev).decode()


def _hashed(*, seq: int, at: str, kind: str, body: Json, prev: str) -> bytes:
    return canonical({"seq": seq, "at": at, "kind": kind, "body": body, "prev": prev})


def append(connection: Transaction, *, at: str, kind: str, body: Json) -> Entry:
    """Add one entry inside the caller's transaction and return it."""
    row = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev = (row[0] + 1, row[1]) if row else (1, GENESIS)
    digest = entry_hash(seq=seq, at=at, kind=kind, body=body, prev=prev)
    connection.execute(
        "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", (seq, at, kind, canonical(body).decode(), prev, digest)
    )
    return Entry(seq, at, kind, body, prev, digest)


def entries(database: Database, *, since: int = 0) -> Iterator[Entry]:
    """Yield the entries after `since`, in order, a page at a time."""
    while found := page(database, Wanted(since=since)):
        yield from found
        since = found[-1].seq


def page(database: Database, wanted: Wanted) -> list[Entry]:
    """Return one page of entries."""
    clauses = ["seq > ?"]
    given: list[object] = [wanted.since]
    if wanted.before:
        clauses.append("seq < ?")
        given.append(wanted.before)
    if wanted.kind:
        clauses.append("kind = ?")
        given.append(wanted.kind)
    if wanted.run:
        clauses.append(_OF_RUN)
        given += [wanted.run] * 3
    order = "DESC" if wanted.newest else "ASC"
    query = f"{_ENTRIES} WHERE {' AND '.join(clauses)} ORDER BY seq {order} LIMIT ?"
    rows = database.all(query, [*given, wanted.limit])
    return [read(row) for row in rows]


def runs(database: Database, most: int) -> list[str]:
    """Return the runs that the record tells of, the latest first, at most `most`."""
    rows = database.all(
        "SELECT json_extract(body, '$.run') AS run FROM entries WHERE run != '' "
        "GROUP BY run ORDER BY max(seq) DESC LIMIT ?",
        (most,),
    )
    return [str(row[0]) for row in rows]


def tip(database: Database) -> Entry | None:
    """Return the last entry."""
    row = database.one(f"{_ENTRIES} ORDER BY seq DESC LIMIT 1")
    return None if row is None else read(row)


def hash_at(database: Database, seq: int) -> str | None:
    """Return the hash of the entry at a place, or None where there is none. Before the first one is `GENESIS`."""
    if seq == 0:
        return GENESIS
    row = database.one("SELECT hash FROM entries WHERE seq = ?", (seq,))
    return None if row is None else str(row[0])


def read(row: tuple[Any, ...]) -> Entry:
    """Return the entry of a row."""
    seq, at, kind, body, prev, digest = row
    try:
        return Entry(seq, at, kind, msgspec.json.decode(body, type=dict), prev, digest)
    except msgspec.MsgspecError as error:
        raise LedgerBroken(f"Ledger entry {seq} is broken: {error}.", good=seq - 1, next_step=COMPARE) from error


def verify(chain: Iterator[Entry], *, after: int = 0, prev: str = GENESIS) -> int:
    """Return the place of the last entry of a chain that holds, or raise `LedgerBroken` that names the first other one.

    The chain goes on from the entry `after`, whose hash is `prev`.
    """
    count = after
    for entry in chain:
        expected = entry_hash(seq=entry.seq, at=entry.at, kind=entry.kind, body=entry.body, prev=prev)
        if entry.seq != count + 1 or entry.prev != prev or entry.hash != expected:
            raise LedgerBroken(
                f"Ledger entry {count + 1} is broken: expected hash {expected[:12]}… after {prev[:12]}…, "
                f"found entry {entry.seq} with {entry.hash[:12]}….",
                good=count,
                next_step=COMPARE,
            )
        prev, count = entry.hash, count + 1
    return count
