"""Whether the pods of a change are admitted and find a place: quota, limit ranges, room on the nodes. Pure.

Rules:
  1. What a container asks for is its request, else its limit, else what a LimitRange of the namespace sets
     (https://kubernetes.io/docs/concepts/policy/limit-range/).
  2. A quota is held against what it would be at the height of the change: what is used now, what all pods ask for more,
     and the pods that a rollout starts beyond. Neither a quota nor a limit range stops a dry run of a workload: they
     refuse its pods later.
  3. Room is allocatable minus the requests of the pods that are placed, on nodes that are ready, not cordoned, and
     whose labels and taints allow the pod. Affinity, spread and volumes are not counted: an estimate, and it says so.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from skyflo_runbooks.diagnosis.capacity import takes
from skyflo_runbooks.diagnosis.graph import Reserved, reserved
from skyflo_runbooks.diagnosis.pods import each, name_of, pod_request, pod_spec, quantity, texts
from skyflo_runbooks.gateway.impact.change import (
    WORKLOADS,
    Change,
    Line,
    Lines,
    count,
    high,
    medium,
    plural,
    some,
    touched,
)
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.impact.workloads import on_delete, surge_and_unavailable
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.quantity import format_cpu, format_memory

_SUMS = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_SHOWN_ROOM = 100


class Room(msgspec.Struct, frozen=True):
    """What a node has left: memory in bytes, CPU in cores, places for pods."""

    node: str
    memory: Decimal
    cpu: Decimal
    places: int

    def holds(self, spec: Json) -> int:
        """Return how many pods of this specification it holds."""
        bounds = [self.places]
        for left, asked in ((self.memory, pod_request(spec, "memory")), (self.cpu, pod_request(spec, "cpu"))):
            if asked > 0:
                bounds.append(int(left // asked))
        return max(0, min(bounds))

    def less(self, spec: Json) -> "Room":
        """Return what is left after such a pod was placed."""
        memory, cpu = self.memory - pod_request(spec, "memory"), self.cpu - pod_request(spec, "cpu")
        return Room(self.node, memory, cpu, self.places - 1)


def needs(change: Change) -> Iterable[Need]:
    """Quota and limit ranges where pods are asked for anew; nodes and what is placed on them where pods start."""
    if _starts(change):
        yield Need("ResourceQuota", change.namespace)
        yield Need("LimitRange", change.namespace)
        yield Need("Node")
        yield Need("Pod")


def said(change: Change, scene: Scene) -> Impact:
    """Say what the quota, the limit ranges and the nodes make of the pods that start."""
    if not _starts(change):
        return Impact()
    found = list(_all(change, scene))
    return touched(found)


def rooms(nodes: Iterable[Json], pods: Iterable[Json], spec: Json, *, without: Iterable[Json] = ()) -> list[Room]:
    """Return what each node that would take such a pod has left, as if the pods in `without` were gone."""
    return list(left([node for node in nodes if takes(node, spec)], pods, without=without).values())


def left(nodes: Iterable[Json], pods: Iterable[Json], *, without: Iterable[Json] = ()) -> dict[str, Room]:
    """Return what each node has left by its name, whatever pods it takes."""
    taken, back = reserved(pods), reserved(without)
    found = {}
    for node in nodes:
        name = name_of(node)
        used, free = taken.get(name, Reserved()), back.get(name, Reserved())
        memory, cpu = (quantity(at(node, "status", "allocatable", key)) or Decimal(0) for key in ("memory", "cpu"))
        places = int(quantity(at(node, "status", "allocatable", "pods")) or 110)
        rest = memory - used.memory + free.memory, cpu - used.cpu + free.cpu
        found[name] = Room(name, *rest, places - used.pods + free.pods)
    return found


def completed(spec: Json, ranges: Iterable[Json]) -> Json:
    """Return a pod specification with what the limit ranges set for containers that ask for nothing, by rule 1."""
    defaults: dict[str, dict[str, str]] = {"limits": {}, "requests": {}}
    for item in (rule for found in ranges for rule in each(found, "spec", "limits")):
        if item.get("type") == "Container":
            defaults["limits"] |= texts(item, "default")
            defaults["requests"] |= texts(item, "defaultRequest")
    if not (defaults["limits"] or defaults["requests"]):
        return spec
    made = dict(spec)
    for member in ("initContainers", "containers"):
        made[member] = [_with_defaults(one, defaults) for one in each(spec, member)]
    return made


def _with_defaults(container: Json, defaults: dict[str, dict[str, str]]) -> Json:
    own_limits, own_requests = texts(container, "resources", "limits"), texts(container, "resources", "requests")
    limits = {**defaults["limits"], **own_limits}
    # A limit of its own stands for the request before any default does.
    return {
        **container,
        "resources": {"limits": limits, "requests": {**defaults["requests"], **own_limits, **own_requests}},
    }


def _starts(change: Change) -> bool:
    """Whether a change makes pods start, now or at the next occasion."""
    if change.deletes or not change.will:
        return False
    if change.kind == "Pod":
        return change.creates
    return change.kind in WORKLOADS and (change.creates or change.replaces_pods or change.more_pods > 0)


def _all(change: Change, scene: Scene) -> Lines:
    ranges = scene.of("LimitRange", change.namespace)
    yield from _outside(change, ranges)
    yield from _quotas(change, scene, ranges)
    yield from _places(change, scene, ranges)


def _spec(manifest: Json) -> Json:
    found = at(manifest, "spec", default={}) if manifest.get("kind") == "Pod" else pod_spec(manifest)
    return found if isinstance(found, dict) else {}


def _pods(change: Change) -> tuple[int, int, int]:
    """Return how many pods there are, how many are wanted, and how many a rollout starts beyond."""
    if change.kind == "Pod":
        return 0, 1, 0
    beyond = surge_and_unavailable(change.was)[0] if change.replaces_pods and not on_delete(change.was) else 0
    return (count(change.was) if change.was else 0), count(change.will), beyond


def _outside(change: Change, ranges: list[Json]) -> Lines:
    """Say what a limit range refuses."""
    spec = completed(_spec(change.will), ranges)
    for found in ranges:
        for rule in (one for one in each(found, "spec", "limits") if one.get("type") == "Container"):
            for container in each(spec, "containers"):
                for problem in beyond(container, rule):
                    text = f"LimitRange {name_of(found)}: container {container.get('name')} {problem}"
                    yield high(f"{text}: its pods are REFUSED", "a limit range refuses its pods")


def beyond(container: Json, rule: Json) -> Iterator[str]:
    """Say where a container is outside the bounds of a limit range's rule."""
    for bound, group, word in (("max", "limits", "above the most"), ("min", "requests", "below the least")):
        for resource, written in texts(rule, bound).items():
            asked = quantity(at(container, "resources", group, resource))
            edge = quantity(written)
            if asked is not None and edge is not None and (asked > edge if bound == "max" else asked < edge):
                own = at(container, "resources", group, resource)
                yield f"has {group}.{resource} {own}, {word} that is allowed ({written})"


def _quotas(change: Change, scene: Scene, ranges: list[Json]) -> Lines:
    spec, before = completed(_spec(change.will), ranges), completed(_spec(change.was), ranges)
    for quota in scene.of("ResourceQuota", change.namespace):
        name = name_of(quota)
        hard = texts(quota, "status", "hard") or texts(quota, "spec", "hard")
        if at(quota, "spec", "scopes") or at(quota, "spec", "scopeSelector"):
            yield Line(f"Quota {name} counts only some pods (scopes); it is not computed here")
            continue
        for key, limit in hard.items():
            yield from _quota(name, key, limit, quota, change, before, spec)


def _quota(name: str, key: str, limit: str, quota: Json, change: Change, before: Json, spec: Json) -> Lines:
    key = key if "." in key or key == "pods" else f"requests.{key}"
    if key not in _SUMS and key != "pods":
        return
    if bare := silent_about(spec, key):
        text = f"Quota {name} wants {key} of every container, and {some(bare)} has none: its pods are REFUSED"
        yield high(text, "the quota refuses its pods")
        return
    was, will, beyond = _pods(change)
    each_was, each_will = _ask(before, key), _ask(spec, key)
    more = each_will * will - each_was * was
    used, most = quantity(at(quota, "status", "used", key, default=_short(quota, key))), quantity(limit)
    if used is None or most is None or more + each_will * beyond <= 0:
        return
    peak = used + max(more, Decimal(0)) + each_will * beyond
    if peak <= most and more <= 0:
        return
    show = format_memory if key.endswith("memory") else format_cpu
    fits = "fits" if peak <= most else "DOES NOT FIT"
    text = f"Quota {name}: {key} up to {show(peak)} of {limit}{' during the rollout' if beyond else ''}, {fits}"
    yield Line(text, None if peak <= most else ("high", "the quota would be exceeded"))


def _short(quota: Json, key: str) -> object:
    """Return what is used under a key's short name (`cpu` is `requests.cpu`), else none."""
    return at(quota, "status", "used", key.removeprefix("requests."), default="0")


def _ask(spec: Json, key: str) -> Decimal:
    if key == "pods":
        return Decimal(1)
    group, resource = key.split(".")
    if group == "requests":
        return pod_request(spec, "memory" if resource == "memory" else "cpu")
    return sum(
        (quantity(at(c, "resources", group, resource)) or Decimal(0) for c in each(spec, "containers")), Decimal(0)
    )


def silent_about(spec: Json, key: str) -> list[str]:
    """Return the containers that do not say what a quota demands of each; `key` as in `requests.memory`."""
    if key not in _SUMS:
        return []
    group, resource = key.split(".")
    places = (group,) if group == "limits" else ("requests", "limits")
    return [
        f"container {one.get('name')}"
        for one in each(spec, "containers")
        if all(quantity(at(one, "resources", place, resource)) is None for place in places)
    ]


def _places(change: Change, scene: Scene, ranges: list[Json]) -> Lines:
    """Say whether the pods that start beyond those of today find a node, by rule 3."""
    was, will, beyond = _pods(change)
    wanted = max(will - was, 0) + beyond
    if not (scene.knows("Node") and scene.knows("Pod")) or change.kind == "DaemonSet" or not wanted:
        return
    spec = completed(_spec(change.will), ranges)
    found = rooms(scene.of("Node"), scene.of("Pod"), spec)
    free = sum(room.holds(spec) for room in found)
    if not found:
        yield high(
            "NO NODE takes such a pod: ready, not cordoned, with the labels and without the taints",
            "no node takes its pods",
        )
    elif free < wanted:
        yield from _short_of_room(change, wanted, free)
    else:
        number = f"{free}" if free < _SHOWN_ROOM else f"more than {_SHOWN_ROOM}"
        yield Line(f"Room for {number} such pods on the nodes, {wanted} needed (an estimate by requests)")


def _short_of_room(change: Change, wanted: int, free: int) -> Lines:
    text = f"NO ROOM on the nodes for {wanted - free} of {plural(wanted, 'pod')} beyond those of today"
    if change.replaces_pods and change.more_pods <= 0 and surge_and_unavailable(change.was)[1]:
        yield medium(
            f"{text}: they wait until old ones are gone (an estimate by requests)",
            "the nodes have no room for the pods of the rollout beside the old ones",
        )
    else:
        stuck = ": the rollout would not move" if change.replaces_pods and not free else ": they stay Pending"
        spec = _spec(change.will)
        if (urgent := spec.get("priorityClassName")) and spec.get("preemptionPolicy") != "Never":
            stuck = f": pods of a lower priority than {urgent} are DRIVEN OFF for them, as far as there are any"
        yield high(f"{text}{stuck} (an estimate by requests)", "the nodes have no room for its pods")
