"""SCH-02: requests that no node has left."""

import copy
from decimal import Decimal

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.capacity import holds, rooms, takes
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.pods import pod_request
from skyflo_runbooks.diagnosis.snapshot import Load
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world

WORDS = Incident("payment-service is pending")


def said(message: str) -> Snapshot:
    """Return the world in which the scheduler says this."""
    found = copy.deepcopy(world.no_room())
    found.objects["Pod"][3]["status"]["conditions"][0]["message"] = message
    return found


def test_requests_and_what_is_left_are_evidence() -> None:
    """The scheduler's words, the request, and the arithmetic of each node."""
    finding = diagnose(world.no_room(), WORDS).findings[0]

    texts = [item.text for item in finding.evidence]
    assert any("1 Insufficient cpu" in text for text in texts)
    assert "requests 6 cpu" in texts
    assert "3700m cpu not requested, of 4 allocatable" in texts
    assert finding.facts["observed"] == "120m"
    assert finding.facts["resource"] == "cpu"


def test_the_resource_that_most_nodes_lack_is_named() -> None:
    """A message may count several reasons."""
    found = said("0/5 nodes are available: 1 Insufficient cpu, 4 Insufficient memory.")

    assert diagnose(found, WORDS).findings[0].facts["resource"] == "memory"


@pytest.mark.parametrize(
    "message",
    [
        "0/3 nodes are available: 3 node(s) had untolerated taint(s).",
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
    ],
)
def test_other_reasons_of_the_scheduler_are_other_faults(message: str) -> None:
    """They are visible, and not misnamed."""
    found = diagnose(said(message), WORDS)

    assert found.findings == ()
    assert any("Pending (Unschedulable)" in text for text in found.unknown)


def test_the_event_tells_where_the_condition_does_not() -> None:
    """FailedScheduling says the same as the condition."""
    found = said("")
    pod = found.objects["Pod"][3]["metadata"]["name"]
    found.objects["Event"] = [
        {
            "kind": "Event",
            "metadata": world.meta("e", "checkout"),
            "involvedObject": {"kind": "Pod", "namespace": "checkout", "name": pod},
            "reason": "FailedScheduling",
            "eventTime": world.DEPLOYED,
            "message": "0/1 nodes are available: 1 Insufficient cpu.",
        }
    ]

    assert diagnose(found, WORDS).findings[0].fault == "SCH-02"


def test_room_counts_other_namespaces_and_is_unknown_without_them() -> None:
    """What others reserve is not free; where it was not read nothing is known."""
    found = world.no_room()
    spec: Json = {}

    alone = rooms(Graph(found), spec)
    shared = rooms(Graph(msgspec.structs.replace(found, elsewhere=(Load("node-a", 2**30, 2.0, 4),))), spec)

    assert alone is not None
    assert shared is not None
    assert shared[0].cpu == alone[0].cpu - 2
    assert shared[0].places == alone[0].places - 4
    assert rooms(Graph(msgspec.structs.replace(found, elsewhere=None)), spec) is None


def test_a_node_takes_a_pod_only_where_the_scheduler_would_consider_it() -> None:
    """Ready, not cordoned, labels as selected, taints tolerated."""
    plain = world.node()
    tainted = {**plain, "spec": {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}}
    tolerant: Json = {"tolerations": [{"key": "gpu", "operator": "Exists"}]}

    assert takes(plain, {})
    assert not takes({**plain, "spec": {"unschedulable": True}}, {})
    assert not takes({**plain, "status": {}}, {})
    assert not takes(plain, {"nodeSelector": {"disk": "ssd"}})
    assert not takes(tainted, {})
    assert takes(tainted, tolerant)


def test_pods_fit_by_the_scarcest_of_cpu_memory_and_places() -> None:
    """Each room is counted by itself: two halves do not hold one whole."""
    found = rooms(Graph(world.healthy()), {}) or ()

    assert holds(found, cpu=Decimal("1"), memory=Decimal(0)) == 3
    assert holds(found, cpu=Decimal(0), memory=Decimal(4 * 2**30)) == 1
    assert holds(found, cpu=Decimal("9"), memory=Decimal(0)) == 0


def test_a_pod_asks_for_its_containers_or_its_largest_init_container() -> None:
    """As the scheduler counts: the sum, or one init container that asks for more; a sidecar counts with the sum."""

    def asks(cpu: str, **more: str) -> Json:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec: Json = {"containers": [asks("1"), asks("500m")], "initContainers": [asks("3")]}
    assert pod_request(spec, "cpu") == 3
    spec["initContainers"] = [asks("1", restartPolicy="Always")]
    assert pod_request(spec, "cpu") == Decimal("2.5")
