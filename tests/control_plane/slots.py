"""Numbers that one process on this machine holds at a time, for what has a name on the whole machine.

Network devices, address ranges and control groups are shared by everybody here. A slot is held by a lock, which the
kernel gives back when its holder ends, however it ends; what the holder left is cleaned by the next who gets the slot.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCKS = Path("/run/skyflo-runbooks")
_COUNT = 40


class MachineError(RuntimeError):
    """The machine refused something that a test cluster needs."""


@contextmanager
def hold(kind: str) -> Iterator[int]:
    """A number that nobody else on this machine holds for this kind of thing. Needs root."""
    _LOCKS.mkdir(exist_ok=True)
    for number in range(_COUNT):
        with (_LOCKS / f"{kind}-{number}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    raise MachineError(f"expected a free slot for one more {kind} among {_COUNT}, found none; end one of them")
