"""Disruption budgets, and what leaves a node in a drain. Pure.

Rules:
  1. A budget holds evictions back, and nothing else: a rollout, a scale-down and a deletion do not ask it
     (https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-budgets).
  2. The evictions of one proposal are one thing, a drain: it is told once, with its first eviction.
  3. A pod without a controller is not started again; what lies in an emptyDir is lost, and a pod on a local volume can
     start nowhere else.
  4. Where the pods could go is an estimate by requests: each in turn to the node with the most memory left, the drained
     ones left out.
"""

from collections import defaultdict
from collections.abc import Iterable

from skyflo_runbooks.diagnosis.capacity import takes
from skyflo_runbooks.diagnosis.graph import controller
from skyflo_runbooks.diagnosis.pods import each, finished, labels_of, name_of, namespace_of, ready, whole
from skyflo_runbooks.gateway.impact.capacity import left
from skyflo_runbooks.gateway.impact.change import (
    WORKLOADS,
    Change,
    Line,
    Lines,
    count,
    high,
    medium,
    members,
    plural,
    some,
    touched,
)
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.impact.selecting import selects, template_labels, wanted
from skyflo_runbooks.gateway.impact.workloads import lowest
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact

_BUDGET = "PodDisruptionBudget"
_DRAIN = ("Pod", "Node", "ReplicaSet", "Service", _BUDGET, "PersistentVolume")


def needs(change: Change) -> Iterable[Need]:
    """For an eviction the whole cluster's pods, nodes and budgets; else the budgets of the namespace."""
    if change.request.verb == "evict":
        return [Need(kind) for kind in _DRAIN]
    if change.kind in WORKLOADS and not change.creates:
        return [Need(_BUDGET, change.namespace)]
    if change.kind == _BUDGET:
        return [Need("Pod", change.namespace), Need(_BUDGET, change.namespace)]
    return []


def said(change: Change, scene: Scene) -> Impact:
    """Say what budgets hold back, and of a drain everything."""
    if change.request.verb == "evict":
        evicted = [request.target for request in scene.requests if request.verb == "evict"] or [change.ref]
        if change.ref != evicted[0]:
            return Impact()
        wanted = {(one.namespace, one.name) for one in evicted}
        leaving = [pod for pod in scene.of("Pod") if (namespace_of(pod), name_of(pod)) in wanted]
        return _drain(leaving or [change.was], scene)
    found = list(_own_budget(change, scene) if change.kind == _BUDGET else _budgets(change, scene))
    return touched(found)


def _allowed(budget: Json) -> object:
    return at(budget, "status", "disruptionsAllowed", default="unknown")


def _budgets(change: Change, scene: Scene) -> Lines:
    """Say which budgets are about a workload's pods, and where the change goes below them, by rule 1."""
    if change.kind not in WORKLOADS or change.creates:
        return
    found = [
        one
        for one in scene.of(_BUDGET, change.namespace)
        if selects(at(one, "spec", "selector"), template_labels(change.was))
    ]
    for budget in found:
        needed = whole(budget, "status", "desiredHealthy")
        left = count(change.will) if change.more_pods < 0 else lowest(change.was) if change.replaces_pods else needed
        text = f"PodDisruptionBudget {name_of(budget)} (disruptions allowed now: {_allowed(budget)})"
        if left < needed and not change.deletes:
            text += f" wants {needed} pods; this may go down to {left}: it holds back evictions only"
            yield medium(text, "fewer pods than the disruption budget wants")
        else:
            yield Line(text)
    if not found and change.replaces_pods and scene.knows(_BUDGET, change.namespace):
        yield Line("No PodDisruptionBudget")


def _own_budget(change: Change, scene: Scene) -> Lines:
    """Say what a budget protects before and after."""
    if not scene.knows("Pod", change.namespace):
        return
    pods = [pod for pod in scene.of("Pod", change.namespace) if not finished(pod)]
    was = [pod for pod in pods if selects(at(change.was, "spec", "selector"), labels_of(pod))]
    if change.deletes:
        yield Line(f"{plural(len(was), 'pod')} may then be evicted all at once, as in a drain")
        return
    will = [pod for pod in pods if selects(at(change.will, "spec", "selector"), labels_of(pod))]
    yield Line(f"It is about {plural(len(will), 'pod')} ({sum(map(ready, will))} ready)")
    others = [
        name_of(one)
        for one in scene.of(_BUDGET, change.namespace)
        if name_of(one) != change.name and any(selects(at(one, "spec", "selector"), labels_of(pod)) for pod in will)
    ]
    if others:
        yield high(
            f"{some(others)} is about the same pods: no eviction of a pod with two budgets is let through",
            "two disruption budgets for one pod block every drain",
        )
    if _lets_all_go(change.will) and not (change.creates or _lets_all_go(change.was)):
        yield medium(
            f"All of its {plural(len(will), 'pod')} may then be evicted at once", "no budget protects its pods"
        )
    if at(change.will, "spec", "maxUnavailable") in (0, "0%") or at(change.will, "spec", "minAvailable") == "100%":
        yield high("It lets no eviction through: a drain would wait for ever", "it blocks every drain")


def _lets_all_go(budget: Json) -> bool:
    """Return whether a budget holds no eviction back."""
    least, most = at(budget, "spec", "minAvailable"), at(budget, "spec", "maxUnavailable")
    return least in (0, "0%") or most == "100%" or (least is None and most is None)


def _drain(leaving: list[Json], scene: Scene) -> Impact:
    """Say everything about the pods that leave, by rules 2 to 4."""
    meanwhile = [f"{plural(len(leaving), 'pod')} {'leaves' if len(leaving) == 1 else 'leave one after another'}"]
    found = [
        *_owners(leaving, scene),
        *_served(leaving, scene),
        *_held_back(leaving, scene),
        *_lost(leaving, scene),
        *_elsewhere(leaving, scene),
    ]
    alone = [pod for pod in leaving if controller(pod) is None]
    gone: tuple[str, ...] = (f"{some(map(_named, alone))} has no controller: nothing starts it again",) if alone else ()
    stored = [pod for pod in leaving if _scratch(pod)]
    gone += (f"what lies in emptyDir volumes of {some(map(_named, stored))} is lost",) if stored else ()
    return Impact(
        while_it_runs=tuple(meanwhile),
        also_touched=tuple(text for text, _ in found),
        risks=(("medium", "pods are evicted"), *(risk for _, risk in found if risk)),
        irreversible=gone,
    )


def _named(pod: Json) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)}"


def _owner(pod: Json, makers: dict[tuple[str, str], ObjectRef | None]) -> str:
    """Return the workload that a pod belongs to: of a ReplicaSet's, its Deployment."""
    owner = controller(pod)
    if owner and owner.kind == "ReplicaSet":
        owner = makers.get((owner.namespace, owner.name)) or owner
    return str(owner) if owner else ""


def _owners(leaving: list[Json], scene: Scene) -> Lines:
    """Say whose pods leave, and which workload is left without a ready pod."""
    if not scene.knows("Pod"):
        return
    makers = {(namespace_of(one), name_of(one)): controller(one) for one in scene.of("ReplicaSet")}
    groups: dict[str, list[Json]] = defaultdict(list)
    for pod in leaving:
        groups[_owner(pod, makers)].append(pod)
    serving: dict[str, int] = defaultdict(int)
    for pod in scene.of("Pod"):
        serving[_owner(pod, makers)] += ready(pod) and not finished(pod)
    for owner, pods in sorted(groups.items(), key=lambda item: (not item[0], -len(item[1]), item[0])):
        mine = sum(map(ready, pods))
        if not owner:
            yield high(
                f"No controller: {some(map(_named, pods))}; nothing starts {'it' if len(pods) == 1 else 'them'} again",
                "a pod without a controller is gone for good",
            )
        elif mine and serving[owner] == mine:
            yield high(
                f"{owner}: {plural(len(pods), 'pod')}, ALL of its {mine} ready ones",
                "a workload is left without a ready pod",
            )
        else:
            yield Line(
                f"{owner}: {plural(len(pods), 'pod')}; {serving[owner] - mine} of {serving[owner]} ready ones stay"
            )


def _served(leaving: list[Json], scene: Scene) -> Lines:
    """Say which Services lose all that is ready behind them."""
    names = {_named(pod) for pod in leaving}
    for namespace in sorted({namespace_of(pod) for pod in leaving}):
        serving = [(labels_of(pod), _named(pod)) for pod in scene.of("Pod", namespace) if ready(pod)]
        for service in scene.of("Service", namespace):
            by = wanted(service).items()
            behind = {name for labels, name in serving if by and by <= labels.items()}
            if behind and behind <= names:
                text = f"Service {_named(service)} has NO endpoint left until its pods are ready elsewhere"
                yield high(text, "a Service is left without endpoints")


def _held_back(leaving: list[Json], scene: Scene) -> Lines:
    """Say which budgets stop the drain."""
    for pod in leaving:
        both = [one for one in scene.of(_BUDGET, namespace_of(pod)) if _about(one, pod)]
        if len(both) > 1:
            yield high(
                f"{_named(pod)} has two budgets, {some(map(name_of, both))}: no eviction is let through",
                "a disruption budget blocks it",
            )
    for budget in scene.of(_BUDGET):
        mine = [pod for pod in leaving if _about(budget, pod)]
        allowed = whole(budget, "status", "disruptionsAllowed", default=-1)
        name = f"{_BUDGET} {namespace_of(budget)}/{name_of(budget)}"
        if not mine or allowed >= len(mine):
            continue
        if allowed > 0:
            yield medium(
                f"{name} allows {allowed} at a time and {len(mine)} leave: the drain stops until new ones are ready",
                "a disruption budget slows it",
            )
        elif allowed == 0:
            yield high(
                f"{name} allows no disruption now: the eviction of {some(map(_named, mine))} is REFUSED",
                "a disruption budget blocks it",
            )
        else:
            yield medium(f"{name} does not say how many disruptions it allows", "a disruption budget may block it")


def _about(budget: Json, pod: Json) -> bool:
    same = namespace_of(budget) == namespace_of(pod)
    return same and selects(at(budget, "spec", "selector"), labels_of(pod))


def _scratch(pod: Json) -> bool:
    return any(isinstance(one.get("emptyDir"), dict) for one in each(pod, "spec", "volumes"))


def _lost(leaving: list[Json], scene: Scene) -> Lines:
    """Say what data does not come along, by rule 3."""
    stored = [pod for pod in leaving if _scratch(pod)]
    if stored:
        yield high(f"Local storage (emptyDir) is lost: {some(map(_named, stored))}", "local data is lost")
    pinned = [pod for pod in leaving if any(isinstance(v.get("hostPath"), dict) for v in each(pod, "spec", "volumes"))]
    if pinned:
        yield Line(f"Data in hostPath stays on the node: {some(map(_named, pinned))}")
    local = {
        (at(volume, "spec", "claimRef", "namespace"), at(volume, "spec", "claimRef", "name"))
        for volume in scene.of("PersistentVolume")
        if at(volume, "spec", "local") is not None or at(volume, "spec", "hostPath") is not None
    }
    tied = [
        pod
        for pod in leaving
        for volume in each(pod, "spec", "volumes")
        if (namespace_of(pod), at(volume, "persistentVolumeClaim", "claimName")) in local
    ]
    if tied:
        yield high(
            f"On a local volume of this node, can start nowhere else: {some(map(_named, tied))}",
            "a pod is tied to the node by its volume",
        )


def _elsewhere(leaving: list[Json], scene: Scene) -> Lines:
    """Say whether the pods find another node, by rule 4."""
    if not (scene.knows("Node") and scene.knows("Pod")):
        return
    drained = {str(at(pod, "spec", "nodeName")) for pod in leaving}
    nodes = [node for node in scene.of("Node") if name_of(node) not in drained]
    moving = [pod for pod in leaving if controller(pod) is not None]
    free, nowhere = left(nodes, scene.of("Pod")), []
    open_: set[str] = set()
    for pod in moving:
        spec = members(pod, "spec")
        open_ |= {name_of(node) for node in nodes if takes(node, spec)}
        found = [free[name_of(node)] for node in nodes if takes(node, spec) and free[name_of(node)].holds(spec)]
        if not found:
            nowhere.append(pod)
            continue
        best = max(found, key=lambda room: (room.memory, room.cpu))
        free[best.node] = best.less(spec)
    if nowhere:
        yield high(
            f"NO ROOM elsewhere for {some(map(_named, nowhere))} (an estimate by requests): Pending",
            "the other nodes have no room for all of its pods",
        )
    elif moving:
        yield Line(f"Room for all {len(moving)} on {plural(len(open_), 'other node')} (an estimate by requests)")
