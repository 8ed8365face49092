"""Family G, volumes that exist and do not serve: STO-03 to STO-06.

Sources of the evidence: the attach controller's event FailedAttachVolume (`Multi-Attach error for volume`), the
scheduler's words of a claim that one pod at a time may use, the phase and claimRef of a PersistentVolume, a claim's
request beside its capacity with the resizer's events, and the kubelet's `driver name … not found in the list of
registered CSI drivers` (k8s.io/kubernetes/pkg/volume/csi). A volume is attached to one node at a time on purpose; a
released volume keeps data on purpose.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import each, finished, leaving, name_of, namespace_of, quantity, ready, texts
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, event_time, evidence, services
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import waiting
from skyflo_runbooks.diagnosis.rules.storage import users
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_MULTI = re.compile(r"Multi-Attach error for volume \"(?P<volume>[^\"]+)\"")
_DRIVER = re.compile(r"driver name (?P<driver>\S+) not found in the list of registered CSI drivers")
_RESIZE = re.compile(
    r"only dynamically provisioned pvc can be resized|does not support (?:volume )?(?:expansion|resiz)", re.IGNORECASE
)
_RESIZE_REASONS = ("VolumeResizeFailed", "ExternalExpanding", "FileSystemResizeFailed")


# STO-03 ---------------------------------------------------------------------------------------------------------------


def attached_elsewhere(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each claim that two pods want although one pod, or one node, at a time may have it."""
    seen: set[tuple[str, str]] = set()
    for pod in graph.ailing:
        told = _newest(graph, pod, "FailedAttachVolume", _MULTI)
        if told is None:
            continue
        for claim in _claims(graph, pod):
            key = (namespace_of(claim), name_of(claim))
            others = [other for other in users(graph, claim) if other is not pod and not finished(other)]
            holders = [other for other in others if at(other, "spec", "nodeName")]
            holders = [other for other in holders if at(other, "spec", "nodeName") != at(pod, "spec", "nodeName")]
            if "ReadWriteMany" in _modes(claim) or not holders or key in seen:
                continue
            seen.add(key)
            yield _multi_attach(graph, pod, claim, holders[0], told)
    yield from _used_by_another(graph)


def _used_by_another(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pod finds no node because another pod uses a claim for one alone."""
    for found in waiting(graph, "claim in use"):
        for claim in _claims(graph, found.pod):
            held = [pod for pod in users(graph, claim) if at(pod, "spec", "nodeName") and not finished(pod)]
            if "ReadWriteOncePod" in _modes(claim) and held:
                yield _multi_attach(graph, found.pod, claim, held[0], next(found.evidence()))
                break


def _modes(claim: Json) -> list[str]:
    """Return how a claim may be mounted, whatever stands in that place."""
    found = at(claim, "spec", "accessModes")
    return [str(mode) for mode in found] if isinstance(found, list) else []


def _multi_attach(graph: Graph, pod: Json, claim: Json, holder: Json, told: Evidence) -> Finding:
    workload, other = culprit(graph, pod), culprit(graph, holder)
    own = workload is other
    rolls = own and workload.get("kind") == "Deployment" and at(workload, "spec", "strategy", "type") != "Recreate"
    modes = ", ".join(_modes(claim))
    facts = {"claim": name_of(claim), "holder": name_of(holder)}
    who = "its own old pod" if own else str(ref(other))
    return Finding(
        fault="STO-03",
        title=f"{ref(workload)} cannot have {ref(claim)} ({modes}): {who} holds it on {at(holder, 'spec', 'nodeName')}",
        object=ref(workload),
        confidence=0.93,
        evidence=(
            told,
            evidence(claim, "spec.accessModes", graph.snapshot.time, modes),
            evidence(holder, "spec.nodeName", graph.snapshot.time, f"uses it on {at(holder, 'spec', 'nodeName')}"),
        ),
        facts=facts | ({"strategy": "RollingUpdate"} if rolls else {}),
        related=(ref(pod), ref(holder), ref(claim), *services(graph, workload)),
        explains=(ref(workload),),
        advice=""
        if rolls
        else f"Let one of them have it: scale {ref(other)} to 0 first, or give {ref(workload)} a claim of its own.",
    )


def _claims(graph: Graph, pod: Json) -> Iterator[Json]:
    for volume in each(pod, "spec", "volumes"):
        name = at(volume, "persistentVolumeClaim", "claimName")
        claim = graph.get(ObjectRef("PersistentVolumeClaim", str(name), namespace_of(pod))) if name else None
        if claim is not None:
            yield claim


def _newest(graph: Graph, about: Json, reason: str, words: re.Pattern[str]) -> Evidence | None:
    told = [
        event
        for event in graph.events(about)
        if event.get("reason") == reason and words.search(str(event.get("message", "")))
    ]
    newest = max(told, key=event_time, default=None)
    return evidence(about, f"event {reason}", event_time(newest), str(newest.get("message"))) if newest else None


# STO-04 ---------------------------------------------------------------------------------------------------------------


def released(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each claim that waits for a volume which still belongs to a claim that is gone."""
    stale = [v for v in graph.all("PersistentVolume") if at(v, "status", "phase") in ("Released", "Failed")]
    if not stale:
        return
    for claim in graph.all("PersistentVolumeClaim"):
        if at(claim, "status", "phase") != "Pending" or leaving(claim):
            continue
        named = str(at(claim, "spec", "volumeName", default=""))
        if not named and _for_a_pod(graph, claim):
            continue
        volumes = [v for v in stale if name_of(v) == named] if named else [v for v in stale if _was(v, claim)]
        if len(volumes) == 1:
            yield _released(graph, claim, volumes[0])


def _for_a_pod(graph: Graph, claim: Json) -> bool:
    """Return whether a claim gets its volume only with the first pod that mounts it, and none does."""
    held = graph.get(ObjectRef("StorageClass", str(at(claim, "spec", "storageClassName", default=""))))
    return at(held, "volumeBindingMode") == "WaitForFirstConsumer" and not users(graph, claim)


def _was(volume: Json, claim: Json) -> bool:
    """Return whether a volume belonged to a claim of this very name, and is of the class that the claim wants."""
    return _of_that_name(volume, claim) and at(volume, "spec", "storageClassName") == at(
        claim, "spec", "storageClassName"
    )


def _of_that_name(volume: Json, claim: Json) -> bool:
    held = texts(volume, "spec", "claimRef")
    return (held.get("namespace"), held.get("name")) == (namespace_of(claim), name_of(claim))


def _released(graph: Graph, claim: Json, volume: Json) -> Finding:
    held = texts(volume, "spec", "claimRef")
    before = f"{held.get('namespace')}/{held.get('name')}"
    phase, now = str(at(volume, "status", "phase")), graph.snapshot.time
    workloads = dict.fromkeys(ref(culprit(graph, pod)) for pod in users(graph, claim))
    facts = {"claim": name_of(claim), "claim_namespace": namespace_of(claim), "phase": phase}
    named, own = bool(at(claim, "spec", "volumeName")), _of_that_name(volume, claim)
    return Finding(
        fault="STO-04",
        title=f"{ref(claim)} waits for {ref(volume)}, which is {phase} and still belongs to an earlier claim {before}",
        object=ref(volume),
        confidence=0.92 if named else 0.7,
        evidence=(
            evidence(claim, "status.phase", now, f"Pending; volumeName {at(claim, 'spec', 'volumeName')}"),
            evidence(volume, "status.phase", now, phase),
            evidence(volume, "spec.claimRef", now, f"{before}, uid {held.get('uid', 'none')}"),
        ),
        facts=facts | ({"uid": held["uid"]} if "uid" in held and phase == "Released" and named and own else {}),
        related=(ref(claim), *workloads),
        explains=(ref(claim), *workloads),
        advice="The volume keeps what the earlier claim wrote: let the new claim have it only if the data's owner "
        "agrees; else make the claim anew without this volume."
        if own
        else f"What is on the volume is of {before}, and not of this claim: make the claim anew without this volume.",
    )


# STO-05 ---------------------------------------------------------------------------------------------------------------


def does_not_grow(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each claim that asks for more than it has, of a class that lets no claim grow."""
    classes = {name_of(item): item for item in graph.all("StorageClass")}
    for claim in graph.all("PersistentVolumeClaim"):
        asked, has = _sizes(claim)
        held = classes.get(str(at(claim, "spec", "storageClassName", default="")))
        told = _resizing(graph, claim)
        wants = asked is not None and has is not None and asked > has
        fixed = held is not None and not at(held, "allowVolumeExpansion", default=False)
        refused = told is not None and _RESIZE.search(told.text) is not None
        if at(claim, "status", "phase") != "Bound" or not ((wants and fixed and told) or refused):
            continue
        yield _not_growing(graph, claim, held, told)


def _sizes(claim: Json) -> tuple[Decimal | None, Decimal | None]:
    """Return what a claim asks for and what it has, in bytes."""
    return (
        quantity(at(claim, "spec", "resources", "requests", "storage", default="")),
        quantity(at(claim, "status", "capacity", "storage", default="")),
    )


def _resizing(graph: Graph, claim: Json) -> Evidence | None:
    told = [
        event
        for event in graph.events(claim)
        if event.get("reason") in _RESIZE_REASONS or _RESIZE.search(str(event.get("message", "")))
    ]
    newest = max(told, key=event_time, default=None)
    if newest is None:
        return None
    return evidence(claim, f"event {newest.get('reason')}", event_time(newest), str(newest.get("message", "")))


def _not_growing(graph: Graph, claim: Json, held: Json | None, told: Evidence | None) -> Finding:
    now, workloads = graph.snapshot.time, dict.fromkeys(ref(culprit(graph, pod)) for pod in users(graph, claim))
    provisioner = str(at(held, "provisioner", default=""))
    able = [
        name_of(item)
        for item in graph.all("StorageClass")
        if at(item, "provisioner") == provisioner and at(item, "allowVolumeExpansion", default=False)
    ]
    facts = {"class": name_of(held) if held else "", "able": ",".join(able)}
    size = at(claim, "status", "capacity", "storage")
    return Finding(
        fault="STO-05",
        title=f"{ref(claim)} stays at {size}: its StorageClass {facts['class'] or 'none'} lets no claim grow",
        object=ref(held) if held and able else ref(claim),
        confidence=0.9,
        evidence=(
            evidence(claim, "spec.resources.requests", now, str(at(claim, "spec", "resources", "requests", "storage"))),
            evidence(claim, "status.capacity", now, str(size)),
            *((evidence(held, "allowVolumeExpansion", now, "false"),) if held else ()),
            *((told,) if told else ()),
        ),
        facts=facts,
        related=(ref(claim), *workloads),
        explains=(ref(claim), *workloads),
        advice="A claim grows only in a class with allowVolumeExpansion whose driver can do it, and never shrinks "
        "again; else copy the data to a larger claim.",
    )


# STO-06 ---------------------------------------------------------------------------------------------------------------


def no_driver(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each CSI driver that a node does not have although a pod on it needs its volume."""
    found: dict[str, list[tuple[Json, Evidence]]] = {}
    for pod in graph.ailing:
        for reason in ("FailedAttachVolume", "FailedMount"):
            told = _newest(graph, pod, reason, _DRIVER)
            said = _DRIVER.search(told.text) if told else None
            if told and said:
                found.setdefault(said["driver"], []).append((pod, told))
    for driver, items in found.items():
        yield _no_driver(graph, driver, items)


def _no_driver(graph: Graph, driver: str, items: list[tuple[Json, Evidence]]) -> Finding:
    pods = [pod for pod, _ in items]
    workloads = dict.fromkeys(ref(culprit(graph, pod)) for pod in pods)
    nodes = sorted({str(at(pod, "spec", "nodeName", default="")) for pod in pods} - {""})
    makers = [item for item in graph.all("DaemonSet") if driver in str(at(item, "spec", "template", "spec"))]
    where = f" on {', '.join(nodes)}" if nodes else ""
    return Finding(
        fault="STO-06",
        title=f"The CSI driver {driver} is not registered{where}, so volumes of it cannot be mounted",
        object=ref(makers[0]) if len(makers) == 1 else next(iter(workloads)),
        confidence=0.93,
        evidence=(*(told for _, told in items[:3]), *(_state(graph, item) for item in makers[:1])),
        facts={"driver": driver, "nodes": ",".join(nodes)},
        related=(*workloads, *(ref(pod) for pod in pods)),
        explains=tuple(workloads),
        advice=f"Install or restart the node part of the driver {driver}{where}"
        + (f": {ref(makers[0])}." if len(makers) == 1 else "."),
    )


def _state(graph: Graph, item: Json) -> Evidence:
    pods = graph.pods(item)
    return evidence(item, "pods", graph.snapshot.time, f"{sum(1 for pod in pods if ready(pod))} of {len(pods)} ready")


RULES = (
    Rule(fault="STO-03", needs=("Pod", "Event", "PersistentVolumeClaim"), find=attached_elsewhere),
    Rule(fault="STO-04", needs=("PersistentVolume", "PersistentVolumeClaim"), find=released),
    Rule(fault="STO-05", needs=("PersistentVolumeClaim", "StorageClass"), find=does_not_grow),
    Rule(fault="STO-06", needs=("Pod", "Event"), find=no_driver),
)

__all__ = ["RULES"]
