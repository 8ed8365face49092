"""What kubelets do to pods: the states, delays, events and words of a real one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.clock import parse
from skyflo_runbooks.practice.kubelet.run import memory_at, plan
from skyflo_runbooks.practice.scenario import Bytes, Image, Memory, Seconds
from skyflo_runbooks.practice.store import Change
from skyflo_runbooks.practice.table import pod_reason
from tests.practice.client import Client, client_of, pod, small

PODS = "/api/v1/namespaces/lab/pods"
ONE = f"{PODS}/one"
CRASHING = """
  - image: crash:v1
    memory: {start: 1Mi, peak: 1Mi}
    logs: [{text: about to fail}]
    exit: {after: 1s, code: 3}
  - image: task:v1
    memory: {start: 1Mi, peak: 1Mi}
    exit: {after: 2s, code: 0}
  - image: hungry:v1
    memory: {start: 10Mi, peak: 100Mi, peak_after: 2s}
"""


def crashing() -> Client:
    """Return a cluster whose registry also has images that end."""
    return client_of(PracticeCluster(small(CRASHING)))


async def status_of(client: Client) -> Json:
    """Return the status of the pod's first container."""
    found: Json = (await client.get(ONE))["status"]["containerStatuses"][0]
    return found


async def messages(client: Client, reason: str) -> list[str]:
    """Return the messages of the pod's events with this reason."""
    return [event["message"] for event in await client.events("lab", "one") if event["reason"] == reason]


async def test_a_pod_comes_up(bench: Client) -> None:
    """Pending, ContainerCreating, Running and ready, within a few seconds."""
    await bench.create(PODS, pod())
    assert (await status_of(bench))["state"] == {"waiting": {"reason": "ContainerCreating"}}
    await bench.advance(3)
    one = await bench.get(ONE)
    assert one["status"]["phase"] == "Running"
    conditions = {item["type"]: item["status"] for item in one["status"]["conditions"]}
    assert conditions == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )
    events = sorted(await bench.events("lab", "one"), key=lambda event: int(event["metadata"]["resourceVersion"]))
    assert [(event["reason"], event["message"]) for event in events] == [
        ("Scheduled", "Successfully assigned lab/one to node-a"),
        ("Pulling", 'Pulling image "app:v1"'),
        (
            "Pulled",
            'Successfully pulled image "app:v1" in 700ms (700ms including waiting). Image size: 25165824 bytes.',
        ),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ]
    assert {at(event, "involvedObject", "fieldPath") for event in events[1:]} == {"spec.containers{app}"}


async def test_the_schedulers_event_has_the_newer_form(bench: Client) -> None:
    """eventTime and an action, no count, as on a real cluster."""
    await bench.create(PODS, pod())
    event = next(item for item in await bench.events("lab", "one") if item["reason"] == "Scheduled")
    assert event["eventTime"].endswith("Z")
    assert (event["action"], event["firstTimestamp"], "count" in event) == ("Binding", None, False)


async def test_back_off_doubles_from_ten_seconds_to_five_minutes() -> None:
    """The first restart is at once, then 10s, 20s, 40s … 5m."""
    client = crashing()
    starts: dict[int, datetime] = {}
    ends: dict[int, datetime] = {}

    def note(change: Change) -> None:
        for status in at(change.object, "status", "containerStatuses", default=[]):
            if running := at(status, "state", "running"):
                starts[status["restartCount"]] = parse(running["startedAt"])
            if ended := at(status, "state", "terminated"):
                ends[status["restartCount"]] = parse(ended["finishedAt"])

    client.cluster.store.listeners.append(note)
    await client.create(PODS, pod(image="crash:v1"))
    await client.advance(1500)
    waits = [(starts[number + 1] - ends[number]).total_seconds() for number in range(8)]
    expected = (0, 10, 20, 40, 80, 160, 300, 300)
    assert [abs(wait - due) <= 1 for wait, due in zip(waits, expected, strict=True)] == [True] * 8, waits


async def test_a_crash_shows_as_the_real_kubelet_shows_it() -> None:
    """Waiting in CrashLoopBackOff, the last run terminated with its code, BackOff reported."""
    client = crashing()
    await client.create(PODS, pod(image="crash:v1"))
    await client.advance(8)
    one = await client.get(ONE)
    status = one["status"]["containerStatuses"][0]
    uid = one["metadata"]["uid"]
    assert status["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 10s restarting failed container=app pod=one_lab({uid})",
    }
    assert (status["lastState"]["terminated"]["exitCode"], status["lastState"]["terminated"]["reason"]) == (3, "Error")
    assert await messages(client, "BackOff") == [f"Back-off restarting failed container app in pod one_lab({uid})"]
    assert one["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    ("policy", "image", "phase"),
    [
        ("Never", "crash:v1", "Failed"),
        ("Never", "task:v1", "Succeeded"),
        ("OnFailure", "task:v1", "Succeeded"),
        ("OnFailure", "crash:v1", "Running"),
        ("Always", "task:v1", "Running"),
    ],
)
async def test_the_restart_policy_decides_the_phase(policy: str, image: str, phase: str) -> None:
    """Never and OnFailure let a pod end."""
    client = crashing()
    await client.create(PODS, pod(image=image, restartPolicy=policy))
    await client.advance(30)
    assert (await client.get(ONE))["status"]["phase"] == phase


async def test_init_containers_go_first() -> None:
    """The container waits in PodInitializing until they have ended well."""
    client = crashing()
    await client.create(PODS, pod(initContainers=[{"name": "first", "image": "task:v1"}]))
    await client.advance(1.5)
    one = await client.get(ONE)
    assert one["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert pod_reason(one) == "Init:0/1"
    await client.advance(10)
    assert pod_reason(await client.get(ONE)) == "Running"


async def test_a_failing_init_container_crash_loops() -> None:
    """kubectl shows Init:CrashLoopBackOff."""
    client = crashing()
    await client.create(PODS, pod(initContainers=[{"name": "migrate", "image": "crash:v1"}]))
    await client.advance(9)
    assert pod_reason(await client.get(ONE)) == "Init:CrashLoopBackOff"


@pytest.mark.parametrize(
    ("image", "policy", "reason", "message"),
    [
        (
            "app:v9",
            "IfNotPresent",
            "ErrImagePull",
            'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/app:v9": failed to '
            'resolve reference "docker.io/library/app:v9": docker.io/library/app:v9: not found',
        ),
        (
            "registry.example.org/x/y:v1",
            "IfNotPresent",
            "ErrImagePull",
            'failed to pull and unpack image "registry.example.org/x/y:v1": failed to resolve reference '
            '"registry.example.org/x/y:v1": failed to do request: Head '
            '"https://registry.example.org/v2/x/y/manifests/v1": dial tcp: lookup registry.example.org on '
            "10.96.0.10:53: no such host",
        ),
        ("app:v1", "Never", "ErrImageNeverPull", 'Container image "app:v1" is not present with pull policy of Never'),
        (
            "Payment_SVC:v1",
            "IfNotPresent",
            "InvalidImageName",
            'Failed to apply default image tag "Payment_SVC:v1": couldn\'t parse image name "Payment_SVC:v1": invalid '
            "reference format: repository name (library/Payment_SVC) must be lowercase",
        ),
    ],
)
async def test_images_that_cannot_be_had(bench: Client, image: str, policy: str, reason: str, message: str) -> None:
    """Reason and message are those seen on a real node."""
    await bench.create(PODS, pod(image=image, container={"imagePullPolicy": policy}))
    await bench.advance(1.2)
    assert (await status_of(bench))["state"]["waiting"] == {"reason": reason, "message": message}


async def test_missing_configuration_is_waited_for(bench: Client) -> None:
    """CreateContainerConfigError until the ConfigMap is there and has the key."""
    source = {"configMapKeyRef": {"name": "settings", "key": "level"}}
    await bench.create(PODS, pod(container={"env": [{"name": "LEVEL", "valueFrom": source}]}))
    await bench.advance(3)
    waiting = (await status_of(bench))["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
    assert 'Error: configmap "settings" not found' in await messages(bench, "Failed")
    maps = "/api/v1/namespaces/lab/configmaps"
    await bench.create(maps, {"metadata": {"name": "settings"}, "data": {"other": "1"}})
    await bench.advance(15)
    assert (await status_of(bench))["state"]["waiting"][
        "message"
    ] == "couldn't find key level in ConfigMap lab/settings"
    await bench.patch(f"{maps}/settings", {"data": {"level": "info"}})
    await bench.advance(15)
    assert "running" in (await status_of(bench))["state"]


@pytest.mark.parametrize(
    ("of_pod", "of_container", "said"),
    [
        ({"runAsNonRoot": True}, {}, "container has runAsNonRoot and image will run as root (pod: "),
        ({"runAsUser": 0}, {"runAsNonRoot": True}, "container's runAsUser breaks non-root policy (pod: "),
        ({"runAsNonRoot": True}, {"runAsUser": 10001}, ""),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, ""),
    ],
)
async def test_who_must_not_run_as_root_does_not(bench: Client, of_pod: Json, of_container: Json, said: str) -> None:
    """The container's own word counts before the pod's; the images here name no user, so they run as root."""
    await bench.create(PODS, pod(securityContext=of_pod, container={"securityContext": of_container}))
    await bench.advance(3)
    state = (await status_of(bench))["state"]
    assert ("running" in state) == (not said)
    if said:
        assert state["waiting"]["reason"] == "CreateContainerConfigError"
        assert state["waiting"]["message"].startswith(said)
        assert await messages(bench, "Failed") == [f"Error: {state['waiting']['message']}"]


async def test_a_missing_volume_source_is_a_failed_mount(bench: Client) -> None:
    """The container stays in ContainerCreating; the event says what is missing."""
    volume = {"name": "settings", "secret": {"secretName": "token"}}
    await bench.create(PODS, pod(volumes=[volume]))
    await bench.advance(3)
    assert (await status_of(bench))["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert await messages(bench, "FailedMount") == [
        'MountVolume.SetUp failed for volume "settings" : secret "token" not found'
    ]


async def test_an_optional_source_is_not_waited_for(bench: Client) -> None:
    """It may be missing."""
    ref = {"secretRef": {"name": "none", "optional": True}}
    await bench.create(PODS, pod(container={"envFrom": [ref]}))
    await bench.advance(5)
    assert (await status_of(bench))["ready"]


async def test_a_liveness_probe_kills(bench: Client) -> None:
    """The process ends well on SIGTERM: Completed, exit 0; Unhealthy and Killing are reported."""
    probe = {"httpGet": {"path": "/sick", "port": 8080}, "periodSeconds": 2, "failureThreshold": 3}
    await bench.create(PODS, pod(container={"livenessProbe": probe}))
    await bench.advance(11)
    ended = (await status_of(bench))["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("Completed", 0)
    assert "Liveness probe failed: HTTP probe failed with statuscode: 503" in await messages(bench, "Unhealthy")
    assert await messages(bench, "Killing") == ["Container app failed liveness probe, will be restarted"]


@pytest.mark.parametrize(("path", "port", "ready"), [("/ok", 8080, True), ("/sick", 8080, False), ("/ok", 8081, False)])
async def test_a_readiness_probe_decides_who_is_ready(bench: Client, path: str, port: int, ready: bool) -> None:
    """A failing one never kills; Unhealthy says why."""
    probe = {"httpGet": {"path": path, "port": port}, "periodSeconds": 1}
    await bench.create(PODS, pod(container={"readinessProbe": probe}))
    await bench.advance(30)
    status = await status_of(bench)
    assert (status["ready"], status["restartCount"]) == (ready, 0)
    address = (await bench.get(ONE))["status"]["podIP"]
    dial = f"dial tcp {address}:{port}: connect: connection refused"
    refused = f'Readiness probe failed: Get "http://{address}:{port}{path}": {dial}'
    assert refused in await messages(bench, "Unhealthy")


async def test_a_deleted_pod_is_terminating_until_its_process_ended(bench: Client) -> None:
    """Killing is reported, then the object goes."""
    await bench.create(PODS, pod(terminationGracePeriodSeconds=30))
    await bench.advance(5)
    await bench.send("DELETE", ONE)
    assert pod_reason(await bench.get(ONE)) == "Terminating"
    assert await messages(bench, "Killing") == ["Stopping container app"]
    await bench.advance(2)
    assert await bench.pods("lab") == []


async def test_force_deletes_at_once(bench: Client) -> None:
    """With no grace the object goes with the request."""
    await bench.create(PODS, pod())
    await bench.advance(5)
    await bench.send("DELETE", ONE, {"gracePeriodSeconds": 0})
    assert await bench.pods("lab") == []


async def test_a_repeated_event_is_counted(bench: Client) -> None:
    """One event with a count and two times, not many events."""
    await bench.create(PODS, pod(image="app:v9"))
    await bench.advance(120)
    backoffs = [event for event in await bench.events("lab", "one") if event["reason"] == "BackOff"]
    assert len(backoffs) == 1
    assert backoffs[0]["count"] > 3
    assert backoffs[0]["firstTimestamp"] < backoffs[0]["lastTimestamp"]


async def test_node_conditions_stay_fresh(bench: Client) -> None:
    """Heartbeats go on while time passes."""
    await bench.advance(3600)
    node = (await bench.items("/api/v1/nodes"))[0]
    ready = next(item for item in node["status"]["conditions"] if item["type"] == "Ready")
    assert bench.cluster.clock.now() - parse(ready["lastHeartbeatTime"]) <= timedelta(minutes=5, seconds=1)


# Laws of a run

MEBI = 2**20
START = datetime(2026, 1, 1, tzinfo=UTC)
memories = st.integers(min_value=1, max_value=4096)


def image_of(start: int, peak: int, ramp: float) -> Image:
    """Return an image with this memory, in mebibytes."""
    memory = Memory(start=Bytes(start * MEBI), peak=Bytes(peak * MEBI), peak_after=Seconds(ramp))
    return Image(image="law:v1", memory=memory, port=80)


@given(start=memories, peak=memories, limit=memories, ramp=st.floats(0, 600))
def test_a_run_is_killed_if_and_only_if_it_needs_more_than_its_limit(
    start: int, peak: int, limit: int, ramp: float
) -> None:
    """At the moment of the kill the working set has met the limit."""
    image = image_of(start, peak, ramp)
    container = {"name": "c", "resources": {"limits": {"memory": f"{limit}Mi"}}}
    run = plan(image=image, container=container, env={}, started=START, address="10.0.0.1", run_id="x")
    assert (run.reason == "OOMKilled") is (limit < max(start, peak))
    if run.ends is not None and limit > start:
        age = (run.ends - START).total_seconds()
        assert memory_at(image.memory, ramp, age) >= limit * MEBI * 0.999


@given(start=memories, peak=memories, ramp=st.floats(0, 600), ages=st.tuples(st.floats(0, 900), st.floats(0, 900)))
def test_memory_moves_from_start_to_peak_and_stays(
    start: int, peak: int, ramp: float, ages: tuple[float, float]
) -> None:
    """Monotone between the two, whatever they are."""
    memory = image_of(start, peak, ramp).memory
    first, second = (memory_at(memory, ramp, age) for age in sorted(ages))
    low, high = sorted((start * MEBI, peak * MEBI))
    assert low <= first <= high
    assert (first <= second) if peak >= start else (first >= second)


@given(start=memories, peak=memories, more=st.integers(0, 1000), ramp=st.floats(0, 60))
def test_more_memory_never_hurts(start: int, peak: int, more: int, ramp: float) -> None:
    """If a limit is enough, so is each larger one; if not, the larger one is met later."""

    def ends(limit: int) -> float:
        container = {"name": "c", "resources": {"limits": {"memory": f"{limit}Mi"}}}
        run = plan(image=image_of(start, peak, ramp), container=container, env={}, started=START, address="", run_id="")
        return (run.ends - START).total_seconds() if run.ends else float("inf")

    limit = max(1, (start + peak) // 2)
    assert ends(limit) <= ends(limit + more) + 1e-6
