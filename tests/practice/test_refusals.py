"""What the cluster does not know it refuses by name; who may not, is told so in RBAC's words."""

from __future__ import annotations

import httpx
import pytest

from skyflo_runbooks.practice import PracticeCluster
from tests.practice.client import Client, client_of, small


@pytest.mark.parametrize(
    "path",
    [
        "/apis/argoproj.io/v1alpha1/rollouts",
        "/apis/apps/v1/namespaces/lab/flowers",
        "/api/v1/namespaces/lab/pods/one/exec",
        "/apis/apps/v2/deployments",
        "/api/v1/namespaces/lab/nodes",
        "/nonsense",
        "/apis/apps/v1/deployments/app",
        "/apis/metrics.k8s.io/v1beta1/flowers",
    ],
)
async def test_unknown_paths_are_named(bench: Client, path: str) -> None:
    """404, and the message says that it is the practice cluster that does not know."""
    status = await bench.refused("GET", path)
    assert (status["code"], status["reason"]) == (404, "NotFound")
    assert "the practice cluster does not know" in status["message"]


async def test_a_missing_object_is_named_with_its_group(bench: Client) -> None:
    """`deployments.apps "x" not found`."""
    status = await bench.refused("GET", "/apis/apps/v1/namespaces/lab/deployments/x")
    assert status["message"] == 'deployments.apps "x" not found'
    assert status["details"] == {"name": "x", "group": "apps", "kind": "deployments"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/lab/configmaps/x"),
        ("PUT", "/api/v1/namespaces/lab/configmaps"),
        ("POST", "/api/v1/namespaces/lab/pods/x/log"),
    ],
)
async def test_methods_that_do_not_fit(bench: Client, method: str, path: str) -> None:
    """405."""
    assert (await bench.refused(method, path, {}))["code"] == 405


@pytest.mark.parametrize("content", ["application/vnd.kubernetes.protobuf", "text/plain"])
async def test_bodies_in_other_formats(bench: Client, content: str) -> None:
    """415 with what is accepted."""
    status = await bench.refused("POST", "/api/v1/namespaces/lab/configmaps", {"metadata": {"name": "x"}}, content)
    assert status["code"] == 415
    assert "application/json" in status["message"]


@pytest.mark.parametrize("raw", ["", "{", "[]", "3"])
async def test_bodies_that_are_no_objects(bench: Client, raw: str) -> None:
    """400."""
    reply = await bench.http.post("/api/v1/namespaces/lab/configmaps", content=raw)
    assert reply.status_code == 400


async def test_yaml_bodies_are_read(bench: Client) -> None:
    """As the real server does."""
    reply = await bench.http.post(
        "/api/v1/namespaces/lab/configmaps",
        content="metadata: {name: y}\ndata: {a: b}\n",
        headers={"content-type": "application/yaml"},
    )
    assert (reply.status_code, reply.json()["data"]) == (201, {"a": "b"})


async def test_a_kind_that_does_not_fit_the_path(bench: Client) -> None:
    """The message names both."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    status = await bench.refused("POST", "/api/v1/namespaces/lab/configmaps", body)
    assert "converting (v1.Secret) to (core.ConfigMap): unknown conversion" in status["message"]


async def test_another_namespace_in_the_body(bench: Client) -> None:
    """It must be the request's."""
    body = {"metadata": {"name": "x", "namespace": "other"}}
    status = await bench.refused("POST", "/api/v1/namespaces/lab/configmaps", body)
    assert "namespace" in status["message"]


async def test_an_unknown_dry_run_is_refused(bench: Client) -> None:
    """Only `All` is one: anything else must not be taken for a real write."""
    status = await bench.refused("POST", "/api/v1/namespaces/lab/configmaps", {"metadata": {"name": "x"}}, dryRun="yes")
    assert status["code"] == 422
    assert await bench.items("/api/v1/namespaces/lab/configmaps") == []


# Who may


def as_role(client: Client, token: str | None) -> httpx.AsyncClient:
    """Return another client of the same cluster with this token."""
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    transport = httpx.ASGITransport(client.cluster.app)
    return httpx.AsyncClient(transport=transport, base_url="http://practice", headers=headers)


@pytest.mark.parametrize("token", ["wrong", "", "ünicode"])
async def test_a_wrong_token_is_unauthorized(bench: Client, token: str) -> None:
    """401 also in memory, where no token would do."""
    reply = await bench.http.get("/api/v1/pods", headers=[(b"authorization", f"Bearer {token}".encode())])
    assert reply.status_code == 401
    assert reply.json()["message"] == "Unauthorized"


async def test_a_server_asks_for_a_token() -> None:
    """Without one it is 401."""
    client = client_of(PracticeCluster(small(), token_required=True))
    assert (await client.http.get("/api/v1/pods")).status_code == 401
    allowed = as_role(client, client.cluster.access.tokens["admin"])
    assert (await allowed.get("/api/v1/pods")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        (
            "GET",
            "/api/v1/namespaces/checkout/secrets",
            'secrets is forbidden: User "practice-reader" cannot list resource "secrets" in API group "" '
            'in the namespace "checkout"',
        ),
        (
            "GET",
            "/api/v1/secrets",
            'secrets is forbidden: User "practice-reader" cannot list resource "secrets" in API group "" '
            "at the cluster scope",
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/checkout/deployments/payment-service",
            'deployments.apps "payment-service" is forbidden: User "practice-reader" cannot delete resource '
            '"deployments" in API group "apps" in the namespace "checkout"',
        ),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/checkout/deployments/payment-service/scale",
            'deployments.apps "payment-service" is forbidden: User "practice-reader" cannot patch resource '
            '"deployments/scale" in API group "apps" in the namespace "checkout"',
        ),
    ],
)
async def test_a_reader_is_told_what_it_may_not(flagship: Client, method: str, path: str, said: str) -> None:
    """403 in RBAC's words, and nothing is changed."""
    reader = as_role(flagship, flagship.cluster.access.tokens["reader"])
    before = flagship.cluster.store.version
    reply = await reader.request(method, path, json={})
    assert reply.status_code == 403
    assert reply.json()["message"] == said
    assert flagship.cluster.store.version == before


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/namespaces/checkout/pods",
        "/apis/apps/v1/deployments",
        "/api/v1/namespaces/checkout/services/storefront:80/proxy/",
        "/apis/metrics.k8s.io/v1beta1/pods",
        "/api/v1/nodes",
    ],
)
async def test_a_reader_may_look(flagship: Client, path: str) -> None:
    """Everything but Secrets."""
    reader = as_role(flagship, flagship.cluster.access.tokens["reader"])
    assert (await reader.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("role", "verb", "resource", "allowed"),
    [
        ("reader", "get", "pods", True),
        ("reader", "delete", "pods", False),
        ("reader", "get", "secrets", False),
        ("admin", "delete", "secrets", True),
    ],
)
async def test_a_self_review_says_the_same(bench: Client, role: str, verb: str, resource: str, allowed: bool) -> None:
    """SelfSubjectAccessReview agrees with what is then answered."""
    token = bench.cluster.access.tokens["admin" if role == "admin" else "reader"]
    body = {"spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": "lab"}}}
    reply = await as_role(bench, token).post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=body)
    assert (reply.status_code, reply.json()["status"]["allowed"]) == (201, allowed)


async def test_a_reader_cannot_stage_scenarios(bench: Client) -> None:
    """Breaking things is the administrator's."""
    reader = as_role(bench, bench.cluster.access.tokens["reader"])
    assert (await reader.post("/practice/scenario", json={"scenario": "healthy"})).status_code == 403
    assert bench.cluster.scenario.scenario == "small"


async def test_an_unknown_scenario_is_a_bad_request(bench: Client) -> None:
    """And the staged one stays."""
    status = await bench.refused("POST", "/practice/scenario", {"scenario": "nope"})
    assert "There is no scenario 'nope'." in status["message"]
    assert bench.cluster.scenario.scenario == "small"


# Discovery


async def test_discovery_lists_what_is_served(bench: Client) -> None:
    """Every group's resources can be listed at the path that discovery gives."""
    groups = (await bench.get("/apis"))["groups"]
    versions = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    listed = 0
    for version in versions:
        for resource in (await bench.get(version))["resources"]:
            if "list" in resource["verbs"]:
                await bench.get(f"{version}/{resource['name']}")
                listed += 1
    assert listed > 25


async def test_the_version_says_that_it_is_a_practice_cluster(bench: Client) -> None:
    """A simulator, and it says so."""
    version = await bench.get("/version")
    assert version["gitVersion"].startswith("v1.36.")
    assert "practice" in version["gitVersion"]


async def test_openapi_answers_kubectls_one_question(bench: Client) -> None:
    """Does a patch of a Deployment take fieldValidation?"""
    paths = (await bench.get("/openapi/v3"))["paths"]
    document = await bench.get(paths["apis/apps/v1"]["serverRelativeURL"].partition("?")[0])
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
