"""What happened while a pod started, and has passed, is no cause of what ails the pod now."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.scenes import event
from tests.diagnosis.world import Names

NAMES = Names()
PANIC = "INFO starting\npanic: assignment to entry in nil map\n"
MOUNT = 'MountVolume.SetUp failed for volume "tls" : secret "payment-tls" not found'
SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: "
    "cni plugin not initialized"
)


def crashing(*told: tuple[str, str], container: Json | None = None, status: Json | None = None) -> Snapshot:
    """Two pods whose process panics, and events about them."""
    spec = world.container(NAMES, "payment-svc:v2.4.1", **(container or {}))
    pods = [world.pod(NAMES, spec, status or world.ended(2, "Error", restarts=5), index=index) for index in range(2)]
    logs = tuple(Log(NAMES.namespace, pod["metadata"]["name"], NAMES.container, True, PANIC) for pod in pods)
    events = [event(pod, reason, text, when=world.DEPLOYED) for pod in pods for reason, text in told]
    made = [world.deployment(NAMES, spec, replicas=2), world.replica_set(NAMES, spec, 2, replicas=2)]
    return world.snapshot([*made, *pods, *events, world.service(NAMES)], logs=logs)


def first(found: Snapshot) -> str:
    """The fault that a diagnosis names first."""
    findings = diagnose(found, Incident("payment-service keeps crashing", (NAMES.namespace,))).findings
    return findings[0].fault if findings else ""


@pytest.mark.parametrize("told", [("FailedMount", MOUNT), ("FailedCreatePodSandBox", SANDBOX)])
def test_a_container_that_ran_had_its_volumes_and_its_network(told: tuple[str, str]) -> None:
    """A Secret that an issuer makes a moment after the pod, a node's network that came up a moment later."""
    assert first(crashing()) == "CON-05"
    assert first(crashing(told)) == "CON-05"


@pytest.mark.parametrize(
    ("told", "fault"), [(("FailedMount", MOUNT), "CON-02"), (("FailedCreatePodSandBox", SANDBOX), "NOD-03")]
)
def test_a_container_that_never_ran_lacks_what_is_told(told: tuple[str, str], fault: str) -> None:
    """The same events of a pod that still waits for its first start are the cause."""
    waits: Json = {"state": {"waiting": {"reason": "ContainerCreating"}}}

    assert first(crashing(told, status=waits)) == fault


LIVENESS: Json = {"livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}
UNHEALTHY = 'Liveness probe failed: Get "http://10.0.0.9:8080/healthz": dial tcp: connect: connection refused'
KILLED = f"Container {NAMES.container} failed liveness probe, will be restarted"


def test_a_process_that_ends_by_itself_is_not_killed_by_its_probe() -> None:
    """Nobody answers a probe while the process is down; the kubelet says so, and kills nothing."""
    assert first(crashing(("Unhealthy", UNHEALTHY), container=LIVENESS)) == "CON-05"
    assert first(crashing(("Unhealthy", UNHEALTHY), ("Killing", "Stopping container"), container=LIVENESS)) == "CON-05"


def test_a_process_that_the_kubelet_kills_is() -> None:
    """The event Killing names the container and the probe."""
    told = ("Unhealthy", UNHEALTHY), ("Killing", KILLED)

    assert first(crashing(*told, container=LIVENESS)) == "CON-09"


def test_a_container_that_is_ready_is_asked_at_the_right_place() -> None:
    """Its readiness probe failed while it started; what keeps the pod from being ready is its neighbour."""
    found = crashing(("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
    for pod in found.objects["Pod"]:
        app = pod["spec"]["containers"][0] | {"readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}}}
        pod["spec"]["containers"] = [{"name": "shipper", "image": "shipper:v1"}, app]
        pod["status"]["containerStatuses"] = [
            {"name": "shipper", "ready": False, **world.ended(2, "Error", restarts=5)},
            {"name": NAMES.container, "ready": True, **world.running()},
        ]
        name = pod["metadata"]["name"]
        found.objects.setdefault("Log", [])
        for told in found.objects["Event"]:
            if told["involvedObject"]["name"] == name:
                told["involvedObject"]["fieldPath"] = f"spec.containers{{{NAMES.container}}}"
    del found.objects["Log"]

    assert "CON-10" not in [one.fault for one in diagnose(found, Incident("payment-service is down")).findings]
