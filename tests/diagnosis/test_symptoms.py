"""What is visibly wrong, before anybody knows why."""

import copy

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.symptoms import Symptom, symptoms, trouble
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, Names

DEPLOYMENT = ObjectRef("Deployment", "payment-service", "checkout")
SERVICE = ObjectRef("Service", "payment-service", "checkout")


def seen(found: Snapshot) -> dict[str, Symptom]:
    """Return the symptoms by their text."""
    return {item.text: item for item in symptoms(Graph(found))}


def with_condition(kind: str, status: str, reason: str, message: str = "") -> Snapshot:
    """Return the healthy world with a condition on its Deployment."""
    found = copy.deepcopy(world.healthy())
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    found.objects["Deployment"][0]["status"]["conditions"] = [said]
    return found


def test_a_healthy_world_has_none() -> None:
    """Nothing is visibly wrong where all pods serve."""
    assert seen(world.healthy()) == {}


def test_pods_are_counted_by_what_keeps_them_from_serving() -> None:
    """One line for a workload and a state; the Service in front and the Deployment above tell the same."""
    found = seen(world.oom_killed())

    assert set(found) == {
        "2 of 3 pods of Deployment/checkout/payment-service: CrashLoopBackOff",
        "Deployment/checkout/payment-service has 1 of 3 replicas available",
        "Service/checkout/payment-service has 1 of 3 endpoints ready",
    }
    assert all(DEPLOYMENT in item.touches for item in found.values())


@pytest.mark.parametrize("fault", ["CON-07", "CON-04", "IMG-01", "NET-01", "SCH-02"])
def test_every_fault_is_visible(fault: str) -> None:
    """No fault is without a symptom."""
    assert seen(FAULTS[fault](Names()))


def test_a_node_that_is_not_ready() -> None:
    """With the kubelet's words, or that it stopped posting."""
    found = world.healthy()
    broken = world.node()
    broken["status"]["conditions"] = [
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    ]
    found.objects["Node"] = [broken]

    assert list(seen(found)) == ["Node/node-a is not Ready: Kubelet stopped posting node status."]


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            with_condition("Progressing", "False", "ProgressDeadlineExceeded"),
            "the rollout of Deployment/checkout/payment-service is stuck: ProgressDeadlineExceeded",
        ),
        (
            with_condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota: small"),
            "Deployment/checkout/payment-service cannot create pods: exceeded quota: small",
        ),
    ],
)
def test_what_a_deployment_says_of_itself(found: Snapshot, text: str) -> None:
    """Its conditions are symptoms."""
    assert list(seen(found)) == [text]


def test_conditions_that_are_well_are_none() -> None:
    """Progressing=True and an absent ReplicaFailure say nothing."""
    assert seen(with_condition("Progressing", "True", "NewReplicaSetAvailable")) == {}


def test_a_job_that_failed() -> None:
    """Only its own condition counts, not its pods."""
    found = world.healthy()
    failed = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    found.objects["Job"] = [
        {"kind": "Job", "metadata": world.meta("migrate", "checkout"), "status": {"conditions": [failed]}}
    ]

    assert list(seen(found)) == ["Job/checkout/migrate failed: BackoffLimitExceeded"]


def test_pods_that_are_missing_altogether() -> None:
    """A workload that has fewer pods than it wants, and none on the way."""
    found = copy.deepcopy(world.healthy())
    found.objects["Pod"] = found.objects["Pod"][:1]
    found.objects["Deployment"][0]["status"]["availableReplicas"] = 1

    assert list(seen(found)) == ["Deployment/checkout/payment-service has 1 of 3 pods"]


def test_a_daemon_set_is_measured_by_its_own_numbers() -> None:
    """Desired and available are of its status."""
    found = world.healthy()
    found.objects["DaemonSet"] = [
        {
            "kind": "DaemonSet",
            "metadata": world.meta("agent", "checkout"),
            "spec": {"template": {}},
            "status": {"desiredNumberScheduled": 3, "numberAvailable": 2},
        }
    ]

    assert list(seen(found)) == ["DaemonSet/checkout/agent has 0 of 3 pods"]


def test_a_service_that_selects_nothing_touches_itself_alone() -> None:
    """There are no pods whose failure could explain it."""
    (found,) = seen(world.wrong_selector()).values()

    assert found.object == SERVICE
    assert found.touches == frozenset({SERVICE})


def _pod(status: Json, **more: object) -> Json:
    return {"kind": "Pod", "metadata": {**world.meta("x", "checkout"), **more}, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        (_pod({"phase": "Succeeded"}), ""),
        (_pod({"phase": "Running"}, deletionTimestamp=world.NOW), ""),
        (_pod({"phase": "Failed", "reason": "Evicted"}), "Failed (Evicted)"),
        (
            _pod({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]}),
            "Pending (Unschedulable)",
        ),
        (_pod({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), ""),
        (_pod({"phase": "Running"}), "not Ready"),
        (_pod({"phase": "Pending"}, creationTimestamp="2026-05-04T10:21:55Z"), ""),
        (_pod({}), "not Ready"),
    ],
)
def test_what_keeps_a_pod_from_serving(pod: Json, word: str) -> None:
    """In a word or two; nothing where it serves, leaves, is done or is just starting."""
    assert trouble(Graph(world.healthy()), pod) == word
