"""Pods that wait for something else than a node: SCH-10 (gates), SCH-11 (no such scheduler), SCH-14 (a missing claim).

Source of the evidence: a gated pod has PodScheduled=False with reason SchedulingGated; a pod of an unknown scheduler
has no PodScheduled condition and no event at all; a claim that is not there is named by the scheduler
(`persistentvolumeclaim "x" not found`).
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import EDITABLE, condition, created, each, name_of, namespace_of
from skyflo_runbooks.diagnosis.rules.base import (
    HELD,
    INTENDED,
    INTENT,
    Rule,
    changeable,
    culprit,
    evidence,
    outdated,
    services,
)
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import unschedulable
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_DEFAULT = "default-scheduler"
_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
# Where the kinds that make pods have their template.
_TEMPLATES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*EDITABLE, "Job"), ("spec", "template")),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
# Owners of gates that always come with an API of their own (kubernetes-sigs/kueue): without it they are not there.
_WITH_API = ("kueue.x-k8s.io",)
# A pod that no scheduler has looked at for so many seconds was not overlooked by chance.
_OVERLOOKED = 20.0


def _by_workload(graph: Graph, pods: Iterator[Json]) -> dict[ObjectRef, list[Json]]:
    groups: dict[ObjectRef, list[Json]] = defaultdict(list)
    for pod in pods:
        workload = culprit(graph, pod)
        if not outdated(graph, workload, pod):
            groups[ref(workload)].append(pod)
    return groups


def gated(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods still carry a scheduling gate, with who holds it.

    A gate is set on purpose: its pods wait until its owner's turn for them comes. Only where the owner is known not to
    be there is it a fault.
    """
    held = (pod for pod in graph.unplaced if each(pod, "spec", "schedulingGates"))
    for owner, pods in _by_workload(graph, held).items():
        gates = sorted({str(gate.get("name")) for pod in pods for gate in each(pod, "spec", "schedulingGates")})
        holder, gone = _holder(graph, gates)
        said = condition(pods[0], "PodScheduled")
        confidence = 0.9 if gone else INTENDED if holder else 0.7
        yield Finding(
            fault="SCH-10",
            title=f"{len(pods)} pods of {owner} wait behind the scheduling gate {', '.join(gates)}{_by(holder, gone)}",
            object=owner,
            confidence=confidence,
            evidence=tuple(
                evidence(pod, "spec.schedulingGates", str(said.get("lastTransitionTime", "")), ", ".join(gates))
                for pod in pods[:3]
            ),
            facts={"gates": ",".join(gates)} | ({HELD: holder, INTENT: "spec.schedulingGates"} if holder else {}),
            related=tuple(ref(pod) for pod in pods),
            advice=f"They wait for {holder}: ask it (its queue, its quota, its log) why their turn does not come."
            if holder
            else "Whoever set the gate removes it. Remove it by hand only if that controller is gone: "
            "a gate cannot be set again.",
        )


def _by(holder: str, gone: str) -> str:
    return f", which {holder} holds" if holder else f"; nothing here serves {gone}, whose gate it is" if gone else ""


def _holder(graph: Graph, gates: list[str]) -> tuple[str, str]:
    """Return who holds the gates, and the owner that is known not to be there; both empty where neither is known.

    A gate's name begins with the domain of its owner; an owner with an API of its own serves that as a group, and each
    group that is served has an APIService.
    """
    served = {str(at(item, "spec", "group", default="")) for item in graph.all("APIService")}
    domains = [gate.partition("/")[0] for gate in gates]
    here = [domain for domain in domains if domain in served]
    known = bool(served) and not graph.snapshot.gaps_in("APIService")
    gone = [domain for domain in domains if domain in _WITH_API and domain not in served]
    if len(here) == len(domains):
        return ", ".join(dict.fromkeys(here)), ""
    if gone and known:
        return "", gone[0]
    queues = [domain for domain in domains if domain in _WITH_API]
    return (", ".join(dict.fromkeys(queues)), "") if len(queues) == len(domains) else ("", "")


def unknown_scheduler(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload that names a scheduler which does not look at its pods."""

    def overlooked() -> Iterator[Json]:
        for pod in graph.unplaced:
            name = at(pod, "spec", "schedulerName", default=_DEFAULT)
            age = seconds_between(created(pod), graph.snapshot.time)
            silent = not condition(pod, "PodScheduled") and not graph.events(pod)
            if name != _DEFAULT and silent and (age is None or age >= _OVERLOOKED):
                yield pod

    for owner, pods in _by_workload(graph, overlooked()).items():
        name = str(at(pods[0], "spec", "schedulerName"))
        workload = graph.get(owner) or pods[0]
        yield Finding(
            fault="SCH-11",
            title=f"{len(pods)} pods of {owner} wait for the scheduler {name}, which does not look at them",
            object=owner,
            confidence=0.93,
            evidence=(
                *(
                    evidence(pod, "spec.schedulerName", created(pod), f"{name}; no PodScheduled, no event")
                    for pod in pods[:3]
                ),
                evidence(workload, "template", graph.snapshot.time, f"schedulerName: {name}"),
            ),
            facts={"scheduler": name} if changeable(graph, pods[0]) else {},
            related=(*(ref(pod) for pod in pods), *services(graph, workload)),
            advice=f"If {name} is meant, start it; else use {_DEFAULT}.",
        )


def missing_claim(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods name a PersistentVolumeClaim that is not there."""
    told = {
        name_of(pod): said
        for pod in graph.unplaced
        if (said := unschedulable(graph, pod)) and _CLAIM.search(said.message)
    }
    named = (pod for pod in graph.unplaced if name_of(pod) in told)
    for owner, pods in _by_workload(graph, named).items():
        workload, namespace = graph.get(owner) or pods[0], namespace_of(pods[0])
        said = told[name_of(pods[0])]
        found = _CLAIM.search(said.message)
        claim = found.group(1) if found else ""
        there = sorted(name_of(item) for item in graph.all("PersistentVolumeClaim") if namespace_of(item) == namespace)
        meant = _meant(graph, namespace, claim, there)
        facts = {"claim": claim} | ({"meant": meant} if meant else {})
        yield Finding(
            fault="SCH-14",
            title=f"{len(pods)} pods of {owner} wait for the PersistentVolumeClaim {claim}, which does not exist",
            object=owner,
            confidence=0.96,
            evidence=(
                evidence(pods[0], "condition PodScheduled", said.at, said.message),
                evidence(workload, "template", graph.snapshot.time, f"claimName: {claim}"),
                evidence(workload, "namespace", graph.snapshot.time, f"its claims: {', '.join(there[:8]) or 'none'}"),
            ),
            facts=facts if changeable(graph, pods[0]) else {},
            related=(*(ref(pod) for pod in pods), *services(graph, workload)),
            advice="" if meant else f"Create the claim {claim}, or name the one that was meant.",
        )


def _meant(graph: Graph, namespace: str, claim: str, there: list[str]) -> str:
    """Return the one claim that reads like the missing one and is nobody's; empty where that is not clear."""
    from rapidfuzz import fuzz

    used = {
        str(at(volume, "persistentVolumeClaim", "claimName", default=""))
        for pod in graph.all("Pod")
        if namespace_of(pod) == namespace and at(pod, "spec", "nodeName")
        for volume in each(pod, "spec", "volumes")
    }
    used |= set(_claimed(graph, namespace))
    made = tuple(_made_for_sets(graph, namespace))
    near = [name for name in there if name not in used and not name.startswith(made) and fuzz.ratio(name, claim) >= 75]
    return near[0] if len(near) == 1 else ""


def _claimed(graph: Graph, namespace: str) -> Iterator[str]:
    """Yield the claims that templates name, whether pods of them run or not."""
    for kind, path in _TEMPLATES.items():
        for workload in graph.all(kind):
            if namespace_of(workload) == namespace:
                for volume in each(workload, *path, "spec", "volumes"):
                    yield str(at(volume, "persistentVolumeClaim", "claimName", default=""))


def _made_for_sets(graph: Graph, namespace: str) -> Iterator[str]:
    """Yield how the names of claims begin that StatefulSets make, one for each of their pods."""
    for workload in graph.all("StatefulSet"):
        if namespace_of(workload) == namespace:
            for made in each(workload, "spec", "volumeClaimTemplates"):
                yield f"{at(made, 'metadata', 'name')}-{name_of(workload)}-"


RULES = (
    Rule(fault="SCH-10", needs=("Pod",), find=gated),
    Rule(fault="SCH-11", needs=("Pod", "Event"), find=unknown_scheduler),
    Rule(fault="SCH-14", needs=("Pod", "PersistentVolumeClaim"), find=missing_claim),
)

__all__ = ["RULES", "gated", "missing_claim", "unknown_scheduler"]
