"""What other pods keep a pod from: SCH-06 (anti-affinity), SCH-07 (topology spread), SCH-08 (host ports), SCH-13."""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.capacity import refusals
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import (
    condition,
    each,
    finished,
    labels_of,
    leaving,
    name_of,
    namespace_of,
    replicas,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.rules.base import Rule, changeable, culprit, deployed, event_time, evidence, services
from skyflo_runbooks.diagnosis.rules.routing import matches
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import REQUIRED, Waiting, domains, spread_rules, waiting
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# Source: k8s.io/kubernetes/pkg/scheduler/framework/preemption; the uid of the pod that takes the place.
_PREEMPTED_BY = re.compile(r"Preempted by pod (\S+)")

# SCH-06 ---------------------------------------------------------------------------------------------------------------


def apart(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods must stand further apart than there are nodes (or zones)."""
    for found in waiting(graph, "anti-affinity"):
        terms = each(found.spec, "affinity", "podAntiAffinity", REQUIRED)
        key = str(terms[0].get("topologyKey", "")) if terms else ""
        open_to_it = [node for node in graph.all("Node") if not {"taint", "selector"} & set(refusals(node, found.spec))]
        domains = {value for node in open_to_it if (value := labels_of(node).get(key)) is not None}
        # A node that is cordoned or not Ready is a domain, and no place now: a plan counts places.
        places = {labels_of(node).get(key) for node in open_to_it if not refusals(node, found.spec)} & domains
        wanted = replicas(found.workload)
        spread = (
            f"{wanted} replicas, {len(domains)} domains of {key}" if key else "another workload's rule keeps them out"
        )
        facts = {"key": key, "domains": str(len(places)), "replicas": str(wanted)}
        yield Finding(
            fault="SCH-06",
            title=f"{found.wait}: its anti-affinity cannot be met ({spread})",
            object=ref(found.workload),
            confidence=0.95 if key and wanted > len(domains) else 0.8,
            evidence=(*found.evidence(), *_apart_evidence(graph, found, key, domains)),
            facts=facts if key and changeable(graph, found.pod) else {},
            related=(*found.refs(), *services(graph, found.workload)),
            advice="" if key else "The rule that refuses is another workload's: look at who runs on the nodes.",
        )


def _apart_evidence(graph: Graph, found: Waiting, key: str, domains: set[str]) -> Iterator[Evidence]:
    now = graph.snapshot.time
    if key:
        yield evidence(found.workload, "template", now, f"required podAntiAffinity over {key}")
        yield evidence(found.workload, "spec.replicas", now, str(replicas(found.workload)))
        yield Evidence(source="Nodes", at=now, text=f"{len(domains)} values of {key}: {', '.join(sorted(domains)[:8])}")
    rolled_out = deployed(graph, found.workload)
    if rolled_out:
        yield rolled_out


# SCH-07 ---------------------------------------------------------------------------------------------------------------


def uneven(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose topology spread constraint cannot be met."""
    for found in waiting(graph, "spread"):
        rules = spread_rules(found.spec)
        # Where each can be met alone, it is all of them together that cannot.
        unmet = [rule for rule in rules if not _can_be_met(graph, found, rule)] or rules
        key = str(unmet[0].get("topologyKey", "")) if unmet else ""
        held = [node for node in graph.all("Node") if key in labels_of(node)]
        why = (
            f"no node carries {key}"
            if key and not held
            else f"{_skew(unmet[0])} over {key}, which makes {len(domains(held, unmet[0]))} here"
            if rules
            else ""
        )
        text = "; ".join(f"{r.get('topologyKey')}, maxSkew {r.get('maxSkew')}, DoNotSchedule" for r in rules)
        yield Finding(
            fault="SCH-07",
            title=f"{found.wait}: its topology spread cannot be met ({why})",
            object=ref(found.workload),
            confidence=0.9 if rules else 0.7,
            evidence=(
                *found.evidence(),
                evidence(found.workload, "template topologySpreadConstraints", graph.snapshot.time, text),
                Evidence(
                    source="Nodes", at=graph.snapshot.time, text=f"{len(held)} of {len(graph.all('Node'))} carry {key}"
                ),
            ),
            facts={"key": key, "unmet": ",".join(dict.fromkeys(str(rule.get("topologyKey")) for rule in unmet))}
            if rules and changeable(graph, found.pod)
            else {},
            related=(*found.refs(), *services(graph, found.workload)),
        )


def _skew(rule: Json) -> str:
    least = whole(rule, "minDomains")
    return f"maxSkew {rule.get('maxSkew')}" + (f" with at least {least} domains" if least else "")


def _can_be_met(graph: Graph, found: Waiting, rule: Json) -> bool:
    """Return whether a node that would take the pod otherwise keeps this constraint alone.

    Counted over the nodes that the pod may choose: what each domain has of the pods that the rule is about, against
    the domain with the fewest (https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/).
    """
    key, about = str(rule.get("topologyKey", "")), at(rule, "labelSelector", default={})
    domain_of = {
        name_of(node): labels_of(node)[key]
        for node in graph.all("Node")
        if key in labels_of(node) and "selector" not in refusals(node, found.spec)
    }
    counts = dict.fromkeys(domain_of.values(), 0)
    here = namespace_of(found.pod)
    for pod in graph.all("Pod"):
        domain = domain_of.get(str(at(pod, "spec", "nodeName", default="")))
        if domain is None or namespace_of(pod) != here or finished(pod) or leaving(pod):
            continue
        counts[domain] += matches(about, labels_of(pod))
    least, most = min(counts.values(), default=0), whole(rule, "maxSkew", default=1)
    least = 0 if len(counts) < whole(rule, "minDomains") else least
    own = matches(about, labels_of(found.pod))
    return any(
        counts[domain_of[name_of(node)]] + own - least <= most
        for node in graph.all("Node")
        if name_of(node) in domain_of and not refusals(node, found.spec)
    )


# SCH-08 ---------------------------------------------------------------------------------------------------------------


def port_taken(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose host port is in use on every node that it could run on."""
    for found in waiting(graph, "ports"):
        ports = sorted(
            {
                int(p["hostPort"])
                for c in each(found.pod, "spec", "containers")
                for p in each(c, "ports")
                if p.get("hostPort")
            }
        )
        holders = _holders(graph, ports)
        text = ", ".join(str(port) for port in ports)
        rivals = {ref(owner): pod for pod in holders if (owner := culprit(graph, pod)) is not found.workload}
        own = sum(1 for pod in holders if culprit(graph, pod) is found.workload)
        facts = {"ports": text, "replicas": str(replicas(found.workload)), "own": str(own)}
        yield Finding(
            fault="SCH-08",
            title=f"{found.wait}: host port {text} is taken{_by(rivals)}",
            object=ref(found.workload),
            confidence=0.95 if ports and holders else 0.85,
            evidence=(
                *found.evidence(),
                evidence(found.workload, "template", graph.snapshot.time, f"hostPort {text}"),
                *(
                    evidence(pod, "spec", graph.snapshot.time, f"has it on {at(pod, 'spec', 'nodeName')}")
                    for pod in holders[:4]
                ),
            ),
            facts=facts if ports and changeable(graph, found.pod) else {},
            related=(*found.refs(), *(ref(pod) for pod in holders[:4]), *services(graph, found.workload)),
            advice=_to_free(graph, text, rivals, alone=bool(own)),
        )


def _by(rivals: dict[ObjectRef, Json]) -> str:
    return f" by {', '.join(str(rival) for rival in list(rivals)[:2])}" if rivals else ""


def _to_free(graph: Graph, ports: str, rivals: dict[ObjectRef, Json], *, alone: bool) -> str:
    """Return what a person can do; whose port it is, is for people to decide."""
    if rivals:
        where = ", ".join(f"{rival} on {at(pod, 'spec', 'nodeName')}" for rival, pod in list(rivals.items())[:3])
        return f"{where} has it: give one of the two another host port, or let them choose different nodes."
    if alone:
        return f"A node has host port {ports} once: want as many pods as nodes, or serve them by a Service instead."
    return (
        f"Who has host port {ports} was not read: look at the pods of other namespaces and at the nodes' own programs."
    )


def _holders(graph: Graph, ports: list[int]) -> list[Json]:
    return [
        pod
        for pod in graph.all("Pod")
        if at(pod, "spec", "nodeName") and not leaving(pod)
        if any(p.get("hostPort") in ports for c in each(pod, "spec", "containers") for p in each(c, "ports"))
    ]


# SCH-13 ---------------------------------------------------------------------------------------------------------------


def preempted(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose priority drives the pods of others from their nodes."""
    told = [one for one in (*_told(graph), *_orphaned(graph)) if _is_missed(graph, one[0])]
    if not told:
        return
    lost = [owner for pod, _, _ in told if (owner := _owner(graph, pod)) is not None]
    suffering = [
        found.workload
        for found in waiting(graph, "cpu", "memory", "places")
        if not lost or any(found.workload is owner for owner in lost)
    ]
    named = _preemptors(graph)
    if not named and not suffering:
        return  # who did it is gone, and nobody waits for the place
    aggressors = _aggressors(graph, named, max((_priority(item) for item in suffering), default=0))
    for workload in aggressors.values():
        others = [one for one in told if _owner(graph, one[0]) is not workload]
        if others:
            yield _preempted(graph, workload, others, suffering, alone=bool(named) and len(aggressors) == 1)


def _preempted(
    graph: Graph, workload: Json, told: list[tuple[Json, str, str]], suffering: list[Json], *, alone: bool
) -> Finding:
    owner = ref(workload)
    name = str(at(workload, "spec", "template", "spec", "priorityClassName", default="")) or "its priority"
    pods = len({name_of(pod) for pod, _, _ in told})
    return Finding(
        fault="SCH-13",
        title=f"{owner} has the priority of {name} and drove {pods} pod{'s' if pods > 1 else ''} of others from "
        f"{'their nodes' if pods > 1 else 'its node'}",
        object=owner,
        confidence=0.85 if alone else 0.6,
        evidence=(
            *(evidence(pod, "Preempted", when, text) for pod, when, text in told[:4]),
            evidence(workload, "template", graph.snapshot.time, f"priorityClassName: {name}"),
        ),
        facts={"priority_class": name},
        related=(*(ref(pod) for pod in graph.pods(workload)), *services(graph, workload)),
        explains=(owner, *(ref(item) for item in suffering)),
        advice=f"Give {owner} the priority that it had, or add nodes: a PriorityClass of so much lets it drive out "
        "whatever else runs.",
    )


def _told(graph: Graph) -> Iterator[tuple[Json, str, str]]:
    """Yield the preemptions of pods that are there: pod, time and words."""
    for pod, event in graph.told("Pod", "Preempted"):
        yield pod, event_time(event), str(event.get("message", ""))
    for pod in graph.all("Pod"):
        said = condition(pod, "DisruptionTarget")
        if said.get("reason") == "PreemptionByScheduler":
            yield pod, str(said.get("lastTransitionTime", "")), str(said.get("message", ""))


def _owner(graph: Graph, pod: Json) -> Json | None:
    """Return the workload of a pod that may be gone; then its name says which made it."""
    known = graph.get(ref(pod))
    if known is not None:
        return culprit(graph, known)
    stem = name_of(pod).rpartition("-")[0]
    made = graph.get(ObjectRef("ReplicaSet", stem, namespace_of(pod)))
    return (
        graph.owner(made) or made if made is not None else graph.get(ObjectRef("StatefulSet", stem, namespace_of(pod)))
    )


def _is_missed(graph: Graph, pod: Json) -> bool:
    """Return whether a pod that was driven out is missed.

    One of a negative priority is there to be driven out: it keeps a place for others. Nor is one missed whose workload
    has as many pods as it wants, all of them ready.
    """
    owner = _owner(graph, pod)
    alike = [pod, *(graph.pods(owner) if owner is not None else ())]
    if any(_priority(one) < 0 for one in alike) or _class_value(graph, owner or pod) < 0:
        return False
    if owner is None or owner.get("kind") == "Pod":
        return True
    return id(owner) in graph.suffering or len(graph.pods(owner)) < replicas(owner)


def _class_value(graph: Graph, workload: Json) -> int:
    """Return the value of the PriorityClass that a template names; 0 where it is not known."""
    name = str(at(workload, "spec", "template", "spec", "priorityClassName", default=""))
    found = graph.get(ObjectRef("PriorityClass", name)) if name else None
    value = (found or {}).get("value")
    return value if isinstance(value, int) else 0


def _aggressors(graph: Graph, named: list[Json], ordinary: int) -> dict[ObjectRef, Json]:
    """Return the workloads of the pods that the scheduler says it made room for; else all of a higher priority."""
    strong = named or [
        pod
        for pod in graph.all("Pod")
        if _priority(pod) > ordinary and not leaving(pod) and at(pod, "spec", "nodeName")
    ]
    return {ref(owner): owner for owner in (culprit(graph, pod) for pod in strong if not _critical(pod))}


def _preemptors(graph: Graph) -> list[Json]:
    """Return the pods that the scheduler's events name as those that preempted, where they are there still."""
    by_uid = {str(at(pod, "metadata", "uid", default="")): pod for pod in graph.all("Pod")}
    found: dict[int, Json] = {}
    for event in graph.all("Event"):
        if event.get("reason") != "Preempted":
            continue
        told = _PREEMPTED_BY.search(str(event.get("message", "")))
        other = texts(event, "related")
        named = ObjectRef("Pod", other.get("name", ""), other.get("namespace", ""))
        pod = by_uid.get(told.group(1)) if told and told.group(1) in by_uid else graph.get(named)
        if pod is not None:
            found[id(pod)] = pod
    return list(found.values())


def _orphaned(graph: Graph) -> list[tuple[Json, str, str]]:
    """Return the preemptions that only events tell of: the pod itself is gone already."""
    return [
        ({"kind": "Pod", "metadata": event["involvedObject"]}, event_time(event), str(event.get("message", "")))
        for event in graph.all("Event")
        if event.get("reason") == "Preempted"
        and graph.get(ref({"kind": "Pod", "metadata": event.get("involvedObject") or {}})) is None
    ]


def _priority(manifest: Json) -> int:
    found = at(manifest, "spec", "priority")
    return found if isinstance(found, int) else 0


def _critical(pod: Json) -> bool:
    return str(at(pod, "spec", "priorityClassName", default="")).startswith("system-")


RULES = (
    Rule(fault="SCH-06", needs=("Pod", "Node"), find=apart),
    Rule(fault="SCH-07", needs=("Pod", "Node"), find=uneven),
    Rule(fault="SCH-08", needs=("Pod",), find=port_taken),
    Rule(fault="SCH-13", needs=("Pod", "Event"), find=preempted),
)

__all__ = ["RULES", "apart", "port_taken", "preempted", "uneven"]
