"""The record: proposals with their states, their attempts, and the ledger that explains them.

What is not in the ledger's chain is state that the chain explains: a proposal's state moves in the same transaction
that appends the entry which tells of it. One connection writes; calls are short and are made from one thread, so no
two of them interleave. A second gateway on the same directory is refused by a lock on `gateway.lock`.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import msgspec

from skyflo_runbooks.gateway import ledger
from skyflo_runbooks.gateway.book import Book
from skyflo_runbooks.gateway.clock import Clock
from skyflo_runbooks.gateway.database import Database, SqliteDatabase, Transaction
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.model import lifecycle
from skyflo_runbooks.model.digest import sha256
from skyflo_runbooks.model.errors import BadInput, NotThere, Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import Event, State
from skyflo_runbooks.model.proposal import Decision, Proposal, ProposalId

# `+p.id` has no affinity: against a TEXT column SQLite passes by the index on what JSON holds and reads every entry.
_WHOLE = """
SELECT p.content, p.state, p.superseded_by, p.rolled_back_by, p.verification,
  (SELECT min(seq) FROM entries WHERE json_extract(body, '$.proposal') = +p.id),
  (SELECT max(seq) FROM entries WHERE json_extract(body, '$.proposal') = +p.id),
  (SELECT json_extract(body, '$.message') FROM entries WHERE json_extract(body, '$.proposal') = +p.id
   ORDER BY seq DESC LIMIT 1),
  a.id, a.started, a.ended, a.sent, a.applied, a.after, a.message, a.executor
FROM proposals p LEFT JOIN attempts a ON a.proposal = p.id
"""


class Attempt(msgspec.Struct, frozen=True):
    """One execution of an approved proposal. `sent` counts requests marked as sent before they were."""

    id: str
    proposal: ProposalId
    started: str
    ended: str
    sent: int
    applied: list[Json]
    after: list[Json]
    message: str
    executor: str = ""


class Row(msgspec.Struct, frozen=True):
    """A proposal with everything about it that moves. `message` is what the ledger's last entry on it says."""

    proposal: Proposal
    state: State
    superseded_by: str
    rolled_back_by: str
    attempt: Attempt | None
    ledger: tuple[int, int]
    message: str
    decisions: tuple[Decision, ...] = ()

    @property
    def decision(self) -> Decision | None:
        """The last decision on it."""
        return self.decisions[-1] if self.decisions else None

    @property
    def approvals(self) -> tuple[Decision, ...]:
        """The decisions that approve it."""
        return tuple(one for one in self.decisions if one.kind == "approve")


def rfc3339(moment: datetime) -> str:
    """Return a time as the record writes it: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """The open record in `directory`; its database is the file `gateway.db` there, where no other one is given."""

    def __init__(self, directory: Path, database: Database | None = None, *, witness: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
        self.directory = directory
        self._lock = _lock(directory)
        with ExitStack() as opened:
            opened.callback(self._lock.close)
            self.database = database or SqliteDatabase(directory / "gateway.db")
            opened.callback(self.database.close)
            with self.database.opening():
                self.database.migrate(MIGRATIONS)
                last = self.one("SELECT at FROM entries ORDER BY seq DESC LIMIT 1")
                self.clock = Clock(datetime.fromisoformat(str(last[0])) if last else None)
                self.book = Book(self.database, directory, witness or directory / "witness")
                opened.callback(self.book.close)
                self.book.compare(rfc3339(self.now()))
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the database and let go of the directory."""
        self._opened.close()

    def now(self) -> datetime:
        """Return the time that entries carry; it never runs backwards (`clock`)."""
        return self.clock.now()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: all of it, or nothing; the witness sees of it what it must."""
        try:
            with self.database.transaction() as db:
                yield db
        except BaseException:
            self.book.forget()
            raise
        self.book.committed()

    def record(self, kind: str, body: Json) -> ledger.Entry:
        """Append one entry that moves no state."""
        with self.transaction() as db:
            return self.append(db, kind, body)

    def append(self, db: Transaction, kind: str, body: Json) -> ledger.Entry:
        """Append one entry in a transaction of this store that is open."""
        return self.book.append(db, at=rfc3339(self.now()), kind=kind, body=body)

    def entries(self, *, since: int = 0) -> Iterator[ledger.Entry]:
        """Yield ledger entries in order."""
        return ledger.entries(self.database, since=since)

    def told(self, id_: ProposalId) -> list[ledger.Entry]:
        """Return the ledger's entries of one proposal, in order."""
        rows = self.all(
            "SELECT seq, at, kind, body, prev, hash FROM entries WHERE json_extract(body, '$.proposal') = ? "
            "ORDER BY seq",
            (id_,),
        )
        return [ledger.read(row) for row in rows]

    def times(self, kind: str, since: datetime) -> list[datetime]:
        """Return when there were entries of a kind since a time, oldest first."""
        rows = self.all("SELECT at FROM entries WHERE kind = ? AND at >= ? ORDER BY seq", (kind, rfc3339(since)))
        return [datetime.fromisoformat(str(row[0])) for row in rows]

    # Proposals

    def add(self, proposal: Proposal, *, same_key: str, state: State = "proposed") -> ledger.Entry:
        """Store a new proposal together with its ledger entry."""
        body = {
            "proposal": proposal.id,
            "state": state,
            "digest": proposal.digest,
            "tool": proposal.tool,
            "requester": proposal.origin.requester,
            "generator": proposal.origin.generator,
            "runbook": proposal.origin.runbook,
            "run": proposal.origin.run,
            "step": proposal.origin.step,
            "objects": [str(request.target) for request in proposal.requests],
            "rollback_of": proposal.rollback_of,
            "supersedes": proposal.supersedes,
        }
        with self.transaction() as db:
            entry = self.append(db, "proposed", body)
            db.execute(
                "INSERT INTO proposals (id, state, content, same_key, runbook, run, step, created, expires) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    proposal.id,
                    state,
                    msgspec.json.encode(proposal),
                    same_key,
                    proposal.origin.runbook,
                    proposal.origin.run,
                    proposal.origin.step,
                    proposal.created,
                    proposal.binding.expires,
                ),
            )
            if proposal.supersedes:
                self._move(db, ProposalId(proposal.supersedes), "supersede", {"superseded_by": proposal.id})
                db.execute("UPDATE proposals SET superseded_by = ? WHERE id = ?", (proposal.id, proposal.supersedes))
        return entry

    def get(self, id_: str) -> Row:
        """Return one proposal, or raise `BadInput`."""
        rows = self._rows("WHERE p.id = ?", (id_,))
        if not rows:
            raise NotThere(
                f"There is no proposal {id_[:40]!r}.",
                next_step="'skyflo-runbooks history' lists the latest, 'skyflo-runbooks approvals' those that wait.",
            )
        return rows[0]

    def find(
        self,
        *,
        same_key: str = "",
        states: frozenset[State] | None = None,
        place: tuple[str, str, str] | None = None,
        limit: int = 500,
    ) -> list[Row]:
        """Return proposals, newest first, of one key, in some states, or of one place: runbook, run and step."""
        clauses: list[str] = []
        values: list[object] = []
        if same_key:
            clauses.append("p.same_key = ?")
            values.append(same_key)
        if states is not None:
            clauses.append(f"p.state IN ({','.join('?' * len(states))})")
            values += sorted(states)
        if place is not None:
            clauses.append("p.runbook = ? AND p.run = ? AND p.step = ?")
            values += place
        where = "WHERE " + " AND ".join(clauses) if clauses else ""
        return self._rows(f"{where} ORDER BY p.created DESC, p.id LIMIT {int(limit)}", tuple(values))

    def ids(self, *states: State) -> list[ProposalId]:
        """Return the ids of all proposals in some states, oldest first."""
        marks = ",".join("?" * len(states))
        rows = self.all(f"SELECT id FROM proposals WHERE state IN ({marks}) ORDER BY created, id", states)  # noqa: S608
        return [ProposalId(str(row[0])) for row in rows]

    def overdue(self) -> list[ProposalId]:
        """Return the ids of proposals whose time to be decided is over."""
        rows = self.all(
            "SELECT id FROM proposals WHERE state = 'proposed' AND expires <= ? ORDER BY expires",
            (rfc3339(self.now()),),
        )
        return [ProposalId(str(row[0])) for row in rows]

    def waiting(self) -> dict[str, float]:
        """Return for how many seconds each approved proposal waits to be dispatched."""
        now = self.now()
        rows = self.all(
            "SELECT id, coalesce((SELECT max(json_extract(CAST(d.body AS TEXT), '$.at')) FROM decisions d "
            "WHERE d.proposal = p.id), created) FROM proposals p WHERE state = 'approved'"
        )
        return {str(id_): (now - datetime.fromisoformat(str(at))).total_seconds() for id_, at in rows}

    def counts(self) -> dict[str, int]:
        """Return how many proposals are in each state."""
        rows = self.all("SELECT state, count(*) FROM proposals GROUP BY state")
        return {str(state): int(str(count)) for state, count in rows}

    def told_of(self, kinds: Sequence[str]) -> dict[str, int]:
        """Return how many entries of each kind the ledger has."""
        marks = ",".join("?" * len(kinds))
        rows = self.all(f"SELECT kind, count(*) FROM entries WHERE kind IN ({marks}) GROUP BY kind", tuple(kinds))  # noqa: S608
        return {str(kind): int(str(count)) for kind, count in rows}

    def length(self) -> int:
        """Return how many entries the ledger has."""
        last = ledger.tip(self.database)
        return last.seq if last else 0

    def catch_up(self) -> None:
        """Sign and witness what is left of the ledger."""
        self.book.catch_up(self.now(), rfc3339(self.now()))

    def move(self, id_: ProposalId, event: Event, body: Json | None = None) -> ledger.Entry:
        """Move a proposal along one arrow, with the entry that tells of it, in one transaction."""
        with self.transaction() as db:
            return self._move(db, id_, event, body or {})

    def decide(self, id_: ProposalId, decision: Decision, nonce: str, *, enough: bool = True) -> ledger.Entry:
        """Record a person's decision and burn its nonce, in one transaction.

        An approval moves the proposal where it makes `enough` of them. A person's later decision replaces an earlier.
        """
        with self.transaction() as db:
            burnt = db.execute("DELETE FROM nonces WHERE nonce = ? AND proposal = ?", (nonce, id_)).rowcount
            if burnt != 1:
                raise Refused("This nonce was used already.", next_step="Ask for a new one and sign again.")
            row = db.execute("SELECT count(*) FROM decisions WHERE proposal = ?", (id_,)).fetchone()
            db.execute(
                "INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?)",
                (id_, decision.operator, row[0] + 1, msgspec.json.encode(decision)),
            )
            event: Event = "reject" if decision.kind == "reject" else "approve" if enough else "endorse"
            return self._move(db, id_, event, msgspec.to_builtins(decision))

    def start_attempt(self, id_: ProposalId, attempt: str, told: Json | None = None) -> ledger.Entry:
        """Consume the approval and write the attempt, in one transaction. `told` says who asked, approved, executes."""
        told = told or {}
        with self.transaction() as db:
            entry = self._move(db, id_, "dispatch", {"attempt": attempt, **told})
            db.execute(
                "INSERT INTO attempts (id, proposal, started, executor) VALUES (?, ?, ?, ?)",
                (attempt, id_, rfc3339(self.now()), str(told.get("executor", ""))),
            )
            return entry

    def mark_sent(self, attempt: str, place: int, before: Json | None = None) -> None:
        """Note, durably and beforehand, that the request at `place` (from 1) is now being sent.

        `before` is what the object showed then; `sending` gives it back.
        """
        with self.transaction() as db:
            self.append(db, "sending", {"attempt": attempt, "request": place, **(before or {})})
            db.execute("UPDATE attempts SET sent = ? WHERE id = ?", (place, attempt))

    def sending(self, attempt: str, place: int) -> Json:
        """Return what was noted when the request at `place` (from 1) was sent last."""
        found = self.one(
            "SELECT body FROM entries WHERE kind = 'sending' AND json_extract(body, '$.attempt') = ? "
            "AND json_extract(body, '$.request') = ? ORDER BY seq DESC LIMIT 1",
            (attempt, place),
        )
        return {} if found is None else msgspec.json.decode(_bytes(found[0]), type=dict)

    def waited(self, row: Row) -> Json | None:
        """Return since when an attempt waits for the request that it is at, and what was said last; None: not at all.

        `{"since", "said", "left"}`: a time, the answer in words, and the seconds that it is tried for from then on.
        """
        if row.state != "executing" or row.attempt is None:
            return None
        found = self.all(
            "SELECT at, body FROM entries WHERE kind = 'waiting' AND seq > ? AND json_extract(body, '$.attempt') = ? "
            "AND json_extract(body, '$.request') = ? ORDER BY seq",
            (row.ledger[0], row.attempt.id, len(row.attempt.applied) + 1),
        )
        if not found:
            return None
        last = msgspec.json.decode(_bytes(found[-1][1]), type=dict)
        return {"since": str(found[0][0]), "said": str(last.get("said", "")), "left": last.get("left", 0)}

    def mark_applied(self, attempt: str, applied: list[Json], after: list[Json]) -> None:
        """Note what the API server answered so far; `after` holds the desired-state digests that we left.

        What a command printed stands in the ledger as its digest.
        """
        told = {**applied[-1]}
        if printed := told.pop("output", ""):
            told["output"] = sha256(printed)
        with self.transaction() as db:
            self.append(db, "applied", {"attempt": attempt, "applied": told})
            db.execute(
                "UPDATE attempts SET applied = ?, after = ? WHERE id = ?",
                (msgspec.json.encode(applied), msgspec.json.encode(after), attempt),
            )

    def end_attempt(self, id_: ProposalId, event: Event, message: str, rolled_back: str = "") -> ledger.Entry:
        """End the attempt of a proposal; `rolled_back` is the proposal whose way back this was."""
        with self.transaction() as db:
            db.execute(
                "UPDATE attempts SET ended = ?, message = ? WHERE proposal = ?", (rfc3339(self.now()), message, id_)
            )
            entry = self._move(db, id_, event, {"message": message})
            if rolled_back:
                self._move(db, ProposalId(rolled_back), "roll_back", {"by": id_})
                db.execute("UPDATE proposals SET rolled_back_by = ? WHERE id = ?", (id_, rolled_back))
            return entry

    def attach(self, id_: ProposalId, verification: bytes) -> None:
        """Attach the verify step that judges this proposal."""
        with self.transaction() as db:
            db.execute("UPDATE proposals SET verification = ? WHERE id = ?", (verification, id_))

    # Small tables

    def one(self, query: str, values: tuple[object, ...] = ()) -> tuple[object, ...] | None:
        """Return the first row of a query."""
        return self.database.one(query, values)

    def all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Return every row of a query."""
        return self.database.all(query, values)

    def _move(self, db: Transaction, id_: ProposalId, event: Event, body: Json) -> ledger.Entry:
        row = db.execute("SELECT state FROM proposals WHERE id = ?", (id_,)).fetchone()
        if row is None:
            raise BadInput(f"There is no proposal {id_!r}.")
        after = lifecycle.move(row[0], event)
        db.execute("UPDATE proposals SET state = ? WHERE id = ?", (after, id_))
        return self.append(db, event, {"proposal": id_, "state": after, **body})

    def _rows(self, tail: str, values: tuple[object, ...]) -> list[Row]:
        found: list[Any] = self.database.all(f"{_WHOLE} {tail}", values)
        rows = [_row(row) for row in found]
        said = self._decisions([row.proposal.id for row in rows])
        return [msgspec.structs.replace(row, decisions=tuple(said[row.proposal.id])) for row in rows]

    def _decisions(self, ids: list[ProposalId]) -> dict[str, list[Decision]]:
        """Return the decisions on each proposal, in the order in which they came."""
        found: dict[str, list[Decision]] = {id_: [] for id_ in ids}
        marks = ",".join("?" * len(ids))
        query = f"SELECT proposal, body FROM decisions WHERE proposal IN ({marks}) ORDER BY proposal, place"  # noqa: S608
        for id_, body in self.all(query, tuple(ids)) if ids else []:
            found[str(id_)].append(msgspec.json.decode(_bytes(body), type=Decision))
        return found


def _row(row: tuple[Any, ...]) -> Row:
    content, state, superseded_by, rolled_back_by, verification, first, last, said, *attempt = row
    proposal = msgspec.json.decode(content, type=Proposal)
    if verification is not None:
        kind = Proposal.__annotations__["verification"]
        proposal = msgspec.structs.replace(proposal, verification=msgspec.json.decode(verification, type=kind))
    made = None
    if attempt[0] is not None:
        id_, started, ended, sent, applied, after, message, executor = attempt
        made = msgspec.convert(
            {
                "id": id_,
                "proposal": proposal.id,
                "started": started,
                "ended": ended,
                "sent": sent,
                "applied": msgspec.json.decode(_bytes(applied)),
                "after": msgspec.json.decode(_bytes(after)),
                "message": message,
                "executor": executor,
            },
            Attempt,
        )
    return Row(proposal, state, superseded_by, rolled_back_by, made, (first, last), str(said or ""))


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _lock(directory: Path) -> IO[str]:
    handle = (directory / "gateway.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise BadInput(
            f"Another gateway (process {holder}) uses the record in {directory}.",
            next_step="Stop it, or give this one its own --data-dir.",
        ) from None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle
