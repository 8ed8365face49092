"""What looks like a fault and is none."""

import copy

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import added, scenes, world
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


def test_a_claim_that_waits_for_its_first_consumer() -> None:
    """Its class binds it when a pod uses it (NEG-01)."""
    found = world.healthy()
    held = scenes.claim(Names(), "Pending", storageClassName="local")
    found.objects["PersistentVolumeClaim"] = [held]
    binding = scenes.storage_class("local", grows=False) | {"volumeBindingMode": "WaitForFirstConsumer"}
    found.objects["StorageClass"] = [binding]
    said = "waiting for first consumer to be created before binding"
    found.objects["Event"] = [scenes.event(held, "WaitForFirstConsumer", said)]

    _well(found)


@pytest.mark.parametrize(
    ("reason", "current"),
    [("TooFewReplicas", 2), ("DesiredWithinRange", 4), ("TooManyReplicas", 3)],
    ids=["at-its-minimum", "within", "limited-and-below-its-maximum"],
)
def test_an_autoscaler_that_is_limited_where_it_may_be(reason: str, current: int) -> None:
    """At its minimum it wants fewer, which is no need (NEG-02)."""
    found = world.healthy()
    said = {"type": "ScalingLimited", "status": "True", "reason": reason}
    found.objects["HorizontalPodAutoscaler"] = [
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": world.meta("payment-service", "checkout"),
            "spec": {
                "minReplicas": 2,
                "maxReplicas": 6,
                "scaleTargetRef": {"kind": "Deployment", "name": "payment-service"},
            },
            "status": {"currentReplicas": current, "conditions": [said]},
        }
    ]

    _well(found)


def test_webhooks_and_policies_that_do_not_match() -> None:
    """However many there are, and whatever they would do elsewhere (NEG-05)."""
    found = world.healthy()
    elsewhere = {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
    found.objects["MutatingWebhookConfiguration"] = [
        added.webhook(f"guard-{number}", namespaceSelector=elsewhere, timeoutSeconds=30) for number in range(4)
    ]
    found.objects["NetworkPolicy"] = [
        {
            "kind": "NetworkPolicy",
            "metadata": world.meta("closed", "checkout"),
            "spec": {"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Ingress", "Egress"]},
        }
    ]

    _well(found)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("Secret", "the password of payment-service is refused"), ("Rollout", "the canary rollout hangs")],
)
def test_a_refused_read_that_the_question_is_about(kind: str, words: str) -> None:
    """Is unknown, and nothing is called healthy; another question is answered (NEG-06)."""
    found = world.without(world.healthy(), kind)

    assert asked(found, words).unknown
    assert asked(found, words).healthy == ()
    assert asked(found).unknown == ()


@pytest.mark.parametrize("finished", ["Succeeded", "Failed"])
def test_a_finished_pod_behind_a_service_counts_for_nothing(finished: str) -> None:
    """A migration of another image that carried the label and is done."""
    found = world.healthy()
    other = scenes.serving(scenes.beside(Names(), "migrate"), 1, ports=[])[2]
    other["metadata"]["labels"] = {"app": "payment-service"}
    other["metadata"].pop("ownerReferences")
    other["status"]["phase"] = finished
    found.objects["Pod"].append(other)

    assert [item.fault for item in asked(found).findings] == []


def test_everything_at_once_that_is_usual() -> None:
    """A drained spare node, a strict budget elsewhere, a certificate, an old release, a sidecar, a mesh: all well."""
    found = world.snapshot([
        *scenes.serving(Names(), 3),
        *scenes.entrance(Names()),
        scenes.certificate(Names(), "shop-tls", ends="2026-12-01T00:00:00Z"),
        *[added.release(Names(), number, "superseded", 1777700000) for number in (1, 2)],
        added.release(Names(), 3, "deployed", 1777800000),
        added.policy(Names(), "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}),
        *added.gateway(Names()),
        added.route(Names(), {"name": "payment-service", "port": 80}),
        world.node() | {"spec": {}},
    ])  # fmt: skip

    assert asked(found).findings == ()
    assert asked(found).unknown == ()
