"""The gate on the practice cluster and on a real API server: the same changes, the same ends, the same ways back."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster, Conflict, NotFound

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.gateway import Gateway, open_store
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.model.request import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Rendered, Request
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.fixtures import control_plane
from tests.control_plane.harness import ControlPlane
from tests.gateway.operator import Key
from tests.gateway.world import KERNEL, OPERATOR, signed

__all__ = ["control_plane"]

_NAMES = (f"gate-{number}" for number in itertools.count())
HASTY = Patience(budget=0.5, budget_pause=0.1)


class Losing(httpx.AsyncBaseTransport):
    """A connection that breaks after each real write that arrived, while `losing`."""

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        self._behind = behind
        self.losing = False
        self.lost = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        answer = await self._behind.handle_async_request(request)
        dry = "dryRun" in str(request.url) or b'"dryRun"' in request.content
        # Reviews are posted, too, and write nothing.
        review = "/namespaces/" not in request.url.path
        if self.losing and request.method != "GET" and not dry and not review:
            await answer.aread()
            self.lost += 1
            await answer.aclose()
            raise httpx.ReadError("the connection broke")
        return answer

    async def aclose(self) -> None:
        """See httpx."""
        await self._behind.aclose()


@dataclass
class Place:
    """A gateway on one of the two, a namespace of its own, and an operator."""

    gateway: Gateway
    transport: Losing
    namespace: str
    key: Key
    wanted: list[Request]

    @property
    def cluster(self) -> Cluster:
        """The cluster."""
        return self.gateway.cluster

    def path(self, plural: str, name: str = "", group: str = "/api/v1", sub: str = "") -> str:
        """A path in the namespace."""
        parts = [group, "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    def ref(self, kind: str, name: str, version: str = "v1") -> ObjectRef:
        """An object of the namespace."""
        return ObjectRef(kind, name, self.namespace, version)

    def settings(self, **data: str) -> Json:
        """A ConfigMap."""
        meta = {"name": "settings", "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}

    async def put(self, manifest: Json, plural: str, group: str = "/api/v1") -> Json:
        """Somebody creates an object."""
        meta = {**manifest["metadata"], "namespace": self.namespace}
        request = Request(
            "create", ObjectRef.of(manifest), self.path(plural, group=group), {**manifest, "metadata": meta}
        )
        return (await self.cluster.send(request, dry_run=False, field_manager="somebody")).object

    async def there(self, kind: str, name: str, version: str = "v1") -> Json | None:
        """The object as it is."""
        try:
            return await self.cluster.get(self.ref(kind, name, version))
        except NotFound:
            return None

    async def propose(self, *requests: Request) -> Row:
        """Propose a change of these requests."""
        self.wanted[:] = requests
        step = f"step-{next(_NAMES)}"
        return await self.gateway.propose(Wish("t", {"step": step}, Origin(requester=str(KERNEL), step=step)))

    async def approve(self, row: Row) -> Row:
        """Approve, and wait until it is settled."""
        id_, store = row.proposal.id, self.gateway.store
        ballot = signed(self.gateway, row, OPERATOR, self.key)
        await self.gateway.decide(id_, ballot, OPERATOR)
        done = await self.gateway.settled(id_, 30)
        while done.state == "unknown":
            await self.gateway.events.changed(0.2)
            done = store.get(id_)
        return done

    async def apply(self, *requests: Request) -> Row:
        """Propose and approve; it must be executed."""
        done = await self.approve(await self.propose(*requests))
        assert done.state == "executed", done.attempt
        return done

    async def back(self, row: Row) -> Row:
        """Lead back; it must be executed."""
        done = await self.approve(await self.gateway.roll_back(row.proposal.id, OPERATOR))
        assert done.state == "executed", done.attempt
        return done

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until it holds."""
        for _ in range(200):
            if await holds():
                return
            await self.gateway.events.changed(0.1)
        raise AssertionError(f"expected: {what}")


@asynccontextmanager
async def opened(
    tmp: Path, behind: httpx.AsyncBaseTransport, server: str, headers: dict[str, str]
) -> AsyncIterator[Place]:
    """Open a gateway on a server, with a fresh namespace."""
    transport = Losing(behind)
    cluster = Cluster(httpx.AsyncClient(transport=transport, base_url=server, headers=headers))
    wanted: list[Request] = []

    async def render(_: str, arguments: Json) -> Rendered:
        return Rendered(tuple(wanted), title="A change", equivalent="kubectl …")

    store = open_store(tmp / "data")
    life = timedelta(minutes=30)
    redactor = Redactor()
    gateway = Gateway(
        cluster=cluster, store=store, render=render, redactor=redactor, life=life, tick=0.05, patience=HASTY
    )
    async with gateway:
        key = Key()
        link = identity.issue(store, "link", "test", identity.LINK_LIFE)
        identity.pair(store, link=link, name=OPERATOR.name, key=identity.read_key(key.jwk))
        place = Place(gateway, transport, next(_NAMES), key, wanted)
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace}}
        request = Request("create", ObjectRef("Namespace", place.namespace, "", "v1"), "/api/v1/namespaces", space)
        await cluster.send(request, dry_run=False, field_manager="tests")
        yield place


@asynccontextmanager
async def on_practice(tmp: Path) -> AsyncIterator[Place]:
    """On the practice cluster."""
    practice = PracticeCluster("healthy", speed=20, leap=2)
    async with practice.running(), opened(tmp, httpx.ASGITransport(practice.app), "http://practice", {}) as place:
        yield place


@asynccontextmanager
async def on_control_plane(tmp: Path, plane: ControlPlane) -> AsyncIterator[Place]:
    """On a real API server."""
    headers = {"Authorization": f"Bearer {plane.token('admin')}"}
    async with opened(tmp, httpx.AsyncHTTPTransport(verify=plane.tls), plane.server, headers) as place:
        yield place


@pytest.fixture(params=["practice", pytest.param("control plane", marks=pytest.mark.control_plane)])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway on each."""
    if request.param == "practice":
        async with on_practice(tmp_path) as made:
            yield made
    else:
        async with on_control_plane(tmp_path, request.getfixturevalue("control_plane")) as made:
            yield made


@pytest.fixture
async def real(control_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway on a real API server alone, for what the practice cluster does not have."""
    async with on_control_plane(tmp_path, control_plane) as made:
        yield made


async def test_creation_and_deletion_and_their_ways_back(place: Place) -> None:
    """Dry runs leave nothing behind; what is deleted comes back as somebody had wanted it."""
    ref = place.ref("ConfigMap", "settings")
    row = await place.propose(Request("create", ref, place.path("configmaps"), place.settings(mode="slow")))
    assert await place.there("ConfigMap", "settings") is None
    assert (await place.approve(row)).state == "executed"
    await place.back(row)
    assert await place.there("ConfigMap", "settings") is None
    before = await place.put(place.settings(mode="kept"), "configmaps")
    row = await place.propose(Request("delete", ref, place.path("configmaps", "settings"), None))
    assert await place.there("ConfigMap", "settings") == before
    assert "Stored, but" not in row.proposal.assessment.way_back
    assert (await place.approve(row)).state == "executed"
    await place.back(row)
    again = await place.there("ConfigMap", "settings")
    assert again is not None
    assert (again["data"], again["metadata"]["uid"] != before["metadata"]["uid"]) == ({"mode": "kept"}, True)


async def test_apply_owns_takes_and_takes_out(place: Place) -> None:
    """A conflict is one until it is forced; what is left out later goes, and comes back by the inverse."""
    ref = place.ref("ConfigMap", "settings")

    def applied(force: bool = False, **data: str) -> Request:
        path = place.path("configmaps", "settings")
        return Request("apply", ref, path, place.settings(**data), APPLY_PATCH, force=force)

    await place.apply(applied(mode="slow", size="3"))
    theirs = Request("patch", ref, place.path("configmaps", "settings"), {"data": {"mode": "theirs"}}, MERGE_PATCH)
    await place.cluster.send(theirs, dry_run=False, field_manager="somebody")
    with pytest.raises(Conflict, match="somebody"):
        await place.propose(applied(mode="ours"))
    row = await place.propose(applied(force=True, mode="ours"))
    assert any(".data.mode" in said and '"somebody"' in said for said in row.proposal.impact.ownership)
    assert (await place.approve(row)).state == "executed"
    live = await place.there("ConfigMap", "settings")
    assert live is not None
    assert live["data"] == {"mode": "ours"}
    await place.back(row)
    live = await place.there("ConfigMap", "settings")
    assert live is not None
    assert live["data"] == {"mode": "theirs", "size": "3"}


POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"nodeSelector": {"tests.skyflo.dev/none": "yes"}, "containers": [{"name": "web", "image": "web:1"}]},
}
READY: Json = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}


async def test_an_eviction_asks_the_budget_and_its_dry_run_leaves_the_pod(place: Place) -> None:
    """The 429 is told in the server's words; without the budget the pod goes."""

    async def account() -> bool:
        return await place.there("ServiceAccount", "default") is not None or place.cluster.server == "http://practice"

    await place.until("the default service account", account)
    await place.put(POD, "pods")
    status = Request("patch", place.ref("Pod", "web"), place.path("pods", "web", sub="status"), READY, STRATEGIC_PATCH)
    await place.cluster.send(status, dry_run=False, field_manager="kubelet")
    budget: Json = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }
    await place.put(budget, "poddisruptionbudgets", "/apis/policy/v1")

    async def counted() -> bool:
        found = await place.there("PodDisruptionBudget", "web", "policy/v1")
        return int(at(found, "status", "currentHealthy", default=0)) == 1

    await place.until("the budget counts the pod", counted)
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "web", "namespace": place.namespace},
    }
    evict = Request("evict", place.ref("Pod", "web"), place.path("pods", "web", sub="eviction"), body)
    row = await place.propose(evict)
    assert any("may not go at this moment" in said for said in row.proposal.impact.unknown)
    failed = await place.approve(row)
    assert failed.state == "failed"
    assert failed.attempt is not None
    assert "disruption budget web needs 1 healthy pods" in failed.attempt.message
    gone = Request("delete", place.ref("PodDisruptionBudget", "web", "policy/v1"), "", None)
    path = place.path("poddisruptionbudgets", "web", "/apis/policy/v1")
    await place.apply(Request("delete", gone.target, path, None))
    row = await place.propose(evict)
    assert not any("may not go" in said for said in row.proposal.impact.unknown)
    pod = await place.there("Pod", "web")
    assert pod is not None
    assert "deletionTimestamp" not in pod["metadata"]
    assert (await place.approve(row)).state == "executed"

    async def away() -> bool:
        found = await place.there("Pod", "web")
        return found is None or "deletionTimestamp" in found["metadata"]

    await place.until("the pod goes", away)


async def test_what_waits_for_its_namespace_is_tried_right_before_it_is_sent(place: Place) -> None:
    """A pod, too, whose service account the cluster makes a moment after the namespace."""
    name = f"{place.namespace}-later"
    inside = {"name": "settings", "namespace": name}
    row = await place.propose(
        Request(
            "create",
            ObjectRef("Namespace", name, "", "v1"),
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        ),
        Request(
            "create",
            ObjectRef("Pod", "web", name, "v1"),
            f"/api/v1/namespaces/{name}/pods",
            {**POD, "metadata": {"name": "web", "namespace": name}},
            preview="later",
        ),
        Request(
            "apply",
            ObjectRef("ConfigMap", "settings", name, "v1"),
            f"/api/v1/namespaces/{name}/configmaps/settings",
            {**place.settings(mode="new"), "metadata": inside},
            APPLY_PATCH,
            preview="later",
        ),
    )
    done = await place.approve(row)
    assert done.state == "executed", done.attempt
    assert (await place.cluster.get(ObjectRef("ConfigMap", "settings", name, "v1")))["data"] == {"mode": "new"}


async def test_a_secret_is_changed_and_led_back(place: Place) -> None:
    """With a test of the value that it replaces, which is shown nowhere."""
    await place.put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vault"}, "data": {"key": "b2xkLXZhbHVl"}},
        "secrets",
    )
    operations = [
        {"op": "test", "path": "/data/key", "value": "b2xkLXZhbHVl"},
        {"op": "replace", "path": "/data/key", "value": "bmV3LXZhbHVl"},
    ]
    row = await place.apply(
        Request("patch", place.ref("Secret", "vault"), place.path("secrets", "vault"), operations, JSON_PATCH)
    )
    way = await place.back(row)
    live = await place.there("Secret", "vault")
    assert live is not None
    assert live["data"] == {"key": "b2xkLXZhbHVl"}
    told = str([place.gateway.view(one) for one in (row, way)]) + str(list(place.gateway.store.entries()))
    assert not [value for value in ("b2xkLXZhbHVl", "bmV3LXZhbHVl", "old-value", "new-value") if value in told]


DEPLOYMENT: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
    },
}


async def test_scale_is_compared_as_the_workload(place: Place) -> None:
    """The answer is a Scale; the diff, the drift and the way back are the Deployment's."""
    await place.put(DEPLOYMENT, "deployments", "/apis/apps/v1")
    ref = place.ref("Deployment", "web", "apps/v1")

    async def quiet() -> bool:
        found = await place.there("Deployment", "web", "apps/v1")
        return at(found, "status", "observedGeneration") == 1 and bool(
            at(found, "metadata", "annotations", "deployment.kubernetes.io/revision")
        )

    await place.until("the controller is done", quiet)
    path = place.path("deployments", "web", "/apis/apps/v1", "scale")
    operations = [
        {"op": "test", "path": "/spec/replicas", "value": 2},
        {"op": "replace", "path": "/spec/replicas", "value": 0},
    ]
    row = await place.apply(Request("patch", ref, path, operations, JSON_PATCH))
    assert "-  replicas: 2" in row.proposal.diff
    assert at(await place.there("Deployment", "web", "apps/v1"), "spec", "replicas", default="?") == 0
    await place.back(row)
    assert at(await place.there("Deployment", "web", "apps/v1"), "spec", "replicas") == 2


async def test_a_write_whose_answer_is_lost_is_found_and_not_sent_again(place: Place) -> None:
    """Of every verb that leaves a trace."""
    path, ref = place.path("configmaps", "settings"), place.ref("ConfigMap", "settings")
    patch = [{"op": "replace", "path": "/data/mode", "value": "fast"}]
    for request in (
        Request("create", ref, place.path("configmaps"), place.settings(mode="slow")),
        Request("patch", ref, path, patch, JSON_PATCH),
        Request("apply", ref, path, place.settings(mode="applied"), APPLY_PATCH, force=True),
        Request("delete", ref, path, None),
        Request("apply", ref, path, place.settings(mode="new"), APPLY_PATCH),
    ):
        row = await place.propose(request)
        place.transport.losing, place.transport.lost = True, 0
        done = await place.approve(row)
        place.transport.losing = False
        assert (done.state, place.transport.lost) == ("executed", 1), (request.verb, done.attempt)
    live = await place.there("ConfigMap", "settings")
    assert live is not None
    assert live["data"] == {"mode": "new"}


TEMPLATE: Json = {"metadata": {"labels": {"app": "web"}}, "spec": {**POD["spec"], "restartPolicy": "Never"}}
BY_DELETION: dict[str, tuple[Json, str, str]] = {
    "Service": (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80}]},
        },
        "services",
        "/api/v1",
    ),
    "headless Service": (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "spec": {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]},
        },
        "services",
        "/api/v1",
    ),
    "Job": ({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": TEMPLATE}}, "jobs", "/apis/batch/v1"),
    "CronJob": (
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
        },
        "cronjobs",
        "/apis/batch/v1",
    ),
    "Pod": ({**POD, "metadata": {}}, "pods", "/api/v1"),
    "Deployment": (DEPLOYMENT, "deployments", "/apis/apps/v1"),
    "ServiceAccount": ({"apiVersion": "v1", "kind": "ServiceAccount"}, "serviceaccounts", "/api/v1"),
    "NetworkPolicy": (
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}},
        "networkpolicies",
        "/apis/networking.k8s.io/v1",
    ),
    "HorizontalPodAutoscaler": (
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"},
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
                    }
                ],
            },
        },
        "horizontalpodautoscalers",
        "/apis/autoscaling/v2",
    ),
}


@pytest.mark.control_plane
async def test_what_is_deleted_comes_back_whatever_its_kind(real: Place) -> None:
    """Without what the server had put into it, and admitted under another name beforehand."""

    async def account() -> bool:
        return await real.there("ServiceAccount", "default") is not None

    await real.until("the default service account", account)
    for label, (manifest, plural, group) in BY_DELETION.items():
        name = label.lower().replace(" ", "-")
        made = await real.put({**manifest, "metadata": {"name": name}}, plural, group)
        ref = real.ref(manifest["kind"], name, manifest["apiVersion"])

        async def steady(ref: ObjectRef = ref) -> bool:
            one = (await real.cluster.get(ref))["metadata"]["resourceVersion"]
            await real.gateway.events.changed(0.3)
            return bool((await real.cluster.get(ref))["metadata"]["resourceVersion"] == one)

        await real.until(f"{label} comes to rest", steady)
        row = await real.propose(Request("delete", ref, real.path(plural, name, group), {"gracePeriodSeconds": 0}))
        assert "Stored, but" not in row.proposal.assessment.way_back, row.proposal.assessment.way_back
        done = await real.approve(row)
        assert done.state == "executed", (label, done.attempt)
        await real.back(row)
        again = await real.cluster.get(ref)
        assert again["metadata"]["uid"] != made["metadata"]["uid"]


@pytest.mark.control_plane
async def test_an_ephemeral_container_and_a_resize_are_changes_of_the_pod(real: Place) -> None:
    """The first stays for good, and the card says so; the second is led back through the same subresource."""

    async def account() -> bool:
        return await real.there("ServiceAccount", "default") is not None

    await real.until("the default service account", account)
    limits = {"limits": {"cpu": "100m"}, "requests": {"cpu": "100m"}}
    spec = {**POD["spec"], "containers": [{"name": "web", "image": "web:1", "resources": limits}]}
    await real.put({**POD, "spec": spec}, "pods")
    added = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "busybox"}]}}
    path = real.path("pods", "web", sub="ephemeralcontainers")
    row = await real.apply(Request("patch", real.ref("Pod", "web"), path, added, STRATEGIC_PATCH))
    assert "as long as the pod lives" in row.proposal.assessment.irreversible
    assert "debugger" in row.proposal.diff
    more = {"limits": {"cpu": "200m"}, "requests": {"cpu": "200m"}}
    wider = {"spec": {"containers": [{"name": "web", "resources": more}]}}
    row = await real.apply(
        Request("patch", real.ref("Pod", "web"), real.path("pods", "web", sub="resize"), wider, STRATEGIC_PATCH)
    )
    await real.back(row)
    live = await real.there("Pod", "web")
    assert at(live, "spec", "containers", 0, "resources", "limits", "cpu") == "100m"
