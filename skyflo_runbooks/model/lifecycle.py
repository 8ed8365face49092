"""The life of a proposal. Pure: no I/O, no clock.

Rules:
  1. A proposal moves only along the arrows of `_ARROWS`; every other move is refused with `IllegalMove`.
  2. `in_place`, `rejected`, `expired`, `superseded`, `void` and `rolled_back` are ends.
  3. An approval is consumed by `dispatch` and by nothing else; there is no arrow that leads to `executing` twice.
  4. `unknown` is left only by looking (`settle_*`), never by sending again.
  5. A decision counts only for the digest it names, between `not_before` and `expires`, once.
  6. `endorse` is an approval that is not the last one needed: it moves nothing. `refuse` ends what no decision that
     counts stands behind, or what the policy no longer admits.
"""

from datetime import datetime
from typing import Literal

from skyflo_runbooks.model.errors import Refused

State = Literal[
    "proposed",
    "in_place",
    "approved",
    "rejected",
    "expired",
    "superseded",
    "void",
    "executing",
    "executed",
    "failed",
    "unknown",
    "rolled_back",
]
Event = Literal[
    "found_in_place",
    "endorse",
    "approve",
    "reject",
    "expire",
    "supersede",
    "drift",
    "refuse",
    "dispatch",
    "succeed",
    "fail",
    "lose",
    "settle_executed",
    "settle_failed",
    "settle_void",
    "roll_back",
]
STATES: tuple[State, ...] = State.__args__  # type: ignore[attr-defined]  # typing does not declare it
EVENTS: tuple[Event, ...] = Event.__args__  # type: ignore[attr-defined]

_ARROWS: dict[tuple[State, Event], State] = {
    ("proposed", "found_in_place"): "in_place",
    ("proposed", "endorse"): "proposed",
    ("proposed", "approve"): "approved",
    ("proposed", "reject"): "rejected",
    ("proposed", "expire"): "expired",
    ("proposed", "supersede"): "superseded",
    ("proposed", "drift"): "void",
    ("proposed", "refuse"): "void",
    ("approved", "dispatch"): "executing",
    ("approved", "expire"): "expired",
    ("approved", "supersede"): "superseded",
    ("approved", "drift"): "void",
    ("approved", "refuse"): "void",
    ("executing", "succeed"): "executed",
    ("executing", "fail"): "failed",
    ("executing", "lose"): "unknown",
    ("executing", "drift"): "void",
    ("executing", "refuse"): "void",
    ("unknown", "settle_executed"): "executed",
    ("unknown", "settle_failed"): "failed",
    ("unknown", "settle_void"): "void",
    ("executed", "roll_back"): "rolled_back",
    ("failed", "roll_back"): "rolled_back",
}
OPEN: frozenset[State] = frozenset({"proposed", "approved", "executing", "unknown"})
REFUSED: frozenset[State] = frozenset({"rejected", "expired", "superseded", "void"})


class IllegalMove(Refused):
    """The proposal's state does not allow this."""

    def __init__(self, state: State, event: Event) -> None:
        allowed = sorted(e for (s, e) in _ARROWS if s == state)
        said = ", ".join(allowed) if allowed else "nothing: it is final"
        super().__init__(
            f"A proposal that is {state} cannot take '{event}'; from there it can take {said}.",
            next_step=_NEXT.get(state, ""),
        )
        self.state: State = state
        self.event: Event = event


class WrongDigest(Refused):
    """The decision names another change than the one that is proposed."""


class TooLate(Refused):
    """The decision comes after the proposal expired."""


class TooEarly(Refused):
    """The decision comes before the proposal may be decided."""


_NEXT: dict[State, str] = {
    "approved": "It was approved already and is used once.",
    "rejected": "Make a new proposal by running the change step again.",
    "expired": "Make a new proposal by running the change step again.",
    "superseded": "Decide the proposal that replaced it.",
    "void": "What was approved no longer held: run the change step again and look at the new diff.",
    "executed": "It was applied already; 'rollback' proposes the way back.",
}


def move(state: State, event: Event) -> State:
    """Return the state after `event`, or raise `IllegalMove`."""
    after = _ARROWS.get((state, event))
    if after is None:
        raise IllegalMove(state, event)
    return after


def admit_decision(
    *,
    state: State,
    event: Literal["approve", "reject"],
    expected_digest: str,
    digest: str,
    not_before: datetime,
    expires: datetime,
    now: datetime,
) -> State:
    """Return the state after a person's decision, or say which rule refuses it."""
    after = move(state, event)
    if digest != expected_digest:
        raise WrongDigest(
            f"The decision is for {digest[:23]}…, the proposal is {expected_digest[:23]}….",
            next_step="Look at the proposal again and decide what it shows now.",
        )
    if now < not_before:
        raise TooEarly(f"It may be decided from {not_before.isoformat()}; now it is {now.isoformat()}.")
    if now >= expires:
        raise TooLate(
            f"It expired at {expires.isoformat()}; now it is {now.isoformat()}.",
            next_step="Run the change step again for a new proposal.",
        )
    return after
