"""Writes the ledger: each entry, the checkpoints that are due with it, and what the witness has to see.

Rules:
  1. Entry and checkpoint are one transaction with the state that they tell of.
  2. Before the effect of an entry in `BEFORE` (a request that is sent, an approval or a key that is taken back) the
     witness has it on the disk. Where it cannot, nothing goes on: `RecordUnusable`.
  3. Everything else is witnessed, and what is left is signed, by `catch_up`, which is called every few seconds.
  4. At a start the record is compared with its witness; an older copy loses its open approvals (`restored`).
"""

import logging
from datetime import datetime
from pathlib import Path

from skyflo_runbooks.gateway import checkpoints, ledger, restored
from skyflo_runbooks.gateway.checkpoints import Signer, Statement
from skyflo_runbooks.gateway.database import Database, RecordUnusable, Transaction
from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.gateway.witness import Witness, contradiction
from skyflo_runbooks.model.json import Json

BEFORE = frozenset({"sending", "expire", "supersede", "drift", "reject", "refuse", "revoked"})
log = logging.getLogger(__name__)


class Book:
    """The ledger of one record. `cluster` is the uid that checkpoints name, once it is known."""

    def __init__(self, database: Database, directory: Path, witness: Path) -> None:
        self._database = database
        self.signer = Signer(directory)
        self._witness = Witness(witness)
        self.cluster = ""
        self.restored = ""
        self._open: list[Entry] = []

    def close(self) -> None:
        """Let go of the witness."""
        self._witness.close()

    def append(self, db: Transaction, *, at: str, kind: str, body: Json) -> Entry:
        """Add one entry, and the checkpoint that is due with it, inside the caller's transaction."""
        entry = ledger.append(db, at=at, kind=kind, body=body)
        self._open.append(entry)
        before = checkpoints.last(db)
        if checkpoints.due(kind, entry.seq, before.seq if before else 0):
            self._sign(db, entry)
        return entry

    def forget(self) -> None:
        """The transaction was rolled back: its entries are none."""
        self._open.clear()

    def committed(self) -> None:
        """The transaction is on the disk: let the witness see what it must see now, by rule 2."""
        written, self._open = self._open, []
        if any(entry.kind in BEFORE for entry in written):
            self._note(written[-1])

    def catch_up(self, now: datetime, at: str) -> None:
        """Sign and witness what is left, by rule 3."""
        tip = ledger.tip(self._database)
        if tip is None:
            return
        if self._witness.last is None or self._witness.last.seq != tip.seq:
            self._note(tip)
        age = self.unsigned_for(now)
        if age is not None and age >= checkpoints.SECONDS:
            with self._database.transaction() as db:
                self._sign(db, ledger.Entry(tip.seq, at, tip.kind, tip.body, tip.prev, tip.hash))

    def unsigned_for(self, now: datetime) -> float | None:
        """Return for how many seconds the first unsigned entry waits for a checkpoint; None where all is signed."""
        row = self._database.one(
            "SELECT at FROM entries WHERE seq > (SELECT coalesce(max(seq), 0) FROM checkpoints) ORDER BY seq LIMIT 1"
        )
        return None if row is None else max(0.0, (now - datetime.fromisoformat(str(row[0]))).total_seconds())

    def compare(self, at: str) -> None:
        """Compare the record with its last checkpoint and with its witness, by rule 4."""
        self._check_end()
        tip, seen = ledger.tip(self._database), self._witness.last
        then = ledger.hash_at(self._database, seen.seq) if seen else None
        why = contradiction(seen, last=tip.seq if tip else 0, hash_then=then)
        if why:
            self._take_back(at, why)
            tip = ledger.tip(self._database)
        if seen is None or why or (tip is not None and seen.seq != tip.seq):
            self._note(tip or ledger.Entry(0, at, "", {}, "", ledger.GENESIS))

    def _check_end(self) -> None:
        """Raise `LedgerBroken` where the end of the chain does not hold: the last checkpoint, and what follows it."""
        row = checkpoints.newest(self._database)
        after, prev = 0, ledger.GENESIS
        if row is not None:
            after, prev = row.seq, ledger.hash_at(self._database, row.seq) or ""
            said = checkpoints.problem(row, prev or None, {row.key})
            if said:
                raise ledger.LedgerBroken(said, good=0, next_step=ledger.COMPARE)
        ledger.verify(ledger.entries(self._database, since=after), after=after, prev=prev)

    def _take_back(self, at: str, why: str) -> None:
        self.restored = f"This record was restored or cut off: {why}"
        seen = self._witness.last
        with self._database.transaction() as db:
            told = restored.moves(db, self.restored)
            body: Json = {
                "message": self.restored,
                "witness": {"seq": seen.seq, "hash": seen.hash, "at": seen.at} if seen else None,
                "taken_back": [said["proposal"] for _, said in told],
            }
            self.append(db, at=at, kind="restored", body=body)
            for event, said in told:
                self.append(db, at=at, kind=event, body=said)
        self.forget()
        log.warning("%s. Open approvals are void (%d), operators log in again.", self.restored, len(told))

    def _sign(self, db: Transaction, entry: Entry) -> None:
        before = checkpoints.last(db)
        cluster = self.cluster or (checkpoints.cluster_of(before) if before else "")
        checkpoints.make(db, self.signer, Statement(cluster, entry.seq, entry.hash, entry.at))

    def _note(self, entry: Entry) -> None:
        try:
            self._witness.note(seq=entry.seq, hash_=entry.hash, at=entry.at)
        except OSError as error:
            raise RecordUnusable(
                f"The witness {self._witness.path} cannot be written: {error.strerror}.",
                next_step="Nothing is applied that it has not seen. Free space or mend the file, then try again.",
            ) from error
