"""Which pods restart, start or stop, and how few are available meanwhile. Pure.

Rules:
  1. Whether pods restart follows from the request: the pod template differs, or it does not.
  2. The lowest number available follows from maxUnavailable and maxSurge as the controllers round them
     (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment): maxUnavailable
     down, maxSurge up, and never both none. What is not ready now is not counted as staying.
  3. A StatefulSet replaces the ordinals from its partition on, the last one first; with OnDelete nobody restarts
     anything (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies). The same holds
     of a DaemonSet, node by node.
  4. A StatefulSet with the retention policy `whenScaled: Delete` deletes the claims of the pods that it gives up.
"""

import math
from collections.abc import Iterable, Iterator

from skyflo_runbooks.diagnosis.pods import each, quantity, template, whole
from skyflo_runbooks.gateway.impact.change import NO_RESTART, WORKLOADS, Change, count, plural
from skyflo_runbooks.gateway.impact.change import some as named
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.risk import scaled_away
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact, Risk

_STOPPED = "no pod is available meanwhile"


def needs(_: Change) -> Iterable[Need]:
    """Nothing beyond the object itself."""
    return ()


def said(change: Change, _: Scene) -> Impact:
    """Say what happens to the pods while the change runs."""
    if change.kind == "CronJob" and change.was and change.will and not change.deletes:
        return Impact(while_it_runs=tuple(_cron(change)))
    if change.kind not in WORKLOADS or change.deletes or not change.will:
        return Impact()
    if change.creates:
        return Impact(while_it_runs=(_starting(change.will),))
    lines = [*_scaled(change), *_switched(change)]
    risks: list[tuple[Risk, str]] = []
    if change.was and change.replaces_pods:
        lines.append(_replaced(change.was, change.will))
        risks += _replacing(change.was, change.will)
    if change.more_pods:
        stops = count(change.was) and not count(change.will)
        risks.append(("high", f"{change.ref} would run no pod") if stops else ("medium", "the number of pods changes"))
    return Impact(while_it_runs=tuple(lines) or (NO_RESTART,), risks=tuple(risks))


def surge_and_unavailable(manifest: Json) -> tuple[int, int]:
    """Return how many pods a rollout may start beyond, and miss below, the number wanted, by rules 2 and 3."""
    pods = count(manifest)
    if manifest.get("kind") == "DaemonSet":
        return _rolling(manifest, "updateStrategy", pods, default_surge=0, default_unavailable=1)
    if manifest.get("kind") == "StatefulSet":
        return 0, max(1, _rolling(manifest, "updateStrategy", pods, default_surge=0, default_unavailable=1)[1])
    if at(manifest, "spec", "strategy", "type") == "Recreate":
        return 0, pods
    return _rolling(manifest, "strategy", pods, default_surge="25%", default_unavailable="25%")


def lowest(manifest: Json) -> int:
    """Return how many pods are available at least while all are replaced: never more than wanted, never negative."""
    pods = count(manifest)
    if on_delete(manifest):
        return pods
    return max(0, pods - surge_and_unavailable(manifest)[1])


def on_delete(manifest: Json) -> bool:
    """Return whether pods keep the old template until somebody deletes them."""
    return bool(at(manifest, "spec", "updateStrategy", "type") == "OnDelete") or manifest.get("kind") in (
        "ReplicaSet",
        "ReplicationController",
        "Job",
    )


def _rolling(
    manifest: Json, strategy: str, pods: int, *, default_surge: str | int, default_unavailable: str | int
) -> tuple[int, int]:
    surge = _portion(at(manifest, "spec", strategy, "rollingUpdate", "maxSurge"), default_surge, pods, up=True)
    unavailable = _portion(
        at(manifest, "spec", strategy, "rollingUpdate", "maxUnavailable"), default_unavailable, pods, up=False
    )
    return surge, unavailable if surge or unavailable else 1


def _portion(value: object, default: str | int, pods: int, *, up: bool) -> int:
    for written in (value, default):
        if isinstance(written, int):
            return max(0, written)
        share = quantity(written.removesuffix("%")) if isinstance(written, str) and written.endswith("%") else None
        if share is not None and 0 <= share <= 1000:
            return math.ceil(share * pods / 100) if up else math.floor(share * pods / 100)
    return 0


def _starting(manifest: Json) -> str:
    kind, pods = manifest.get("kind"), count(manifest)
    if kind == "DaemonSet":
        return "One pod starts on every node that its selector and tolerations allow"
    if at(manifest, "spec", "suspend") is True or at(manifest, "spec", "paused") is True:
        return "No pod starts before it is resumed"
    return f"{plural(pods, 'pod')} {'starts' if pods == 1 else 'start'}"


def _scaled(change: Change) -> Iterator[str]:
    was, will = count(change.was), count(change.will)
    if change.was and change.more_pods:
        some = abs(will - was)
        verb = ("start" if will > was else "stop") + ("s" if some == 1 else "")
        order = ", the last ordinals first" if will < was and change.kind == "StatefulSet" else ""
        yield f"{plural(some, 'pod')} {verb}: {was} → {will} replicas{order}"
    if claims := scaled_away(change.was, change.will):
        yield f"Their claims are DELETED with them (retention policy whenScaled): {named(claims)}"


def _switched(change: Change) -> Iterator[str]:
    """Say what pausing, resuming and suspending do."""
    was, will = change.was, change.will
    if change.kind == "Deployment" and change.switched("spec", "paused"):
        if at(will, "spec", "paused") is True:
            yield "Changes of its pod template wait from now on: it is paused"
        else:
            yield "What was changed while it was paused is rolled out now"
    if change.kind == "Job" and change.switched("spec", "suspend"):
        running = whole(was, "status", "active")
        stops = f"{plural(running, 'running pod')} of the Job {'is' if running == 1 else 'are'} ended"
        yield stops if at(will, "spec", "suspend") is True else "The Job starts its pods"


def _replaced(was: Json, will: Json) -> str:
    """Say which pods restart, in which order, and how few are available."""
    pods = count(was)
    if at(was, "spec", "paused") is True and at(will, "spec", "paused") is True:
        return "No pod restarts while the Deployment is paused; the change waits until it is resumed"
    if on_delete(was):
        return "No pod restarts by itself: each takes the new template when it is deleted"
    if was.get("kind") == "DaemonSet":
        surge, unavailable = surge_and_unavailable(was)
        width = f"at most {unavailable} missing at a time" if unavailable else f"{surge} new ones first"
        return f"The pods on all {pods} nodes restart in turn, {width}"
    if was.get("kind") == "StatefulSet":
        return _ordinals(was, pods)
    if at(was, "spec", "strategy", "type") == "Recreate":
        return f"All {plural(pods, 'pod')} stop before new ones start; none is available meanwhile (strategy Recreate)"
    surge, unavailable = surge_and_unavailable(was)
    ready, floor = whole(was, "status", "readyReplicas"), lowest(was)
    now = f"; {ready} of {pods} are ready now" if ready < pods else ""
    stay = f"at least {floor} stay available" if ready >= floor else f"what is ready now ({ready}) stays up"
    return f"{plural(pods, 'pod')} {_restart(pods)}; {stay} (surge {surge}, unavailable {unavailable}){now}"


def _ordinals(was: Json, pods: int) -> str:
    partition = max(0, whole(was, "spec", "updateStrategy", "rollingUpdate", "partition"))
    moved = max(0, pods - partition)
    if not moved:
        return f"No pod restarts: the partition {partition} keeps every ordinal as it is"
    kept = f"; ordinals below {partition} keep the old template (partition)" if partition else ""
    stuck = "" if whole(was, "status", "readyReplicas") >= pods else "; a pod that is not ready holds up the ones after"
    return f"{plural(moved, 'pod')} {_restart(moved)}, last ordinal first; at least {lowest(was)} stay{kept}{stuck}"


def _restart(pods: int) -> str:
    return "restarts" if pods == 1 else "restart one after another"


def _replacing(was: Json, will: Json) -> Iterator[tuple[Risk, str]]:
    if on_delete(was) or (at(was, "spec", "paused") is True and at(will, "spec", "paused") is True):
        return
    yield "medium", "pods restart"
    serving = whole(was, "status", "numberReady" if was.get("kind") == "DaemonSet" else "readyReplicas")
    if serving and not lowest(was) and was.get("kind") != "DaemonSet":
        yield "high", _STOPPED


def _cron(change: Change) -> Iterator[str]:
    running = len(each(change.was, "status", "active"))
    if change.switched("spec", "suspend"):
        goes_on = f"; {plural(running, 'run')} that {'has' if running == 1 else 'have'} begun go on" if running else ""
        if at(change.will, "spec", "suspend") is True:
            yield f"No new run begins{goes_on}"
        else:
            yield "Runs begin again; one that was due within its starting deadline begins at once"
    if change.differs("spec", "schedule"):
        yield f"The schedule changes: {at(change.was, 'spec', 'schedule')} → {at(change.will, 'spec', 'schedule')}"
    if template(at(change.was, "spec", "jobTemplate", default={})) != template(
        at(change.will, "spec", "jobTemplate", default={})
    ):
        yield f"From the next run on; {plural(running, 'run')} that began before keeps the old template"
