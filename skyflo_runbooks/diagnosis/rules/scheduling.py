"""Family A, scheduling: SCH-02.

Source of the evidence: a pod that finds no node has the condition PodScheduled=False, reason Unschedulable, whose
message counts the nodes by reason (`0/3 nodes are available: 3 Insufficient cpu. …`); the event FailedScheduling says
the same. Which request is too large, and how much is left, is computed from the nodes and the pods on them.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from skyflo_runbooks.diagnosis.capacity import Room, rooms
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import (
    Resource,
    condition,
    each,
    finished,
    leaving,
    name_of,
    pod_request,
    request,
)
from skyflo_runbooks.diagnosis.rules.base import (
    Rule,
    changeable,
    culprit,
    deployed,
    event_time,
    evidence,
    outdated,
    services,
)
from skyflo_runbooks.diagnosis.snapshot import Usage
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import format_cpu, format_memory

_INSUFFICIENT = re.compile(r"(\d+) Insufficient (cpu|memory)\b")
_NODES = re.compile(r"0/(\d+) nodes are available")


def insufficient(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods ask for more CPU or memory than any node has left."""
    groups: dict[ObjectRef, list[tuple[Json, str, str]]] = defaultdict(list)
    for pod in graph.all("Pod"):
        told = unschedulable(graph, pod)
        if told and _INSUFFICIENT.search(told[0]):
            workload = culprit(graph, pod)
            if not outdated(graph, workload, pod):
                groups[ref(workload)].append((pod, *told))
    for owner, told_pods in groups.items():
        found = graph.get(owner)
        if found is not None:
            yield _finding(graph, found, told_pods)


def unschedulable(graph: Graph, pod: Json) -> tuple[str, str] | None:
    """Return the scheduler's message about a pod without a node, and its time; None where the pod has one."""
    if at(pod, "spec", "nodeName") or finished(pod) or leaving(pod):
        return None
    said = condition(pod, "PodScheduled")
    if said.get("status") == "False" and said.get("message"):
        return str(said["message"]), str(said.get("lastTransitionTime", ""))
    events = [event for event in graph.events(pod) if event.get("reason") == "FailedScheduling"]
    newest = max(events, key=event_time, default=None)
    return (str(newest.get("message", "")), event_time(newest)) if newest else None


def _finding(graph: Graph, workload: Json, told: list[tuple[Json, str, str]]) -> Finding:
    pod, message, _ = told[0]
    resource = _resource(message)
    spec = at(pod, "spec", default={})
    asked = pod_request(spec, resource)
    container = _largest(pod, resource)
    left = rooms(graph, spec)
    facts = {
        "resource": resource,
        "container": str(container.get("name", "")),
        "request": _written(request(container, resource), resource),
        "pod_request": _written(asked, resource),
        "pods": str(len(told)),
    } | _use_facts(graph, workload, str(container.get("name", "")), resource)
    certain = bool(left) and all(_free(room, resource) < asked for room in left or ())
    count = "1 pod" if len(told) == 1 else f"{len(told)} pods"
    lack = "finds" if len(told) == 1 else "find"
    return Finding(
        fault="SCH-02",
        title=f"{count} of {ref(workload)} {lack} no node: {facts['pod_request']} {resource} are not left",
        object=ref(workload),
        confidence=0.95 if certain else 0.8,
        evidence=tuple(_evidence(graph, workload, told, left, resource)),
        facts=facts if changeable(graph, pod) else {},
        related=(*(ref(item[0]) for item in told), *services(graph, workload)),
        advice="" if changeable(graph, pod) else f"The requests of {ref(workload)} cannot be edited in place.",
    )


def _resource(message: str) -> Resource:
    """Return the resource that most nodes lack."""
    counts = {str(name): int(count) for count, name in _INSUFFICIENT.findall(message)}
    return "memory" if counts.get("memory", 0) > counts.get("cpu", 0) else "cpu"


def _free(room: Room, resource: Resource) -> Decimal:
    return room.memory if resource == "memory" else room.cpu


def _written(size: Decimal, resource: Resource) -> str:
    return format_memory(size) if resource == "memory" else format_cpu(size)


def _peak(graph: Graph, workload: Json, container: str, resource: Resource) -> tuple[Usage, Decimal] | None:
    """Return the greatest use that was measured among the workload's running pods."""
    measured = [
        (use, Decimal(str(value)))
        for pod in graph.pods(workload)
        for use in graph.usage(pod)
        if use.container == container and (value := use.memory if resource == "memory" else use.cpu) is not None
    ]
    return max(measured, key=lambda item: item[1], default=None)


def _use_facts(graph: Graph, workload: Json, container: str, resource: Resource) -> dict[str, str]:
    peak = _peak(graph, workload, container, resource)
    return {"observed": _written(peak[1], resource)} if peak else {}


def _evidence(
    graph: Graph, workload: Json, told: list[tuple[Json, str, str]], left: tuple[Room, ...] | None, resource: Resource
) -> Iterator[Evidence]:
    for pod, message, when in told[:3]:
        yield evidence(pod, "condition PodScheduled", when, message)
    now = graph.snapshot.time
    for container in each(told[0][0], "spec", "containers"):
        text = f"requests {_written(request(container, resource), resource)} {resource}"
        yield evidence(workload, f"template of container {container.get('name')}", now, text)
    by_name = {name_of(node): node for node in graph.all("Node")}
    for room in sorted(left or (), key=lambda item: _free(item, resource), reverse=True)[:5]:
        whole = room.allocatable_memory if resource == "memory" else room.allocatable_cpu
        free = _written(max(_free(room, resource), Decimal(0)), resource)
        text = f"{free} {resource} not requested, of {_written(whole, resource)} allocatable"
        yield evidence(by_name[room.node], "requests of its pods", now, text)
    peak = _peak(graph, workload, str(_largest(told[0][0], resource).get("name")), resource)
    if peak:
        use, size = peak
        where = f"Pod/{use.namespace}/{use.pod} usage of container {use.container}"
        yield Evidence(source=where, at=use.at or now, text=f"uses {_written(size, resource)} {resource}")
    rolled_out = deployed(graph, workload)
    if rolled_out:
        yield rolled_out


def _largest(pod: Json, resource: Resource) -> Json:
    empty: Json = {}
    return max(each(pod, "spec", "containers"), key=lambda item: request(item, resource), default=empty)


RULES = (Rule(fault="SCH-02", needs=("Pod",), find=insufficient),)

__all__ = ["RULES", "insufficient", "unschedulable"]
