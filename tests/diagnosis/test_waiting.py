"""Which of the scheduler's reasons is the cause."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.rules.scheduling.waiting import Told, cause, counts
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world

WORDS = {
    "cordon": "node(s) were unschedulable",
    "taint": "node(s) had untolerated taint(s)",
    "selector": "node(s) didn't match Pod's node affinity/selector",
    "ports": "node(s) didn't have free ports for the requested pod ports",
    "cpu": "Insufficient cpu",
    "memory": "Insufficient memory",
    "extended": "Insufficient nvidia.com/gpu",
    "places": "Too many pods",
    "anti-affinity": "node(s) didn't match pod anti-affinity rules",
    "spread": "node(s) didn't match pod topology spread constraints",
    "claim in use": "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use "
    "by another pod",
    "volume": "node(s) didn't match PersistentVolume's node affinity",
}
TAIL = "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


def message(*reasons: tuple[int, str]) -> str:
    """Return what the scheduler says of so many nodes for each reason."""
    said = ", ".join(f"{count} {WORDS[name]}" for count, name in reasons)
    return f"0/{sum(count for count, _ in reasons)} nodes are available: {said}. {TAIL}"


def node(name: str, labels: Json | None = None, **spec: object) -> Json:
    """Return a Ready node with these labels and specification."""
    made = world.node(name)
    made["metadata"]["labels"] = labels or {}
    made["spec"] = spec
    return made


def told(text: str, **spec: object) -> Told:
    """Return a pod without a node of which the scheduler says this."""
    pod: Json = {"kind": "Pod", "metadata": world.meta("p", "n"), "spec": {"containers": [], **spec}}
    return Told(pod, text, world.NOW)


def why(nodes: list[Json], said: Told, replicas: int = 1) -> str:
    """Return the cause on these nodes."""
    return cause(Graph(world.snapshot(nodes)), said, replicas)


@given(st.dictionaries(st.sampled_from(sorted(WORDS)), st.integers(1, 5000), min_size=1))
def test_every_reason_is_counted_and_what_follows_preemption_is_not(reasons: dict[str, int]) -> None:
    """Parsing gives back what the message was made of."""
    assert counts(message(*((count, name) for name, count in reasons.items()))) == reasons


@pytest.mark.parametrize("reason", sorted(WORDS))
def test_a_single_reason_is_the_cause(reason: str) -> None:
    """There is nothing to choose."""
    assert why([node("a")], told(message((1, reason)))) == reason


def test_a_cordoned_node_that_the_selector_means_is_the_cause() -> None:
    """The other nodes are not meant, however many they are."""
    nodes = [node("a"), node("b"), node("c", {"pool": "batch"}, unschedulable=True)]
    said = told(message((2, "selector"), (1, "cordon")), nodeSelector={"pool": "batch"})

    assert why(nodes, said) == "cordon"


def test_a_selector_that_no_node_satisfies_is_the_cause() -> None:
    """Whatever else keeps the pod from some of them."""
    nodes = [node("a"), node("b", unschedulable=True)]
    said = told(message((1, "selector"), (1, "cordon")), nodeSelector={"pool": "batch"})

    assert why(nodes, said) == "selector"


def test_the_control_planes_taint_is_no_cause_beside_another() -> None:
    """Ordinary pods are kept from it by design."""
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    nodes = [node("a", taints=[taint]), node("b", taints=[taint]), node("c")]

    assert why(nodes, told(message((2, "taint"), (1, "cpu")))) == "cpu"


def test_more_replicas_than_domains_is_the_cause() -> None:
    """Uncordoning a node would place one pod more, and not all."""
    term = {"labelSelector": {}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = [node(n, {"kubernetes.io/hostname": n}, unschedulable=n == "c") for n in "abc"]
    said = told(message((2, "anti-affinity"), (1, "cordon")), affinity=rule)

    assert why(nodes, said, 5) == "anti-affinity"
    assert why(nodes, said, 3) == "cordon"


def test_where_the_nodes_changed_since_the_schedulers_words_are_all_there_is() -> None:
    """A message about five nodes says nothing of the two that are there now."""
    nodes = [node("a"), node("b")]

    assert why(nodes, told(message((1, "cpu"), (4, "memory")))) == "memory"


def test_an_unknown_reason_has_no_cause() -> None:
    """It is left to be named as unexplained."""
    assert why([node("a")], told("0/1 nodes are available: 1 node(s) had a bad day.")) == ""


@pytest.mark.parametrize("reason", ["spread", "anti-affinity", "ports", "volume"])
def test_the_one_node_that_is_meant_tells_why(reason: str) -> None:
    """That others are cordoned or tainted changes nothing, unless the selector means them as well."""
    taint: Json = {"key": "spot", "value": "true", "effect": "NoSchedule"}
    nodes = [
        node("a", {"zone": "b"}),
        node("b", {"zone": "a"}, unschedulable=True),
        node("c", {"zone": "a"}, taints=[taint]),
        node("d", {"zone": "a"}),
    ]
    said = told(message((1, reason), (1, "taint"), (1, "cordon"), (1, "selector")), nodeSelector={"zone": "b"})

    assert why(nodes, said) == reason
    nodes[1]["metadata"]["labels"] = {"zone": "b"}
    assert why(nodes, said) == "cordon"


TAINTED: Json = {"key": "reserved", "value": "yes", "effect": "NoSchedule"}


def zoned(*taken: str) -> list[Json]:
    """Nodes of three zones, and two that are kept for others; `taken` are the zones of those."""
    plain = [node(name, {"zone": name}) for name in "abc"]
    return plain + [
        node(f"t{index}", {"zone": zone} if zone else {}, taints=[TAINTED]) for index, zone in enumerate(taken)
    ]


def test_a_claim_for_one_pod_is_the_cause_whatever_nodes_are_tainted() -> None:
    """A node more would refuse the pod as well."""
    assert why(zoned("a", "b"), told(message((2, "taint"), (3, "claim in use")))) == "claim in use"


@pytest.mark.parametrize("size", ["900Gi", "60Gi"])
def test_a_disk_that_no_node_has_is_the_cause(size: str) -> None:
    """Whether no node could ever hold it, or those that are free for it have no room now."""
    nodes = zoned("a", "b")
    for one in nodes:
        one["status"]["allocatable"] |= {"ephemeral-storage": "100Gi"}
    asked: Json = {"name": "c", "resources": {"requests": {"ephemeral-storage": size}}}

    assert why(nodes, told(message((2, "taint"), (3, "extended")), containers=[asked])) == "extended"


def test_too_few_domains_are_the_cause() -> None:
    """With fewer than are asked for each takes the skew alone; a tainted node is one domain more at most."""
    rule = {"maxSkew": 1, "minDomains": 5, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    said = told(message((1, "taint"), (3, "spread")), topologySpreadConstraints=[rule])

    assert why(zoned("d"), said, 5) == "spread"
    assert why(zoned("d"), said, 4) == "taint"
    assert why(zoned("d"), told(said.message, topologySpreadConstraints=[rule | {"minDomains": 4}]), 5) == "taint"


def test_a_tainted_node_outside_every_domain_would_not_take_the_pod() -> None:
    """It has not the label that the constraint counts by."""
    rule = {"maxSkew": 1, "topologyKey": "zone"}
    said = told(message((1, "taint"), (3, "spread")), topologySpreadConstraints=[rule])

    assert why(zoned(""), said, 5) == "spread"
    assert why(zoned("d"), said, 5) == "taint"
