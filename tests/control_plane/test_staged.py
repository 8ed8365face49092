"""A scenario on a real control plane with played nodes: the same story, in the same words, as elsewhere."""

from __future__ import annotations

import re
import ssl

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane.command import FLAGSHIP
from tests.control_plane.fixtures import Stage
from tests.control_plane.harness import Role
from tests.control_plane.practised import practised
from tests.control_plane.processes import wait_until
from tests.control_plane.stage import Staged, rolled_out, wait_shown

pytestmark = pytest.mark.control_plane
PAYMENT = "app=payment-service"
MI = 2**20


@pytest.fixture(scope="module")
def flagship(stage_on_control_plane: Stage) -> Staged:
    """The payment service of the flagship, in whatever state a test left it."""
    return stage_on_control_plane(FLAGSHIP)


@pytest.fixture
def crashing(flagship: Staged) -> Staged:
    """The same, OOM-killed at 256Mi."""
    flagship.set_limit("payment-service", "256Mi")
    wait_shown(flagship.plane, flagship.scenario)
    return flagship


@pytest.fixture
def recovered(flagship: Staged) -> Staged:
    """The same, after its limit was raised to what it needs, with some room."""
    flagship.set_limit("payment-service", "512Mi")
    wait_until("rolled out", lambda: rolled_out(flagship.plane, flagship.deployment("payment-service")), within=60)
    return flagship


def test_the_past_left_its_revisions(crashing: Staged) -> None:
    """The real Deployment controller made both ReplicaSets, and the strategy is the scenario's again."""
    listed = crashing.plane.get("/apis/apps/v1/namespaces/checkout/replicasets")["items"]
    mine = [each for each in listed if each["metadata"]["name"].startswith("payment-service")]
    held = {(each["spec"]["template"]["spec"]["containers"][0]["image"], each["spec"]["replicas"]) for each in mine}
    assert {("payment-svc:v2.4.0", 0), ("payment-svc:v2.4.1", 3)} <= held
    spec = crashing.plane.get(crashing.deployment("payment-service"))["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}


async def test_its_words_are_the_practice_clusters(crashing: Staged) -> None:
    """States and events of crashing pods read the same on both."""
    said = await practised(FLAGSHIP, "payment-service")
    seen = crashing.seen("payment-service")
    missing = {line for line in said.events | said.states if "BackOff" in line or "OOMKilled" in line}
    wait_until("the words of the crash", lambda: missing <= crashing.seen("payment-service").lines, within=60)
    assert {line for line in seen.events if " Scheduled" in line} == {
        line for line in said.events if " Scheduled" in line
    }


def test_the_previous_logs_come_through_the_api_server(crashing: Staged) -> None:
    """The API server asks the played kubelet; what a run wrote before it was killed is there."""
    pod = crashing.pods(PAYMENT)[0]["metadata"]["name"]
    with crashing.plane.http("reader") as client:
        path = f"/api/v1/namespaces/checkout/pods/{pod}/log"
        said = client.get(path, params={"previous": "true", "timestamps": "true", "tailLines": "1"})
    assert re.fullmatch(r"\S+Z INFO  listening on :8080\n", said.text)


def test_nobody_else_reads_logs_from_the_node(crashing: Staged) -> None:
    """Logs are for the API server, which asks who wants them; a token is not enough."""
    pod = crashing.pods(PAYMENT)[0]
    answer = _ask_kubelet(crashing, pod, f"containerLogs/checkout/{pod['metadata']['name']}/payment-service", "reader")
    assert answer.status_code == 403


def test_figures_need_a_token_and_the_right(crashing: Staged) -> None:
    """The played kubelet asks the API server who it is and what they may, like a real one."""
    pod = crashing.pods(PAYMENT)[0]
    assert _ask_kubelet(crashing, pod, "metrics/resource", None).status_code == 401
    assert _ask_kubelet(crashing, pod, "metrics/resource", "node").status_code == 403
    assert "container_memory_working_set_bytes" in _ask_kubelet(crashing, pod, "metrics/resource", "reader").text


def test_customers_get_errors(crashing: Staged) -> None:
    """While pods crash, the checkout fails at the service itself and at the storefront that calls it."""
    assert crashing.ask("payment-service", "/checkout").status_code >= 500
    assert crashing.ask("storefront", "/").status_code == 200


def test_nodes_stay_ready(flagship: Staged) -> None:
    """The real node lifecycle controller is content with the played leases."""
    nodes = flagship.plane.get("/api/v1/nodes")["items"]
    ready = {each["status"] for node in nodes for each in node["status"]["conditions"] if each["type"] == "Ready"}
    assert (len(nodes), ready) == (3, {"True"})


def test_the_story_goes_on_after_the_api_server_was_away(crashing: Staged) -> None:
    """The player outlives a crash of the API server, and pods are restarted again."""
    before = _restarts(crashing)
    crashing.plane.restart_api_server()
    wait_until("further restarts", lambda: _restarts(crashing) > before, within=90)


def test_enough_memory_recovers_it(recovered: Staged) -> None:
    """512Mi: no restarts, 340Mi in use by the kubelet's own figures, and customers are served."""
    pods = recovered.pods(PAYMENT)
    assert [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]] == [0, 0, 0]
    wait_until("340Mi in use", lambda: {_memory(recovered, pod) for pod in pods} == {340 * MI}, within=30)
    assert recovered.ask("payment-service", "/checkout").json() == {"order": "accepted"}
    assert recovered.ask("storefront", "/checkout").text == "thank you\n"


def test_too_little_memory_does_not(flagship: Staged) -> None:
    """300Mi for a need of 340Mi is killed again: nothing here knows the repair."""
    flagship.set_limit("payment-service", "300Mi")
    killed = "lastState terminated OOMKilled 137"
    wait_until("killed again", lambda: killed in flagship.seen("payment-service").states, within=60)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("wrong-image-tag", ("ImagePullBackOff", "Failed to pull")),
        ("missing-env", ("CrashLoopBackOff", "terminated Error", "BackOff: Back-off restarting")),
        ("insufficient-cpu", ("FailedScheduling: 0/3 nodes are available: 3 Insufficient cpu.",)),
    ],
)
async def test_other_scenarios_read_the_same(stage_on_control_plane: Stage, name: str, words: tuple[str, ...]) -> None:
    """What names the cause is said in the same words: those of the real scheduler, and of the kubelet."""
    staged = stage_on_control_plane(name)
    prefix = staged.scenario.expect.object.rpartition("/")[2]
    said = await practised(name, prefix)
    wanted = {line for line in said.lines if any(word in line for word in words)}
    assert all(any(word in line for line in wanted) for word in words)
    wait_until(f"the words of {name}", lambda: wanted <= staged.seen(prefix).lines, within=60)


def _restarts(staged: Staged) -> int:
    return sum(status["restartCount"] for pod in staged.pods(PAYMENT) for status in pod["status"]["containerStatuses"])


def _memory(staged: Staged, pod: Json) -> int | None:
    text = _ask_kubelet(staged, pod, "metrics/resource", "reader").text
    name = pod["metadata"]["name"]
    found = re.search(rf'working_set_bytes\{{[^}}]*pod="{name}"\}} (\d+)', text)
    return int(found[1]) if found else None


def _ask_kubelet(staged: Staged, pod: Json, path: str, role: Role | None) -> httpx.Response:
    node = staged.plane.get(f"/api/v1/nodes/{pod['spec']['nodeName']}")["status"]
    port = node["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    token = {"Authorization": f"Bearer {staged.plane.token(role)}"} if role else {}
    trusted = ssl.create_default_context(cafile=str(staged.plane.ca))
    url = f"https://{node['addresses'][0]['address']}:{port}/{path}"
    return httpx.get(url, headers=token, verify=trusted, trust_env=False)
