"""Confidences are held against what is right where something is missing: no rule claims more than its data allow."""

from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.certainty import SURE, UNREAD_SHARE
from tests.scoreboard import calibration, doubt, report, seen
from tests.scoreboard.result import Reading

_SLACK = 0.04  # how much less than it may the factor for unread kinds claims, before it is measured anew


def reading(confidence: float, right: bool, *, fault: str = "CON-05", case: str = "a", unread: bool = False) -> Reading:
    """Return a finding of a reading."""
    return Reading(case=case, how="in full", fault=fault, confidence=confidence, right=right, unread=unread)


def test_no_rule_claims_more_than_its_data_allow() -> None:
    """As many wrong findings as each fault had can come of its confidence; else its evidence says too much."""
    assert calibration.over_sure(doubt.measured()) == []


def test_a_refused_read_lowers_a_finding_by_what_was_measured() -> None:
    """The factor is the measured one, rounded down: neither more, nor so much less that it says nothing."""
    measured = calibration.unread_share(doubt.measured())

    assert UNREAD_SHARE <= measured <= UNREAD_SHARE + _SLACK


def test_whatever_is_not_certain_says_what_would_decide_it() -> None:
    """In every reading of every incident: below the bound, and wherever a read was refused."""
    silent = {one.fault for one in doubt.measured() if not one.decided and (one.unread or one.confidence < SURE)}

    assert silent == set()


def test_a_nine_is_right_nine_times_in_ten() -> None:
    """By incident, at least, with 95 % certainty."""
    nines = calibration.share([one for one in doubt.measured() if one.confidence >= SURE])

    assert nines.incidents >= calibration.ENOUGH
    assert nines.at_least >= 0.9


def test_the_set_can_fail() -> None:
    """Wrong findings are among the readings, of several faults, and all of them less sure than a whole reading."""
    wrong = [one for one in doubt.measured() if not one.right]

    assert len({one.case for one in doubt.measured()}) >= 60
    assert len({one.fault for one in wrong}) >= 4
    assert all(one.how != "in full" for one in wrong)


def test_nothing_is_found_in_what_is_well() -> None:
    """A control that is well stays without a finding whatever is refused."""
    controls = [one for one in doubt.incidents() if not one.true]

    assert controls
    for one in controls:
        for how, snapshot in doubt.readings(one):
            assert diagnose(snapshot, one.incident).findings == (), (one.case, how)


def test_what_is_refused_is_a_gap_and_what_is_gone_is_none() -> None:
    """Nobody refused the events of an hour ago."""
    one = next(item for item in doubt.incidents() if item.snapshot.logs)
    said = dict(doubt.readings(one))

    assert [gap.kind for gap in said["Log refused"].gaps_in("Log")] == ["Log"]
    assert said["Log refused"].logs == said["no logs"].logs == ()
    assert said["no logs"].gaps == one.snapshot.gaps
    assert said["no events"].objects["Event"] == []
    assert said["Pod refused"].objects["Pod"] == []


def test_a_claim_that_is_too_sure_is_named() -> None:
    """Four of four wrong at 0.93 cannot be chance; one of twenty at 0.95 can."""
    bad = [reading(0.93, False, fault="ADM-06") for _ in range(4)]
    fair = [reading(0.95, number > 0, fault="SCH-05") for number in range(20)]

    assert [one.fault for one in calibration.over_sure([*bad, *fair])] == ["ADM-06"]
    assert calibration.over_sure([reading(0.5, False) for _ in range(4)]) == []


def test_readings_of_one_incident_are_one_witness() -> None:
    """A hundred readings of one incident weigh as much as one of another."""
    many = [reading(0.9, True, case="a") for _ in range(100)]
    found = calibration.share([*many, reading(0.7, False, case="b")])

    assert (found.incidents, found.findings) == (2, 101)
    assert found.right == pytest.approx(0.5)
    assert found.sure == pytest.approx(0.8)
    assert found.at_least < 0.5


def test_the_tail_of_a_binomial() -> None:
    """At least none is certain; at least two of two is the square."""
    assert calibration.tail(0, 5, 0.3) == pytest.approx(1.0)
    assert calibration.tail(2, 2, 0.1) == pytest.approx(0.01)


def test_a_proper_score_is_least_for_whoever_says_what_they_know() -> None:
    """Nine of ten are right: saying 0.9 scores better than 0.99 or 0.7, and as well as the overall share."""
    scores = {said: calibration.brier([reading(said, number > 0) for number in range(10)]) for said in (0.7, 0.9, 0.99)}

    assert min(scores, key=lambda said: scores[said]) == 0.9
    assert scores[0.9] == pytest.approx(calibration.uninformed([reading(0.9, number > 0) for number in range(10)]))


def test_the_section_says_what_was_wrong_and_what_is_claimed() -> None:
    """A table by incident, each wrong finding with what was missing, and the claims that do not hold."""
    bad = [reading(0.93, False, fault="ADM-06", case="b", unread=True) for _ in range(4)]
    said = report.doubt([*bad, *(reading(0.9, True, case=str(number)) for number in range(40))])

    assert said.startswith(f"{report.DOUBT}\n")
    assert "44 findings of 41 incidents, 4 of" in " ".join(said.split())
    assert "- b, in full: ADM-06 at 0.93" in said
    assert said.endswith("Claims that these data do not allow: ADM-06 with something unread.")


def test_the_section_is_put_into_a_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next section, and in its own place when it is written again."""
    page = tmp_path / "page.md"
    page.write_text("# Scoreboard\n\n## How sure\n\nvery\n\n## Beside k8sgpt\n\nnothing\n")
    monkeypatch.setattr("sys.argv", ["doubt", "--page", str(page)])

    doubt.main()
    once = page.read_text()
    doubt.main()

    assert page.read_text() == once
    assert once.count(report.DOUBT) == 1
    assert once.index("## How sure\n") < once.index(report.DOUBT) < once.index("## Beside k8sgpt")
    assert once.endswith("## Beside k8sgpt\n\nnothing\n")


def test_what_is_kept_is_read_back_as_it_was(tmp_path: Path) -> None:
    """The same incidents give the same bytes."""
    kept = seen.load()[:2]
    seen.save(kept, tmp_path / "a.gz")
    seen.save(msgspec.convert(msgspec.to_builtins(kept), list[seen.Seen]), tmp_path / "b.gz")

    assert seen.load(tmp_path / "a.gz") == kept
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
