"""Family F, which pods a Service reaches: NET-03 and NET-05.

Sources of the evidence: the pods that `spec.selector` chooses and the workloads that made them; `internalTrafficPolicy`
beside the nodes on which clients and ready endpoints are (https://kubernetes.io/docs/concepts/services-networking/
service-traffic-policy/). A Service in front of two workloads is no fault by itself (a canary, blue and green): a
stranger runs other images, and either has no port that the Service sends to, or is another Service's own.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, carries, ref, selector
from skyflo_runbooks.diagnosis.pods import (
    containers,
    each,
    labels_of,
    leaving,
    name_of,
    namespace_of,
    ready,
    template,
)
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.diagnosis.rules.image import repository
from skyflo_runbooks.diagnosis.rules.network import PASSING, written
from skyflo_runbooks.diagnosis.rules.routing import clients, declared_ports
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at

SHOWN = 3


# NET-03 ---------------------------------------------------------------------------------------------------------------


class Mixed(msgspec.Struct, frozen=True):
    """The pods behind a Service: those of the workload that it is for, and those of strangers."""

    own: Json
    pods: list[Json]
    strangers: list[Json]
    strange_pods: list[Json]


def selector_too_broad(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Service that sends requests also to pods of a workload that it is not for."""
    for service in graph.all("Service"):
        selected = graph.selected(namespace_of(service), selector(service))
        if len({id(graph.workload(pod)) for pod in selected}) < 2 or at(service, "spec", "clusterIP") == "None":
            continue
        pods = [pod for pod in selected if not leaving(pod)]
        mixed = _mixed(graph, service, pods)
        if mixed is not None:
            yield _too_broad(graph, service, mixed)


def _mixed(graph: Graph, service: Json, pods: list[Json]) -> Mixed | None:
    """Return whose pods are behind a Service, or None where all belong there or it is not clear which do."""
    owners: dict[int, tuple[Json, list[Json]]] = {}
    for pod in pods:
        workload = graph.workload(pod)
        owners.setdefault(id(workload), (workload, []))[1].append(pod)
    if len(owners) < 2:
        return None
    held = list(owners.values())
    named = [item for item in held if name_of(item[0]) == name_of(service)]
    serving = [item for item in held if _serves(service, item[1][0])]
    meant = named if len(named) == 1 else serving if len(serving) == 1 else []
    if not meant:
        return None
    own, own_pods = meant[0]
    strange = [item for item in held if item[0] is not own and _stranger(graph, service, own_pods[0], item[1][0])]
    if not strange:
        return None
    return Mixed(own, own_pods, [item[0] for item in strange], [pod for item in strange for pod in item[1]])


def _serves(service: Json, pod: Json) -> bool:
    """Return whether a pod declares a port that the Service sends to."""
    declared = declared_ports(pod)
    return any(str(port.get("targetPort", port.get("port"))) in declared for port in each(service, "spec", "ports"))


def _stranger(graph: Graph, service: Json, own: Json, other: Json) -> bool:
    if _images(own) & _images(other):
        return False
    elsewhere = [front for front in graph.services(namespace_of(other), labels_of(other)) if front is not service]
    own_front = any(not carries(labels_of(own), selector(front)) for front in elsewhere)
    return _reached(service, other) and (own_front or not _serves(service, other))


def _reached(service: Json, pod: Json) -> bool:
    """Return whether requests go to the pod at all: a port by its name goes only to pods that have one of that name."""
    targets = [str(port.get("targetPort", port.get("port"))) for port in each(service, "spec", "ports")]
    return any(target.isdigit() or target in declared_ports(pod) for target in targets)


def _images(pod: Json) -> set[str]:
    return {repository(str(item.spec.get("image", ""))) for item in containers(pod) if not item.init}


def _too_broad(graph: Graph, service: Json, mixed: Mixed) -> Finding:
    label = _distinguishing(mixed)
    facts = {f"selector:{key}": value for key, value in selector(service).items()}
    facts |= {"own": str(ref(mixed.own)), "strangers": ", ".join(str(ref(item)) for item in mixed.strangers)}
    if label:
        facts |= {"key": label[0], "value": label[1]}
    now = graph.snapshot.time
    return Finding(
        fault="NET-03",
        title=f"{ref(service)} sends requests of {ref(mixed.own)} to {facts['strangers']} too",
        object=ref(service),
        confidence=0.92 if label else 0.8,
        evidence=(
            evidence(service, "spec.selector", now, written(selector(service))),
            *(_whose(graph, pod) for pod in mixed.pods[:1]),
            *(_whose(graph, pod) for pod in mixed.strange_pods[:SHOWN]),
        ),
        facts=facts,
        related=(ref(mixed.own), *(ref(item) for item in mixed.strangers)),
        advice="" if label else "Give the pods of each workload a label of their own, and select by it.",
    )


def _whose(graph: Graph, pod: Json) -> Evidence:
    labels = {key: value for key, value in labels_of(pod).items() if key not in PASSING}
    text = f"of {ref(graph.workload(pod))}; {written(labels)}; ports {', '.join(sorted(declared_ports(pod))) or 'none'}"
    return evidence(pod, "labels and ports", graph.snapshot.time, text)


def _distinguishing(mixed: Mixed) -> tuple[str, str] | None:
    """Return a label that the template of the workload has and no stranger's pod carries."""
    labels = labels_of(template(mixed.own)) or labels_of(mixed.own)
    for key, value in sorted(labels.items()):
        if key in PASSING or any(labels_of(pod).get(key) == value for pod in mixed.strange_pods):
            continue
        if all(labels_of(pod).get(key) == value for pod in mixed.pods):
            return key, value
    return None


# NET-05 ---------------------------------------------------------------------------------------------------------------


def nobody_on_the_node(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Service that keeps requests on the node, where clients' nodes have no endpoint."""
    for service in graph.all("Service"):
        if at(service, "spec", "internalTrafficPolicy") != "Local" or not selector(service):
            continue
        pods = [pod for pod in graph.selected(namespace_of(service), selector(service)) if ready(pod)]
        nodes = {str(at(pod, "spec", "nodeName", default="")) for pod in pods}
        if not pods:
            continue  # without any endpoint the policy changes nothing
        for client in clients(graph, service):
            lost = [
                pod
                for pod in graph.pods(client.workload)
                if at(pod, "spec", "nodeName") and str(at(pod, "spec", "nodeName")) not in nodes
            ]
            if lost and client.workload is not graph.workload(pods[0]):
                yield _no_endpoint(graph, service, pods, client.workload, client.variable, lost)
                break


def _no_endpoint(
    graph: Graph, service: Json, pods: list[Json], client: Json, variable: str, lost: list[Json]
) -> Finding:
    now, node = graph.snapshot.time, str(at(lost[0], "spec", "nodeName"))
    by_node = graph.workload(pods[0]).get("kind") == "DaemonSet"
    there = ", ".join(sorted({str(at(pod, "spec", "nodeName")) for pod in pods}))
    return Finding(
        fault="NET-05",
        title=f"{ref(service)} keeps requests on the client's node, and {node} of {ref(client)} has no endpoint",
        object=ref(service),
        confidence=0.92,
        evidence=(
            evidence(service, "spec.internalTrafficPolicy", now, f"Local; ready endpoints are on {there}"),
            evidence(client, "template", now, f"{variable} names {name_of(service)}"),
            *(evidence(pod, "spec.nodeName", now, str(at(pod, "spec", "nodeName"))) for pod in lost[:SHOWN]),
        ),
        facts={"client": str(ref(client))} | ({} if by_node else {"policy": "Local"}),
        related=(ref(client), *(ref(pod) for pod in pods)),
        explains=(ref(service), ref(client)),
        advice=f"Let {ref(graph.workload(pods[0]))} have a pod on {node} as well: it is meant to serve each node."
        if by_node
        else "Or keep a pod of it on every node that its clients run on.",
    )


RULES = (
    Rule(fault="NET-03", needs=("Service", "Pod"), find=selector_too_broad),
    Rule(fault="NET-05", needs=("Service", "Pod"), find=nobody_on_the_node),
)

__all__ = ["RULES"]
