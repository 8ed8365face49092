"""The reads that show the evidence of a finding, as steps that a runbook repeats whenever it is opened."""

from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.pods import WORKLOADS, texts
from skyflo_runbooks.diagnosis.rules.network import written
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import GatherStep, ReadCall, ReadStep, Step, param

_LINES = 40


def evidence_reads(graph: Graph, finding: Finding) -> tuple[Step, ...]:
    """Return the reads for a finding: its object, what belongs to it, events, revisions, usage, the last log lines."""
    subject = finding.object
    reads = {"events": _call("k8s_events"), "usage": _call("k8s_top_pods")}
    if subject.kind == "Service":
        reads = {**_service(finding), "events": _call("k8s_events")}
    elif subject.kind in WORKLOADS:
        reads = {**_workload(graph, subject), **reads}
    else:
        reads = {"pods": _call("k8s_get", kind="Pod"), **reads}
    if finding.fault.startswith("SCH"):
        reads["nodes"] = ReadCall("k8s_get", {"kind": "Node"})
    steps: list[Step] = [GatherStep("state", reads)]
    if finding.fault.startswith("CON"):
        steps.append(_last_words(subject, finding.facts["container"]))
    return tuple(steps)


def overview_reads(namespaces: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the reads of a runbook that only looks."""
    where: Json = {"namespace": param("namespace")} if namespaces else {}
    kinds = {"pods": "Pod", "deployments": "Deployment", "services": "Service"}
    reads = {name: ReadCall("k8s_get", {"kind": kind, **where}) for name, kind in kinds.items()}
    if namespaces:
        reads |= {"events": _call("k8s_events"), "usage": _call("k8s_top_pods")}
    return (GatherStep("state", reads),)


def _call(tool: str, **arguments: object) -> ReadCall:
    return ReadCall(tool, {**arguments, "namespace": param("namespace")})


def _workload(graph: Graph, subject: ObjectRef) -> dict[str, ReadCall]:
    chosen = written(texts(graph.get(subject), "spec", "selector", "matchLabels"))
    narrow: Json = {"label_selector": chosen} if chosen else {}
    reads = {
        "pods": _call("k8s_get", kind="Pod", **narrow),
        "workload": _call("k8s_describe", kind=subject.kind, name=subject.name),
    }
    if subject.kind == "Deployment":
        reads["replica_sets"] = _call("k8s_get", kind="ReplicaSet", **narrow)
    if subject.kind in ("Deployment", "StatefulSet", "DaemonSet"):
        reads["revisions"] = _call("k8s_rollout_history", kind=subject.kind, name=subject.name)
    reads["config_maps"] = _call("k8s_get", kind="ConfigMap")
    return reads


def _service(finding: Finding) -> dict[str, ReadCall]:
    reads = {
        "service": _call("k8s_describe", kind="Service", name=finding.object.name),
        "endpoints": _call(
            "k8s_get", kind="EndpointSlice", label_selector=f"kubernetes.io/service-name={finding.object.name}"
        ),
    }
    meant = {key.removeprefix("meant:"): value for key, value in finding.facts.items() if key.startswith("meant:")}
    narrow: Json = {"label_selector": written(meant)} if meant else {}
    return {**reads, "pods": _call("k8s_get", kind="Pod", **narrow)}


def _last_words(subject: ObjectRef, container: str) -> ReadStep:
    """Return the read of the log before the last restart: by workload, because its pods' names change."""
    where: Json = {"kind": subject.kind, "namespace": param("namespace"), "name": subject.name, "container": container}
    return ReadStep("last_words", "k8s_logs", {**where, "previous": True, "tail": _LINES})
