"""Family D, rollouts: what keeps a workload from the pods that its specification wants.

Source of the evidence: the workloads' own specification and status. ROL-01 is what is left where the pods of a stuck
rollout show no cause of their own; `collapse` lets it yield to any other finding of the same workload.
"""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.capacity import chosen, untolerated, written
from skyflo_runbooks.diagnosis.graph import Graph, ref, revision
from skyflo_runbooks.diagnosis.pods import (
    condition,
    containers,
    created,
    each,
    labels_of,
    leaving,
    name_of,
    namespace_of,
    pod_spec,
    ready,
    replicas,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.rules.base import (
    INTENDED,
    INTENT,
    PERHAPS,
    Rule,
    current,
    deployed,
    event_time,
    evidence,
    falling,
    of_older_template,
    services,
)
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_DESIRED = "deployment.kubernetes.io/desired-replicas"
_SCALED = re.compile(r"Scaled down replica set (?P<set>\S+?) (?:from (?P<from>\d+) )?to 0")


# Seconds after which a rollout that ended well has nothing to do with what fails.
_LONG = 3600.0
# How alike (0 to 100) two values of a label are where one is the other with a slip.
_ALIKE = 70.0


def _pods(graph: Graph, workload: Json) -> tuple[ObjectRef, ...]:
    return tuple(ref(pod) for pod in graph.pods(workload))


# ROL-01 ---------------------------------------------------------------------------------------------------------------


def stuck(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Deployment whose rollout passed its deadline while the new pods are not ready."""
    for workload in graph.all("Deployment"):
        said = condition(workload, "Progressing")
        newest = current(graph, workload)
        if said.get("reason") != "ProgressDeadlineExceeded" or newest is None or at(workload, "spec", "paused"):
            continue
        new = [pod for pod in graph.owned(newest) if not leaving(pod)]
        ends = any(falling(graph, container) for pod in new for container in containers(pod))
        if new and all(ready(pod) for pod in new) and not ends:
            continue  # the deadline's word outlives the repair
        rolled_out = deployed(graph, workload)
        before = graph.previous(workload)
        text = f"{sum(1 for pod in new if ready(pod))} of {len(new)} pods of the new revision are ready"
        yield Finding(
            fault="ROL-01",
            title=f"The rollout of {ref(workload)} passed its deadline: {text}",
            object=ref(workload),
            confidence=0.7,
            evidence=(
                evidence(workload, "condition Progressing", _moved(said), str(said.get("message", ""))),
                evidence(newest, "pods", graph.snapshot.time, text),
                *((rolled_out,) if rolled_out else ()),
            ),
            facts={"revision": str(revision(before))} if before else {},
            related=(*_pods(graph, workload), *services(graph, workload)),
        )


def _moved(said: Json) -> str:
    return str(said.get("lastTransitionTime") or said.get("lastUpdateTime") or "")


# ROL-02, ROL-03 -------------------------------------------------------------------------------------------------------


def paused(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Deployment that is paused with a template that was not rolled out."""
    for workload in graph.all("Deployment"):
        behind = whole(workload, "status", "updatedReplicas") < replicas(workload)
        if not at(workload, "spec", "paused", default=False) or not behind:
            continue
        said = condition(workload, "Progressing")
        updated = whole(workload, "status", "updatedReplicas")
        # Pods of the template before fail, and none of the present one was made: what would replace them is held back.
        suffers = not updated and whole(workload, "status", "availableReplicas") < replicas(workload)
        yield Finding(
            fault="ROL-02",
            title=f"{ref(workload)} is paused: its present template was not rolled out"
            + (", and pods of the one before fail" if suffers else ""),
            object=ref(workload),
            confidence=0.8 if suffers else INTENDED,
            evidence=(
                evidence(workload, "spec.paused", _moved(said) or graph.snapshot.time, "true"),
                evidence(workload, "status", graph.snapshot.time, f"{updated} of {replicas(workload)} pods are of it"),
            ),
            facts={"paused": "true"} | ({} if suffers else {INTENT: "spec.paused"}),
            related=(*_pods(graph, workload), *services(graph, workload)),
            advice="Somebody paused it: ask why before it is resumed.",
        )


def scaled_to_zero(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload with no replicas although a Service sends requests to it and to no other."""
    scaled = {
        (namespace_of(item), str(at(item, "spec", "scaleTargetRef", "name")))
        for item in graph.all("HorizontalPodAutoscaler")
    }
    for kind in ("Deployment", "StatefulSet"):
        for workload in graph.all(kind):
            here = namespace_of(workload)
            if at(workload, "spec", "replicas") != 0 or (here, name_of(workload)) in scaled:
                continue
            fronts = [graph.get(front) for front in services(graph, workload)]
            empty = [s for s in fronts if s and not graph.selected(here, texts(s, "spec", "selector"))]
            if empty:
                yield _zero(graph, workload, empty, last_scale(graph, workload))


def _zero(graph: Graph, workload: Json, fronts: list[Json], last: tuple[int, Evidence] | None) -> Finding:
    """Return the finding; without an event that says how many there were, it may be meant so."""
    before = last or _wanted_before(graph, workload)
    fronts_named = ", ".join(str(ref(front)) for front in fronts[:3])
    return Finding(
        fault="ROL-03",
        title=f"{ref(workload)} is scaled to 0, and {fronts_named} sends its requests there",
        object=ref(workload),
        confidence=0.93 if last else INTENDED,
        evidence=(
            evidence(workload, "spec.replicas", graph.snapshot.time, "0"),
            *((before[1],) if before else ()),
            *(evidence(front, "EndpointSlices", graph.snapshot.time, "no endpoints") for front in fronts[:3]),
        ),
        facts=({"replicas": str(before[0])} if before else {}) | ({} if last else {INTENT: "spec.replicas"}),
        related=tuple(ref(front) for front in fronts),
        explains=(ref(workload), *(ref(front) for front in fronts)),
        advice="" if last else "Nothing tells who scaled it, and when: ask whether it is to run before it is scaled.",
    )


def _wanted_before(graph: Graph, workload: Json) -> tuple[int, Evidence] | None:
    """Return how many replicas were wanted of an earlier revision, by the controller's own note on it."""
    for replica_set in graph.revisions(workload)[1:]:
        written = texts(replica_set, "metadata", "annotations").get(_DESIRED, "")
        if written.isdigit() and int(written) > 0:
            return int(written), evidence(
                replica_set, "metadata.annotations", created(replica_set), f"{written} wanted"
            )
    return None


def last_scale(graph: Graph, workload: Json) -> tuple[int, Evidence] | None:
    """Return how many replicas it had before, by the newest event that says so."""
    told = []
    for event in graph.events(workload):
        found = _SCALED.search(str(event.get("message", "")))
        if found and found["from"] and event.get("reason") == "ScalingReplicaSet":
            text = str(event.get("message", ""))
            told.append((event_time(event), int(found["from"]), evidence(workload, "event", event_time(event), text)))
    if not told:
        return None
    _, number, piece = max(told, key=lambda item: item[0])
    return number, piece


# ROL-04 ---------------------------------------------------------------------------------------------------------------


def all_at_once(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Deployment whose strategy let a rollout that fails take every pod down at once."""
    for workload in graph.all("Deployment"):
        rolling = at(workload, "spec", "strategy", "rollingUpdate", default={})
        written = str(at(rolling, "maxUnavailable", default="25%"))
        surge = str(at(rolling, "maxSurge", default="25%"))
        wanted = replicas(workload)
        every = written == "100%" or (written.isdigit() and int(written) >= wanted > 1)
        newest = current(graph, workload)
        if not every or wanted == 0 or graph.previous(workload) is None or newest is None:
            continue
        new = [pod for pod in graph.owned(newest) if not leaving(pod)]
        if not new or any(ready(pod) for pod in graph.pods(workload)) or _ended_well(graph, workload, newest):
            continue
        before = graph.previous(workload)
        yield Finding(
            fault="ROL-04",
            title=f"{ref(workload)} was taken down whole by its rollout: maxUnavailable {written}, maxSurge {surge}",
            object=ref(workload),
            confidence=0.97,
            evidence=(
                evidence(workload, "spec.strategy", graph.snapshot.time, f"maxUnavailable {written}, maxSurge {surge}"),
                evidence(newest, "pods", graph.snapshot.time, f"0 of {len(new)} pods of the new revision are ready"),
            ),
            facts={"revision": str(revision(before))} if before else {},
            related=(*_pods(graph, workload), *services(graph, workload)),
            advice="Set maxUnavailable and maxSurge to 25 % again, and repair the template or go back a revision.",
        )


def _ended_well(graph: Graph, workload: Json, newest: Json) -> bool:
    """Return whether a rollout ended well long ago, so that it is not what its pods fail by now."""
    age = seconds_between(created(newest), graph.snapshot.time)
    done = condition(workload, "Progressing").get("reason") == "NewReplicaSetAvailable"
    return done and age is not None and age > _LONG


# ROL-05, ROL-06 -------------------------------------------------------------------------------------------------------


def set_blocked(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each StatefulSet whose update stands still: partition, OnDelete, or a broken old pod."""
    for workload in graph.all("StatefulSet"):
        status = at(workload, "status", default={})
        update = str(at(status, "updateRevision", default=""))
        if not update or replicas(workload) == 0:
            continue
        # One that went back to the template of before says of itself that nothing is to do; its pods tell otherwise.
        if at(status, "currentRevision") == update and not any(_left(workload, pod) for pod in graph.pods(workload)):
            continue
        held = _holds(graph, workload, update)
        if held:
            why, facts, pieces = held
            yield Finding(
                fault="ROL-05",
                title=f"The update of {ref(workload)} stands still: {why}",
                object=ref(workload),
                confidence=INTENDED if INTENT in facts else 0.92,
                evidence=(
                    evidence(workload, "status", graph.snapshot.time, _revisions(workload)),
                    *pieces,
                ),
                facts=facts,
                related=(*_pods(graph, workload), *services(graph, workload)),
            )


def _left(workload: Json, pod: Json) -> bool:
    return of_older_template(workload, pod) and not ready(pod) and not leaving(pod)


def _revisions(workload: Json) -> str:
    status = at(workload, "status", default={})
    return (
        f"currentRevision {at(status, 'currentRevision')}, updateRevision {at(status, 'updateRevision')}, "
        f"{whole(status, 'updatedReplicas')} of {replicas(workload)} updated"
    )


def _holds(graph: Graph, workload: Json, update: str) -> tuple[str, dict[str, str], tuple[Evidence, ...]] | None:
    now = graph.snapshot.time
    if at(workload, "spec", "updateStrategy", "type") == "OnDelete":
        piece = evidence(workload, "spec.updateStrategy", now, "OnDelete")
        facts = {"hold": "OnDelete", INTENT: "spec.updateStrategy"}
        return "OnDelete waits for somebody to delete the old pods", facts, (piece,)
    partition = whole(workload, "spec", "updateStrategy", "rollingUpdate", "partition")
    old = [pod for pod in graph.pods(workload) if labels_of(pod).get("controller-revision-hash") != update]
    broken = [pod for pod in old if not ready(pod) and not leaving(pod)]
    if broken:
        piece = evidence(broken[0], "controller-revision-hash", now, f"{_hash(broken[0])}, and it is not ready")
        text = f"{ref(broken[0])} keeps the old template and is not ready, and an ordered update waits for it"
        return text, {"hold": "pod", "pod": name_of(broken[0])}, (piece,)
    if partition and old:
        piece = evidence(workload, "spec.updateStrategy", now, f"partition {partition}")
        facts = {"hold": "partition", INTENT: "spec.updateStrategy"}
        return f"partition {partition} keeps {len(old)} pods on the old revision", facts, (piece,)
    return None


def _hash(pod: Json) -> str:
    return labels_of(pod).get("controller-revision-hash", "no revision")


def no_governing_service(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each StatefulSet whose governing Service does not exist, so that its pods have no names."""
    if graph.snapshot.gaps_in("Service"):
        return
    for workload in graph.all("StatefulSet"):
        name = str(at(workload, "spec", "serviceName", default=""))
        if not name or graph.get(ObjectRef("Service", name, namespace_of(workload))) is not None:
            continue
        asked = tuple(_asks_by_name(graph, workload, name))
        ill = id(workload) in graph.suffering
        yield Finding(
            fault="ROL-06",
            title=f"The Service {name} that names the pods of {ref(workload)} does not exist",
            object=ref(workload),
            confidence=0.9 if ill and asked else 0.7 if ill or asked else INTENDED,
            evidence=(
                evidence(workload, "spec.serviceName", graph.snapshot.time, f"{name}; there is no such Service"),
                *asked,
            ),
            # Many charts write a name that nobody asks for: pods that are well do not need it.
            facts={"service": name}
            | ({} if ill or asked else {INTENT: "spec.serviceName"})
            | ({} if asked else {PERHAPS: "spec.serviceName"}),
            related=_pods(graph, workload),
            advice=f"Create the headless Service {name} for the pods of {ref(workload)}.",
        )


def _asks_by_name(graph: Graph, workload: Json, service: str) -> Iterator[Evidence]:
    """Yield where the template names a pod by the Service: `store-0.peers`, `$(POD).peers`."""
    name = re.escape(name_of(workload))
    pattern = re.compile(rf"(?<![\w-])(?:{name}-\d+|\$\(?\{{?\w+\)?\}}?)\.{re.escape(service)}(?![\w-])")
    for container in each(pod_spec(workload), "containers"):
        said = [str(item.get("value") or "") for item in each(container, "env")]
        for part in ("command", "args"):
            held = container.get(part)
            said += [str(item) for item in held] if isinstance(held, list) else []
        found = next((match for text in said if (match := pattern.search(text))), None)
        if found:
            part = f"template of container {container.get('name')}"
            yield evidence(workload, part, graph.snapshot.time, f"asks for {found.group(0)}")
            return


# ROL-07 ---------------------------------------------------------------------------------------------------------------


def not_everywhere(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each DaemonSet that leaves nodes out: no node has its label, or it tolerates no taint."""
    nodes = [node for node in graph.all("Node") if condition(node, "Ready").get("status") == "True"]
    for workload in graph.all("DaemonSet"):
        desired = whole(workload, "status", "desiredNumberScheduled")
        if not nodes or desired >= len(nodes) or "status" not in workload:
            continue
        spec = pod_spec(workload)
        fitting = [node for node in nodes if chosen(node, spec)]
        if not fitting:
            facts = texts(spec, "nodeSelector")
            slip = any(_slip(nodes, key, value) for key, value in facts.items())
            # Without a slip it is for nodes of a kind that there is none of now: accelerators, another system.
            facts |= {} if slip else {INTENT: "spec.template.spec.nodeSelector"}
            why = "no node carries what it selects"
            yield _left_out(graph, workload, nodes, why, facts, 0.93 if slip else INTENDED)
            continue
        taints = {written(taint) for node in fitting for taint in untolerated(node, spec)}
        own = {taint for taint in taints if not taint.startswith(("node.kubernetes.io/", "node-role.kubernetes.io/"))}
        if own and desired < len(fitting):
            why = f"it does not tolerate {', '.join(sorted(own))}"
            # One that runs somewhere may leave dedicated nodes to others on purpose.
            meant = {INTENT: "spec.template.spec.tolerations"} if desired else {}
            facts = {"taint": sorted(own)[0], **meant}
            yield _left_out(graph, workload, fitting, why, facts, INTENDED if desired else 0.8)


def _slip(nodes: list[Json], key: str, wanted: str) -> bool:
    """Return whether nodes carry a value of a label that reads like the one that is wanted."""
    from rapidfuzz import fuzz

    values = {labels_of(node)[key] for node in nodes if key in labels_of(node)}
    return any(fuzz.ratio(value, wanted) >= _ALIKE for value in values)


def _left_out(
    graph: Graph, workload: Json, nodes: list[Json], why: str, facts: dict[str, str], confidence: float
) -> Finding:
    desired = whole(workload, "status", "desiredNumberScheduled")
    text = f"{desired} of {len(nodes)} nodes"
    return Finding(
        fault="ROL-07",
        title=f"{ref(workload)} runs on {text}: {why}",
        object=ref(workload),
        confidence=confidence,
        evidence=(
            evidence(workload, "status.desiredNumberScheduled", graph.snapshot.time, text),
            *(evidence(node, "labels and taints", graph.snapshot.time, _node_said(node, facts)) for node in nodes[:5]),
        ),
        facts=facts,
        related=(*_pods(graph, workload), *services(graph, workload)),
        advice="If it is meant for every node, let it select and tolerate them.",
    )


def _node_said(node: Json, facts: dict[str, str]) -> str:
    taints = ", ".join(f"{t.get('key')}={t.get('value', '')}:{t.get('effect')}" for t in each(node, "spec", "taints"))
    held = ", ".join(f"{key}={labels_of(node).get(key, 'absent')}" for key in facts if key != "taint")
    return f"{held}; taints: {taints or 'none'}".lstrip("; ")


RULES = (
    Rule(fault="ROL-01", needs=("Deployment", "ReplicaSet", "Pod"), find=stuck),
    Rule(fault="ROL-02", needs=("Deployment",), find=paused),
    Rule(fault="ROL-03", needs=("Deployment", "Service", "Pod"), find=scaled_to_zero),
    Rule(fault="ROL-04", needs=("Deployment", "ReplicaSet", "Pod"), find=all_at_once),
    Rule(fault="ROL-05", needs=("StatefulSet", "Pod"), find=set_blocked),
    Rule(fault="ROL-06", needs=("StatefulSet", "Service"), find=no_governing_service),
    Rule(fault="ROL-07", needs=("DaemonSet", "Node"), find=not_everywhere),
)

__all__ = ["RULES", "last_scale"]
