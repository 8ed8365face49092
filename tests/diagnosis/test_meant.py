"""What looks odd on clusters that are well: no fault, unless something suffers from it."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.symptoms import BOOTING, booting
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.test_of_the_cluster import driven_out
from tests.diagnosis.world import Names

NAMES = Names()
HERE = NAMES.namespace


def said(found: Snapshot, *given: str) -> Diagnosis:
    """What a diagnosis says to who asks whether all is well, or complains of the namespaces that are given."""
    return diagnose(found, Incident("something is wrong here" if given else "is everything well?", given))


def causes(found: Snapshot, *given: str) -> list[tuple[str, float]]:
    """The faults that it names, and how sure it is."""
    return [(one.fault, one.confidence) for one in said(found, *given).findings]


# ROL-06 ---------------------------------------------------------------------------------------------------------------


def ordered(*, ready: bool = True, env: str = "") -> Snapshot:
    """A StatefulSet whose serviceName is nothing's; `env` is what a variable of it says."""
    made = scenes.serving(NAMES, 2, **({"env": [{"name": "PEER", "value": env}]} if env else {}))
    workload = made[0] | {"kind": "StatefulSet"}
    workload["spec"]["serviceName"] = "peers"
    workload["status"] = {"readyReplicas": 2 if ready else 1, "replicas": 2}
    for pod in made[2:]:
        pod["metadata"]["ownerReferences"] = world.owned("StatefulSet", NAMES.workload)
    made[3]["status"]["conditions"][0]["status"] = "True" if ready else "False"
    return world.snapshot([workload, *made[2:], world.service(NAMES)])


def test_a_service_name_that_nobody_asks_for_is_no_fault() -> None:
    """Charts write such names; who gives the namespace is told, with the doubt."""
    answer = said(ordered())

    assert (answer.findings, answer.unknown) == ((), ())
    assert any("peers" in note for note in answer.notes)
    assert causes(ordered(), HERE) == [("ROL-06", 0.5)]


@pytest.mark.parametrize(
    "value",
    [
        f"{NAMES.workload}-0.peers:5432",
        f"http://{NAMES.workload}-1.peers.{HERE}.svc.cluster.local/",
        "$(POD_NAME).peers",
        "${HOSTNAME}.peers",
    ],
)
def test_a_service_name_that_is_asked_for_is_missed(value: str) -> None:
    """The template itself names a pod by it: surer where a pod is not ready."""
    assert causes(ordered(env=value)) == [("ROL-06", 0.7)]
    assert causes(ordered(env=value, ready=False)) == [("ROL-06", 0.9)]


@pytest.mark.parametrize("value", ["peers", "https://api.peers.example.com", f"{NAMES.workload}-0.peers-of-others"])
def test_other_names_are_not_a_pod_s(value: str) -> None:
    """A word that is the Service's, or a part of another name."""
    assert causes(ordered(env=value)) == []


# SCH-10 ---------------------------------------------------------------------------------------------------------------

QUEUE = "kueue.x-k8s.io"


def gated(gate: str, *groups: str) -> Snapshot:
    """Two pods wait behind a gate, on a cluster that serves these groups."""
    made = scenes.serving(NAMES, 2)
    for pod in made[2:]:
        pod["spec"] |= {"schedulingGates": [{"name": gate}]}
        pod["spec"].pop("nodeName", None)
        waits = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
        pod["status"] = {"phase": "Pending", "conditions": [waits]}
    made[0]["status"] = {"replicas": 2}
    served = [
        {"kind": "APIService", "metadata": world.meta(f"v1.{group}"), "spec": {"group": group, "version": "v1"}}
        for group in groups
    ]
    return world.snapshot([*made, *served])


@pytest.mark.parametrize("gate", [f"{QUEUE}/admission", f"{QUEUE}/topology", "example.com/turn"])
def test_pods_that_a_queue_holds_wait_for_their_turn(gate: str) -> None:
    """Its owner's API is served: that is said, and nothing is called a fault or unknown."""
    answer = said(gated(gate, "apps", gate.partition("/")[0]))

    assert (answer.findings, answer.unknown) == ((), ())
    assert any("wait" in note and gate.partition("/")[0] in note for note in answer.notes)


def test_who_asks_is_told_who_holds_the_pods() -> None:
    """And where to ask, with no change."""
    (one,) = said(gated(f"{QUEUE}/admission", "apps", QUEUE), HERE).findings

    assert (one.fault, one.confidence) == ("SCH-10", 0.5)
    assert f"which {QUEUE} holds" in one.title
    assert "queue" in one.advice


def test_a_gate_whose_owner_is_not_there_is_a_fault() -> None:
    """No group of it is served, so nobody will ever take it away."""
    (one,) = said(gated(f"{QUEUE}/admission", "apps")).findings

    assert (one.fault, one.confidence) == ("SCH-10", 0.9)
    assert f"nothing here serves {QUEUE}" in one.title


def test_an_owner_that_could_not_be_looked_for_is_not_called_missing() -> None:
    """A refused read is not a no."""
    found = world.without(gated(f"{QUEUE}/admission", "apps"), "APIService")

    assert [one.confidence < 0.6 for one in said(found, HERE).findings] == [True]


def test_a_gate_of_an_owner_that_nothing_tells_of_is_named() -> None:
    """With a doubt: it may have no API of its own."""
    assert causes(gated("example.com/turn", "apps")) == [("SCH-10", 0.7)]


# CON-17 ---------------------------------------------------------------------------------------------------------------


def test_a_variable_that_is_set_twice_is_meant_while_all_is_well() -> None:
    """Exceptions after defaults in one list: charts write that."""
    found = scenes.set_twice(NAMES)
    for pod in found.objects["Pod"]:
        pod["status"]["conditions"][0]["status"] = "True"
    found.objects["Deployment"][0]["status"]["availableReplicas"] = 2

    assert causes(found) == []
    assert causes(found, HERE) == [("CON-17", 0.5)]
    assert causes(scenes.set_twice(NAMES)) == [("CON-17", 0.85)]


# NOD-01 ---------------------------------------------------------------------------------------------------------------


def new_node(created: str, moved: str, status: str = "False") -> Json:
    """A node that is not Ready, with when it was created and when it last said something else."""
    made = world.node("node-new")
    made["metadata"]["creationTimestamp"] = f"2026-05-04T{created}Z"
    told = {"type": "Ready", "status": status, "reason": "KubeletNotReady", "message": "cni plugin not initialized"}
    made["status"]["conditions"] = [told | {"lastTransitionTime": f"2026-05-04T{moved}Z"}]
    return made


@pytest.mark.parametrize(
    ("created", "moved", "status", "boots"),
    [
        ("10:20:30", "10:20:31", "False", True),
        ("10:20:30", "10:21:30", "False", False),  # it was Ready in between
        ("10:20:30", "10:20:31", "Unknown", False),  # it does not answer
        ("10:10:00", "10:10:01", "False", False),  # it has had its time
        ("10:16:59", "10:16:59", "False", False),
        ("10:17:01", "10:17:01", "False", True),
    ],
)
def test_a_node_that_has_just_come_is_not_ready_yet(created: str, moved: str, status: str, boots: bool) -> None:
    """Autoscaled clusters have such nodes all day, for no longer than some minutes each."""
    node = new_node(created, moved, status)
    found = world.snapshot([*scenes.serving(NAMES), world.service(NAMES), node])
    answer = said(found)

    assert booting(Graph(found), node) is boots
    assert [one.fault for one in answer.findings] == ([] if boots else ["NOD-01"])
    assert answer.unknown == ()
    assert BOOTING == 300


# SCH-13 ---------------------------------------------------------------------------------------------------------------


def test_a_placeholder_is_there_to_be_driven_out() -> None:
    """Over-provisioners run pods of a negative priority, so that others find their places at once."""
    made = driven_out(by="uid-rank", owner="web")
    for item in made:
        if item["kind"] == "Pod" and item["metadata"]["name"] == "web-r1-new":
            item["spec"] = item["spec"] | {"priority": -10}
    assert "SCH-13" not in [one.fault for one in said(world.snapshot(made), "shop").findings]
    assert "SCH-13" in [one.fault for one in said(world.snapshot(driven_out(by="uid-rank", owner="web"))).findings]


def test_the_class_of_a_placeholder_tells_too() -> None:
    """Where its pods are gone already."""
    made = driven_out(by="uid-rank", owner="web")
    made[1]["spec"]["template"]["spec"]["priorityClassName"] = "room"
    room: Json = {"kind": "PriorityClass", "metadata": world.meta("room"), "value": -1}

    assert "SCH-13" not in [one.fault for one in said(world.snapshot([*made, room]), "shop").findings]
    room["value"] = 1
    assert "SCH-13" in [one.fault for one in said(world.snapshot([*made, room]), "shop").findings]


def test_who_has_its_pods_again_misses_nothing() -> None:
    """A pod had to leave, and its workload has it again elsewhere."""
    made = driven_out(by="uid-rank", owner="web")
    for item in made:
        if item["kind"] == "Pod" and item["metadata"]["name"] == "web-r1-new":
            item["spec"] = item["spec"] | {"nodeName": "node-a"}
            item["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    made[1]["status"] |= {"availableReplicas": 1, "readyReplicas": 1}
    made[1]["spec"]["replicas"] = 1

    assert causes(world.snapshot(made), "shop") == []


# DEL-02 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finalizer", "minute", "wanted"),
    [
        ("service.k8s.aws/resources", "18", []),
        ("service.k8s.aws/resources", "05", ["DEL-02"]),
        ("kubernetes.io/pv-protection", "05", []),
    ],
)
def test_what_a_cloud_clears_away_takes_its_minutes(finalizer: str, minute: str, wanted: list[str]) -> None:
    """Later than that it does not end by itself; what is in use goes with its user."""
    service = world.service(NAMES)
    service["metadata"] |= {"deletionTimestamp": f"2026-05-04T10:{minute}:00Z", "finalizers": [finalizer]}

    assert [one for one, _ in causes(world.snapshot([*scenes.serving(NAMES), service]))] == wanted
