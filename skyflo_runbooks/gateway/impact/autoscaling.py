"""Who will fight the change over the number of pods or their size: HPA, KEDA, VPA. Pure.

Rules:
  1. An autoscaler sets `replicas` again, within its bounds, whatever is written there. To scale by hand its bounds are
     changed, or it is paused.
  2. An autoscaler that measures a share of the request scales otherwise when the request changes; without a request it
     cannot measure (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/).
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, name_of, pod_request, pod_spec, whole
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, count, high, medium
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

SCALED = ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
_AUTOSCALERS = {"HorizontalPodAutoscaler": "scaleTargetRef", "ScaledObject": "scaleTargetRef"}
_VERTICAL = "VerticalPodAutoscaler"


def needs(change: Change) -> Iterable[Need]:
    """The autoscalers of the namespace for what they scale; the scaled workloads for an autoscaler."""
    if change.kind in SCALED:
        yield Need("HorizontalPodAutoscaler", change.namespace)
        yield Need("ScaledObject", change.namespace)
        if change.replaces_pods:
            yield Need(_VERTICAL, change.namespace)
    if change.kind in _AUTOSCALERS and (target := _target(change.live)[0]) in SCALED:
        yield Need(target, change.namespace)


def said(change: Change, scene: Scene) -> Impact:
    """Say which autoscaler will set what again."""
    if change.kind in _AUTOSCALERS:
        return _autoscaler(change, scene)
    if change.kind not in SCALED or change.creates:
        return Impact()
    lines, risks = [], []
    for text, risk in (*_horizontal(change, scene), *_vertical(change, scene)):
        lines.append(text)
        risks += [risk] if risk else []
    known = scene.knows("HorizontalPodAutoscaler", change.namespace)
    if not lines and known and change.kind in ("Deployment", "StatefulSet") and not change.deletes:
        lines.append("No HorizontalPodAutoscaler")
    return Impact(also_touched=tuple(lines), risks=tuple(risks))


def scales(autoscaler: Json, kind: str, name: str) -> bool:
    """Return whether an autoscaler is about this workload."""
    return _target(autoscaler) == (kind, name)


def _target(autoscaler: Json) -> tuple[str, str]:
    found = at(autoscaler, "spec", "scaleTargetRef", default={})
    # KEDA leaves the kind out for a Deployment.
    return str(at(found, "kind", default="Deployment")), str(at(found, "name", default=""))


def _bounds(autoscaler: Json) -> tuple[int, int]:
    """Return the fewest and the most pods."""
    if autoscaler.get("kind") == "ScaledObject":
        fewest = whole(autoscaler, "spec", "minReplicaCount", default=0)
        return fewest, whole(autoscaler, "spec", "maxReplicaCount", default=100)
    fewest = whole(autoscaler, "spec", "minReplicas", default=1)
    return fewest, whole(autoscaler, "spec", "maxReplicas", default=fewest)


def _horizontal(change: Change, scene: Scene) -> Lines:
    found = [
        one
        for kind in _AUTOSCALERS
        for one in scene.of(kind, change.namespace)
        if scales(one, change.kind, change.name)
    ]
    keda = {name_of(one) for one in found if one.get("kind") == "ScaledObject"}
    for one in found:
        if any(owner.get("name") in keda for owner in each(one, "metadata", "ownerReferences")):
            continue
        yield from _scaler(change, one)


def _scaler(change: Change, one: Json) -> Lines:
    what = f"{one.get('kind')} {name_of(one)}"
    fewest, most = _bounds(one)
    if change.deletes:
        yield Line(f"{what} then scales nothing")
        return
    if change.more_pods:
        wanted = count(change.will)
        ends = f" between {fewest} and {most}"
        if wanted == 0 and one.get("kind") == "HorizontalPodAutoscaler":
            yield Line(f"{what} stops scaling while there are 0 replicas")
            return
        lasting = "change its bounds to make it last"
        yield medium(f"{what} scales it and will set replicas again{ends}; {lasting}", "an autoscaler will undo it")
    else:
        yield Line(f"{what} scales it and will set replicas again")
    if change.replaces_pods:
        yield from _measured(change, one, what)


def _measured(change: Change, one: Json, what: str) -> Lines:
    """Say what another request does to an autoscaler that measures a share of it, by rule 2."""
    shares = {
        str(at(metric, "resource", "name"))
        for metric in each(one, "spec", "metrics")
        if at(metric, "resource", "target", "type") == "Utilization"
    }
    if whole(one, "spec", "targetCPUUtilizationPercentage"):
        shares.add("cpu")
    for resource in ("cpu", "memory"):
        was, will = (pod_request(pod_spec(side), resource) for side in (change.was, change.will))
        if resource in shares and was != will:
            if not will:
                yield high(
                    f"{what} measures {resource} as a share of the request, and there is none after this",
                    "the autoscaler can measure nothing any more",
                )
            else:
                yield Line(
                    f"{what} measures {resource} as a share of the request, which changes: it will scale otherwise"
                )


def _vertical(change: Change, scene: Scene) -> Lines:
    for one in scene.of(_VERTICAL, change.namespace):
        target = at(one, "spec", "targetRef", default={})
        off = at(one, "spec", "updatePolicy", "updateMode") in ("Off", "Initial")
        if (at(target, "kind"), at(target, "name")) == (change.kind, change.name) and not off:
            text = f"{_VERTICAL} {name_of(one)} sets the requests of its pods again"
            yield medium(text, "an autoscaler will undo it")


def _autoscaler(change: Change, scene: Scene) -> Impact:
    """Say what changing an autoscaler does to the workload that it scales."""
    kind, name = _target(change.live)
    if change.deletes:
        return Impact(also_touched=(f"{kind} {name} keeps the number of pods that it has now; nothing scales it",))
    target = scene.one(kind, name, change.namespace)
    if target is None:
        known = scene.knows(kind, change.namespace)
        text = f"There is no {kind} {name}: it would scale nothing"
        return Impact(
            also_touched=(text,) if known else (), risks=(("medium", "its target does not exist"),) if known else ()
        )
    fewest, most = _bounds(change.will)
    now = count(target)
    if fewest <= now <= most:
        return Impact(also_touched=(f"{kind} {name} has {now} replicas, within the bounds {fewest} to {most}",))
    moved = min(max(now, fewest), most)
    return Impact(
        while_it_runs=(f"{kind} {name} is scaled at once: {now} → {moved} replicas",),
        risks=(("medium", "the number of pods changes"),),
    )
