"""Each scenario shows its fault, fails with a wrong repair, and recovers with a right one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster, load, names
from skyflo_runbooks.practice.table import pod_reason
from tests.practice.client import MERGE, Client, client_of


async def reasons(client: Client, namespace: str) -> list[str]:
    """Return what kubectl would show as STATUS for each pod, sorted."""
    return sorted(pod_reason(pod) for pod in await client.pods(namespace))


def container(name: str, change: Json) -> Json:
    """Return a patch of one container of a template."""
    return {"spec": {"template": {"spec": {"containers": [{"name": name, **change}]}}}}


def test_six_scenarios_are_shipped() -> None:
    """The flagship, four more, and one where nothing is wrong."""
    assert names() == [
        "healthy",
        "insufficient-cpu",
        "missing-env",
        "oomkilled-payment",
        "service-selector",
        "wrong-image-tag",
    ]


@pytest.mark.parametrize("name", names())
def test_each_file_names_itself_and_speaks_as_an_operator(name: str) -> None:
    """The name in the file is the file's; the incident is a sentence about its namespace."""
    scenario = load(name)
    assert scenario.scenario == name
    assert scenario.namespace in scenario.incident
    assert scenario.title


@pytest.mark.parametrize("name", names())
def test_staging_gives_the_same_cluster_every_time(name: str) -> None:
    """Names, restarts and reasons do not depend on chance."""

    def shape(cluster: PracticeCluster) -> list[tuple[str, str, int]]:
        from skyflo_runbooks.practice.controllers.common import restarts
        from skyflo_runbooks.practice.kinds import POD

        return [(pod["metadata"]["name"], pod_reason(pod), restarts(pod)) for pod in cluster.store.list(POD)]

    assert shape(PracticeCluster(name)) == shape(PracticeCluster(name))


async def test_healthy_has_nothing_to_complain_about() -> None:
    """All pods run, nothing restarted, no warning is left, customers are served."""
    client = client_of(PracticeCluster("healthy"))
    pods = await client.pods("checkout")
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [0] * 5
    assert all(pod["status"]["containerStatuses"][0]["ready"] for pod in pods)
    assert not [event for event in await client.events("checkout") if event["type"] == "Warning"]
    reply = await client.http.get("/api/v1/namespaces/checkout/services/storefront:http/proxy/checkout")
    assert reply.status_code == 200


IMAGE = "registry.example.com/shop/catalog"
CATALOG = "/apis/apps/v1/namespaces/shop/deployments/catalog"


async def test_a_wrong_tag_cannot_be_pulled() -> None:
    """The new pod says that the tag is not found; the old ones still serve; the roll-out timed out."""
    client = client_of(PracticeCluster("wrong-image-tag"))
    assert await reasons(client, "shop") == ["ImagePullBackOff", "Running", "Running", "Running"]
    stuck = next(pod for pod in await client.pods("shop") if pod["status"]["phase"] == "Pending")
    image = f"{IMAGE}:v3.2.O"
    assert stuck["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == (
        f'Back-off pulling image "{image}": ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack '
        f'image "{image}": failed to resolve reference "{image}": {image}: not found'
    )
    conditions = {item["type"]: item for item in (await client.get(CATALOG))["status"]["conditions"]}
    assert conditions["Progressing"]["reason"] == "ProgressDeadlineExceeded"


@pytest.mark.parametrize(("tag", "well"), [("v3.1.0", True), ("v3.2.0", True), ("v3.2", False), ("latest", False)])
async def test_only_a_tag_of_the_registry_repairs_it(tag: str, well: bool) -> None:
    """Both tags that exist come up; any other fails in the same way."""
    client = client_of(PracticeCluster("wrong-image-tag"))
    await client.patch(CATALOG, container("catalog", {"image": f"{IMAGE}:{tag}"}))
    await client.advance(60)
    shown = await reasons(client, "shop")
    assert (shown == ["Running"] * 3) is well
    assert ("ImagePullBackOff" in shown) is not well


async def test_the_nodes_list_the_images_that_they_hold() -> None:
    """A node's status shows the former tag, which is pulled, and not the new one, which is not."""
    client = client_of(PracticeCluster("wrong-image-tag"))
    held = {
        name
        for node in await client.items("/api/v1/nodes")
        for image in node["status"]["images"]
        for name in image["names"]
    }
    assert held == {f"{IMAGE}:v3.1.0"}


SERVICE = "/api/v1/namespaces/orders/services/orders-api"


async def test_a_service_whose_selector_matches_nothing_has_no_endpoints() -> None:
    """All pods are well, the Service leads nowhere, and its caller fails."""
    client = client_of(PracticeCluster("service-selector"))
    assert await reasons(client, "orders") == ["Running"] * 5
    endpoints = await client.get("/api/v1/namespaces/orders/endpoints/orders-api")
    assert "subsets" not in endpoints
    refused = await client.refused("GET", f"{SERVICE}:80/proxy/orders")
    assert refused["message"] == 'no endpoints available for service "orders-api"'
    assert (await client.http.get("/api/v1/namespaces/orders/services/web:80/proxy/orders")).status_code == 503


@pytest.mark.parametrize(
    ("selector", "ready"),
    [
        ({"app": "orders-api"}, 3),
        ({"app": "orders-api", "tier": "backend"}, 3),
        ({"app": "orders-api", "tier": "api"}, 0),
        ({"app": "Orders-api"}, 0),
    ],
)
async def test_the_selector_decides_who_is_reached(selector: dict[str, str], ready: int) -> None:
    """Only labels that the pods carry bring the endpoints back."""
    client = client_of(PracticeCluster("service-selector"))
    await client.patch(SERVICE, {"spec": {"selector": None}}, MERGE)
    await client.patch(SERVICE, {"spec": {"selector": selector}}, MERGE)
    endpoints = await client.get("/api/v1/namespaces/orders/endpoints/orders-api")
    assert len(at(endpoints, "subsets", 0, "addresses", default=[])) == ready
    slices = await client.items("/apis/discovery.k8s.io/v1/namespaces/orders/endpointslices")
    mine = next(item for item in slices if item["metadata"]["labels"]["kubernetes.io/service-name"] == "orders-api")
    assert len(mine["endpoints"]) == ready


REPORTS = "/apis/apps/v1/namespaces/analytics/deployments/report-builder"


async def test_a_request_that_no_node_can_grant_stays_pending() -> None:
    """The pod is unschedulable, in the real scheduler's words, while its elders use a fraction of what it asks."""
    client = client_of(PracticeCluster("insufficient-cpu"))
    pending = next(pod for pod in await client.pods("analytics") if pod["status"]["phase"] == "Pending")
    condition = next(item for item in pending["status"]["conditions"] if item["type"] == "PodScheduled")
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
    assert condition["message"] == (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are "
        "available: 3 No preemption victims found for incoming pod."
    )
    used = await client.items(
        "/apis/metrics.k8s.io/v1beta1/namespaces/analytics/pods", labelSelector="app=report-builder"
    )
    assert {item["containers"][0]["usage"]["cpu"] for item in used} == {"180m"}


@pytest.mark.parametrize(("cpu", "well"), [("250m", True), ("700m", True), ("2600m", False), ("5", False)])
async def test_only_a_request_that_fits_is_granted(cpu: str, well: bool) -> None:
    """What a node has free decides."""
    client = client_of(PracticeCluster("insufficient-cpu"))
    await client.patch(REPORTS, container("report-builder", {"resources": {"requests": {"cpu": cpu}}}))
    await client.advance(60)
    assert ("Pending" not in await reasons(client, "analytics")) is well


SESSIONS = "/apis/apps/v1/namespaces/accounts/deployments/session-api"


async def test_a_missing_variable_is_named_in_the_last_log_line() -> None:
    """The new pod exits 1 and says why; the ReplicaSet before it still has the variable."""
    client = client_of(PracticeCluster("missing-env"))
    assert await reasons(client, "accounts") == ["CrashLoopBackOff", "Running", "Running"]
    crashing = next(pod for pod in await client.pods("accounts") if pod_reason(pod) == "CrashLoopBackOff")
    ended = crashing["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (1, "Error")
    log = await client.http.get(f"/api/v1/namespaces/accounts/pods/{crashing['metadata']['name']}/log")
    assert log.text.splitlines()[-1] == "FATAL: environment variable SESSION_STORE_URL is not set"
    sets = await client.items("/apis/apps/v1/namespaces/accounts/replicasets")
    named = [[item["name"] for item in at(each, "spec", "template", "spec", "containers", 0, "env")] for each in sets]
    assert sorted(named, key=len) == [["LOG_LEVEL"], ["LOG_LEVEL", "SESSION_STORE_URL"]]


@pytest.mark.parametrize(
    ("value", "last"),
    [
        ("redis://session-store.accounts:6379/0", "session-api listening on :8080"),
        ("redis://other:1/9", "session-api listening on :8080"),
        ("http://session-store", "FATAL: environment variable SESSION_STORE_URL is not a redis:// address"),
        ("", "FATAL: environment variable SESSION_STORE_URL is not set"),
    ],
)
async def test_the_variable_must_also_make_sense(value: str, last: str) -> None:
    """A wrong value fails as well, with another last line."""
    client = client_of(PracticeCluster("missing-env"))
    await client.patch(SESSIONS, container("session-api", {"env": [{"name": "SESSION_STORE_URL", "value": value}]}))
    await client.advance(40)
    newest = max(
        await client.pods("accounts"), key=lambda pod: int(pod["metadata"]["creationTimestamp"].translate(digits()))
    )
    log = await client.http.get(f"/api/v1/namespaces/accounts/pods/{newest['metadata']['name']}/log")
    assert log.text.splitlines()[-1] == last


def digits() -> dict[int, None]:
    """Return a translation that leaves a time's digits."""
    return {ord(letter): None for letter in "-:TZ"}


@pytest.mark.parametrize(
    "staged",
    [lambda: PracticeCluster("wrong-image-tag"), lambda: PracticeCluster("healthy")],
    ids=["another first", "itself first"],
)
async def test_another_scenario_can_be_staged_in_a_living_cluster(staged: Callable[[], PracticeCluster]) -> None:
    """Everything is replaced but the cluster's identity."""
    cluster = staged()
    client = client_of(cluster)
    uid = cluster.uid
    reply = await client.send("POST", "/practice/scenario", {"scenario": "missing-env"})
    assert reply.json()["namespace"] == "accounts"
    assert cluster.uid == uid
    assert await reasons(client, "accounts") == ["CrashLoopBackOff", "Running", "Running"]
    assert await client.pods("checkout") == []
    assert await client.pods("shop") == []
