"""What the nodes have left, as the scheduler counts: allocatable minus the requests of the pods on them.

A node counts for a pod if it is Ready, not cordoned, has every label of the pod's nodeSelector, and no taint that keeps
the pod away. Affinity, topology spread and volumes are not counted: the figures are an upper bound, and say so.
Where the other namespaces' pods were not read the answer is None: unknown.
"""

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, Reserved, carries, reserved
from skyflo_runbooks.diagnosis.pods import condition, each, labels_of, name_of, quantity, texts
from skyflo_runbooks.model.json import Json, at


class Room(msgspec.Struct, frozen=True):
    """What one node has left for pods: memory in bytes, CPU in cores, and places."""

    node: str
    memory: Decimal
    cpu: Decimal
    places: int
    allocatable_memory: Decimal
    allocatable_cpu: Decimal


def rooms(graph: Graph, pod_spec: Json, *, without: Iterable[Json] = ()) -> tuple[Room, ...] | None:
    """Return what each node that would take such a pod has left, as if the pods in `without` were gone."""
    if not graph.all("Node") or graph.snapshot.elsewhere is None or graph.snapshot.gaps_in("Node", "Pod"):
        return None
    gone = reserved(without)
    found: list[Room] = []
    for node in graph.all("Node"):
        if takes(node, pod_spec):
            name = name_of(node)
            taken, back = graph.reserved.get(name, Reserved()), gone.get(name, Reserved())
            memory, cpu = _allocatable(node, "memory"), _allocatable(node, "cpu")
            places = int(_allocatable(node, "pods") or 110) - taken.pods + back.pods
            left = memory - taken.memory + back.memory, cpu - taken.cpu + back.cpu
            found.append(Room(name, *left, places, memory, cpu))
    return tuple(found)


def _allocatable(node: Json, resource: str) -> Decimal:
    return quantity(at(node, "status", "allocatable", resource, default="0")) or Decimal(0)


def takes(node: Json, pod_spec: Json) -> bool:
    """Return whether the scheduler would consider this node for the pod, by the rules above."""
    if at(node, "spec", "unschedulable", default=False) or condition(node, "Ready").get("status") != "True":
        return False
    if not carries(labels_of(node), texts(pod_spec, "nodeSelector")):
        return False
    taints = [taint for taint in each(node, "spec", "taints") if taint.get("effect") != "PreferNoSchedule"]
    tolerations = each(pod_spec, "tolerations")
    return all(any(tolerates(toleration, taint) for toleration in tolerations) for taint in taints)


def tolerates(toleration: Json, taint: Json) -> bool:
    """Return whether a toleration lets a pod onto a node with this taint."""
    # Source: k8s.io/component-helpers/scheduling/corev1/helpers.go, ToleratesTaint.
    if toleration.get("effect") and toleration.get("effect") != taint.get("effect"):
        return False
    if toleration.get("key") and toleration.get("key") != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def holds(found: Iterable[Room], *, cpu: Decimal, memory: Decimal) -> int:
    """Return how many pods of this size (cores, bytes) the rooms hold together."""
    total = 0
    for room in found:
        bounds = [room.places]
        if memory > 0:
            bounds.append(int(room.memory // memory))
        if cpu > 0:
            bounds.append(int(room.cpu // cpu))
        total += max(0, min(bounds))
    return total
