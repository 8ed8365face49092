"""A snapshot without the evidence that a finding cites, and one with much that is beside the point.

Rules:
  1. What a finding cites is taken away where it was seen: the events, the log, the condition, the field. Of a pod it is
     taken from its siblings as well, and the same words go wherever else they stand: an event's text is repeated in a
     condition. Where only the whole object can be meant, it goes.
  2. Without all that it cites, a finding is gone, less certain, or says something else. If it stays as it was, it does
     not rest on what it says it rests on.
  3. Five hundred healthy objects and events of others, in the same namespace, change no finding.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json, at

_SOURCE = re.compile(r"(?P<kind>[A-Z]\w+)/(?:(?P<namespace>[^/ ]+)/)?(?P<name>\S+)(?: (?P<part>.*))?")
NOISE = 500
_FEW = 20
_ENOUGH = 150


def rests_on_its_evidence(snapshot: Snapshot, incident: Incident, finding: Finding) -> bool:
    """Return whether the finding is gone, less certain or another, once everything that it cites is taken away."""
    without = snapshot
    for piece in finding.evidence:
        without = taken_away(without, piece)
    left = diagnose(without, incident).findings
    same = [one for one in left if (one.fault, one.object) == (finding.fault, finding.object)]
    return not any(one.confidence >= finding.confidence and one.title == finding.title for one in same)


def unmoved_by_noise(snapshot: Snapshot, incident: Incident) -> bool:
    """Return whether 500 irrelevant objects and events leave the findings as they are."""
    return _said(snapshot, incident) == _said(noisy(snapshot, incident), incident)


def _said(snapshot: Snapshot, incident: Incident) -> list[str]:
    return [f"{one.fault} {one.object} {one.confidence}" for one in diagnose(snapshot, incident).findings]


def taken_away(snapshot: Snapshot, piece: Evidence) -> Snapshot:
    """Return the snapshot without one piece of evidence."""
    found = _SOURCE.fullmatch(piece.source)
    if found is None:
        return snapshot
    kind, namespace, name = found["kind"], found["namespace"] or "", found["name"]
    part = found["part"] or ""
    meant = _with_siblings(snapshot, kind, namespace, name)
    if part.startswith("log"):
        logs = tuple(log for log in snapshot.logs if (log.namespace, log.pod) not in {(namespace, n) for n in meant})
        return msgspec.structs.replace(snapshot, logs=logs)
    objects = dict(snapshot.objects)
    if part.startswith("event") or part in ("Preempted",):
        objects["Event"] = [event for event in objects.get("Event", []) if not _about(event, kind, meant)]
    else:
        objects[kind] = list(_thinned(objects.get(kind, []), namespace, meant, part, piece.text))
    unsaid = {of: [_unsaid(item, piece.text) for item in items] for of, items in objects.items() if of != "Event"}
    unsaid["Event"] = [event for event in objects.get("Event", []) if not _says(event, piece.text)]
    return msgspec.structs.replace(snapshot, objects=unsaid)


def _says(told: Json, text: str) -> bool:
    """Return whether an event or a condition says these words; a few letters are no words."""
    words, said = _plain(text.rstrip("…")), _plain(str(told.get("message") or ""))
    # The beginning tells: evidence is cut where it is long, and an event begins with what its controller tried.
    return min(len(words), len(said)) > _FEW and (words[:_ENOUGH] in said or said[:_ENOUGH] in words)


def _plain(text: str) -> str:
    """Return a text without what differs from pod to pod: the names in quotation marks."""
    return re.sub(r'"[^"]*"', '""', " ".join(text.split()))


def _unsaid(item: Json, text: str) -> Json:
    conditions = at(item, "status", "conditions", default=[])
    left = [condition for condition in conditions if not _says(condition, text)]
    return item if len(left) == len(conditions) else {**item, "status": {**item["status"], "conditions": left}}


def _with_siblings(snapshot: Snapshot, kind: str, namespace: str, name: str) -> set[str]:
    items = [i for i in snapshot.objects.get(kind, []) if at(i, "metadata", "namespace", default="") == namespace]
    cited = next((item for item in items if item["metadata"]["name"] == name), None)
    owners = at(cited, "metadata", "ownerReferences", default=[])
    if kind != "Pod" or not owners:
        return {name}
    return {str(i["metadata"]["name"]) for i in items if at(i, "metadata", "ownerReferences", default=[]) == owners}


def _about(event: Json, kind: str, names: set[str]) -> bool:
    return at(event, "involvedObject", "kind") == kind and at(event, "involvedObject", "name") in names


def _thinned(items: list[Json], namespace: str, names: set[str], part: str, text: str) -> Iterator[Json]:
    for item in items:
        here = at(item, "metadata", "namespace", default="") == namespace
        if not here or item["metadata"]["name"] not in names:
            yield item
        elif (less := _less(item, part, text)) is not None:
            yield less


def _less(item: Json, part: str, text: str) -> Json | None:
    """Return the object without the part, or None where the whole object is meant."""
    less = copy.deepcopy(item)
    if part.startswith("condition "):
        kind = part.removeprefix("condition ")
        less["status"]["conditions"] = [c for c in at(less, "status", "conditions", default=[]) if c["type"] != kind]
        return less
    if part.startswith("status"):
        less["status"] = {"phase": at(less, "status", "phase", default="")}
        return less
    if part.startswith("template"):
        return less if _dropped(at(less, "spec", "template", default={}), text.partition(":")[0].strip()) else None
    path = part.split(".")
    holder = at(less, *path[:-1]) if len(path) > 1 else None
    if isinstance(holder, dict) and path[-1] in holder:
        del holder[path[-1]]
        return less
    return None


def _dropped(value: object, key: str) -> bool:
    """Delete a key wherever it is; say whether it was anywhere."""
    if isinstance(value, dict):
        here = value.pop(key, None) is not None
        return any([here, *(_dropped(inner, key) for inner in value.values())])
    return sum(_dropped(inner, key) for inner in value) > 0 if isinstance(value, list) else False


def noisy(snapshot: Snapshot, incident: Incident) -> Snapshot:
    """Return the snapshot with `NOISE` further objects and events that are well, or long over."""
    namespace = next(iter(incident.namespaces or snapshot.namespaces), "default")
    nodes = [str(node["metadata"]["name"]) for node in snapshot.objects.get("Node", [])] or ["node-a"]
    objects = {kind: list(items) for kind, items in snapshot.objects.items()}
    for number in range(NOISE // 10):
        for kind, item in _bystander(namespace, number, nodes[number % len(nodes)], snapshot.time):
            objects.setdefault(kind, []).append(item)
    return msgspec.structs.replace(snapshot, objects=objects)


def _bystander(namespace: str, number: int, node: str, now: str) -> Iterator[tuple[str, Json]]:
    """Yield ten objects: a rolled-out Deployment with what belongs to it, events of it, and one of a pod long gone."""
    name, uid = f"bystander-{number}", f"00000000-0000-0000-0000-{number:012d}"
    labels = {"run": name}
    spec: Json = {"containers": [{"name": "main", "image": "storefront:v5.1.0", "ports": [{"containerPort": 3000}]}]}
    template: Json = {"metadata": {"labels": labels}, "spec": spec}
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 1)

    def meta(called: str, **more: object) -> Json:
        return {"name": called, "namespace": namespace, "uid": uid, "creationTimestamp": now, "labels": labels, **more}

    def owned(kind: str, by: str) -> list[Json]:
        return [{"kind": kind, "name": by, "uid": uid, "controller": True}]

    wanted: Json = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    status: Json = {**counts, "observedGeneration": 1}
    yield "Deployment", {"kind": "Deployment", "metadata": meta(name, generation=1), "spec": wanted, "status": status}
    of_deployment = meta(f"{name}-7d4", generation=1, ownerReferences=owned("Deployment", name))
    yield "ReplicaSet", {"kind": "ReplicaSet", "metadata": of_deployment, "spec": wanted, "status": status}
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready", "ContainersReady", "Initialized")]
    running = {"running": {"startedAt": now}}
    state: Json = {
        "phase": "Running",
        "podIP": f"10.9.{number}.1",
        "conditions": ready,
        "containerStatuses": [{"name": "main", "ready": True, "restartCount": 0, "state": running}],
    }
    pod = f"{name}-7d4-x"
    of_set = meta(pod, ownerReferences=owned("ReplicaSet", f"{name}-7d4"))
    yield "Pod", {"kind": "Pod", "metadata": of_set, "spec": {**spec, "nodeName": node}, "status": state}
    service: Json = {"selector": labels, "ports": [{"port": 80, "targetPort": 3000}]}
    yield "Service", {"kind": "Service", "metadata": meta(name), "spec": service}
    yield "EndpointSlice", _slice(meta(f"{name}-q", labels={**labels, "kubernetes.io/service-name": name}), pod, number)
    yield "ConfigMap", {"kind": "ConfigMap", "metadata": meta(name), "data": {"LEVEL": "info"}}
    yield "ServiceAccount", {"kind": "ServiceAccount", "metadata": meta(name)}
    for reason, about in (("Pulled", pod), ("Started", pod), ("BackOff", f"gone-{number}")):
        yield "Event", _event(meta(f"{about}.{reason}"), reason, about, now)


def _slice(meta: Json, pod: str, number: int) -> Json:
    ready = {"ready": True, "serving": True, "terminating": False}
    target = {"kind": "Pod", "name": pod, "namespace": meta["namespace"]}
    endpoint = {"addresses": [f"10.9.{number}.1"], "conditions": ready, "targetRef": target}
    return {"kind": "EndpointSlice", "metadata": meta, "endpoints": [endpoint], "ports": [{"port": 3000}]}


def _event(meta: Json, reason: str, pod: str, now: str) -> Json:
    return {
        "kind": "Event",
        "metadata": meta,
        "involvedObject": {"kind": "Pod", "namespace": meta["namespace"], "name": pod},
        "type": "Warning" if reason == "BackOff" else "Normal",
        "reason": reason,
        "message": f"{reason} of container main",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
