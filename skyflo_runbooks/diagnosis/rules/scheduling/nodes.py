"""Which nodes a pod may not use: SCH-01, SCH-04, SCH-05, SCH-12, SCH-15.

The scheduler says how many nodes it refused for which reason, and not which label, taint or node: those are computed
from the pod's specification and the nodes.
"""

from collections import Counter
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.capacity import expressed, refusals, rooms, untolerated, written
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import condition, each, labels_of, name_of, pod_request, texts
from skyflo_runbooks.diagnosis.rules.base import Rule, changeable, culprit, deployed, event_time, evidence, services
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import (
    REQUIRED,
    Waiting,
    at_home,
    ill,
    only_tainted,
    volumes,
    waiting,
)
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at

# What a machine is, and not where it stands: https://kubernetes.io/docs/reference/labels-annotations-taints/
_MACHINE = {f"{prefix}kubernetes.io/{name}" for prefix in ("", "beta.") for name in ("arch", "os")}

# SCH-01 ---------------------------------------------------------------------------------------------------------------


def no_such_node(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose nodeSelector or node affinity fits no node."""
    for found in waiting(graph, "selector"):
        wanted = _wanted(found.spec)
        missed = [(key, said) for key, said, fits in wanted if not any(fits(labels_of(n)) for n in graph.all("Node"))]
        key, said = (missed or [(wanted[0][0], wanted[0][1])])[0] if wanted else ("", "")
        if not key:
            continue
        facts = {"key": key, "wanted": said, **_meant(graph, found.spec, key)} if changeable(graph, found.pod) else {}
        where = "its nodeSelector" if key in texts(found.spec, "nodeSelector") else "its node affinity"
        yield Finding(
            fault="SCH-01",
            title=f"{found.wait}: {where} wants {said}, which no node has",
            object=ref(found.workload),
            confidence=0.95 if missed else 0.8,
            evidence=(*found.evidence(), *_selector_evidence(graph, found, key, said)),
            facts=facts,
            related=(*found.refs(), *services(graph, found.workload)),
            advice="" if "meant" in facts else f"Set the selector to a label that nodes carry, or label a node {said}.",
        )


def _wanted(spec: Json) -> list[tuple[str, str, "Fits"]]:
    """Return each thing that the pod wants of a node: its key, the words for it, and how to tell."""
    found: list[tuple[str, str, Fits]] = [
        (key, f"{key}={value}", Fits({"key": key, "operator": "In", "values": [value]}))
        for key, value in sorted(texts(spec, "nodeSelector").items())
    ]
    for term in each(spec, "affinity", "nodeAffinity", REQUIRED, "nodeSelectorTerms"):
        for one in each(term, "matchExpressions"):
            key, values = str(one.get("key", "")), ",".join(str(value) for value in one.get("values") or [])
            found.append((key, f"{key} {one.get('operator')} {values}".strip(), Fits(one)))
    return found


class Fits:
    """Whether labels satisfy one expression."""

    def __init__(self, expression: Json) -> None:
        self._expression = expression

    def __call__(self, labels: dict[str, str]) -> bool:
        return expressed(labels, self._expression)


def _meant(graph: Graph, spec: Json, key: str) -> dict[str, str]:
    """Return the value that was meant, where the nodes carry this key and it is clear which of its values."""
    from rapidfuzz import fuzz

    wanted = texts(spec, "nodeSelector").get(key)
    if key in _MACHINE:
        return {}  # another machine does not run the image, however alike the words are
    values = Counter(value for node in graph.all("Node") if (value := labels_of(node).get(key)) is not None)
    if wanted is None or not values:
        return {}
    near = [value for value in values if fuzz.ratio(value, wanted) >= 70 or value in wanted or wanted in value]
    best = near if len(near) == 1 else list(values) if len(values) == 1 else []
    return {"meant": best[0], "nodes": str(values[best[0]])} if best else {}


def _selector_evidence(graph: Graph, found: Waiting, key: str, said: str) -> Iterator[Evidence]:
    now = graph.snapshot.time
    yield evidence(found.workload, "template", now, f"wants nodes with {said}")
    for node in graph.all("Node")[:5]:
        held = labels_of(node).get(key)
        yield evidence(node, "metadata.labels", now, f"{key}={held}" if held is not None else f"no label {key}")
    rolled_out = deployed(graph, found.workload)
    if rolled_out:
        yield rolled_out


# SCH-04 ---------------------------------------------------------------------------------------------------------------


def tainted(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload that tolerates none of the taints of the nodes that it could use."""
    for found in waiting(graph, "taint"):
        # A taint of nodes that the pod could not use without it either is not what it waits for.
        kept_away = [node for node in graph.all("Node") if "taint" in refusals(node, found.spec)]
        fitting = [node for node in kept_away if only_tainted(node, found.spec)]
        if ill(fitting, found.spec):
            continue  # the node is the cause, and is named
        nodes = fitting or kept_away
        ordinary = [node for node in nodes if not any(_of_the_system(t) for t in untolerated(node, found.spec))]
        kept = Counter(written(taint) for node in ordinary or nodes for taint in untolerated(node, found.spec))
        taint = kept.most_common(1)[0][0] if kept else ""
        if not taint:
            continue
        bearers = [node for node in ordinary or nodes if taint in map(written, untolerated(node, found.spec))]
        facts = {"taint": taint, "nodes": ",".join(name_of(node) for node in bearers), "only": str(len(kept) == 1)}
        yield Finding(
            fault="SCH-04",
            title=f"{found.wait}: they do not tolerate the taint {taint}",
            object=ref(found.workload),
            confidence=0.93 if ordinary else 0.6,
            evidence=(*found.evidence(), *_taint_evidence(graph, bearers)),
            facts=facts if changeable(graph, found.pod) and ordinary else {},
            related=(*found.refs(), *(ref(node) for node in bearers), *services(graph, found.workload)),
            advice=f"If the taint {taint} of {', '.join(name_of(n) for n in bearers[:3])} is not meant, its owner "
            "removes it; else let the workload tolerate it.",
        )


def _of_the_system(taint: Json) -> bool:
    # Taints that a controller sets and takes away by itself (a node's state, a network or driver that is not there
    # yet, a node that is about to go), and the control plane's.
    key = str(taint.get("key", ""))
    return key.startswith(_BY_CONTROLLERS) or key.endswith(_NOT_YET)


_BY_CONTROLLERS = (
    "node.kubernetes.io/",
    "node-role.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cluster.x-k8s.io/",
    "karpenter.sh/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
)
_NOT_YET = ("/agent-not-ready", "/not-ready", "/uninitialized", "/startup", "/out-of-service")


def _taint_evidence(graph: Graph, bearers: list[Json]) -> Iterator[Evidence]:
    for node in bearers[:5]:
        said = ", ".join(written(taint) for taint in each(node, "spec", "taints"))
        since = next((str(t["timeAdded"]) for t in each(node, "spec", "taints") if t.get("timeAdded")), "")
        yield evidence(node, "spec.taints", since or graph.snapshot.time, said)


# SCH-05 ---------------------------------------------------------------------------------------------------------------


def cordoned(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each cordoned node that would otherwise take pods which wait, the roomiest first."""
    for found in waiting(graph, "cordon"):
        need_cpu, need_memory = pod_request(found.spec, "cpu"), pod_request(found.spec, "memory")
        roomy = {
            room.node: room.cpu
            for room in rooms(graph, found.spec, every=True) or ()
            if room.cpu >= need_cpu and room.memory >= need_memory and room.places > 0
        }
        nodes = [node for node in graph.all("Node") if refusals(node, found.spec) == ("cordon",)]
        fitting = [node for node in nodes if name_of(node) in roomy] or nodes
        if not fitting:
            continue
        node = max(fitting, key=lambda item: roomy.get(name_of(item), 0))
        others = [name_of(item) for item in fitting if item is not node]
        yield Finding(
            fault="SCH-05",
            title=f"{ref(node)} is cordoned, and {found.wait}",
            object=ref(node),
            confidence=0.95 if name_of(node) in roomy else 0.8,
            evidence=(*found.evidence(), *_cordon_evidence(graph, fitting)),
            facts={"node": name_of(node), "others": ",".join(others)},
            related=(*found.refs(), *services(graph, found.workload)),
            explains=(ref(found.workload),),
        )


def _cordon_evidence(graph: Graph, nodes: list[Json]) -> Iterator[Evidence]:
    for node in nodes[:5]:
        since = next((str(t["timeAdded"]) for t in each(node, "spec", "taints") if t.get("timeAdded")), "")
        ready = condition(node, "Ready").get("status", "unknown")
        yield evidence(node, "spec.unschedulable", since or graph.snapshot.time, f"true; Ready is {ready}")
    events = [event for node in nodes for event in graph.events(node) if event.get("reason") == "NodeNotSchedulable"]
    for event in sorted(events, key=event_time)[-2:]:
        about = at(event, "involvedObject", "name", default="")
        yield Evidence(
            source=f"Node/{about} event NodeNotSchedulable", at=event_time(event), text=str(event.get("message", ""))
        )


# SCH-12 ---------------------------------------------------------------------------------------------------------------


def missing_node(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose template names a node that is not there."""
    known = {name_of(node) for node in graph.all("Node")}
    if not known or graph.snapshot.gaps_in("Node"):
        return
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "Pod"):
        for workload in graph.all(kind):
            spec = at(workload, "spec") if kind == "Pod" else at(workload, "spec", "template", "spec")
            node = str(at(spec, "nodeName", default=""))
            if not node or node in known or (kind == "Pod" and (culprit(graph, workload) is not workload)):
                continue
            yield Finding(
                fault="SCH-12",
                title=f"{ref(workload)} is bound to the node {node}, which does not exist",
                object=ref(workload),
                confidence=0.95,
                evidence=(
                    evidence(
                        workload, "template" if kind != "Pod" else "spec", graph.snapshot.time, f"nodeName: {node}"
                    ),
                    *_gone(graph, workload),
                    Evidence(
                        source="Nodes",
                        at=graph.snapshot.time,
                        text=f"{len(known)} nodes: {', '.join(sorted(known)[:8])}",
                    ),
                ),
                facts={"node": node} if kind != "Pod" else {},
                related=(*(ref(pod) for pod in graph.pods(workload)), *services(graph, workload)),
                advice="" if kind != "Pod" else "A pod's nodeName cannot be changed: make the pod anew without it.",
            )


def _gone(graph: Graph, workload: Json) -> Iterator[Evidence]:
    for pod in graph.all("Pod"):
        said = condition(pod, "DisruptionTarget")
        if said and graph.workload(pod) is workload:
            yield evidence(
                pod, "condition DisruptionTarget", str(said.get("lastTransitionTime", "")), str(said.get("message", ""))
            )
            return


# SCH-15 ---------------------------------------------------------------------------------------------------------------


def volume_elsewhere(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose volume lives where its pods may not run."""
    for found in waiting(graph, "volume"):
        bound = list(volumes(graph, found.pod))
        homes = {name_of(node) for node in graph.all("Node") for _, volume in bound if _reaches(node, volume)}
        conflict = [key for key in texts(found.spec, "nodeSelector") if bound]
        where = ", ".join(sorted(homes)[:3]) or "no node that is there"
        claim = name_of(bound[0][0]) if bound else ""
        yield Finding(
            fault="SCH-15",
            title=f"{found.wait}: the volume of {claim or 'its claim'} can only be used on {where}",
            object=ref(found.workload),
            confidence=0.93 if bound else 0.7,
            evidence=(*found.evidence(), *_volume_evidence(graph, bound)),
            facts={"claim": claim, "nodes": ",".join(sorted(homes)), "selector": ",".join(conflict)},
            related=(*found.refs(), *(ref(item) for pair in bound for item in pair), *services(graph, found.workload)),
            advice="Let the pods run where the volume is. The volume holds data: it is never deleted for this.",
        )


def _reaches(node: Json, volume: Json) -> bool:
    return at_home(node, at(volume, "spec", "nodeAffinity", "required", default={}))


def _volume_evidence(graph: Graph, bound: list[tuple[Json, Json]]) -> Iterator[Evidence]:
    now = graph.snapshot.time
    for claim, volume in bound[:3]:
        yield evidence(claim, "spec.volumeName", now, f"bound to {name_of(volume)}")
        terms = each(volume, "spec", "nodeAffinity", "required", "nodeSelectorTerms")
        said = "; ".join(
            f"{one.get('key')} {one.get('operator')} {','.join(map(str, one.get('values') or []))}"
            for term in terms
            for one in each(term, "matchExpressions")
        )
        yield evidence(volume, "spec.nodeAffinity", now, said)


RULES = (
    Rule(fault="SCH-01", needs=("Pod", "Node"), find=no_such_node),
    Rule(fault="SCH-04", needs=("Pod", "Node"), find=tainted),
    Rule(fault="SCH-05", needs=("Pod", "Node"), find=cordoned),
    Rule(fault="SCH-12", needs=("Node", "Deployment", "StatefulSet", "DaemonSet"), find=missing_node),
    Rule(
        fault="SCH-15",
        needs=("Pod",),
        find=volume_elsewhere,
        wants=("PersistentVolumeClaim", "PersistentVolume"),
    ),
)

__all__ = ["RULES", "cordoned", "missing_node", "no_such_node", "tainted", "volume_elsewhere"]
