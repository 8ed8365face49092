"""What is kept of the past, and goes by a change that deletes nothing by itself."""

from typing import Any

import pytest

from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, deleted, level, lines, made, told, workload


def job(ended: str = "") -> Json:
    """A Job that runs, or has ended so."""
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return made("Job", "migrate", api="batch/v1", spec={"template": {}}, status={"conditions": conditions})


@pytest.mark.parametrize("ended", ["Complete", "Failed"])
def test_a_time_to_live_deletes_a_job_that_has_ended(ended: str) -> None:
    """With the logs that somebody may want to read."""
    impact = told(changed(job(ended), spec__ttlSecondsAfterFinished=0), Around())
    assert "It has ended, so it is DELETED 0 s after its end, with its pods and their logs" in impact.also_touched
    assert level(impact) == "high"


def test_a_time_to_live_of_a_job_that_runs_waits_for_its_end() -> None:
    """Nothing is deleted now."""
    impact = told(changed(job("Suspended"), spec__ttlSecondsAfterFinished=60), Around())
    assert "It is deleted 60 s after its end, with its pods and their logs" in impact.also_touched
    assert "DELETED" not in lines(impact)


def test_a_job_without_a_time_to_live_stays() -> None:
    """Nothing is said."""
    before = changed(job("Complete"), spec__ttlSecondsAfterFinished=60).after or {}
    for change in (changed(before, spec__ttlSecondsAfterFinished=None), changed(before, spec__suspend=True)):
        assert "after its end" not in lines(told(change, Around()))


def test_the_way_back_of_a_deleted_job_is_a_new_run() -> None:
    """A migration would run twice."""
    assert "Made again, it would run again from its beginning" in told(deleted(job("Complete")), Around()).also_touched


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
@pytest.mark.parametrize(("was", "will"), [({}, 2), ({"revisionHistoryLimit": 3}, 0)], ids=["from 10", "to 0"])
def test_earlier_revisions_that_go_are_said(kind: str, was: Json, will: int) -> None:
    """What an undo would lead back to."""
    impact = told(changed(workload(kind, spec=was), spec__revisionHistoryLimit=will), Around())
    assert f"Of its earlier revisions only {will} are kept" in lines(impact)
    assert ("medium", "earlier revisions are deleted") in impact.risks


@pytest.mark.parametrize(
    "change",
    [
        changed(workload(), spec__revisionHistoryLimit=20),
        changed(workload(spec={"revisionHistoryLimit": 0}), spec__replicas=4),
        created(workload(spec={"revisionHistoryLimit": 0})),
        deleted(workload(spec={"revisionHistoryLimit": 0})),
    ],
    ids=["more", "as before", "new", "deleted"],
)
def test_revisions_that_stay_are_not_mentioned(change: Any) -> None:
    """Nor those of what is not there."""
    assert "earlier revisions" not in lines(told(change, Around()))


def nightly(**spec: Any) -> Json:
    """A CronJob."""
    return made("CronJob", "nightly", api="batch/v1", spec={"schedule": "0 3 * * *", "jobTemplate": {}, **spec})


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("successfulJobsHistoryLimit", 0, "Successful runs beyond the newest 0 are deleted, with their logs"),
        ("failedJobsHistoryLimit", 0, "Failed runs beyond the newest 0 are deleted, with their logs"),
        ("concurrencyPolicy", "Replace", "A run that is still under way is ended when the next one is due"),
        ("successfulJobsHistoryLimit", 3, ""),
        ("failedJobsHistoryLimit", 5, ""),
        ("concurrencyPolicy", "Forbid", ""),
    ],
)
def test_what_a_cronjob_no_longer_keeps(member: str, value: Any, said: str) -> None:
    """Runs, and the one that is under way."""
    found = told(changed(nightly(), **{f"spec__{member}": value}), Around())
    assert [one for one in found.also_touched if " run" in one.lower()] == ([said] if said else [])
