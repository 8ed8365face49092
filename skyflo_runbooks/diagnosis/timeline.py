"""The time line of the first finding: what changed shortly before its symptom began, and since. Pure.

Rules:
  1. It began with the earliest sign that is still there: an ailing pod's condition or first end, a condition of its
     workload or node, a warning about one of these. Where no sign has a time, it is not known.
  2. Changes are those of what the finding is about: its objects, the pods' workloads and nodes, what these pods read,
     the Services in front, the autoscalers above; and what holds for a whole namespace (policies, quotas).
  3. A change is a new revision, an object that was made, a write that managedFields dates, a scaling, what a node went
     through, and a Helm release. managedFields give one time for all that a manager holds: it says who wrote last and
     what is theirs, never which field of it moved.
  4. Names of fields, keys, variables and images are said, and amounts of resources; never a value of a variable, of a
     ConfigMap or of a Secret.
  5. What lies more than a day before the begin is left out, then the oldest beyond `MOST`.
  6. A change of the finding's own object within `NEAR` before the begin is evidence of the finding.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from skyflo_runbooks.diagnosis.graph import REVISION, Graph, pod_edges, ref, revision
from skyflo_runbooks.diagnosis.pods import (
    condition,
    containers,
    created,
    each,
    labels_of,
    leaving,
    namespace_of,
    pod_spec,
    ready,
    texts,
)
from skyflo_runbooks.diagnosis.rules.base import event_time, services, short
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Change, Evidence, Finding, Timeline
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

MOST = 12
PODS = 50
_DAY, NEAR = 86400.0, 3600.0
_ROLLOUT = 60.0
# Kinds that hold for everything in their namespace.
_OF_ALL = ("NetworkPolicy", "ResourceQuota", "LimitRange", "PeerAuthentication", "AuthorizationPolicy")
_ABOVE = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
_DONE = frozenset((
    "ScalingReplicaSet", "SuccessfulRescale", "NodeNotReady", "NodeReady", "NodeNotSchedulable", "NodeSchedulable",
    "Rebooted", "SystemOOM", "OOMKilling", "Evicted", "Preempted", "TaintManagerEviction", "EvictionThresholdMet",
))  # fmt: skip
_BAD = {"Available": "False", "Progressing": "False", "ReplicaFailure": "True", "Failed": "True"}


def timeline(graph: Graph, findings: Iterable[Finding]) -> Timeline:
    """Return the time line of the first finding; an empty one where there is none."""
    first = next(iter(findings), None)
    if first is None:
        return Timeline()
    about = _about(graph, first)
    signs = sorted(_signs(graph, first, about))
    began, symptom = max(signs, key=lambda sign: seconds_between(sign[0], graph.snapshot.time) or 0.0, default=("", ""))
    until = began or graph.snapshot.time
    found = {
        one: passed
        for one in _changes(graph, about)
        if (passed := seconds_between(one.at, until)) is not None and passed <= _DAY
    }
    ordered = sorted(found, key=lambda one: (-found[one], str(one.object), one.what))
    kept = ordered[-MOST:]
    placed = tuple(
        msgspec.structs.replace(one, before=seconds_between(one.at, began) if began else None) for one in kept
    )
    return Timeline(began, symptom, placed, len(ordered) - len(kept))


def with_changes(finding: Finding, line: Timeline, now: str) -> Finding:
    """Return the finding with the last change of its own object before it began as evidence, by rule 6."""
    until = line.began or now
    mine = [
        one
        for one in line.changes
        if one.object == finding.object and one.by and 0 <= (seconds_between(one.at, until) or 0.0) <= NEAR
    ]
    if not mine or any(piece.at == mine[-1].at for piece in finding.evidence):
        return finding
    last = mine[-1]
    piece = Evidence(f"{last.object} metadata.managedFields", last.at, short(f"{last.what}, by {last.by}"))
    return msgspec.structs.replace(finding, evidence=(*finding.evidence, piece))


# What it is about -----------------------------------------------------------------------------------------------------


def _about(graph: Graph, finding: Finding) -> dict[ObjectRef, Json]:
    """Return the objects of rule 2 that were read."""
    named = dict.fromkeys((finding.object, *finding.related, *finding.explains))
    found = {one: held for one in named if (held := graph.get(one)) is not None and one.kind != "Namespace"}
    pods = [pod for held in list(found.values()) for pod in _pods(graph, held)][:PODS]
    for pod in pods:
        found[ref(pod)] = pod
        above = graph.workload(pod)
        found[ref(above)] = above
        for edge in pod_edges(ref(pod), pod):
            held = graph.get(edge.target)
            if held is not None and (edge.target.kind != "Node" or not ready(pod)):
                found[edge.target] = held
    for held in [one for one in found.values() if one.get("kind") in _ABOVE]:
        found |= {front: service for front in services(graph, held) if (service := graph.get(front)) is not None}
    spaces = {one.namespace for one in found} - {""}
    for kind in (*_OF_ALL, "HorizontalPodAutoscaler"):
        found |= {ref(held): held for held in graph.all(kind) if namespace_of(held) in spaces and _holds(held, found)}
    return found


def _pods(graph: Graph, held: Json) -> list[Json]:
    return graph.pods(held) if held.get("kind") in (*_ABOVE, "ReplicaSet", "Pod") else []


def _holds(held: Json, found: dict[ObjectRef, Json]) -> bool:
    """Return whether an autoscaler scales one of these; what holds for a whole namespace does."""
    if held.get("kind") != "HorizontalPodAutoscaler":
        return True
    target = texts(held, "spec", "scaleTargetRef")
    return ObjectRef(target.get("kind", ""), target.get("name", ""), namespace_of(held)) in found


# When it began --------------------------------------------------------------------------------------------------------


def _signs(graph: Graph, finding: Finding, about: dict[ObjectRef, Json]) -> Iterator[tuple[str, str]]:
    """Yield each sign with its time, RFC 3339."""
    suffers = {finding.object, *finding.related, *finding.explains}
    for this, held in about.items():
        if this not in suffers and not (this.kind == "Pod" and ref(graph.workload(held)) in suffers):
            continue
        for when, said in (*_of_pod(held), *_of_workload(held), *_of_node(held), *_warned(graph, held)):
            if when and seconds_between(when, graph.snapshot.time) is not None:
                yield when, short(f"{this}: {said}")


def _of_pod(held: Json) -> Iterator[tuple[str, str]]:
    if held.get("kind") != "Pod" or ready(held) or leaving(held):
        return
    for kind in ("PodScheduled", "Ready"):
        said = condition(held, kind)
        if said.get("status") == "False":
            yield str(said.get("lastTransitionTime") or ""), str(said.get("reason") or f"not {kind}")
    for container in containers(held):
        for end in container.terminations:
            if end.get("exitCode"):
                yield str(end.get("finishedAt") or ""), f"{container.name}: {end.get('reason') or 'Error'}"


def _of_workload(held: Json) -> Iterator[tuple[str, str]]:
    for kind, bad in _BAD.items() if held.get("kind") in _ABOVE else ():
        said = condition(held, kind)
        if said.get("status") == bad:
            yield str(said.get("lastTransitionTime") or ""), str(said.get("reason") or kind)


def _of_node(held: Json) -> Iterator[tuple[str, str]]:
    said = condition(held, "Ready") if held.get("kind") == "Node" else {}
    if said and said.get("status") != "True":
        yield str(said.get("lastTransitionTime") or ""), str(said.get("reason") or "not Ready")


def _warned(graph: Graph, held: Json) -> Iterator[tuple[str, str]]:
    # A pod that is ready may have been slow: what was said of it then is over.
    over = held.get("kind") == "Pod" and ready(held)
    for event in graph.events(held) if not over else ():
        if event.get("type") == "Warning":
            yield str(event.get("firstTimestamp") or event_time(event)), str(event.get("reason") or "")


# What changed ---------------------------------------------------------------------------------------------------------


def _changes(graph: Graph, about: dict[ObjectRef, Json]) -> Iterator[Change]:
    for this, held in about.items():
        yield from _revisions(graph, this, held)
        if this.kind == "Node":
            yield from _node(this, held)
        if this.kind not in ("Pod", "ReplicaSet"):
            yield from _written(this, held, graph.revisions(held))
        yield from _happened(graph, this, held)
    spaces = {this.namespace for this in about}
    for secret in graph.all("Secret"):
        if namespace_of(secret) in spaces and labels_of(secret).get("owner") == "helm":
            yield from _release(secret)


def _revisions(graph: Graph, this: ObjectRef, workload: Json) -> Iterator[Change]:
    sets = sorted(graph.revisions(workload), key=revision)
    for before, after in zip([None, *sets], sets, strict=False):
        if before is None and _at_once(created(workload), created(after)):
            continue  # the workload itself was made then
        # A roll-back gives an old revision a new number: its own age says nothing of when.
        if before is None or created(before) < created(after):
            number = at(after, "metadata", "annotations", REVISION, default="?")
            by = next((name for when, name, _ in _writes(workload) if _at_once(when, created(after), 2)), "")
            yield Change(created(after), this, short(f"revision {number}: {_moved(before, after)}"), by)


def _at_once(one: str, other: str, most: float = _ROLLOUT) -> bool:
    """Return whether a time lies within the first seconds after another one."""
    passed = seconds_between(one, other)
    return passed is not None and 0 <= passed <= most


def _moved(before: Json | None, after: Json) -> str:
    """Return in words what differs between two templates: images and resources as they are, of the rest the names."""
    if before is None:
        return "the first that is known"
    parts: list[str] = []
    old, new = ({str(c.get("name")): c for c in _containers(one)} for one in (before, after))
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            parts.append(f"container {name} {'added' if name in new else 'removed'}")
        else:
            parts += _differences(name, old[name], new[name])
    one, other = pod_spec(before), pod_spec(after)
    if not parts and one != other:
        parts = [f"{key} changed" for key in sorted({*one, *other}) if one.get(key) != other.get(key)]
    return "; ".join(parts) or "annotations or labels of its pods (a restart)"


def _containers(replica_set: Json) -> list[Json]:
    return [
        *each(replica_set, "spec", "template", "spec", "initContainers"),
        *each(replica_set, "spec", "template", "spec", "containers"),
    ]


def _differences(name: str, old: Json, new: Json) -> Iterator[str]:
    for key in sorted({*old, *new}):
        if old.get(key) == new.get(key):
            continue
        if key == "image":
            yield f"image of {name} {old.get(key)} → {new.get(key)}"
        elif key == "resources":
            yield f"resources of {name} {_amounts(old)} → {_amounts(new)}"
        elif key == "env":
            ours, theirs = ({str(e.get("name")): e for e in each(one, "env")} for one in (old, new))
            moved = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
            signs = (f"{'+' if n not in ours else '−' if n not in theirs else '~'}{n}" for n in moved[:6])
            yield f"environment of {name}: {', '.join(signs) or 'in another order'}"
        else:
            yield f"{key} of {name} changed"


def _amounts(container: Json) -> str:
    held = at(container, "resources", default={})
    said = [
        f"{kind[:-1]} {resource} {amount}"
        for kind in ("requests", "limits")
        for resource, amount in sorted(texts(held, kind).items())
    ]
    return ", ".join(said) or "none"


def _writes(held: Json) -> Iterator[tuple[str, str, str]]:
    """Yield when somebody wrote an object last, who, and which fields are theirs."""
    for entry in each(held, "metadata", "managedFields"):
        when = str(entry.get("time") or "")
        if not entry.get("subresource") and when and (theirs := _theirs(entry)):
            yield when, str(entry.get("manager") or ""), theirs


def _written(this: ObjectRef, held: Json, revisions: list[Json]) -> Iterator[Change]:
    made, dated = created(held), False
    for when, by, theirs in _writes(held):
        first = when == made
        dated |= first
        if first or not any(_at_once(when, created(one), 2) for one in revisions):
            yield Change(when, this, "made" if first else f"last written: {theirs}", by)
    if made and not dated:
        yield Change(made, this, "made")


def _theirs(entry: Json) -> str:
    """Return the names of the fields that a manager holds, two levels deep; empty where they are not of the object."""
    owned = at(entry, "fieldsV1", default={})
    names: list[str] = []
    for top, inner in owned.items() if isinstance(owned, dict) else ():
        if top in ("f:metadata", "f:status") or not top.startswith("f:"):
            continue
        below = [key[2:] for key in inner if key.startswith("f:")] if isinstance(inner, dict) else []
        names += [f"{top[2:]}.{key}" for key in sorted(below)] or [top[2:]]
    return ", ".join(names) if len(names) <= 4 else f"{len(names)} fields, {names[0]} among them"


def _node(this: ObjectRef, node: Json) -> Iterator[Change]:
    for said in each(node, "status", "conditions"):
        when, kind = str(said.get("lastTransitionTime") or ""), str(said.get("type"))
        if when and when != created(node):
            yield Change(when, this, short(f"{kind} became {said.get('status')}: {said.get('reason') or 'no reason'}"))


def _happened(graph: Graph, this: ObjectRef, held: Json) -> Iterator[Change]:
    rolled_out = graph.revisions(held)
    for event in graph.events(held):
        if str(event.get("reason")) in _DONE:
            teller = str(at(event, "source", "component", default="") or event.get("reportingComponent") or "")
            text = short(f"{event.get('reason')}: {event.get('message') or ''}")
            when = str(event.get("firstTimestamp") or event_time(event))
            if event.get("reason") == "ScalingReplicaSet" and any(_at_once(created(r), when) for r in rolled_out):
                continue  # the rollout of a revision, which is told already
            yield Change(when, this, text, teller)


def _release(secret: Json) -> Iterator[Change]:
    labels = labels_of(secret)
    modified = labels.get("modifiedAt") or labels.get("createdAt") or ""
    if not modified.isdigit() or len(modified) > 11:
        return
    when = datetime.fromtimestamp(int(modified), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"Helm release {labels.get('name')} revision {labels.get('version')}: {labels.get('status')}"
    yield Change(when, ref(secret), text, "helm")


__all__ = ["MOST", "NEAR", "timeline", "with_changes"]
