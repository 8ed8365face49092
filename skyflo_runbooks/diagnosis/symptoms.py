"""Symptoms: what is visibly wrong, before anybody knows why.

A symptom is never a finding. It is attached to the cause that explains it (`collapse`); one that no cause explains is
named as unknown, so that an unexplained crash loop is never called healthy.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref, selector
from skyflo_runbooks.diagnosis.pods import (
    PULL_ERRORS,
    condition,
    containers,
    created,
    leaving,
    namespace_of,
    ready,
    replicas,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# The kinds without which "nothing is wrong" cannot be said.
NEEDS = ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "Service", "EndpointSlice", "Node")
# A pod that is younger and shows no failure is starting, not failing.
STARTING = 90.0
# A machine that registers gets its network, and so becomes Ready, within minutes; its first word on that comes at once.
BOOTING, REGISTERING = 300.0, 15.0
# Reasons of a waiting container that pass by themselves.
_PASSING = ("", "ContainerCreating", "PodInitializing")


class Symptom(msgspec.Struct, frozen=True):
    """Something visibly wrong with `object`; `touches` are the objects whose failure would explain it."""

    object: ObjectRef
    text: str
    touches: frozenset[ObjectRef]


def symptoms(graph: Graph) -> Iterator[Symptom]:
    """Yield what is visibly wrong: nodes, pods of each workload, workloads, Services."""
    yield from _nodes(graph)
    yield from _pods(graph)
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
        for workload in graph.all(kind):
            yield from _workload(graph, workload)
    for service in graph.all("Service"):
        yield from _service(graph, service)


def _nodes(graph: Graph) -> Iterator[Symptom]:
    for node in graph.all("Node"):
        said = condition(node, "Ready")
        if said and said.get("status") != "True" and not booting(graph, node):
            text = f"{ref(node)} is not Ready: {said.get('message') or said.get('reason') or said.get('status')}"
            yield Symptom(ref(node), text, frozenset({ref(node)}))


def booting(graph: Graph, node: Json) -> bool:
    """Return whether a node is new, answers, and was never Ready yet: its network and its images are on their way."""
    said = condition(node, "Ready")
    age = seconds_between(created(node), graph.snapshot.time)
    moved = seconds_between(created(node), str(said.get("lastTransitionTime", "")))
    never = moved is not None and moved <= REGISTERING
    return said.get("status") == "False" and age is not None and age < BOOTING and never


def trouble(graph: Graph, pod: Json) -> str:
    """Return in a word or two what keeps a pod from serving; empty where it serves, leaves or is just starting."""
    if ready(pod) or leaving(pod) or at(pod, "status", "phase") == "Succeeded":
        return ""
    for container in containers(pod):
        reason = container.waiting[0]
        if reason not in _PASSING:
            return "ImagePullBackOff" if reason in PULL_ERRORS else reason
    if condition(pod, "PodScheduled").get("status") == "False":
        return "Pending (Unschedulable)"
    if at(pod, "status", "phase") == "Failed":
        return f"Failed ({at(pod, 'status', 'reason', default='no reason given')})"
    ended = any(container.terminations for container in containers(pod))
    age = seconds_between(created(pod), graph.snapshot.time)
    if not ended and age is not None and age < STARTING:
        return ""
    return "not Ready"


def _pods(graph: Graph) -> Iterator[Symptom]:
    states: dict[ObjectRef, Counter[str]] = {}
    totals: Counter[ObjectRef] = Counter()
    for pod in graph.all("Pod"):
        owner = ref(graph.workload(pod))
        # A failed pod of a Job may have been followed by one that did the work: the Job's own status tells.
        if owner.kind in ("Job", "CronJob") or at(pod, "status", "phase") == "Succeeded":
            continue
        totals[owner] += 1
        found = trouble(graph, pod)
        # A finished pod of a workload that replaced it is no symptom of the present.
        if found and not (found.startswith("Failed") and owner.kind != "Pod"):
            states.setdefault(owner, Counter())[found] += 1
    for owner, counts in states.items():
        for state, count in counts.most_common():
            text = (
                f"{count} of {totals[owner]} pods of {owner}: {state}" if owner.kind != "Pod" else f"{owner}: {state}"
            )
            yield Symptom(owner, text, frozenset({owner}))


def _workload(graph: Graph, workload: Json) -> Iterator[Symptom]:
    this = ref(workload)
    if this.kind == "Job":
        failed = condition(workload, "Failed")
        if failed.get("status") == "True" and not followed(graph, workload):
            yield Symptom(this, f"{this} failed: {failed.get('reason')}", frozenset({this}))
        return
    if this.kind == "Deployment":
        progressing = condition(workload, "Progressing")
        if progressing.get("status") == "False":
            yield Symptom(this, f"the rollout of {this} is stuck: {progressing.get('reason')}", frozenset({this}))
        failure = condition(workload, "ReplicaFailure")
        if failure.get("status") == "True":
            yield Symptom(this, f"{this} cannot create pods: {failure.get('message')}", frozenset({this}))
    wanted, serving = replicas(workload), available(workload)
    if serving < wanted and any(trouble(graph, pod) for pod in graph.pods(workload)):
        yield Symptom(this, f"{this} has {serving} of {wanted} replicas available", frozenset({this}))
    elif serving < wanted and _too_few(graph, workload):
        yield Symptom(this, f"{this} has {len(graph.pods(workload))} of {wanted} pods", frozenset({this}))


def followed(graph: Graph, job: Json) -> bool:
    """Return whether a later run of the same CronJob completed, so that a Job's failure is history."""
    owner, when = graph.owner(job), created(job)
    return any(
        condition(other, "Complete").get("status") == "True" and created(other) > when
        for other in (graph.owned(owner) if owner is not None else [])
    )


def _too_few(graph: Graph, workload: Json) -> bool:
    """Return whether pods are missing, and none was made so recently that the workload may be on its way."""
    pods = graph.pods(workload)
    if len(pods) >= replicas(workload) or graph.snapshot.unread(namespace_of(workload), "Pod", "ReplicaSet"):
        return False
    ages = [seconds_between(created(pod), graph.snapshot.time) for pod in pods]
    return not any(age is not None and age < STARTING for age in ages)


def available(workload: Json) -> int:
    """Return how many pods of a workload serve, as its status says."""
    field = {"DaemonSet": "numberAvailable", "StatefulSet": "readyReplicas"}.get(
        str(workload.get("kind")), "availableReplicas"
    )
    return whole(workload, "status", field)


def _service(graph: Graph, service: Json) -> Iterator[Symptom]:
    wanted, this = selector(service), ref(service)
    if not wanted or graph.snapshot.unread(this.namespace, "Pod"):
        return
    pods = [pod for pod in graph.selected(namespace_of(service), wanted) if not leaving(pod)]
    owners = frozenset({this, *(ref(graph.workload(pod)) for pod in pods)})
    serving = sum(1 for pod in pods if ready(pod))
    if not pods:
        if not _scaled_down(graph, service):
            yield Symptom(this, f"{this} selects no pod, so nothing answers its requests", owners)
    elif serving < len(pods) and any(trouble(graph, pod) for pod in pods):
        yield Symptom(this, f"{this} has {serving} of {len(pods)} endpoints ready", owners)


def _scaled_down(graph: Graph, service: Json) -> bool:
    """Return whether a workload that the Service is for wants no pods at all: nothing is missing then."""
    namespace, wanted = namespace_of(service), selector(service)
    return any(
        replicas(workload) == 0
        and namespace_of(workload) == namespace
        and wanted.items() <= texts(workload, "spec", "template", "metadata", "labels").items()
        for kind in ("Deployment", "StatefulSet")
        for workload in graph.all(kind)
    )
