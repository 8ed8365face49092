"""What a proposal says beyond its diff, where only a real control plane has it.

Quota and budget status by their controllers, owners by uid, webhooks, counts by the server, defaults by the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from skyflo_mcp.kubernetes import catalogue
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.impact import Need, Scene
from skyflo_runbooks.gateway.impact.reads import ClusterLister
from skyflo_runbooks.gateway.impact.scene import EVERYTHING
from skyflo_runbooks.gateway.prepare import Prepared, prepare
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered
from tests.control_plane.harness import ControlPlane, Role
from tests.control_plane.processes import wait_until
from tests.faults.staging import _definition as definition
from tests.faults.staging import _serves as serves

pytestmark = pytest.mark.control_plane

NS = "impact"
LABELS = {"app": "web"}
CONTAINER: Json = {"name": "web", "image": "web:1", "resources": {"limits": {"memory": "64Mi"}}}


def _made(kind: str, name: str, api: str = "v1", namespace: str = NS, **members: object) -> Json:
    metadata: Json = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **members}


OBJECTS: tuple[Json, ...] = (
    _made("Namespace", NS, namespace=""),
    _made("ResourceQuota", "all", spec={"hard": {"limits.memory": "192Mi", "pods": "9"}}),
    _made(
        "Deployment",
        "web",
        "apps/v1",
        spec={
            "replicas": 2,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}},
        },
    ),
    _made("PodDisruptionBudget", "web", "policy/v1", spec={"minAvailable": 2, "selector": {"matchLabels": LABELS}}),
    _made("Service", "web", spec={"selector": LABELS, "ports": [{"port": 80}]}),
    _made("Secret", "token", stringData={"password": "hunter2hunter2"}),
    _made(
        "ValidatingWebhookConfiguration",
        "impact-hooks",
        "admissionregistration.k8s.io/v1",
        namespace="",
        webhooks=[
            {
                "name": "hook.example.com",
                "clientConfig": {"service": {"namespace": NS, "name": "web", "path": "/"}},
                "rules": [
                    {"apiGroups": ["x.example.com"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    ),
)


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """The objects, once the controllers have done their part."""
    control_plane.apply(OBJECTS)
    base = f"/api/v1/namespaces/{NS}"
    wait_until("two pods", lambda: len(control_plane.get(f"{base}/pods")["items"]) == 2, within=60)
    quota = f"{base}/resourcequotas/all"
    wait_until(
        "the quota counts them",
        lambda: at(control_plane.get(quota), "status", "used", "limits.memory") == "128Mi",
        within=60,
    )
    budget = f"/apis/policy/v1/namespaces/{NS}/poddisruptionbudgets/web"
    wait_until(
        "the budget has a status",
        lambda: at(control_plane.get(budget), "status", "desiredHealthy") == 2,
        within=60,
    )
    yield control_plane
    with control_plane.http() as client:
        client.delete("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/impact-hooks")


def _prepared(plane: ControlPlane, tool: str, arguments: Json, role: Role = "admin") -> Prepared:
    """Return what a tool's first request would mean, as the proposer gets it."""

    async def made() -> Prepared:
        async with Cluster.from_kubeconfig(str(plane.kubeconfig(role))) as cluster:
            rendered = await catalogue.call(cluster, tool, arguments)
            assert isinstance(rendered, Rendered)
            scene = Scene(ClusterLister(cluster), rendered.requests)
            return await prepare(cluster, rendered.requests[0], scene=scene, secret_key=b"k" * 32)

    return asyncio.run(made())


WEB: Json = {"kind": "Deployment", "namespace": NS, "name": "web"}


def test_quota_and_budget_by_their_status(plane: ControlPlane) -> None:
    """What their controllers counted; no node is there, and nothing else is unknown."""
    raised = _prepared(
        plane, "k8s_set_resources", {**WEB, "container": "web", "limits": {"memory": "96Mi"}}, "operator"
    )
    said = "\n".join(raised.impact.also_touched)
    assert "Quota all: limits.memory up to 288Mi of 192Mi during the rollout, DOES NOT FIT" in said
    assert "PodDisruptionBudget web (disruptions allowed now: 0)" in said
    assert "Service web (0 of " in said
    assert "NO NODE takes such a pod" in said
    assert raised.impact.unknown == ()
    assert (
        raised.diff.splitlines()[0] == f"@@ Deployment {NS}/web · spec.template.spec.containers[web].resources.limits"
    )
    assert [line for line in raised.diff.splitlines() if line[0] in "+-"] == [
        "-            memory: 64Mi",
        "+            memory: 96Mi",
    ]


def test_what_belongs_to_a_deployment_by_uid(plane: ControlPlane) -> None:
    """As the real controllers wrote the owners; the diff shows what was written, and no default."""
    deleted = _prepared(plane, "k8s_delete", WEB)
    said = "\n".join(deleted.impact.also_touched)
    assert "Deleted with it: 1 ReplicaSet (web-" in said
    assert "2 Pods (web-" in said
    for noise in ("terminationMessagePath", "schedulerName", "creationTimestamp", "uid", "progressDeadlineSeconds"):
        assert noise not in deleted.diff


def test_a_namespace_is_counted_by_the_server(plane: ControlPlane) -> None:
    """Every kind that it serves; the Secret is counted and not read."""
    deleted = _prepared(plane, "k8s_delete", {"kind": "Namespace", "name": NS})
    counted = next(line for line in deleted.impact.also_touched if line.startswith("Everything in it is deleted: "))
    for part in ("2 Pod", "1 Deployment", "1 ReplicaSet", "1 Secret", "1 Service", "1 PodDisruptionBudget"):
        assert part in counted
    assert "hunter2" not in str(deleted.impact)
    assert deleted.impact.irreversible


def test_a_webhook_without_a_pod_behind_it(plane: ControlPlane) -> None:
    """The configuration as the server completes it: failurePolicy Fail is its default."""
    changed = _prepared(
        plane,
        "k8s_label",
        {"kind": "ValidatingWebhookConfiguration", "name": "impact-hooks", "set": {"team": "a"}},
    )
    said = "\n".join(changed.impact.also_touched)
    assert "hook.example.com has NO ready pod behind it and failurePolicy Fail: all of that is REFUSED" in said


def test_what_a_role_may_not_list_is_unknown(plane: ControlPlane) -> None:
    """The reader may not list Secrets: that is said, and the rest is counted all the same."""
    needs = (Need(EVERYTHING, NS, count=True), Need("Secret", NS))

    async def read() -> Scene:
        async with Cluster.from_kubeconfig(str(plane.kubeconfig("reader"))) as cluster:
            scene = Scene(ClusterLister(cluster))
            await scene.read(needs)
            return scene

    scene = asyncio.run(read())
    problems = "\n".join(scene.problems(needs))
    assert "Secret: count secrets in impact" in problems
    assert "Secret of impact could not be read" in problems
    assert scene.counts(EVERYTHING, NS)["Pod"] == 2


GATEWAYS, ISTIO = "gateway.networking.k8s.io/v1", "networking.istio.io/v1"


@pytest.fixture(scope="module")
def routed(plane: ControlPlane) -> ControlPlane:
    """A route to the Service, and a Gateway of either API that has one."""
    kinds = ((GATEWAYS, "HTTPRoute"), (GATEWAYS, "Gateway"), (ISTIO, "Gateway"))
    plane.apply(definition(version, kind) for version, kind in kinds)
    for version, kind in kinds:
        wait_until(f"{kind} of {version} is served", lambda v=version, k=kind: serves(plane, v, k), within=60)  # type: ignore[misc]
    spec = {"parentRefs": [{"name": "front"}], "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}
    plane.apply(
        [
            _made("Gateway", "front", GATEWAYS, spec={"gatewayClassName": "a", "listeners": [{"name": "web"}]}),
            _made("Gateway", "other", ISTIO, spec={"selector": {"istio": "ingress"}}),
            _made("HTTPRoute", "shop", GATEWAYS, spec=spec),
        ]
    )
    return plane


def test_what_the_gateway_api_sends_to_a_service_that_goes(routed: ControlPlane) -> None:
    """Of all namespaces, by the kinds that this cluster serves: one of five."""
    gone = _prepared(routed, "k8s_delete", {"kind": "Service", "namespace": NS, "name": "web"})
    assert f"HTTPRoute {NS}/shop would send to nothing" in gone.impact.also_touched
    assert gone.impact.unknown == ()


def test_the_gateways_of_another_api_are_not_taken_for_them(routed: ControlPlane) -> None:
    """Two kinds of that name are served; a route's Gateway is found among the right ones."""
    patch = {"spec": {"parentRefs": [{"name": "front"}, {"name": "other"}]}}
    where = {"kind": "HTTPRoute", "namespace": NS, "name": "shop"}
    moved = _prepared(routed, "k8s_patch", {**where, "patch_type": "merge", "patch": patch})
    assert f"Gateway {NS}/other does not exist" in moved.impact.also_touched
    assert f"Gateway {NS}/front does not exist" not in moved.impact.also_touched
    gone = _prepared(
        routed, "k8s_delete", {"kind": "gateways.gateway.networking.k8s.io", "namespace": NS, "name": "front"}
    )
    assert f"Nothing comes in by it any more: HTTPRoute {NS}/shop" in gone.impact.also_touched
