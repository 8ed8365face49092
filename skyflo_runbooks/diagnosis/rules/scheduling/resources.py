"""What nodes lack: SCH-02 (CPU or memory), SCH-03 (an extended resource), SCH-09 (places for pods).

Which request is too large, and how much is left, is computed from the nodes and the pods on them.
"""

from collections.abc import Iterator
from decimal import Decimal

from skyflo_runbooks.diagnosis.capacity import Room, rooms
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import Resource, each, name_of, pod_request, quantity, request
from skyflo_runbooks.diagnosis.rules.base import Rule, changeable, deployed, evidence, services
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import EXTENDED, Waiting, asks, waiting
from skyflo_runbooks.diagnosis.snapshot import Usage
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_cpu, format_memory

# SCH-02 ---------------------------------------------------------------------------------------------------------------


def insufficient(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods ask for more CPU, memory or disk than any node has left."""
    for found in waiting(graph, "cpu", "memory"):
        yield _finding(graph, found, "memory" if found.reason == "memory" else "cpu")
    yield from _lacking(graph, disk=True)


def _finding(graph: Graph, found: Waiting, resource: Resource) -> Finding:
    workload, pod, spec = found.workload, found.pod, found.spec
    asked = pod_request(spec, resource)
    container = _largest(pod, resource)
    left = rooms(graph, spec)
    facts = {
        "resource": resource,
        "container": str(container.get("name", "")),
        "request": _written(request(container, resource), resource),
        "pod_request": _written(asked, resource),
        "pods": str(len(found.told)),
    } | _use_facts(graph, workload, str(container.get("name", "")), resource)
    certain = bool(left) and all(_free(room, resource) < asked for room in left or ())
    return Finding(
        fault="SCH-02",
        title=f"{found.wait}: {facts['pod_request']} {resource} are not left",
        object=ref(workload),
        confidence=0.95 if certain else 0.8,
        evidence=tuple(_evidence(graph, found, left, resource)),
        facts=facts if changeable(graph, pod) else {},
        related=(*found.refs(), *services(graph, workload)),
        advice="" if changeable(graph, pod) else f"The requests of {ref(workload)} cannot be edited in place.",
    )


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


def _evidence(graph: Graph, found: Waiting, left: tuple[Room, ...] | None, resource: Resource) -> Iterator[Evidence]:
    workload, pod = found.workload, found.pod
    yield from found.evidence()
    now = graph.snapshot.time
    for container in each(pod, "spec", "containers"):
        text = f"requests {_written(request(container, resource), resource)} {resource}"
        yield evidence(workload, f"template of container {container.get('name')}", now, text)
    by_name = {name_of(node): node for node in graph.all("Node")}
    for room in sorted(left or (), key=lambda item: _free(item, resource), reverse=True)[:5]:
        whole = room.allocatable_memory if resource == "memory" else room.allocatable_cpu
        free = _written(max(_free(room, resource), Decimal(0)), resource)
        text = f"{free} {resource} not requested, of {_written(whole, resource)} allocatable"
        yield evidence(by_name[room.node], "requests of its pods", now, text)
    peak = _peak(graph, workload, str(_largest(pod, resource).get("name")), resource)
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


# SCH-03 ---------------------------------------------------------------------------------------------------------------


def extended_resource(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload that asks for a resource that no node has left: a GPU, huge pages."""
    yield from _lacking(graph, disk=False)


def _lacking(graph: Graph, *, disk: bool) -> Iterator[Finding]:
    for found in waiting(graph, "extended"):
        named = EXTENDED.search(found.told[0].message)
        resource = named.group(1) if named else ""
        container = next((c for c in each(found.pod, "spec", "containers") if _asks(c, resource)), {})
        if not _asks(container, resource) or disk is not (resource == "ephemeral-storage"):
            continue
        have = {
            name_of(node): str(at(node, "status", "allocatable", resource, default="0")) for node in graph.all("Node")
        }
        owners = [name for name, amount in have.items() if (quantity(amount) or 0) > 0]
        asked, wanted = _asks(container, resource), asks(found.spec, resource)
        enough = [name for name in owners if (quantity(have[name]) or 0) >= wanted]
        most = max((have[name] for name in owners), key=lambda one: quantity(one) or Decimal(0), default="0")
        lack = (
            f"all of it is taken on {', '.join(enough[:3])}"
            if enough
            else f"no node has more than {most}"
            if owners
            else "no node has any"
        )
        yield Finding(
            fault="SCH-02" if disk else "SCH-03",
            title=f"{found.wait}: {asked} {resource} wanted, {lack}",
            object=ref(found.workload),
            confidence=0.85 if enough else 0.95,
            evidence=(*found.evidence(), *_extended_evidence(graph, found, container, resource, have)),
            facts={} if disk else {"container": str(container.get("name", "")), "resource": resource, "request": asked},
            related=(*found.refs(), *services(graph, found.workload)),
            advice="Ask for what it writes there, or give it a volume: this is the node's own disk."
            if disk
            else (
                f"Nothing that could be read says that {ref(found.workload)} works without {resource}. If it does, "
                "take the request away; if not, add a node that has it, or look at its device plugin."
            ),
        )


def _asks(container: Json, resource: str) -> str:
    for kind in ("requests", "limits"):
        held = at(container, "resources", kind, default={})
        if isinstance(held, dict) and resource in held:
            return str(held[resource])
    return ""


def _extended_evidence(
    graph: Graph, found: Waiting, container: Json, resource: str, have: dict[str, str]
) -> Iterator[Evidence]:
    now = graph.snapshot.time
    text = f"asks for {_asks(container, resource)} {resource}"
    yield evidence(found.workload, f"template of container {container.get('name')}", now, text)
    for node in graph.all("Node")[:5]:
        yield evidence(node, "status.allocatable", now, f"{resource}: {have[name_of(node)]}")


# SCH-09 ---------------------------------------------------------------------------------------------------------------


def no_places(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods wait because the nodes run as many pods as they may."""
    for found in waiting(graph, "places"):
        left = rooms(graph, found.spec) or ()
        yield Finding(
            fault="SCH-09",
            title=f"{found.wait}: the nodes that they could use run as many pods as they may",
            object=ref(found.workload),
            confidence=0.95 if left and all(room.places <= 0 for room in left) else 0.85,
            evidence=(*found.evidence(), *_place_evidence(graph)),
            facts={"pods": str(len(found.told)), "places": str(sum(max(0, room.places) for room in left))},
            related=(*found.refs(), *services(graph, found.workload)),
            advice="Scale something down that is not needed, or add a node; a node's limit on pods is its kubelet's.",
        )


def _place_evidence(graph: Graph) -> Iterator[Evidence]:
    for node in graph.all("Node")[:5]:
        allowed = at(node, "status", "allocatable", "pods", default="?")
        count = graph.reserved.get(name_of(node))
        taken = count.pods if count and graph.snapshot.elsewhere is not None else "an unknown number"
        yield evidence(node, "status.allocatable", graph.snapshot.time, f"{taken} of {allowed} pods")


RULES = (
    Rule(fault="SCH-02", needs=("Pod",), find=insufficient),
    Rule(fault="SCH-03", needs=("Pod", "Node"), find=extended_resource),
    Rule(fault="SCH-09", needs=("Pod", "Node"), find=no_places),
)

__all__ = ["RULES", "extended_resource", "insufficient", "no_places"]
