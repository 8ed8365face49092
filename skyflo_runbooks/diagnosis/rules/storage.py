"""Family G, storage: STO-01 and STO-02, a claim that nobody provisions.

Source of the evidence: the volume controller's events ProvisioningFailed (`storageclass.storage.k8s.io "x" not found`)
and FailedBinding (`no persistent volumes available for this claim and no storage class is set`), and the claim's own
phase. A claim that waits for its first consumer is healthy.
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import each, name_of, namespace_of
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, event_time, evidence
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def no_such_class(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each claim that waits for a StorageClass which does not exist."""
    from rapidfuzz import fuzz

    if graph.snapshot.gaps_in("StorageClass"):
        return
    classes = {name_of(item): item for item in graph.all("StorageClass")}
    for claim in _pending(graph):
        wanted = at(claim, "spec", "storageClassName")
        told = _event(graph, claim, "ProvisioningFailed")
        if not wanted or wanted in classes or (told is None and not users(graph, claim)):
            continue
        near = [name for name in classes if fuzz.ratio(name, str(wanted)) >= 70]
        default = [name for name, item in classes.items() if _is_default(item)]
        meant = near[0] if len(near) == 1 else default[0] if len(default) == 1 else ""
        facts = {"class": str(wanted)} | ({"meant": meant} if meant else {})
        yield _finding(
            graph,
            claim,
            "STO-01",
            f"{ref(claim)} waits for the StorageClass {wanted}, which does not exist",
            told,
            facts,
            "A claim's class cannot be changed: make the claim anew with a class that exists"
            + (f" ({meant})" if meant else "")
            + ". It is empty; nothing is lost.",
        )


def no_default_class(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each claim that names no StorageClass where none is the default."""
    if graph.snapshot.gaps_in("StorageClass") or any(_is_default(item) for item in graph.all("StorageClass")):
        return
    for claim in _pending(graph):
        told = _event(graph, claim, "FailedBinding")
        if at(claim, "spec", "storageClassName") is None and told and "no storage class is set" in told.text:
            names = ", ".join(sorted(name_of(item) for item in graph.all("StorageClass"))) or "none"
            yield _finding(
                graph,
                claim,
                "STO-02",
                f"{ref(claim)} names no StorageClass, and none is the default",
                told,
                {"classes": names},
                f"Mark a class as the default (there are: {names}), or name one in the claim.",
            )


def _pending(graph: Graph) -> Iterator[Json]:
    for claim in graph.all("PersistentVolumeClaim"):
        if at(claim, "status", "phase") == "Pending" and not at(claim, "spec", "volumeName"):
            yield claim


def _is_default(item: Json) -> bool:
    return str(at(item, "metadata", "annotations", _DEFAULT, default="")) == "true"


def _event(graph: Graph, claim: Json, reason: str) -> Evidence | None:
    found = [event for event in graph.events(claim) if event.get("reason") == reason]
    newest = max(found, key=event_time, default=None)
    return evidence(claim, f"event {reason}", event_time(newest), str(newest.get("message", ""))) if newest else None


def users(graph: Graph, claim: Json) -> list[Json]:
    """Return the pods that mount a claim."""
    return [
        pod
        for pod in graph.all("Pod")
        if namespace_of(pod) == namespace_of(claim)
        for volume in each(pod, "spec", "volumes")
        if at(volume, "persistentVolumeClaim", "claimName") == name_of(claim)
    ]


def _finding(
    graph: Graph, claim: Json, fault: str, title: str, told: Evidence | None, facts: dict[str, str], advice: str
) -> Finding:
    pods = users(graph, claim)
    workloads: dict[ObjectRef, None] = {ref(culprit(graph, pod)): None for pod in pods}
    classes = ", ".join(sorted(name_of(item) for item in graph.all("StorageClass"))) or "none"
    return Finding(
        fault=fault,
        title=title,
        object=ref(claim),
        confidence=0.95 if told else 0.85,
        evidence=(
            evidence(claim, "status.phase", graph.snapshot.time, "Pending"),
            *((told,) if told else ()),
            Evidence("StorageClasses", graph.snapshot.time, classes),
        ),
        facts=facts,
        related=(*workloads, *(ref(pod) for pod in pods)),
        explains=(ref(claim), *workloads),
        advice=advice,
    )


_NEEDS = ("PersistentVolumeClaim", "StorageClass")
RULES = (
    Rule(fault="STO-01", needs=_NEEDS, find=no_such_class),
    Rule(fault="STO-02", needs=_NEEDS, find=no_default_class),
)

__all__ = ["RULES", "users"]
