"""A check observes its whole window: a gap is UNKNOWN, one lucky look is no PASS, one bad look is a FAIL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway import watch
from skyflo_runbooks.gateway.checks.view import Holds, Observation
from skyflo_runbooks.gateway.watch import Series
from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check

START = datetime(2026, 1, 1, tzinfo=UTC)
STEADY = check.http_ok(service="s", namespace="n", window="60s")
EVENTUAL = check.pods_ready("Deployment", "a", namespace="n")
RESTARTS = check.no_restarts("Deployment", "a", namespace="n", window="60s")
OOM = check.no_oom_kills("Deployment", "a", namespace="n", window="60s")


def series(claim: Check, *looks: tuple[float, Holds] | tuple[float, Holds, str]) -> Series:
    """A series of looks at seconds after the start; the third member is the evidence."""
    seen = [
        Observation(look[1], f"seen {look[1]}", START + timedelta(seconds=look[0]), tuple(str(x) for x in look[2:]))
        for look in looks
    ]
    return Series(claim, seen)


def every(step: float, until: float, holds: Holds = "yes") -> list[tuple[float, Holds]]:
    """Looks at even distances."""
    return [(i * step, holds) for i in range(int(until / step) + 1)]


def result(one: Series, begin: datetime | None = START, *, late: bool = False) -> str:
    """What the series came to when the looking ended."""
    return watch.outcome(one, begin, over=True, late=late).result


def test_a_whole_window_that_holds_passes() -> None:
    """From its beginning to its end, without a gap."""
    one = series(STEADY, *every(5, 60))
    assert watch.complete(one, START)
    assert result(one) == "PASS"


def test_one_lucky_look_is_unknown() -> None:
    """However good it was."""
    one = series(STEADY, (0, "yes"))
    assert not watch.complete(one, START)
    assert result(one) == "UNKNOWN"


def test_one_bad_look_in_the_window_fails() -> None:
    """And it is the evidence."""
    looks = every(5, 60)
    looks[4] = (20, "no")
    found = watch.outcome(series(STEADY, *looks), START, over=True)
    assert (found.result, found.observed) == ("FAIL", "seen no")


def test_a_bad_look_before_the_window_does_not_fail() -> None:
    """The old pods still answered."""
    one = series(STEADY, (0, "no"), *[(t + 10, h) for t, h in every(5, 60)])
    assert result(one, START + timedelta(seconds=10)) == "PASS"


def test_a_gap_is_unknown() -> None:
    """A third of the window was not observed."""
    one = series(STEADY, *every(5, 20), *[(t + 45, h) for t, h in every(5, 30)])
    assert result(one) == "UNKNOWN"
    assert "not observed for 25 s" in watch.outcome(one, START, over=True).observed


def test_reads_that_fail_make_a_gap() -> None:
    """Unknown looks are no looks."""
    one = series(STEADY, *every(5, 20), (25, "unknown"), (40, "unknown"), (45, "yes"), (60, "yes"))
    assert result(one) == "UNKNOWN"


def test_a_window_that_ends_in_the_dark_is_unknown() -> None:
    """The last looks failed."""
    one = series(STEADY, *every(5, 60), (70, "unknown"), (80, "unknown"), (90, "unknown"))
    assert result(one) == "UNKNOWN"


def test_nothing_seen_is_unknown() -> None:
    """Also where the window never began."""
    assert result(series(STEADY)) == "UNKNOWN"
    assert result(series(STEADY, *every(5, 60)), None) == "UNKNOWN"


def test_an_eventual_check_may_take_its_time() -> None:
    """It waits, and counts when it holds at the end."""
    one = series(EVENTUAL, (0, "no"), (5, "no"))
    assert not watch.settled([one])
    one.seen.append(Observation("yes", "3 of 3", START + timedelta(seconds=10)))
    assert watch.settled([one])
    assert result(one, START + timedelta(seconds=10)) == "PASS"


def test_an_eventual_check_that_never_holds_fails_when_its_time_is_over() -> None:
    """And is unknown where the looking ended for another reason."""
    one = series(EVENTUAL, (0, "no"), (600, "no"))
    assert result(one, None, late=True) == "FAIL"
    assert result(one, None, late=False) == "UNKNOWN"


def test_an_eventual_check_that_is_lost_again_fails() -> None:
    """It must still hold at the last look."""
    assert result(series(EVENTUAL, (0, "yes"), (30, "no")), START) == "FAIL"


def test_what_cannot_be_read_does_not_hold_up_the_others() -> None:
    """After a minute of nothing the window begins without it, and it is unknown."""
    one = series(EVENTUAL, *every(10, 60, "unknown"))
    assert watch.hopeless(one)
    assert watch.settled([one])
    assert result(one) == "UNKNOWN"


def test_restarts_are_compared_over_the_window() -> None:
    """A count that moves, or a pod that is replaced, is a restart; standing counts are none, whatever they are."""
    same: list[tuple[float, Holds, str]] = [(t, h, "pod-1/app=7") for t, h in every(5, 60)]
    assert result(series(RESTARTS, *same)) == "PASS"
    moved = [*same[:6], *[(t, h, "pod-1/app=8") for t, h, _ in same[6:]]]
    found = watch.outcome(series(RESTARTS, *moved), START, over=True)
    assert found.result == "FAIL"
    assert "pod-1/app=8" in found.observed
    other = [*same[:6], *[(t, h, "pod-2/app=0") for t, h, _ in same[6:]]]
    assert result(series(RESTARTS, *other)) == "FAIL"


@pytest.mark.parametrize(
    ("before", "after", "result"),
    [
        (("a/app=1",), ("a/app=1", "b/app=0"), "PASS"),
        (("a/app=1",), ("a/app=1", "b/app=1"), "FAIL"),
        (("a/app=1", "b/app=0"), ("a/app=1",), "FAIL"),
        (("a/app=1", "b/app=0"), ("a/app=1", "c/app=0"), "FAIL"),
        (("a/app=1", "a/side=0"), ("a/app=1", "a/side=1"), "FAIL"),
    ],
    ids=["one-more", "one-more-that-restarted", "one-fewer", "replaced", "its-sidecar"],
)
def test_a_pod_that_only_came_did_not_restart(before: tuple[str, ...], after: tuple[str, ...], result: str) -> None:
    """An autoscaler that wants more makes one; what went may have been killed."""
    held = [before if second < 30 else after for second in range(0, 65, 5)]
    seen = [
        Observation("yes", "", START + timedelta(seconds=5 * number), evidence) for number, evidence in enumerate(held)
    ]
    assert watch.outcome(Series(RESTARTS, seen), START, over=True).result == result


def test_an_oom_kill_since_the_change_fails_at_once() -> None:
    """Also before the window began: waiting cannot heal it."""
    one = series(OOM, (0, "yes"), (2, "no"))
    assert watch.broken(one, None)
    assert result(one, None) == "FAIL"


@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["yes", "no", "unknown"])), max_size=25))
def test_pass_needs_a_seen_window(looks: list[tuple[int, Holds]]) -> None:
    """Whatever was seen in whatever order of time: no PASS without a known window of 60 s, nor with one bad look."""
    ordered = sorted(looks)
    found = result(series(STEADY, *ordered))
    known = [t for t, h in ordered if h == "yes"]
    if found == "PASS":
        assert known[-1] - known[0] >= 60
        assert all(h != "no" for _, h in ordered)
    if any(h == "no" for _, h in ordered):
        assert found == "FAIL"


@pytest.mark.parametrize("name", sorted(check.CATALOGUE))
def test_every_check_says_what_is_expected(name: str) -> None:
    """No check without words."""
    assert name in watch._EXPECTED


@pytest.mark.parametrize("asked", ["0s", "1s", None])
@pytest.mark.parametrize("build", [check.no_restarts, check.no_oom_kills])
def test_a_window_is_never_one_look(build: Callable[..., Check], asked: str | None) -> None:
    """Whatever was asked for: the shortest window is used, seen at two observations at least, and named."""
    claim = build("Deployment", "a", namespace="n", window=asked)
    one = series(claim, (0, "yes"))
    assert not watch.complete(one, START)
    assert result(one) == "UNKNOWN"
    whole = series(claim, (0, "yes"), (watch.SHORTEST, "yes"))
    assert watch.complete(whole, START)
    found = watch.outcome(whole, START, over=True)
    assert (found.result, found.expected.rpartition(" ")[2]) == ("PASS", "5s")


def test_an_eventual_check_has_no_window() -> None:
    """It holds, or it does not yet."""
    assert series(EVENTUAL).window == 0


def test_what_was_seen_in_the_second_in_which_the_window_begins_is_not_in_it() -> None:
    """The cluster's clock tells seconds: without an order of its own the look before would count, too."""
    rounds: list[datetime] = []
    for _ in range(3):
        rounds.append(watch.after(START, rounds[-1] if rounds else None))
    looks = [(rounds[0], ("old-1/app=0",)), *((at, ("new-1/app=0",)) for at in rounds[1:])]
    looks += [(watch.after(START + timedelta(seconds=n), rounds[-1]), ("new-1/app=0",)) for n in range(2, 10, 2)]
    one = Series(check.no_restarts("Deployment", "app", namespace="shop", window="5s"))
    one.seen = [Observation("yes", "0 restarts", at, evidence) for at, evidence in looks]

    assert rounds == sorted(set(rounds))
    assert result(one, rounds[1]) == "PASS"
    assert result(one, rounds[0]) == "FAIL"
