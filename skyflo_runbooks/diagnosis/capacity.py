"""What the nodes have left, as the scheduler counts: allocatable minus the requests of the pods on them.

A node counts for a pod if it is Ready, not cordoned, satisfies the pod's nodeSelector and required node affinity, and
has no taint that keeps the pod away. Pod affinity, topology spread and volumes are not counted: the figures are an
upper bound, and say so.
Where the other namespaces' pods were not read the answer is None: unknown.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, Reserved, carries, reserved
from skyflo_runbooks.diagnosis.pods import condition, each, labels_of, name_of, quantity, texts
from skyflo_runbooks.model.json import Json, at

Refusal = Literal["ill", "cordon", "selector", "taint"]
# What a node that is cordoned is tainted with as well, and one that is ill.
_CORDONED = "node.kubernetes.io/unschedulable"


class Room(msgspec.Struct, frozen=True):
    """What one node has left for pods: memory in bytes, CPU in cores, and places."""

    node: str
    memory: Decimal
    cpu: Decimal
    places: int
    allocatable_memory: Decimal
    allocatable_cpu: Decimal


def rooms(
    graph: Graph, pod_spec: Json, *, without: Iterable[Json] = (), every: bool = False
) -> tuple[Room, ...] | None:
    """Return what each node that would take such a pod has left, as if the pods in `without` were gone.

    With `every`, each node, whether it would take the pod or not.
    """
    if not graph.all("Node") or graph.snapshot.elsewhere is None or graph.snapshot.gaps_in("Node", "Pod"):
        return None
    gone = reserved(without)
    found: list[Room] = []
    for node in graph.all("Node"):
        if every or takes(node, pod_spec):
            name = name_of(node)
            taken, back = graph.reserved.get(name, Reserved()), gone.get(name, Reserved())
            memory, cpu = allocatable(node, "memory"), allocatable(node, "cpu")
            places = int(allocatable(node, "pods") or 110) - taken.pods + back.pods
            left = memory - taken.memory + back.memory, cpu - taken.cpu + back.cpu
            found.append(Room(name, *left, places, memory, cpu))
    return tuple(found)


def allocatable(node: Json, resource: str) -> Decimal:
    """Return how much of a resource a node can give to pods, in its base unit."""
    return quantity(at(node, "status", "allocatable", resource, default="0")) or Decimal(0)


def takes(node: Json, pod_spec: Json) -> bool:
    """Return whether the scheduler would consider this node for the pod, by the rules above."""
    return not refusals(node, pod_spec)


def refusals(node: Json, pod_spec: Json) -> tuple[Refusal, ...]:
    """Return why the scheduler would not consider this node for the pod, whatever room it has."""
    found: list[Refusal] = []
    if condition(node, "Ready").get("status") != "True":
        found.append("ill")
    if at(node, "spec", "unschedulable", default=False):
        found.append("cordon")
    if not chosen(node, pod_spec):
        found.append("selector")
    if untolerated(node, pod_spec):
        found.append("taint")
    return tuple(found)


def untolerated(node: Json, pod_spec: Json) -> list[Json]:
    """Return the node's taints that keep the pod away, without the one that a cordon brings."""
    tolerations = each(pod_spec, "tolerations")
    return [
        taint
        for taint in each(node, "spec", "taints")
        if taint.get("effect") != "PreferNoSchedule"
        and taint.get("key") != _CORDONED
        and not any(tolerates(toleration, taint) for toleration in tolerations)
    ]


def written(taint: Json) -> str:
    """Return a taint as kubectl writes it: `dedicated=gpu:NoSchedule`."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key', '')}{value}:{taint.get('effect', '')}"


def chosen(node: Json, pod_spec: Json) -> bool:
    """Return whether the node satisfies the pod's nodeSelector and its required node affinity."""
    if not carries(labels_of(node), texts(pod_spec, "nodeSelector")):
        return False
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = each(pod_spec, "affinity", "nodeAffinity", required, "nodeSelectorTerms")
    return not terms or any(_term(node, term) for term in terms)


def _term(node: Json, term: Json) -> bool:
    """Return whether a node matches all expressions of a term; a term without any matches nothing."""
    expressions, fields = each(term, "matchExpressions"), each(term, "matchFields")
    if not expressions and not fields:
        return False
    named = {"metadata.name": name_of(node)}
    return all(expressed(labels_of(node), one) for one in expressions) and all(expressed(named, one) for one in fields)


def expressed(labels: dict[str, str], expression: Json) -> bool:
    """Return whether labels satisfy one expression of a node or label selector.

    Source: k8s.io/apimachinery/pkg/labels/selector.go, Requirement.Matches.
    """
    key, operator = str(expression.get("key", "")), expression.get("operator")
    values = [str(value) for value in expression.get("values") or []]
    held = labels.get(key)
    if operator == "Exists":
        return held is not None
    if operator == "DoesNotExist":
        return held is None
    if operator == "In":
        return held in values
    if operator == "NotIn":
        return held is None or held not in values
    numbers = [held, *values[:1]]
    if held is None or len(numbers) < 2 or not all(str(number).lstrip("-").isdigit() for number in numbers):
        return False
    return int(held) > int(values[0]) if operator == "Gt" else int(held) < int(values[0])


def tolerates(toleration: Json, taint: Json) -> bool:
    """Return whether a toleration tolerates a taint."""
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
