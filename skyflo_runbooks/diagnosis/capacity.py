"""What the nodes have left, as the scheduler counts: allocatable minus the requests of the pods on them.

A node counts for a pod if it is Ready, not cordoned, has every label of the pod's nodeSelector, and no taint that keeps
the pod away. Affinity, topology spread and volumes are not counted: the figures are an upper bound, and say so.
Where the other namespaces' pods were not read the answer is None: unknown.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, carries
from skyflo_runbooks.diagnosis.pods import condition, finished, labels_of, name_of, pod_request, quantity
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
    memory, cpu, places = _taken(graph, {id(pod) for pod in without})
    return tuple(
        Room(
            node=name_of(node),
            memory=_allocatable(node, "memory") - memory[name_of(node)],
            cpu=_allocatable(node, "cpu") - cpu[name_of(node)],
            places=int(_allocatable(node, "pods") or 110) - places[name_of(node)],
            allocatable_memory=_allocatable(node, "memory"),
            allocatable_cpu=_allocatable(node, "cpu"),
        )
        for node in graph.all("Node")
        if takes(node, pod_spec)
    )


def _taken(graph: Graph, gone: set[int]) -> tuple[dict[str, Decimal], dict[str, Decimal], dict[str, int]]:
    memory: dict[str, Decimal] = defaultdict(Decimal)
    cpu: dict[str, Decimal] = defaultdict(Decimal)
    places: dict[str, int] = defaultdict(int)
    for load in graph.snapshot.elsewhere or ():
        memory[load.node] += load.memory
        cpu[load.node] += Decimal(str(load.cpu))
        places[load.node] += load.pods
    for pod in graph.all("Pod"):
        node = str(at(pod, "spec", "nodeName", default=""))
        if node and id(pod) not in gone and not finished(pod):
            spec = at(pod, "spec", default={})
            memory[node] += pod_request(spec, "memory")
            cpu[node] += pod_request(spec, "cpu")
            places[node] += 1
    return memory, cpu, places


def _allocatable(node: Json, resource: str) -> Decimal:
    return quantity(at(node, "status", "allocatable", resource, default="0")) or Decimal(0)


def takes(node: Json, pod_spec: Json) -> bool:
    """Return whether the scheduler would consider this node for the pod, by the rules above."""
    if at(node, "spec", "unschedulable", default=False) or condition(node, "Ready").get("status") != "True":
        return False
    if not carries(labels_of(node), at(pod_spec, "nodeSelector", default={})):
        return False
    taints = [taint for taint in at(node, "spec", "taints", default=[]) if taint.get("effect") != "PreferNoSchedule"]
    tolerations = at(pod_spec, "tolerations", default=[])
    return all(any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)


def _tolerates(toleration: Json, taint: Json) -> bool:
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
