"""Families I and J, nodes and deletion: NOD-01 to NOD-04, DEL-01, DEL-02, DEL-03.

Source of the evidence: the node's conditions (Ready=Unknown once its lease is stale), the reason Evicted of a failed
pod, the event FailedCreatePodSandBox, and for what is being deleted its deletionTimestamp, its finalizers, and for a
namespace its conditions.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import condition, containers, leaving, name_of, namespace_of, quantity, ready
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, event_time, evidence, overcome, services
from skyflo_runbooks.diagnosis.rules.evictions import Eviction, evictions
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import for_node
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.diagnosis.symptoms import booting
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
_NETWORK = re.compile(r"(?i)cni|network plugin|no IP addresses available|failed to (?:set ?up|allocate).*network")
# A deletion that has not ended after so many seconds does not end by itself.
_STUCK = 60.0
# What the kubelet writes to a pod that it evicts: k8s.io/kubernetes/pkg/kubelet/eviction/helpers.go.
_EVICTED = re.compile(
    r"The node was low on resource: (?P<resource>[a-z-]+)\. Threshold quantity: (?P<threshold>[^,]+), "
    r"available: (?P<left>\S+?)\."
)
# The defaults evict below 100Mi of memory and 10 to 15 % of a disk.
_SANE = Decimal("0.4")
_GRACE = 30
# Controllers that every cluster has take these away when they are done: dependents, a cloud's load balancer.
_IN_TIME = {
    "foregroundDeletion",
    "orphan",
    "service.kubernetes.io/load-balancer-cleanup",
    "service.k8s.aws/resources",
    "ingress.k8s.aws/resources",
    "external-provisioner.volume.kubernetes.io/finalizer",
}
# In use: a claim goes with its pod, a volume with its claim.
_IN_USE = (["kubernetes.io/pvc-protection"], ["kubernetes.io/pv-protection"])
_AT_WORK = 600.0


def node_not_ready(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each node that is not Ready while pods of here are on it or wait for it."""
    for node in graph.all("Node"):
        said = condition(node, "Ready")
        if not said or said.get("status") == "True" or booting(graph, node):
            continue
        on_it = [pod for pod in graph.all("Pod") if at(pod, "spec", "nodeName") == name_of(node)]
        suffering = {ref(culprit(graph, pod)): None for pod in on_it if not ready(pod) or leaving(pod)}
        suffering |= {ref(workload): None for workload in for_node(graph, node)}
        state = "does not answer" if said.get("status") == "Unknown" else "is not Ready"
        yield Finding(
            fault="NOD-01",
            title=f"{ref(node)} {state}: {said.get('message') or said.get('reason')}",
            object=ref(node),
            confidence=0.95,
            evidence=(
                evidence(
                    node,
                    "condition Ready",
                    str(said.get("lastTransitionTime", "")),
                    f"{said.get('status')}: {said.get('message')}",
                ),
                evidence(node, "pods", graph.snapshot.time, f"{len(on_it)} pods that were read are on it"),
            ),
            facts={"node": name_of(node)} if not at(node, "spec", "unschedulable", default=False) else {},
            related=tuple(ref(pod) for pod in on_it[:20]),
            explains=(ref(node), *suffering),
            advice="The node itself is repaired where it runs (machine, kubelet, network). Its pods are replaced "
            "elsewhere after five minutes; those of a StatefulSet only once the node is known to be dead.",
        )


def pressure(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each node under pressure that evicts pods, or that keeps them away."""
    evicted: dict[str, list[Eviction]] = defaultdict(list)
    for eviction in evictions(graph):
        evicted[str(at(eviction.pod, "spec", "nodeName", default=""))].append(eviction)
    for node in graph.all("Node"):
        held = [kind for kind in _PRESSURES if condition(node, kind).get("status") == "True"]
        if not held:
            continue
        gone = evicted.get(name_of(node), [])
        owners = {ref(culprit(graph, eviction.pod)): None for eviction in gone}
        owners |= {ref(workload): None for workload in for_node(graph, node)}
        yield Finding(
            fault="NOD-02",
            title=f"{ref(node)} is under {', '.join(held)}" + (f" and evicted {len(gone)} pods" if gone else ""),
            object=ref(node),
            confidence=0.9,
            evidence=(
                *(
                    evidence(
                        node, f"condition {kind}", str(condition(node, kind).get("lastTransitionTime", "")), "True"
                    )
                    for kind in held
                ),
                *(eviction.cited() for eviction in gone[:3]),
            ),
            related=tuple(ref(eviction.pod) for eviction in gone),
            explains=(ref(node), *owners),
            advice="Give the pods on it requests and limits that reflect what they use, or clear space on the node.",
        )


def no_sandbox(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each node whose network plug-in cannot start pods."""
    told: dict[str, list[tuple[Json, str, str]]] = defaultdict(list)
    for pod, event in graph.told("Pod", "FailedCreatePodSandBox"):
        message = str(event.get("message", ""))
        later = any(overcome(container, event_time(event)) for container in containers(pod))
        if _NETWORK.search(message) and not ready(pod) and not later:
            told[str(at(pod, "spec", "nodeName", default=""))].append((pod, event_time(event), message))
    for name, items in told.items():
        owners = {ref(culprit(graph, pod)): None for pod, _, _ in items}
        yield Finding(
            fault="NOD-03",
            title=f"Node/{name} cannot give new pods a network: {items[-1][2][-140:]}",
            object=ObjectRef("Node", name),
            confidence=0.9,
            evidence=tuple(evidence(pod, "event FailedCreatePodSandBox", when, text) for pod, when, text in items[-3:]),
            related=tuple(ref(pod) for pod, _, _ in items),
            explains=tuple(owners),
            advice="Restart the network plug-in's pod on that node; where addresses are used up, enlarge its range.",
        )


def evicts_too_soon(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each node whose kubelet evicts pods while much of what it watches is free."""
    nodes, told = {name_of(node): node for node in graph.all("Node")}, set()
    for eviction in evictions(graph):
        pod, said = eviction.pod, _EVICTED.search(eviction.said)
        node = nodes.get(str(at(pod, "spec", "nodeName", default="")))
        if said is None or node is None or name_of(node) in told:
            continue
        threshold, left = quantity(said["threshold"]), quantity(said["left"])
        whole = quantity(at(node, "status", "capacity", said["resource"], default=""))
        if not threshold or not whole or threshold < _SANE * whole:
            continue
        told.add(name_of(node))
        share = f"{100 * threshold / whole:.0f} % of its {said['resource']}"
        yield Finding(
            fault="NOD-04",
            title=f"The kubelet of {ref(node)} evicts pods as soon as less than {share} is free",
            object=ref(node),
            confidence=0.93,
            evidence=(
                eviction.cited(said.group(0)),
                evidence(node, "status.capacity", graph.snapshot.time, f"{said['resource']} {whole}, {left} were free"),
            ),
            related=(ref(pod),),
            explains=(ref(node), ref(culprit(graph, pod))),
            advice="Set evictionHard (and evictionSoft) in the node's kubelet configuration to what it is elsewhere "
            "(100Mi of memory, 10 % of a disk by default), and restart the kubelet.",
        )


# Deletion -------------------------------------------------------------------------------------------------------------


def _age(graph: Graph, manifest: Json) -> float:
    when = str(at(manifest, "metadata", "deletionTimestamp", default=""))
    return seconds_between(when, graph.snapshot.time) or 0.0


def namespace_stuck(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each namespace that does not finish its deletion, with what blocks it."""
    for space in graph.all("Namespace"):
        if not leaving(space) or _age(graph, space) < _STUCK / 4:
            continue
        blocking = [
            (kind, said)
            for kind in (
                "NamespaceDeletionDiscoveryFailure",
                "NamespaceDeletionGroupVersionParsingFailure",
                "NamespaceDeletionContentFailure",
                "NamespaceFinalizersRemaining",
                "NamespaceContentRemaining",
            )
            if (said := condition(space, kind)).get("status") == "True"
        ]
        if not blocking:
            continue
        here = [
            item for items in graph.snapshot.objects.values() for item in items if namespace_of(item) == name_of(space)
        ]
        held = [item for item in here if leaving(item) and at(item, "metadata", "finalizers")]
        down = [item for item in graph.all("APIService") if condition(item, "Available").get("status") == "False"]
        by_discovery = blocking[0][0] == "NamespaceDeletionDiscoveryFailure"
        yield Finding(
            fault="DEL-01",
            title=f"{ref(space)} does not finish its deletion: {str(blocking[0][1].get('message', ''))[:200]}",
            object=ref(down[0]) if by_discovery and down else ref(space),
            confidence=0.92,
            evidence=tuple(
                evidence(
                    space, f"condition {kind}", str(said.get("lastTransitionTime", "")), str(said.get("message", ""))
                )
                for kind, said in blocking
            ),
            related=tuple(ref(item) for item in held[:10]),
            explains=(ref(space), *(ref(item) for item in held)),
            advice="Remove what blocks it first: the finalizer's owner, or the API that does not answer. Its own "
            "finalizer is never stripped: what it guards would be left behind.",
        )


def finalizer_stuck(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each object whose deletion waits for a finalizer that nobody removes."""
    spaces = {name_of(space) for space in graph.all("Namespace") if leaving(space)}
    for kind, items in graph.snapshot.objects.items():
        for item in items if kind not in ("Pod", "Event", "Namespace") else ():
            names = [str(name) for name in at(item, "metadata", "finalizers", default=[]) or []]
            if not leaving(item) or not names or _age(graph, item) < _STUCK / 4 or namespace_of(item) in spaces:
                continue
            when = str(at(item, "metadata", "deletionTimestamp"))
            if names in _IN_USE:
                continue
            if _age(graph, item) < _AT_WORK and set(names) <= _IN_TIME:
                continue
            yield Finding(
                fault="DEL-02",
                title=f"{ref(item)} is not deleted: it waits for the finalizer {', '.join(names)}",
                object=ref(item),
                confidence=0.88,
                evidence=(
                    evidence(item, "metadata.deletionTimestamp", when, when),
                    evidence(item, "metadata.finalizers", graph.snapshot.time, ", ".join(names)),
                ),
                facts={"finalizer": names[0]},
                explains=(ref(item),),
                advice=f"Find what should remove {names[0]} (its controller, or a right that it lacks) and restore "
                "that. Strip the finalizer only as the last step: what it guards is then left behind.",
            )


def pod_stuck(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each pod that is long past its grace and still there, because its node is gone."""
    nodes = {name_of(node): condition(node, "Ready").get("status") == "True" for node in graph.all("Node")}
    for pod in graph.all("Pod"):
        if not leaving(pod):
            continue
        grace = at(pod, "metadata", "deletionGracePeriodSeconds", default=_GRACE)
        node = str(at(pod, "spec", "nodeName", default=""))
        late = _age(graph, pod) > _STUCK + (grace if isinstance(grace, int) else _GRACE)
        finalizers = at(pod, "metadata", "finalizers", default=[])
        if not late or not node or (nodes.get(node, False) and not finalizers):
            continue
        if node in nodes and not finalizers:
            continue  # the node itself is the cause, and it is there to be named
        why = f"its node {node} is gone" if node not in nodes else f"it waits for the finalizer {', '.join(finalizers)}"
        yield Finding(
            fault="DEL-03",
            title=f"{ref(pod)} does not go: {why}",
            object=ref(pod),
            confidence=0.9,
            evidence=(
                evidence(
                    pod, "metadata.deletionTimestamp", str(at(pod, "metadata", "deletionTimestamp")), "past its grace"
                ),
                evidence(
                    pod, "spec.nodeName", graph.snapshot.time, f"{node}: {'there' if node in nodes else 'no such node'}"
                ),
            ),
            related=services(graph, culprit(graph, pod)),
            explains=(ref(pod), ref(culprit(graph, pod)), *services(graph, culprit(graph, pod))),
            advice="Force its deletion only once the node is known to be dead: two pods of one StatefulSet identity "
            "can damage data.",
        )


RULES = (
    Rule(fault="NOD-01", needs=("Node", "Pod"), find=node_not_ready),
    Rule(fault="NOD-02", needs=("Node", "Pod"), find=pressure),
    Rule(fault="NOD-03", needs=("Pod", "Event"), find=no_sandbox),
    Rule(fault="NOD-04", needs=("Node", "Pod"), find=evicts_too_soon),
    Rule(fault="DEL-01", needs=("Pod",), find=namespace_stuck),
    Rule(fault="DEL-02", needs=("Pod",), find=finalizer_stuck),
    Rule(fault="DEL-03", needs=("Pod", "Node"), find=pod_stuck),
)

__all__ = ["RULES"]
