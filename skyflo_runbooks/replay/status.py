"""What a run came to: a status for each cell, and one for the whole. Pure.

Rules:
  1. A cell that was not run is `not_reached`; it begins as that, so a run that is killed claims nothing.
  2. The run's outcome is the first that holds of failed (11), rejected (13), inconclusive (12), waiting (10),
     would_change (14), and else 0 (design, section 8).
  3. What stopped the run by an error is never better than inconclusive; its exit code is that of the error where it is
     one of ours and no verdict or decision says more.
  4. A change that was executed and that no verdict followed is inconclusive.
"""

from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.cell import CellKind

CellStatus = Literal[
    "not_reached",
    "skipped",
    "awaiting_approval",
    "rejected",
    "expired",
    "running",
    "passed",
    "failed",
    "error",
    "timeout",
    "kernel_died",
    "inconclusive",
    "would_change",
    "in_place",
]
RunStatus = Literal[
    "verified", "failed", "inconclusive", "waiting", "rejected", "would_change", "in_place", "read_only"
]
BROKEN: frozenset[CellStatus] = frozenset({"error", "timeout", "kernel_died", "running"})

_REFUSED: frozenset[CellStatus] = frozenset({"rejected", "expired"})
_CODES: dict[RunStatus, ExitCode] = {
    "verified": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "inconclusive": ExitCode.INCONCLUSIVE,
    "waiting": ExitCode.WAITING,
    "rejected": ExitCode.REFUSED,
    "would_change": ExitCode.WOULD_CHANGE,
    "in_place": ExitCode.DONE,
    "read_only": ExitCode.DONE,
}
_ERROR_CODES = {
    "BadInput": ExitCode.BAD_INPUT,
    "NotAllowed": ExitCode.NOT_ALLOWED,
    "Unknown": ExitCode.UNKNOWN,
    "Refused": ExitCode.REFUSED,
    "Unreachable": ExitCode.UNREACHABLE,
}


class CellRecord(msgspec.Struct, frozen=True):
    """How one code cell ended. `reason` is one sentence; `error` the name of the exception where there was one."""

    kind: CellKind
    status: CellStatus = "not_reached"
    reason: str = ""
    error: str = ""


class ProposalRecord(msgspec.Struct, frozen=True):
    """A proposal of the run, as it stood at the end."""

    id: str
    step: str
    state: str
    tool: str


class Outcome(msgspec.Struct, frozen=True):
    """The run's status, its exit code, and what to say about it."""

    status: RunStatus
    exit_code: ExitCode
    message: str = ""


def conclude(cells: tuple[CellRecord, ...], verdicts: tuple[Json, ...]) -> Outcome:
    """Return what a run came to, from its cells in order and the verdicts that were recorded."""
    status = _status(cells, [str(verdict.get("verdict", "")) for verdict in verdicts])
    broken = next((cell for cell in cells if cell.status in BROKEN), None)
    unread = next((cell for cell in cells if cell.kind == "read" and cell.status == "inconclusive"), None)
    telling = broken or next((cell for cell in cells if cell.reason and cell.status not in ("passed", "skipped")), None)
    message = telling.reason if telling else ""
    if status == "inconclusive" and broken and broken.error in _ERROR_CODES:
        return Outcome(status, _ERROR_CODES[broken.error], message)
    if status == "read_only" and unread:
        return Outcome(status, ExitCode.UNKNOWN, message)
    return Outcome(status, _CODES[status], message)


def _status(cells: tuple[CellRecord, ...], verdicts: list[str]) -> RunStatus:
    changes = [cell.status for cell in cells if cell.kind == "change"]
    judged = [cell.status for cell in cells if cell.kind == "verify"]
    if "FAILED" in verdicts or "failed" in changes + judged:
        return "failed"
    if _REFUSED & set(changes):
        return "rejected"
    if "inconclusive" in changes + judged or any(cell.status in BROKEN for cell in cells):
        return "inconclusive"
    if "awaiting_approval" in changes:
        return "waiting"
    if "would_change" in changes:
        return "would_change"
    if verdicts:
        return "verified"
    if "passed" in changes or "not_reached" in changes + judged:
        return "inconclusive"
    return "in_place" if "in_place" in changes else "read_only"
