"""Where a step was called from: the notebook's namespace, and the name that the call is assigned to.

The name is the step's id. It is read from the caller's bytecode (the store after the call), so it is the same in a
notebook, in a terminal and in a script, and no source is needed.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from types import FrameType

import msgspec

_STORES = frozenset({"STORE_NAME", "STORE_GLOBAL", "STORE_FAST", "STORE_DEREF"})


class Place(msgspec.Struct, frozen=True):
    """The caller: its namespace, and the name that takes the call's value (empty where none does)."""

    namespace: MutableMapping[str, object]
    name: str

    def own(self, name: str) -> str:
        """Return one of the runbook's own texts, such as `runbook_id`; empty where it is not set."""
        said = self.namespace.get(name, "")
        return said if isinstance(said, str) else ""


def caller() -> Place:
    """Return the first frame that is not of this package."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith("skyflo_kernel"):
        frame = frame.f_back
    if frame is None:
        return Place({}, "")
    return Place(frame.f_globals, assigned_name(frame))


def assigned_name(frame: FrameType) -> str:
    """Return the name that the call under way in `frame` is assigned to, or nothing."""
    import dis

    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset > frame.f_lasti and instruction.opname != "CACHE":
            return str(instruction.argval) if instruction.opname in _STORES else ""
    return ""
