"""The way that every workload with earlier revisions has: back to the one that ran before."""

from skyflo_runbooks.diagnosis.graph import revision
from skyflo_runbooks.diagnosis.pods import containers, each
from skyflo_runbooks.diagnosis.snapshot import ago
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import ChangeStep, param
from skyflo_runbooks.planning.way import Case, Way, named, settle, steady, web_checks


def roll_back(case: Case, *, because: str, checks: tuple[Check, ...] = ()) -> tuple[Way, ...]:
    """Return the way back to the previous revision, or none where there is no other revision."""
    workload = case.workload
    before = case.graph.previous(workload)
    if before is None or revision(before) == 0:
        return ()
    number = revision(before)
    images = ", ".join(dict.fromkeys(str(item.spec.get("image", "")) for item in containers(_as_pod(before))))
    replaced = case.graph.revisions(workload)[0]
    since = ago(str(at(replaced, "metadata", "creationTimestamp", default="")), case.graph.snapshot.time)
    change = ChangeStep(
        id="roll_back",
        tool="k8s_rollout_undo",
        arguments={**named(case), "to_revision": number},
        why=f"Revision {number} ran before the one that was deployed {since} ago. {because}",
    )
    return (
        Way(
            title=f"Roll back to revision {number} ({images})",
            change=change,
            checks=(*steady(case), *checks, *web_checks(case, window=param("settle"))),
            parameters=(settle(),),
            reasons=(f"Revision {number} ({images}) ran before. {because}", *_of_data(workload)),
        ),
    )


def _of_data(workload: Json) -> tuple[str, ...]:
    """Return what a program of before may meet: a release may have changed what is stored."""
    if workload.get("kind") != "StatefulSet" or not each(workload, "spec", "volumeClaimTemplates"):
        return ()
    return ("Its data stay as the newer one left them: whether the older one can read them is for you to know.",)


def _as_pod(held: Json) -> Json:
    return {"spec": at(held, "spec", "template", "spec", default={})}
