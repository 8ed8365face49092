"""The life of a proposal: the only arrows, and the guards of a decision. Laws by hypothesis."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model import lifecycle
from skyflo_runbooks.model.lifecycle import (
    EVENTS,
    STATES,
    Event,
    IllegalMove,
    State,
    TooEarly,
    TooLate,
    WrongDigest,
    admit_decision,
    move,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ENDS: tuple[State, ...] = ("in_place", "rejected", "expired", "superseded", "void", "rolled_back")


def admit(state: State = "proposed", digest: str = "sha256:a", now: datetime = NOON) -> State:
    """Admit an approval of a proposal that lives from 11:30 to 12:30 with digest `sha256:a`."""
    half = timedelta(minutes=30)
    return admit_decision(
        state=state,
        event="approve",
        expected_digest="sha256:a",
        digest=digest,
        not_before=NOON - half,
        expires=NOON + half,
        now=now,
    )


def test_the_design_draws_exactly_these_arrows() -> None:
    """The pictures in the design, arrow by arrow, and no other; an approval that is not the last one moves nothing."""
    drawn = {
        "proposed": {"proposed", "in_place", "approved", "rejected", "expired", "superseded", "void"},
        "approved": {"executing", "expired", "superseded", "void"},
        "executing": {"executed", "failed", "unknown", "void"},
        "unknown": {"executed", "failed", "void"},
        "executed": {"rolled_back"},
        "failed": {"rolled_back"},
    }
    found: dict[str, set[str]] = {}
    for state in STATES:
        for event in EVENTS:
            try:
                found.setdefault(state, set()).add(move(state, event))
            except IllegalMove:
                continue
    assert {state: after for state, after in found.items() if after} == drawn


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_no_history_executes_twice(events: list[Event]) -> None:
    """Whatever is tried in whatever order, `executing` is entered at most once."""
    state: State = "proposed"
    entered = 0
    for event in events:
        try:
            state = move(state, event)
        except IllegalMove:
            continue
        entered += state == "executing"
    assert entered <= 1


@given(st.sampled_from(ENDS), st.sampled_from(EVENTS))
def test_an_end_is_an_end(state: State, event: Event) -> None:
    """From a final state nothing leads on."""
    with pytest.raises(IllegalMove, match="final"):
        move(state, event)


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_nothing_executes_without_an_approval(events: list[Event]) -> None:
    """A history without `approve` never reaches `executing`."""
    state: State = "proposed"
    for event in events:
        if event == "approve":
            continue
        try:
            state = move(state, event)
        except IllegalMove:
            continue
    assert state not in ("executing", "executed", "failed", "unknown", "rolled_back")


def test_a_decision_in_time_for_the_right_digest_is_admitted() -> None:
    """The plain case."""
    assert admit() == "approved"


@pytest.mark.parametrize("state", [state for state in STATES if state != "proposed"])
def test_a_second_decision_is_refused(state: State) -> None:
    """Only what is proposed is decided."""
    with pytest.raises(IllegalMove):
        admit(state)


def test_a_decision_for_another_digest_is_refused() -> None:
    """A digest that differs in one character."""
    with pytest.raises(WrongDigest, match="Look at the proposal again"):
        admit(digest="sha256:b")


@given(st.timedeltas(min_value=timedelta(minutes=30), max_value=timedelta(days=9)))
def test_the_answer_after_the_time_is_no(late: timedelta) -> None:
    """At the end of its life and ever after."""
    with pytest.raises(TooLate):
        admit(now=NOON + late)


@given(st.timedeltas(min_value=timedelta(minutes=31), max_value=timedelta(days=9)))
def test_a_decision_before_the_time_is_refused(early: timedelta) -> None:
    """Also a clock that was set back."""
    with pytest.raises(TooEarly):
        admit(now=NOON - early)


def test_every_refusal_says_the_next_step() -> None:
    """What a person may meet tells what to do."""
    for state in ("approved", "rejected", "expired", "superseded", "void", "executed"):
        with pytest.raises(IllegalMove) as refused:
            admit(state)
        assert refused.value.next_step
    assert set(STATES) >= lifecycle.REFUSED
