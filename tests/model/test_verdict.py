"""A verdict is measured: VERIFIED only if everything is known and holds."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.check import CheckResult, Outcome
from skyflo_runbooks.model.lifecycle import STATES, State
from skyflo_runbooks.model.verdict import judge

results = st.sampled_from(get_args(CheckResult))


def outcome(result: CheckResult) -> Outcome:
    """An outcome with that result."""
    return Outcome(check="c", result=result, expected="e", observed="o")


@given(st.lists(results), st.lists(st.sampled_from(STATES)), st.booleans())
def test_verified_needs_everything(results: list[CheckResult], states: list[State], disturbed: bool) -> None:
    """Every check passed, every change was executed or in place, nobody interfered, and something was checked."""
    changes = {f"ap-{i}": state for i, state in enumerate(states)}
    verdict, reasons = judge(
        changes=changes, outcomes=tuple(outcome(r) for r in results), disturbed=("somebody",) if disturbed else ()
    )
    whole = bool(results) and set(results) == {"PASS"} and set(states) <= {"executed", "in_place"} and not disturbed
    assert (verdict == "VERIFIED") == whole
    assert bool(reasons) != whole


@given(st.lists(results))
def test_a_failure_that_was_seen_is_a_failure(results: list[CheckResult]) -> None:
    """Whatever else is unknown."""
    verdict, _ = judge(changes={"ap-1": "executed"}, outcomes=tuple(outcome(r) for r in [*results, "FAIL"]))
    assert verdict == "FAILED"


@pytest.mark.parametrize("state", [s for s in STATES if s not in ("executed", "in_place", "failed")])
def test_a_change_that_is_not_done_is_inconclusive(state: State) -> None:
    """Pending, rejected, void or lost: not known."""
    verdict, reasons = judge(changes={"ap-1": state}, outcomes=(outcome("PASS"),))
    assert (verdict, reasons) == ("INCONCLUSIVE", (f"ap-1 is {state}",))


def test_a_change_that_failed_is_a_failure() -> None:
    """The change itself was refused by the server."""
    assert judge(changes={"ap-1": "failed"}, outcomes=())[0] == "FAILED"


def test_somebody_elses_change_makes_even_a_failing_check_inconclusive() -> None:
    """What was measured then is not the outcome of what was approved."""
    found = judge(changes={"ap-1": "executed"}, outcomes=(outcome("FAIL"),), disturbed=("x changed it",))
    assert found[0] == "INCONCLUSIVE"
    assert "x changed it" in found[1]
