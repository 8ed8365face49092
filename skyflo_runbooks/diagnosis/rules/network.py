"""Family F, Services: NET-01, a selector that matches no pod.

Source of the evidence: a Service chooses pods by `spec.selector`; where no pod of the namespace carries all of its
labels, its EndpointSlices hold no endpoint. The pods that were meant are those of a workload whose labels miss by one.
A Service that selects nothing while no workload comes near is not called a fault: it may be scaled down, or unused.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, carries, ref, selector
from skyflo_runbooks.diagnosis.pods import EDITABLE, each, labels_of, name_of, namespace_of, replicas, template
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json

# Labels that differ from one pod of a workload to the next, so that a Service must not choose by them.
PASSING = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")
# How alike (0 to 100) two words must be to be taken for a slip of the pen.
_ALIKE = 70.0
# The best candidate must lead the second by this much, or it is not clear which was meant.
_LEAD = 0.75

PortMatch = Literal["declared", "undeclared"]


class Candidate(msgspec.Struct, frozen=True):
    """A workload that a Service may have been meant for, how near it comes, and the selector that would choose it."""

    workload: Json
    score: float
    selector: dict[str, str]
    differs: tuple[str, ...]


def nothing_selected(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Service whose selector misses the pods of a workload by a label."""
    by_namespace: dict[str, list[Json]] = {}
    for kind in EDITABLE:
        for workload in graph.all(kind):
            by_namespace.setdefault(namespace_of(workload), []).append(workload)
    for service in graph.all("Service"):
        namespace, wanted = namespace_of(service), selector(service)
        if not wanted or graph.snapshot.unread(namespace, "Pod", "EndpointSlice"):
            continue
        if graph.selected(namespace, wanted) or graph.endpoints(service):
            continue
        workloads = by_namespace.get(namespace, [])
        if any(carries(_labels(workload), wanted) for workload in workloads):
            continue  # the selector is right: the workload has no pods, which is another fault
        near = sorted(_candidates(graph, service, workloads), key=lambda item: item.score, reverse=True)
        if near:
            yield _finding(graph, service, near)


def _labels(workload: Json) -> dict[str, str]:
    return {key: value for key, value in labels_of(template(workload)).items() if key not in PASSING}


def _candidates(graph: Graph, service: Json, workloads: list[Json]) -> Iterator[Candidate]:
    for workload in workloads:
        if replicas(workload) == 0:
            continue
        found = _near(service, workload)
        if found and not _chosen_by_another(graph, workload, service):
            yield found


def _near(service: Json, workload: Json) -> Candidate | None:
    """Return how a workload's labels miss the selector, or None where they do not come near it.

    Each label that agrees counts 1; a value, or a key with the same value, that reads like a slip counts up to 0.9;
    the Service's name and port agreeing with the workload count for it too. At most one label may miss.
    """
    wanted, labels = selector(service), _labels(workload)
    repaired: dict[str, str] = {}
    score, missed = 0.0, []
    for key, value in wanted.items():
        if labels.get(key) == value:
            repaired[key] = value
            score += 1
            continue
        missed.append(key)
        slip = _slip(key, value, labels)
        if slip:
            repaired[slip[0]] = slip[1]
            score += slip[2]
    same_name = name_of(service) == name_of(workload)
    slips = score - (len(wanted) - len(missed))
    if len(missed) != 1 or not repaired or (slips < 0.5 and not same_name and len(wanted) == 1):
        return None
    if missed and slips == 0 and not same_name and _port(service, workload) == "undeclared":
        return None
    score += 1.0 * same_name + 0.5 * (_port(service, workload) == "declared")
    return Candidate(workload=workload, score=score, selector=repaired, differs=tuple(missed))


def _slip(key: str, value: str, labels: dict[str, str]) -> tuple[str, str, float] | None:
    """Return the label that was meant by `key: value`, and how surely (0 to 0.9)."""
    from rapidfuzz import fuzz

    if key in labels:
        alike = fuzz.ratio(value, labels[key])
        related = alike >= _ALIKE or value in labels[key] or labels[key] in value
        return key, labels[key], (0.9 * alike / 100 if related else 0.1)
    for other, held in sorted(labels.items()):
        if held == value:
            return other, held, 0.8
    return None


def _port(service: Json, workload: Json) -> PortMatch:
    """Return whether a container of the workload declares a port that the Service sends to."""
    declared: set[str] = set()
    for container in each(template(workload), "spec", "containers"):
        for port in each(container, "ports"):
            declared |= {str(port.get("containerPort")), str(port.get("name"))}
    targets = {str(port.get("targetPort", port.get("port"))) for port in each(service, "spec", "ports")}
    return "declared" if targets & declared else "undeclared"


def _chosen_by_another(graph: Graph, workload: Json, service: Json) -> bool:
    """Return whether another Service of another name chooses these pods already, and this one's name differs."""
    others = graph.services(namespace_of(workload), labels_of(template(workload)))
    return bool(others) and name_of(service) != name_of(workload)


def _finding(graph: Graph, service: Json, near: list[Candidate]) -> Finding:
    best = near[0]
    clear = len(near) == 1 or best.score - near[1].score >= _LEAD
    fits = clear and _only_these(graph, best)
    facts = {f"selector:{key}": value for key, value in selector(service).items()}
    if fits:
        facts |= {f"meant:{key}": value for key, value in best.selector.items()}
        facts["workload"] = str(ref(best.workload))
    names = " or ".join(str(ref(item.workload)) for item in near[:3])
    advice = "" if fits else f"It is not clear which pods were meant: {names}. Set the selector to what they carry."
    pods = graph.pods(best.workload)
    return Finding(
        fault="NET-01",
        title=f"The selector of {ref(service)} matches no pod; {ref(best.workload)} misses it by one label",
        object=ref(service),
        confidence=0.95 if fits and pods else 0.7 if fits else 0.5,
        evidence=tuple(_evidence(graph, service, best)),
        facts=facts,
        related=(ref(best.workload), *(ref(pod) for pod in pods)) if clear else (),
        advice=advice,
    )


def _only_these(graph: Graph, candidate: Candidate) -> bool:
    """Return whether the repaired selector chooses pods of that workload and of no other."""
    chosen = graph.selected(namespace_of(candidate.workload), candidate.selector)
    return all(graph.workload(pod) is candidate.workload for pod in chosen)


def _evidence(graph: Graph, service: Json, best: Candidate) -> Iterator[Evidence]:
    now = graph.snapshot.time
    wanted = selector(service)
    yield evidence(service, "spec.selector", now, f"{written(wanted)}; no pod of the namespace carries it")
    yield evidence(service, "EndpointSlices", now, "no endpoints")
    labels = {key: value for key, value in _labels(best.workload).items() if key in {*wanted, *best.selector}}
    running = sum(1 for _ in graph.pods(best.workload))
    text = f"its {running} pods carry {written(labels)}; different: {', '.join(best.differs)}"
    yield evidence(best.workload, "spec.template.metadata.labels", now, text)


def written(labels: dict[str, str]) -> str:
    """Return labels as kubectl writes them."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


RULES = (Rule(fault="NET-01", needs=("Service", "Pod", "EndpointSlice"), find=nothing_selected),)

__all__ = ["PASSING", "RULES", "nothing_selected", "written"]
