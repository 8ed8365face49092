"""A witness outside the database of how far the record had come, so that an older copy of it is noticed.

Rules:
  1. The witness notes (seq, hash) of the last entry, written through to the disk, before an approval that was consumed
     has an effect, and whenever the record grew, within seconds.
  2. It lies outside the data directory where the gateway has a home, so that a restored directory does not bring its
     own. Two slots are written in turn: a write that is cut off leaves the other one.
  3. At a start the record must reach at least as far as the witness, with that entry at that place; else it was
     restored from an older copy, cut off, or is another one. Entries without any witness count as restored too.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from skyflo_runbooks.model.json import canonical

SLOT = 512
SLOTS = 2


class Sighting(msgspec.Struct, frozen=True):
    """What was seen: the last entry, when, and the number of this note."""

    seq: int
    hash: str
    at: str
    number: int = 0


class Witness:
    """The notes in one file. `last` is the newest one, or None."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        read = [_read(os.pread(self._file, SLOT, slot * SLOT)) for slot in range(SLOTS)]
        self.last = max((one for one in read if one is not None), key=lambda one: one.number, default=None)

    def note(self, *, seq: int, hash_: str, at: str) -> None:
        """Note how far the record has come; return when it is on the disk."""
        number = self.last.number + 1 if self.last else 0
        sighting = Sighting(seq, hash_, at, number)
        os.pwrite(self._file, _written(sighting), (number % SLOTS) * SLOT)
        os.fdatasync(self._file)
        self.last = sighting

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def contradiction(seen: Sighting | None, *, last: int, hash_then: str | None) -> str:
    """Return why the record is not the one that was witnessed, by rule 3; empty where it is.

    `last` is the record's last entry (0: none), `hash_then` the hash that it has at the witnessed place.
    """
    if seen is None:
        return f"no witness has seen this record of {last} entries" if last else ""
    if last < seen.seq:
        return f"the record ends at entry {last}, but entry {seen.seq} was written at {seen.at}"
    if hash_then != seen.hash:
        return f"entry {seen.seq} is not the one that was written at {seen.at}"
    return ""


def _written(sighting: Sighting) -> bytes:
    said = canonical(msgspec.to_builtins(sighting))
    return (said + b"\n" + hashlib.sha256(said).hexdigest().encode()).ljust(SLOT)


def _read(slot: bytes) -> Sighting | None:
    said, _, sum_ = slot.strip().rpartition(b"\n")
    if hashlib.sha256(said).hexdigest().encode() != sum_:
        return None
    return msgspec.json.decode(said, type=Sighting)
