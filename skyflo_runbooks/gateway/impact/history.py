"""What is kept of the past, and goes by a change that deletes nothing by itself. Pure.

Rules:
  1. Earlier revisions beyond `revisionHistoryLimit` are deleted, and nothing leads back to them
     (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#clean-up-policy).
  2. A Job that has ended is deleted, with its pods and their logs, when its `ttlSecondsAfterFinished` is over
     (https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/); a CronJob deletes those beyond its
     limits.
  3. A Job that is made again runs again.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, whole
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, medium, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_REVISIONS = 10
_TTL = ("spec", "ttlSecondsAfterFinished")
_RUNS = (("successfulJobsHistoryLimit", 3, "Successful"), ("failedJobsHistoryLimit", 1, "Failed"))


def needs(_: Change) -> Iterable[Need]:
    """Nothing beyond the object itself."""
    return ()


def said(change: Change, _: Scene) -> Impact:
    """Say what of the past goes."""
    questions = {"Job": _job, "CronJob": _runs, "Deployment": _revisions, "StatefulSet": _revisions}
    ask = questions.get(change.kind) or (_revisions if change.kind == "DaemonSet" else None)
    if ask is None or change.creates or not (change.deletes or change.will):
        return Impact()
    return touched(ask(change))


def _job(change: Change) -> Lines:
    if change.deletes:
        yield Line("Made again, it would run again from its beginning")
        return
    seconds = at(change.will, *_TTL)
    if seconds is None or not change.differs(*_TTL):
        return
    if _ended(change.was):
        yield high(
            f"It has ended, so it is DELETED {seconds} s after its end, with its pods and their logs",
            "the Job is deleted when its time to live is over",
        )
    else:
        yield Line(f"It is deleted {seconds} s after its end, with its pods and their logs")


def _ended(job: Json) -> bool:
    conditions = each(job, "status", "conditions")
    return any(one.get("type") in ("Complete", "Failed") and one.get("status") == "True" for one in conditions)


def _revisions(change: Change) -> Lines:
    if change.deletes:
        return
    was, will = (whole(side, "spec", "revisionHistoryLimit", default=_REVISIONS) for side in (change.was, change.will))
    if will < was:
        yield medium(
            f"Of its earlier revisions only {will} are kept: nothing leads back to the others, this way back neither",
            "earlier revisions are deleted",
        )


def _runs(change: Change) -> Lines:
    if change.deletes:
        return
    for member, usual, word in _RUNS:
        was, will = (whole(side, "spec", member, default=usual) for side in (change.was, change.will))
        if will < was:
            yield Line(f"{word} runs beyond the newest {will} are deleted, with their logs")
    if at(change.will, "spec", "concurrencyPolicy") == "Replace" and change.differs("spec", "concurrencyPolicy"):
        yield medium("A run that is still under way is ended when the next one is due", "running Jobs are ended")
