"""When a rollout is done. Pure.

Rules, all of which must hold for `complete`:
  1. The controller has seen the spec: observedGeneration is at least the generation.
  2. Every replica is updated and available, and there are no more pods than desired.
  3. No pod of an old template is left, terminating ones included. (A StatefulSet's partition keeps as many as it says.)
`stalled` is said only while 1 holds, 2 does not, and the controller itself gave up (ProgressDeadlineExceeded): that
condition can outlive an undo. `paused` and `progressing` are what remains. Restart counts are given beside the state:
whether they stand still takes two looks.

Source: kubectl's rollout_status.go, and rule 3 besides, which it leaves out.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from skyflo_mcp.kubernetes.workload import REVISION, owned, ready, restarts, uid
from skyflo_runbooks.model.json import Json, at

State = Literal["complete", "progressing", "stalled", "paused"]
_HASH = "controller-revision-hash"


class Rollout(msgspec.Struct, frozen=True):
    """A rollout at one moment, in numbers of pods. `restarts` sums the restart counts of the new pods."""

    state: State
    message: str
    desired: int
    updated: int
    ready: int
    available: int
    old_pods: tuple[str, ...]
    restarts: int
    generation: int
    observed_generation: int


class _Counts(msgspec.Struct, frozen=True):
    desired: int
    wanted: int
    total: int
    updated: int
    available: int


def status(workload: Json, pods: Sequence[Json], sets: Sequence[Json] = ()) -> Rollout:
    """Return how far the rollout of a Deployment, StatefulSet or DaemonSet is.

    `pods` are the pods of the namespace. `sets` are its ReplicaSets for a Deployment, its ControllerRevisions for a
    DaemonSet, and are not looked at for a StatefulSet, whose status names the new revision.
    """
    new, old = split(workload, pods, sets)
    counts = _counts(workload)
    state, message = _judge(workload, counts, old)
    return Rollout(
        state=state,
        message=message,
        desired=counts.desired,
        updated=counts.updated,
        ready=sum(map(ready, new)),
        available=counts.available,
        old_pods=tuple(at(pod, "metadata", "name", default="") for pod in old),
        restarts=sum(map(restarts, new)),
        generation=_number(workload, "metadata", "generation"),
        observed_generation=_number(workload, "status", "observedGeneration"),
    )


def _judge(workload: Json, counts: _Counts, old: list[Json]) -> tuple[State, str]:
    if _number(workload, "status", "observedGeneration") < _number(workload, "metadata", "generation"):
        return "progressing", "The controller has not seen the latest change yet."
    waiting = _waiting(counts, old)
    if not waiting:
        return "complete", f"All {counts.desired} replicas are updated and available, and no old pod is left."
    if at(workload, "spec", "paused"):
        return "paused", f"The rollout is paused; {waiting}."
    given_up = _given_up(workload)
    if given_up:
        return "stalled", f"The controller gave up ({given_up}); {waiting}."
    return "progressing", f"{waiting[0].upper()}{waiting[1:]}."


def _waiting(counts: _Counts, old: list[Json]) -> str:
    if counts.updated < counts.wanted:
        return f"{counts.updated} of {counts.wanted} replicas are updated"
    if counts.available < counts.desired:
        return f"{counts.available} of {counts.desired} updated replicas are available"
    if len(old) > counts.desired - counts.wanted:
        return f"{len(old)} old pods are still there"
    if counts.total > counts.desired:
        return f"{counts.total - counts.desired} pods more than desired are still there"
    return ""


def _counts(workload: Json) -> _Counts:
    if workload.get("kind") == "DaemonSet":
        desired = _number(workload, "status", "desiredNumberScheduled")
        return _Counts(
            desired=desired,
            wanted=desired,
            total=_number(workload, "status", "currentNumberScheduled"),
            updated=_number(workload, "status", "updatedNumberScheduled"),
            available=_number(workload, "status", "numberAvailable"),
        )
    desired = int(at(workload, "spec", "replicas", default=1))
    updated = _number(workload, "status", "updatedReplicas")
    if workload.get("kind") == "StatefulSet" and at(workload, "status", "currentRevision") == _update_revision(
        workload
    ):
        # A StatefulSet that has nothing to update counts all its pods as current.
        updated = max(updated, _number(workload, "status", "currentReplicas"))
    return _Counts(
        desired=desired,
        wanted=max(0, desired - int(at(workload, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))),
        total=_number(workload, "status", "replicas"),
        updated=updated,
        available=_number(workload, "status", "availableReplicas"),
    )


def split(workload: Json, pods: Sequence[Json], sets: Sequence[Json]) -> tuple[list[Json], list[Json]]:
    """Return the pods of the present template and those of older ones; pods that ended do not count.

    The arguments are those of `status`.
    """
    if workload.get("kind") == "Deployment":
        mine = owned(sets, {uid(workload)})
        revision = at(workload, "metadata", "annotations", REVISION, default="")
        now = {uid(one) for one in mine if at(one, "metadata", "annotations", REVISION, default="") == revision}
        everyone = _live(owned(pods, {uid(one) for one in mine}))
        fresh = {id(pod) for pod in owned(everyone, now)}
    else:
        everyone = _live(owned(pods, {uid(workload)}))
        wanted = _update_revision(workload) or _latest(workload, sets)
        fresh = {id(pod) for pod in everyone if at(pod, "metadata", "labels", _HASH, default="") == wanted}
    return [pod for pod in everyone if id(pod) in fresh], [pod for pod in everyone if id(pod) not in fresh]


def _live(pods: Sequence[Json]) -> list[Json]:
    return [pod for pod in pods if at(pod, "status", "phase") not in ("Succeeded", "Failed")]


def _update_revision(workload: Json) -> str:
    return str(at(workload, "status", "updateRevision", default=""))


def _latest(workload: Json, revisions: Sequence[Json]) -> str:
    mine = sorted(owned(revisions, {uid(workload)}), key=lambda one: int(one.get("revision", 0)))
    return str(at(mine[-1], "metadata", "labels", _HASH, default="")) if mine else ""


def _given_up(workload: Json) -> str:
    for one in at(workload, "status", "conditions", default=[]):
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return f"ProgressDeadlineExceeded: {str(one.get('message', '')).rstrip('.')}"
    return ""


def _number(workload: Json, *path: str) -> int:
    return int(at(workload, *path, default=0))
