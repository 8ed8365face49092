"""One cause where nodes, priorities and deletions are it: what waits for them is no fault of its own."""

import pytest

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.planning.test_bites import NOW, SHOP, pod, seen, workload

BEFORE = "2026-01-05T09:50:00Z"
TAINT = {"key": "pool", "value": "batch", "effect": "NoSchedule"}


def found(*objects: Json) -> list[Finding]:
    """What is found in the namespace."""
    return list(diagnose(seen(*objects), Incident("something is wrong", ("shop",))).findings)


def named(*objects: Json) -> list[tuple[str, str]]:
    """Fault and object of what is found; nothing may be unknown."""
    said = diagnose(seen(*objects), Incident("something is wrong", ("shop",)))
    assert said.unknown == ()
    return [(one.fault, str(one.object)) for one in said.findings]


def waits(owner: Json, message: str, name: str = "") -> Json:
    """A pod of the workload that finds no node."""
    made = pod(owner)
    made["metadata"] = {**made["metadata"], "name": name or f"{owner['metadata']['name']}-new", "uid": f"uid-{name}"}
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    made["status"] = {"phase": "Pending", "conditions": [said]}
    owner["status"] |= {"readyReplicas": 0, "availableReplicas": 0}
    return made


def node(name: str, *taints: Json, labels: Json | None = None, **conditions: str) -> Json:
    """A node with these taints and conditions, Ready where nothing else is said."""
    made = world.node(name)
    made["metadata"]["labels"] = labels or {}
    made["spec"] = {"taints": list(taints)}
    made["status"]["conditions"] = [{"type": k, "status": v} for k, v in ({"Ready": "True"} | conditions).items()]
    return made


def ill(state: str) -> Json:
    """The taint that the node controller gives to an ill node."""
    return {"key": f"node.kubernetes.io/{state}", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("state", "conditions", "fault"),
    [
        ("memory-pressure", {"MemoryPressure": "True"}, "NOD-02"),
        ("disk-pressure", {"DiskPressure": "True"}, "NOD-02"),
        ("not-ready", {"Ready": "False"}, "NOD-01"),
        ("unreachable", {"Ready": "Unknown"}, "NOD-01"),
    ],
)
def test_who_waits_for_an_ill_node_waits_for_the_node(state: str, conditions: Json, fault: str) -> None:
    """Nobody tolerates away that a node is ill; other pods' tainted nodes have nothing to do with it."""
    web = workload("Deployment", "web")
    web["spec"]["template"]["spec"] |= {"nodeSelector": {"pool": "web"}}
    said = "0/2 nodes are available: 2 node(s) had untolerated taint(s)."
    nodes = [node("node-a", ill(state), labels={"pool": "web"}, **conditions), node("node-b", TAINT)]

    assert named(web, waits(web, said), *nodes) == [(fault, "Node/node-a")]


@pytest.mark.parametrize("ready", ["True", "False"])
def test_an_evicted_pod_tells_of_its_node_though_another_serves_in_its_place(ready: str) -> None:
    """The replacement can come before the node's taint; and who marks a pod Failed may leave its condition Ready."""
    web = workload("Deployment", "web")
    gone = pod(web)
    gone["metadata"] = {**gone["metadata"], "name": "web-gone", "uid": "uid-gone"}
    ended = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}
    gone["spec"] = {**gone["spec"], "nodeName": "node-a"}
    gone["status"] = {**ended, "conditions": [{"type": "Ready", "status": ready}]}

    assert named(web, pod(web), gone, node("node-a", MemoryPressure="True")) == [("NOD-02", "Node/node-a")]


def test_a_taint_counts_on_nodes_that_the_pod_could_use() -> None:
    """Tolerating that of another pool's nodes would leave the pod where it is."""
    web = workload("Deployment", "web")
    web["spec"]["template"]["spec"] |= {"nodeSelector": {"pool": "web"}}
    said = "0/3 nodes are available: 3 node(s) had untolerated taint(s)."
    mine = {"key": "owner", "value": "web", "effect": "NoSchedule"}
    nodes = [node("node-a", mine, labels={"pool": "web"}), node("node-b", TAINT), node("node-c", TAINT)]
    (one,) = found(web, waits(web, said), *nodes)

    assert (one.fault, one.facts["taint"], one.facts["nodes"]) == ("SCH-04", "owner=web:NoSchedule", "node-a")


def driven_out(*, by: str, owner: str) -> list[Json]:
    """A strong workload and an ordinary one, the event that a pod of `owner` had to leave, and one that waits."""
    much = {"resources": {"requests": {"cpu": "3"}}}
    strong = workload("Deployment", "rank", container=much)
    other = workload("Deployment", "web", container=much)
    strong["spec"]["template"]["spec"] |= {"priorityClassName": "urgent"}
    running = pod(strong)
    running["metadata"] = {**running["metadata"], "name": "rank-r1-0", "uid": "uid-rank"}
    running["spec"] = {**running["spec"], "priority": 1000, "nodeName": "node-a"}
    sets: list[Json] = [
        {
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{item['metadata']['name']}-r1",
                "namespace": "shop",
                "ownerReferences": [{"kind": "Deployment", "name": item["metadata"]["name"], "controller": True}],
            },
            "spec": {"replicas": 1, "template": item["spec"]["template"]},
        }
        for item in (strong, other)
    ]
    event = {
        "kind": "Event",
        "metadata": {"name": "e1", "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": f"{owner}-r1-gone"},
        "reason": "Preempted",
        "message": f"Preempted by pod {by} on node node-a",
        "lastTimestamp": BEFORE,
    }
    said = "0/1 nodes are available: 1 Insufficient cpu."
    waiting = waits(other, said, "web-r1-new")
    for one, made_by in ((running, sets[0]), (waiting, sets[1])):
        above = {"kind": "ReplicaSet", "name": made_by["metadata"]["name"], "controller": True}
        one["metadata"] |= {"ownerReferences": [above]}
    return [strong, other, *sets, running, waiting, event, node("node-a")]


@pytest.mark.parametrize("by", ["uid-rank", "rank-r1-0", "uid-of-one-that-is-gone"])
def test_who_was_driven_out_waits_for_its_place(by: str) -> None:
    """That no CPU is left for it is what the priority did; the scheduler says by whose uid."""
    (one,) = found(*driven_out(by=by, owner="web"))

    assert (one.fault, str(one.object)) == ("SCH-13", "Deployment/shop/rank")
    assert "drove 1 pod of others from its node" in one.title
    assert any("finds no node" in text for text in one.consequences)


def test_a_rollout_that_takes_its_own_places_drives_nobody_out() -> None:
    """Old pods of the strong workload itself made room; who waits beside it waits for CPU."""
    assert [one.fault for one in found(*driven_out(by="uid-rank", owner="rank"))] == ["SCH-02"]


def test_another_lack_is_not_the_priority_s() -> None:
    """A workload of which no pod was driven out keeps its own finding."""
    alone = workload("Deployment", "huge")
    alone["spec"]["template"]["spec"]["containers"] = [
        {"name": "main", "image": "web:v1", "resources": {"requests": {"cpu": "100"}}}
    ]
    waiting = waits(alone, "0/1 nodes are available: 1 Insufficient cpu.", "huge-r1-new")
    said = {(one.fault, one.object.name) for one in found(*driven_out(by="uid-rank", owner="web"), alone, waiting)}

    assert said == {("SCH-13", "rank"), ("SCH-02", "huge")}


def test_a_pod_that_does_not_go_is_why_its_service_has_none() -> None:
    """The StatefulSet makes no other of that name until it is gone."""
    store = workload("StatefulSet", "store")
    gone = pod(store)
    gone["metadata"] |= {"deletionTimestamp": "2026-01-05T09:00:00Z", "deletionGracePeriodSeconds": 1}
    gone["metadata"] |= {"finalizers": ["backup.example/wait"], "creationTimestamp": NOW}
    gone["spec"] = {**gone["spec"], "nodeName": "node-a"}
    service: Json = {
        "kind": "Service",
        "metadata": {"name": "store", "namespace": "shop"},
        "spec": {"selector": {"app": "store"}, "ports": [{"port": 3000}]},
    }
    store["status"] |= {"readyReplicas": 0, "availableReplicas": 0}

    assert SHOP["metadata"]["name"] == "shop"
    assert named(store, gone, service, node("node-a")) == [("DEL-03", "Pod/shop/store-0")]
