"""Family J, the API itself: API-01, an aggregated API whose server does not answer.

Source of the evidence: the condition Available of an APIService (reasons ServiceNotFound, MissingEndpoints,
EndpointsNotFound, FailedDiscoveryCheck: k8s.io/kube-aggregator). `collapse` lets the finding yield to one that says
what suffers from it.
"""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import condition, labels_of, name_of, namespace_of, ready, replicas, template, texts
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_METRICS = re.compile(r"\bmetrics\.k8s\.io$")


def api_unavailable(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each APIService that is not available, of what answers for it where that was read."""
    for held in graph.all("APIService"):
        said = condition(held, "Available")
        named = texts(held, "spec", "service")
        if said.get("status") != "False" or not named or (_METRICS.search(name_of(held)) and _felt_by_scalers(graph)):
            continue
        yield _unavailable(graph, held, said, ObjectRef("Service", named.get("name", ""), named.get("namespace", "")))


def _felt_by_scalers(graph: Graph) -> bool:
    return any(
        condition(scaler, "ScalingActive").get("reason") == "FailedGetResourceMetric"
        for scaler in graph.all("HorizontalPodAutoscaler")
    )


def _unavailable(graph: Graph, held: Json, said: Json, service: ObjectRef) -> Finding:
    backend = _behind(graph, service)
    stopped = backend is not None and replicas(backend) == 0
    message = f"{said.get('reason')}: {said.get('message', '')}"
    waiting = [ref(item) for item in graph.all("Namespace") if at(item, "metadata", "deletionTimestamp")]
    return Finding(
        fault="API-01",
        title=f"{ref(held)} is not available: {message}",
        object=ref(backend) if backend is not None else ref(held),
        confidence=0.92,
        evidence=(
            evidence(held, "condition Available", str(said.get("lastTransitionTime", "")), message),
            *((_pods(graph, backend),) if backend is not None else ()),
        ),
        facts={"service": str(service)} | ({"stopped": "true"} if stopped else {}),
        related=(ref(held), service),
        explains=(ref(held), *waiting, *((ref(backend),) if backend is not None else ())),
        advice=f"Restore what answers for it: {ref(backend) if backend is not None else service}. Do not delete the "
        "APIService while objects of its kinds are wanted.",
    )


def _behind(graph: Graph, service: ObjectRef) -> Json | None:
    front = graph.get(service)
    wanted = texts(front, "spec", "selector") if front is not None else {}
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for workload in graph.all(kind):
            same = namespace_of(workload) == service.namespace and wanted
            if same and wanted.items() <= labels_of(template(workload)).items():
                return workload
    return None


def _pods(graph: Graph, backend: Json) -> Evidence:
    pods = graph.pods(backend)
    text = f"{sum(1 for pod in pods if ready(pod))} of {replicas(backend)} pods are ready"
    return evidence(backend, "pods", graph.snapshot.time, text)


# What tells whose pods answer for it; where they are unread the APIService itself is named.
_BEHIND = ("Service", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod")
RULES = (Rule(fault="API-01", needs=("APIService",), find=api_unavailable, wants=_BEHIND),)

__all__ = ["RULES"]
