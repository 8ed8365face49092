"""The verdict: measured, never claimed. Pure.

Rules:
  1. VERIFIED only if each change was executed, or found already in place, and every check passed.
  2. FAILED if a change failed, or any check failed, with its evidence. A failure that was seen is a failure, even
     where another check is unknown.
  3. INCONCLUSIVE whenever something could not be known: a change that is not executed, a check that is UNKNOWN, no
     check at all. Also whenever somebody else changed the object in the window, whatever the checks say: what was
     measured then is not the outcome of what was approved.
"""

from typing import Literal

import msgspec

from skyflo_runbooks.model.check import Outcome
from skyflo_runbooks.model.lifecycle import State

Verdict = Literal["VERIFIED", "FAILED", "INCONCLUSIVE"]


class LedgerPlace(msgspec.Struct, frozen=True):
    """Where in the ledger a verdict stands."""

    seq: int
    hash: str


class Judgement(msgspec.Struct, frozen=True):
    """A verdict with everything it rests on (the verdict JSON of the design, section 7).

    `window` is the longest window of its checks, measured in the cluster's time. `reasons` say in words what keeps
    it from VERIFIED.
    """

    verdict: Verdict
    step: str
    changes: tuple[str, ...]
    checks: tuple[Outcome, ...]
    started: str = ""
    finished: str = ""
    ledger: LedgerPlace | None = None
    window: str = ""
    reasons: tuple[str, ...] = ()


def judge(
    *, changes: dict[str, State], outcomes: tuple[Outcome, ...], disturbed: tuple[str, ...] = ()
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and what keeps it from VERIFIED.

    `changes` are the states of the step's proposals by id, `disturbed` says in words what somebody else changed.
    """
    broken = [f"{id_} {state}" for id_, state in changes.items() if state == "failed"]
    failed = [f"{outcome.check}: {outcome.observed}" for outcome in outcomes if outcome.result == "FAIL"]
    if broken or (failed and not disturbed):
        return "FAILED", (*broken, *failed)
    undone = [f"{id_} is {state}" for id_, state in changes.items() if state not in ("executed", "in_place")]
    unknown = [f"{outcome.check}: {outcome.observed}" for outcome in outcomes if outcome.result == "UNKNOWN"]
    none = [] if outcomes else ["nothing was checked"]
    reasons = (*undone, *disturbed, *failed, *unknown, *none)
    return ("INCONCLUSIVE", reasons) if reasons else ("VERIFIED", ())
