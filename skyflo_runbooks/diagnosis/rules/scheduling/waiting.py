"""Pods without a node, by workload, and which of the scheduler's reasons is the cause.

Source of the evidence: a pod that finds no node has the condition PodScheduled=False, reason Unschedulable, whose
message counts the nodes by reason (`0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. …`); the
event FailedScheduling says the same. The scheduler names one reason for each node: the first filter that refused it.

Which reason is the cause:
  1. What follows `preemption:` repeats the reasons for other pods and does not count.
  2. A taint that keeps ordinary pods away by design (control-plane nodes), or that says that the node is ill
     (not-ready, unreachable), does not count where there is another reason. Nor does a selector that some node
     satisfies: it says where the pod is meant to run, and what keeps it from there is the cause.
  3. What no node at all could ever satisfy (a label that none has, more replicas than domains, a volume that lives
     nowhere, a claim that one pod at a time may use) is the cause, whatever else keeps the pod from some of the nodes.
  4. Among those that are left, the one whose removal alone would let most nodes take the pod; then the one that the
     scheduler names for most nodes. A node on which nothing that can be computed keeps the pod away speaks for the
     reasons that cannot.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from skyflo_runbooks.diagnosis.capacity import allocatable, chosen, refusals, rooms, untolerated
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import (
    Resource,
    condition,
    each,
    finished,
    labels_of,
    leaving,
    namespace_of,
    pod_request,
    quantity,
    replicas,
    whole,
)
from skyflo_runbooks.diagnosis.rules.base import culprit, event_time, evidence, outdated
from skyflo_runbooks.model.finding import Evidence
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# Reasons as the scheduler of 1.36 words them. Source: k8s.io/kubernetes/pkg/scheduler/framework/plugins.
_WORDS: tuple[tuple[str, str], ...] = (
    ("cordon", r"node\(s\) were unschedulable"),
    ("taint", r"node\(s\) had untolerated taint"),
    ("selector", r"node\(s\) didn't match Pod's node affinity/selector"),
    ("ports", r"node\(s\) didn't have free ports for the requested pod ports"),
    ("cpu", r"Insufficient cpu\b"),
    ("memory", r"Insufficient memory\b"),
    ("extended", r"Insufficient (?!cpu\b|memory\b)\S+"),
    ("places", r"Too many pods"),
    ("anti-affinity", r"node\(s\) didn't (?:match pod anti-affinity|satisfy existing pods anti-affinity) rules"),
    ("spread", r"node\(s\) didn't match pod topology spread constraints"),
    (
        "claim in use",
        r"node\(s\) (?:unavailable due to|has pod using) PersistentVolumeClaim with (?:the same name and )?"
        r"ReadWriteOncePod",
    ),
    (
        "volume",
        r"node\(s\) (?:had volume node affinity conflict|didn't match PersistentVolume's node affinity)",
    ),
)
# A count begins where its digits do and is bounded: a long row of digits in a message costs nothing.
_COUNTED = tuple((name, re.compile(rf"(?<!\d)(\d{{1,9}}) {pattern}")) for name, pattern in _WORDS)
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
# The reasons that are other pods, and those that can be computed from the nodes and what is reserved on them.
_BY_PODS = ("anti-affinity", "spread", "ports")
_COMPUTED = ("cordon", "taint", "selector", "cpu", "memory", "places")
# What the node controller says of an ill node in its taints: the node itself is the cause then (NOD-01, NOD-02).
_ILL = ("not-ready", "unreachable", "memory-pressure", "disk-pressure", "pid-pressure")
EXTENDED = re.compile(r"Insufficient (\S+/[^\s,.]+(?:\.[^\s,.]+)*|hugepages-\w+|ephemeral-storage)")
_OF_ALL = re.compile(r"0/(\d+) nodes are available")
_BY_DESIGN = ("node-role.kubernetes.io/", "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class Told(msgspec.Struct, frozen=True):
    """A pod without a node, what the scheduler says of it, and since when (RFC 3339)."""

    pod: Json
    message: str
    at: str


class Waiting(msgspec.Struct, frozen=True):
    """The pods of one workload that wait for a node, and the reason that is the cause (empty: none that is known)."""

    workload: Json
    told: tuple[Told, ...]
    reason: str

    @property
    def pod(self) -> Json:
        """One of the pods; all come from one template."""
        return self.told[0].pod

    @property
    def spec(self) -> Json:
        """Its specification."""
        found: Json = at(self.pod, "spec", default={})
        return found

    @property
    def wait(self) -> str:
        """That they wait, in words: `3 pods of Deployment/shop/web find no node`."""
        many = len(self.told) != 1
        return f"{len(self.told)} pod{'s' * many} of {ref(self.workload)} find{'s' * (not many)} no node"

    def refs(self) -> tuple[ObjectRef, ...]:
        """Return the names of the pods."""
        return tuple(ref(item.pod) for item in self.told)

    def evidence(self) -> Iterator[Evidence]:
        """Yield what the scheduler says of the first of them."""
        for item in self.told[:3]:
            yield evidence(item.pod, "condition PodScheduled", item.at, item.message)


def waiting(graph: Graph, *reasons: str) -> Iterator[Waiting]:
    """Yield the workloads of the present revision whose pods find no node for one of these reasons."""
    for found in _all(graph):
        if found.reason in reasons:
            yield found


def _all(graph: Graph) -> tuple[Waiting, ...]:
    # Several rules ask for it; the answer is the same for one graph.
    known: tuple[Waiting, ...] | None = graph.notes.get("waiting")
    if known is None:
        known = graph.notes["waiting"] = tuple(_grouped(graph))
    return known


def _grouped(graph: Graph) -> Iterator[Waiting]:
    groups: dict[ObjectRef, list[Told]] = defaultdict(list)
    for pod in graph.all("Pod"):
        told = unschedulable(graph, pod)
        if told is not None:
            workload = culprit(graph, pod)
            if not outdated(graph, workload, pod):
                groups[ref(workload)].append(told)
    for owner, told_pods in groups.items():
        found = graph.get(owner)
        if found is not None:
            yield Waiting(found, tuple(told_pods), cause(graph, told_pods[0], replicas(found)))


def unschedulable(graph: Graph, pod: Json) -> Told | None:
    """Return the scheduler's message about a pod without a node, and its time; None where the pod has one."""
    if at(pod, "spec", "nodeName") or finished(pod) or leaving(pod):
        return None
    said = condition(pod, "PodScheduled")
    if said.get("reason") == "SchedulingGated":
        return None
    if said.get("status") == "False" and said.get("message"):
        return Told(pod, str(said["message"]), str(said.get("lastTransitionTime", "")))
    events = [event for event in graph.events(pod) if event.get("reason") == "FailedScheduling"]
    newest = max(events, key=event_time, default=None)
    return Told(pod, str(newest.get("message", "")), event_time(newest)) if newest else None


def counts(message: str) -> dict[str, int]:
    """Return how many nodes the scheduler refuses for each reason, by rule 1."""
    said = message.split("preemption:")[0]
    found: dict[str, int] = {}
    for name, pattern in _COUNTED:
        numbers = [int(match.group(1)) for match in pattern.finditer(said)]
        if numbers:
            found[name] = sum(numbers)
    return found


def cause(graph: Graph, told: Told, wanted: int = 1) -> str:
    """Return the reason that is the cause, by rules 2 to 4; empty where the message names none that is known."""
    said = counts(told.message)
    of_all = _OF_ALL.search(told.message)
    # Where nodes came or went since the scheduler looked, its own words are all there is.
    same = of_all is not None and int(of_all.group(1)) == len(graph.all("Node"))
    never = next((reason for reason in said if same and _never(graph, told, reason, wanted)), "")
    if never:
        return never
    if len(said) > 1 and "taint" in said:
        said["taint"] -= sum(1 for node in graph.all("Node") if _kept_away_by_design(node, told.pod))
        said = {name: number for name, number in said.items() if number > 0}
    if same and len(said) > 1:
        said.pop("selector", None)  # some node is chosen, or it would be `_never`
    if len(said) < 2:
        return next(iter(said), "")
    alone = _alone(graph, told.pod) if same else {}
    return max(said, key=lambda name: (*_speaks_for(name, alone), said[name]))


def _speaks_for(reason: str, alone: Mapping[str, int]) -> tuple[int, bool]:
    """Return how many nodes would take the pod without a reason, and what decides between equals, by rule 4.

    What keeps pods apart refuses the nodes that have one of them already: that many nodes do is as it should be.
    """
    free = alone.get("", 0)
    if reason in _COMPUTED:
        return alone.get(reason, 0), alone.get(reason, 0) > 0
    return (0, free > 0) if reason in _BY_PODS else (free, False)


def _never(graph: Graph, told: Told, reason: str, wanted: int) -> bool:
    """Return whether no node could satisfy this, however free it were, by rule 3."""
    nodes, spec = graph.all("Node"), at(told.pod, "spec", default={})
    if not nodes:
        return False
    if reason == "selector":
        return not any(chosen(node, spec) for node in nodes)
    if reason == "anti-affinity":
        keys = [str(term.get("topologyKey")) for term in each(spec, "affinity", "podAntiAffinity", REQUIRED)]
        return any(len({labels_of(node).get(key) for node in nodes}) < wanted for key in keys)
    if reason == "ports":
        return len(nodes) < wanted
    if reason == "claim in use":
        return True
    if reason == "spread":
        return any(_too_few_domains(nodes, rule, wanted) for rule in spread_rules(spec))
    if reason == "volume":
        homes = [at(volume, "spec", "nodeAffinity", "required", default={}) for _, volume in volumes(graph, told.pod)]
        return any(not any(at_home(node, home) for node in nodes) for home in homes)
    if reason in ("cpu", "memory"):
        resource: Resource = "memory" if reason == "memory" else "cpu"
        return all(allocatable(node, resource) < pod_request(spec, resource) for node in nodes)
    if reason == "extended":
        named = EXTENDED.search(told.message)
        return named is not None and all(
            allocatable(node, named.group(1)) < max(asks(spec, named.group(1)), Decimal(1)) for node in nodes
        )
    return False


def asks(spec: Json, resource: str) -> Decimal:
    """Return how much of a resource that is neither CPU nor memory the containers of a pod ask for."""
    return sum(
        (
            quantity(at(container, "resources", "requests", resource, default="0")) or Decimal(0)
            for container in each(spec, "containers")
        ),
        Decimal(0),
    )


def spread_rules(spec: Json) -> list[Json]:
    """Return the topology spread constraints of a pod that keep it from nodes."""
    rules = each(spec, "topologySpreadConstraints")
    return [rule for rule in rules if rule.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"]


def domains(nodes: Sequence[Json], rule: Json) -> set[str]:
    """Return the domains that the nodes make for a constraint."""
    key = str(rule.get("topologyKey", ""))
    return {labels_of(node)[key] for node in nodes if key in labels_of(node)}


def _too_few_domains(nodes: Sequence[Json], rule: Json, wanted: int) -> bool:
    """Return whether a constraint cannot hold for so many pods: no domains, or fewer than `minDomains`.

    With fewer the least counts as 0, so that each domain takes `maxSkew` pods and no more.
    """
    there = len(domains(nodes, rule))
    return not there or (there < whole(rule, "minDomains") and wanted > there * whole(rule, "maxSkew", default=1))


def volumes(graph: Graph, pod: Json) -> Iterator[tuple[Json, Json]]:
    """Yield the claims of a pod with the volumes that they are bound to and that live somewhere."""
    for volume in each(pod, "spec", "volumes"):
        name = at(volume, "persistentVolumeClaim", "claimName")
        claim = graph.get(ObjectRef("PersistentVolumeClaim", str(name), namespace_of(pod))) if name else None
        bound = str(at(claim, "spec", "volumeName", default=""))
        held = graph.get(ObjectRef("PersistentVolume", bound)) if bound else None
        if claim is not None and held is not None and at(held, "spec", "nodeAffinity", "required"):
            yield claim, held


def at_home(node: Json, required: Json) -> bool:
    """Return whether a volume with this required node affinity can be used on the node."""
    return chosen(node, {"affinity": {"nodeAffinity": {REQUIRED: required}}})


def _kept_away_by_design(node: Json, pod: Json) -> bool:
    if "taint" not in refusals(node, at(pod, "spec", default={})):
        return False
    return any(str(taint.get("key", "")).startswith(_BY_DESIGN) for taint in each(node, "spec", "taints"))


def only_tainted(node: Json, spec: Json) -> bool:
    """Return whether nothing but its taints, and what they say of the node, keeps a pod from it."""
    return set(refusals(node, spec)) - {"ill"} == {"taint"}


def ill(nodes: Sequence[Json], spec: Json) -> bool:
    """Return whether nothing but the state of these nodes keeps a pod from them: they are silent or under pressure."""
    keys = [str(taint.get("key", "")) for node in nodes for taint in untolerated(node, spec)]
    return bool(keys) and all(key.removeprefix("node.kubernetes.io/") in _ILL for key in keys)


def for_node(graph: Graph, node: Json) -> Iterator[Json]:
    """Yield the workloads whose pods wait for a node that would take them if it were well."""
    for found in waiting(graph, "taint"):
        if only_tainted(node, found.spec) and ill([node], found.spec):
            yield found.workload


def _alone(graph: Graph, pod: Json) -> dict[str, int]:
    """Return for each computed reason how many nodes would take the pod if only this reason went away.

    Under the empty one, how many none of them keeps it from.
    """
    spec = at(pod, "spec", default={})
    need_cpu, need_memory = pod_request(spec, "cpu"), pod_request(spec, "memory")
    roomy = {
        room.node: (room.cpu >= need_cpu, room.memory >= need_memory, room.places > 0)
        for room in rooms(graph, spec, every=True) or ()
    }
    found: dict[str, int] = defaultdict(int)
    for node in graph.all("Node"):
        lacks: set[str] = set(refusals(node, spec))
        cpu, memory, places = roomy.get(str(at(node, "metadata", "name")), (True, True, True))
        lacks |= {name for name, has in (("cpu", cpu), ("memory", memory), ("places", places)) if not has}
        lacks |= {"spread" for rule in spread_rules(spec) if not domains([node], rule)}
        if len(lacks) < 2:
            found[lacks.pop() if lacks else ""] += 1
    return found


__all__ = [
    "EXTENDED",
    "REQUIRED",
    "Told",
    "Waiting",
    "asks",
    "at_home",
    "cause",
    "counts",
    "domains",
    "for_node",
    "ill",
    "only_tainted",
    "spread_rules",
    "unschedulable",
    "volumes",
    "waiting",
]
