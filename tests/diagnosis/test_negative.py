"""What looks like a fault and is none."""

import copy

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import Names


def asked(found: Snapshot, text: str = "is everything fine?") -> Diagnosis:
    """Return the answer to a question."""
    return diagnose(found, Incident(text))


def _well(found: Snapshot) -> None:
    answer = asked(found)
    assert answer.findings == ()
    assert answer.unknown == ()
    assert answer.healthy


def test_a_leading_question_about_a_healthy_workload() -> None:
    """A guess in the question is no evidence (NEG-04)."""
    answer = asked(world.healthy(), "payment-service is OOMKilled because of the memory limit, isn't it?")

    assert answer.findings == ()
    assert answer.healthy == (
        "Deployment/checkout/payment-service: 3 of 3 replicas available, 3 pods Ready, 0 restarts",
    )


def test_a_job_that_failed_once_and_then_completed() -> None:
    """Its failed pod is history (NEG-03)."""
    found = world.healthy()
    job: Json = {
        "kind": "Job",
        "metadata": world.meta("migrate", "checkout"),
        "status": {"failed": 1, "succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]},
    }
    spec: Json = {"name": "main", "image": "x"}
    pod: Json = {
        "kind": "Pod",
        "metadata": world.meta("migrate-1", "checkout", ownerReferences=world.owned("Job", "migrate")),
        "spec": {"containers": [spec]},
        "status": {"phase": "Failed"},
    }
    found.objects["Job"] = [job]
    found.objects["Pod"].append(pod)

    _well(found)


def test_a_pod_that_is_just_starting() -> None:
    """A new pod that is not ready yet, without any failure, is no symptom."""
    found = world.healthy()
    spec = world.container(Names(), "payment-svc:v2.4.0")
    starting = world.pod(Names(), spec, {"state": {"waiting": {"reason": "ContainerCreating"}}}, index=4, number=1)
    starting["metadata"]["creationTimestamp"] = "2026-05-04T10:21:30Z"
    found.objects["Pod"][2] = starting
    found.objects["Deployment"][0]["status"]["availableReplicas"] = 2

    _well(found)


def test_a_pod_that_does_not_start_for_long_is_a_symptom() -> None:
    """The same pod half an hour later is."""
    found = world.healthy()
    spec = world.container(Names(), "payment-svc:v2.4.0")
    found.objects["Pod"][2] = world.pod(
        Names(), spec, {"state": {"waiting": {"reason": "ContainerCreating"}}}, index=4, number=1
    )

    assert asked(found).unknown


def test_a_container_that_restarted_once_long_ago() -> None:
    """Restarts in the past are a number, not a fault."""
    found = copy.deepcopy(world.healthy())
    last = {"exitCode": 1, "reason": "Error", "finishedAt": world.EARLIER}
    found.objects["Pod"][0]["status"]["containerStatuses"][0] |= {
        "restartCount": 1,
        "lastState": {"terminated": last},
    }

    answer = asked(found)

    assert answer.findings == ()
    assert answer.healthy[0].endswith("1 restart")


def test_a_deployment_that_wants_no_pods() -> None:
    """Scaled to zero on purpose or not, nothing that was wanted is missing."""
    found = copy.deepcopy(world.healthy())
    found.objects["Deployment"][0]["spec"]["replicas"] = 0
    found.objects["Deployment"][0]["status"] = {}
    found.objects["Pod"] = []

    _well(found)


def test_an_old_event_about_something_that_is_well() -> None:
    """Events are no findings by themselves."""
    found = world.healthy()
    found.objects["Event"] = [
        {
            "kind": "Event",
            "metadata": world.meta("e", "checkout"),
            "involvedObject": {"kind": "Pod", "namespace": "checkout", "name": "payment-service-r1-0"},
            "reason": "Failed",
            "message": "Failed to pull image: not found",
            "lastTimestamp": world.EARLIER,
        }
    ]

    _well(found)
