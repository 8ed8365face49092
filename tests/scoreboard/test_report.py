"""The page says what was measured, what was missed and what was not measured, in so many words."""

import msgspec
import pytest

from tests.scoreboard import calibration, report
from tests.scoreboard.result import Board, Control, Crowd, Other, Said, Trial


def trial(**more: object) -> Trial:
    """A trial in which everything went well, unless `more` says otherwise."""
    well: dict[str, object] = {
        "fault": "SCH-01",
        "case": "shop",
        "expected": ("SCH-01 Deployment/shop/web",),
        "said": (Said("SCH-01", "Deployment/shop/web", 0.95, True),),
        "seconds": 0.25,
        "planned": "change",
        "tool": "k8s_patch",
        "bites": True,
        "durable": True,
        "verdict": "VERIFIED",
        "honest": True,
        "grounded": True,
        "unmoved": True,
    }
    return msgspec.convert(well | more, Trial)


def board(*trials: Trial, **more: object) -> Board:
    """A board of these trials."""
    of: dict[str, object] = {
        "commit": "abc1234",
        "date": "2026-01-05",
        "command": "make scoreboard",
        "machine": "2 cores",
    }
    return msgspec.convert(of | {"trials": list(trials)} | more, Board)


def share(made: Board, name: str) -> tuple[int, int]:
    """The good ones and the measured ones of a total."""
    return next((total.good, total.of) for total in report.totals(made) if total.name == name)


def test_a_miss_is_counted_and_shown() -> None:
    """A wrong cause, a repair that does not last, a verdict that says otherwise."""
    wrong = (Said("CON-05", "Deployment/shop/web", 0.8, False),)
    missed = trial(said=wrong, durable=False, why_not="web-1 is not Ready", honest=False)
    made = board(trial(), missed)

    assert share(made, "cause at first place") == (1, 2)
    assert share(made, "verdict equals the oracle") == (1, 2)
    page = report.page(made)
    assert "expected SCH-01 Deployment/shop/web; said CON-05 Deployment/shop/web" in page
    assert "web-1 is not Ready" in page
    assert "verdict VERIFIED (), oracle: web-1 is not Ready" in page
    assert "**no**" in next(line for line in page.splitlines() if line.startswith("| cause at first place"))


def test_the_right_fault_of_the_wrong_object_is_half_a_hit() -> None:
    """The cause counts, the object does not, and it is a miss."""
    made = board(trial(said=(Said("SCH-01", "Deployment/shop/other", 0.9, False),)))

    assert share(made, "cause at first place") == (1, 1)
    assert share(made, "its object right") == (0, 1)
    assert "Deployment/shop/other" in report.page(made)


def test_what_was_not_measured_is_said() -> None:
    """No share is made up for it."""
    made = board(trial(durable=None, honest=None, verdict=""), not_measured=["k8sgpt: not asked for"])
    page = report.page(made)

    assert "| verdict equals the oracle | 100 % | not measured | |" in page
    assert "| two faults at once: both named | ≥ 80% | not measured | |" in page
    assert "- k8sgpt: not asked for" in page


def test_advice_is_right_where_the_case_has_no_safe_change() -> None:
    """And a change there is none, as advice is none where a change is wanted."""
    name = "plan as the case allows"

    assert share(board(trial(planned="advice", wanted="advice", durable=None)), name) == (1, 1)
    assert share(board(trial(planned="change", wanted="advice")), name) == (0, 1)
    assert share(board(trial(planned="advice", durable=None)), name) == (0, 1)


def test_a_side_effect_is_named() -> None:
    """What else the repair changed."""
    assert "also changed Node/n: spec.taints" in report.page(
        board(trial(durable=False, strange=("Node/n: spec.taints",)))
    )


@pytest.mark.parametrize(
    ("said", "unknown", "expected", "right"),
    [
        ((), (), "nothing", True),
        ((), ("Pod could not be read",), "unknown", True),
        ((), ("Pod could not be read",), "nothing", False),
        ((), (), "unknown", False),
        ((Said("CON-07", "Deployment/shop/web", 0.9, False),), (), "nothing", False),
    ],
)
def test_a_control_is_right_where_nothing_is_made_up(
    said: tuple[Said, ...], unknown: tuple[str, ...], expected: str, right: bool
) -> None:
    """No finding; and unknown exactly where something could not be read."""
    control = msgspec.convert(
        {"id": "NEG", "title": "t", "expected": expected, "said": said, "unknown": unknown}, Control
    )
    made = board(controls=[control])

    assert control.right is right
    assert ("NEG (t)" in "\n".join(report.misses(made))) is not right


def test_two_faults_are_named_where_both_are() -> None:
    """In any order; one of two is a miss."""
    expected = ("SCH-01 Deployment/shop/web", "NET-02 Service/shop/web")
    both = (Said("NET-02", "Service/shop/web", 0.9, True), Said("SCH-01", "Deployment/shop/web", 0.9, True))
    made = board(pairs=[trial(expected=expected, said=both), trial(expected=expected)])

    assert share(made, "two faults at once: both named") == (1, 2)


def test_the_comparison_is_of_the_same_run() -> None:
    """Ours by the first finding, theirs anywhere, and the ratio of the medians."""
    quiet = Control(id="NEG", title="t", expected="nothing", other=Other(2, False, 2, 2.0))
    crowd = Crowd(100, 0.5, True, Other(3, True, 0, 5.0))
    page = report.page(board(trial(other=Other(4, True, 1, 2.5)), controls=[quiet], crowd=crowd))

    assert "| cause named | 1 of 1 (first finding) | 1 of 1 (anywhere in the list) |" in page
    assert "| findings in 1 healthy controls | 0 | 2 |" in page
    assert "| ratio of the medians (target ≤ 0.2) | 0.10 | |" in page
    assert "A namespace of 100 pods with one fault: 0.50 s" in page
    assert "ratio 0.10" in page


def test_json_and_table_hold_the_same_totals() -> None:
    """What a program reads and what a person reads."""
    made = board(trial(), trial(durable=False, why_not="gone"))
    whole = msgspec.json.decode(report.as_json(made))

    assert {total["name"]: total["share"] for total in whole["totals"]}["durable repair, of changes made"] == 0.5
    assert whole["misses"] == ["SCH-01 (): k8s_patch: gone"]
    assert "50.0% (1 of 2)" in report.table(made)


# Calibration ----------------------------------------------------------------------------------------------------------


def said(confidence: float, right: bool) -> Said:
    """A finding."""
    return Said("X", "Deployment/a/b", confidence, right)


def test_buckets_count_what_was_right() -> None:
    """By how sure the findings were."""
    found = calibration.buckets([said(0.95, True), said(0.97, False), said(0.72, True)])

    assert [(one.low, one.count, one.right) for one in found] == [(0.7, 1, 1), (0.95, 2, 1)]
    assert found[1].share == 0.5


def test_the_error_is_the_distance_of_sure_and_right() -> None:
    """Nine of ten right at 0.9 is no error; all wrong at 0.9 is one of 0.9; nothing measured is no number."""
    good = [said(0.9, number > 0) for number in range(10)]

    assert calibration.expected_error(calibration.buckets(good)) == pytest.approx(0.0)
    assert calibration.expected_error(calibration.buckets([said(0.9, False)])) == pytest.approx(0.9)
    assert calibration.expected_error([]) is None


def test_few_findings_prove_little() -> None:
    """Three of three right bound the share at 44 %; ninety of ninety at 96 %."""
    few, many = (calibration.buckets([said(0.9, True)] * count)[0].at_least for count in (3, 90))

    assert few == pytest.approx(0.438, abs=0.01)
    assert many == pytest.approx(0.959, abs=0.01)


def test_a_number_is_derived_only_from_enough_findings_with_wrong_ones() -> None:
    """All right says only that it is high."""
    enough = [said(0.9, number > 2) for number in range(calibration.ENOUGH)]

    assert calibration.derivable(calibration.buckets(enough))
    assert not calibration.derivable(calibration.buckets(enough[:10]))
    assert not calibration.derivable(calibration.buckets([said(0.9, True)] * 100))
