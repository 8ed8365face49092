"""The curated runbooks on a real control plane with played nodes: all at once, each in a namespace of its own.

What is told about a book: its reads, that its proposal changed nothing, what became of it once approved, the verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.checks.observe import observe
from skyflo_runbooks.gateway.checks.view import View
from skyflo_runbooks.model import check
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from tests import needs
from tests.control_plane import harness, played
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until
from tests.curated.certificates import secret
from tests.curated.driving import Course, Value
from tests.faults.staging import deployment, playing, world
from tests.gateway.world import Gated, gated

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(400)]
GOOD, LIMIT, TEMPLATE = "storefront:v5.1.0", "limits", ("spec", "template", "spec", "containers", 0)
WEB: dict[str, Value] = {"name": "web", "settle": "5s"}
IN_WEB: dict[str, Value] = {**WEB, "container": "web"}


@dataclass(frozen=True)
class Staged:
    """A book, what is staged for it (its namespace is the book's name), its values, and the field that it changes."""

    book: str
    objects: tuple[Json, ...]
    values: dict[str, Value]
    subject: str
    path: tuple[str | int, ...]
    before: object
    after: object
    later: Json | None = None


def web(book: str, **more: object) -> Json:
    """A Deployment named web in the book's namespace."""
    return deployment(book, {"name": "web", **more})


def thing(book: str, kind: str, name: str, version: str = "v1", **parts: object) -> Json:
    """Any other object there."""
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": book}, **parts}


def _service(book: str, **selector: str) -> Json:
    return thing(book, "Service", "web", spec={"selector": selector, "ports": [{"port": 80, "targetPort": 3000}]})


def _volume() -> Json:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "shelf",
        "hostPath": {"path": "/tmp/none"},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "shelf-1"}, "spec": spec}


def _claim(book: str) -> Json:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return thing(book, "PersistentVolumeClaim", "data", spec=spec)


_SHELF: Json = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "shelf"},
    "provisioner": "kubernetes.io/no-provisioner",
}
_HPA = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 2}
# All pods of this image share 200m of load: three of them stand below a target of 70m each.
_SHARED = {"image": "image-resizer:3.0.1", "replicas": 2, "requests": {"cpu": "100m"}}
_BY_CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
_REQUESTS = {"requests": {"memory": "64Mi"}}
CASES = (
    Staged(
        "oom",
        (web("oom", image="payment-svc:v2.4.0", limits={"memory": "128Mi"}),),
        {**IN_WEB, "memory_limit": "256Mi"},
        "Deployment/oom/web",
        (*TEMPLATE, "resources", "limits", "memory"),
        "128Mi",
        "256Mi",
    ),
    *(
        Staged(
            book,
            (web(book),),
            {**values, "to_revision": 1},
            f"Deployment/{book}/web",
            (*TEMPLATE, "image"),
            "storefront:v9",
            GOOD,
            web(book, image="storefront:v9"),
        )
        for book, values in (("crash-loop", IN_WEB), ("rollback", WEB))
    ),
    Staged(
        "image-pull",
        (web("image-pull", image="storefront:v9"),),
        {**IN_WEB, "image": GOOD},
        "Deployment/image-pull/web",
        (*TEMPLATE, "image"),
        "storefront:v9",
        GOOD,
    ),
    Staged(
        "pending",
        (web("pending", requests={"cpu": "90"}),),
        {**IN_WEB, "cpu_request": "100m", "memory_request": "64Mi"},
        "Deployment/pending/web",
        (*TEMPLATE, "resources", "requests", "cpu"),
        "90",
        "100m",
    ),
    Staged(
        "no-endpoints",
        (web("no-endpoints"), _service("no-endpoints", app="wbe")),
        {"service": "web", "label": "/spec/selector/app", "value": "web"},
        "Service/no-endpoints/web",
        ("spec", "selector", "app"),
        "wbe",
        "web",
    ),
    Staged(
        "dns",
        (web("dns", replicas=0), _service("dns", app="web")),
        {**WEB, "service": "web"},
        "Deployment/dns/web",
        ("spec", "replicas"),
        0,
        2,
    ),
    Staged(
        "quota",
        (
            thing("quota", "ResourceQuota", "q", spec={"hard": {"requests.memory": "100Mi"}}),
            web("quota", replicas=2, **_REQUESTS),
        ),
        {**WEB, "quota": "q", "limit": "/spec/hard/requests.memory", "amount": "256Mi"},
        "ResourceQuota/quota/q",
        ("spec", "hard", "requests.memory"),
        "100Mi",
        "256Mi",
    ),
    Staged(
        "hpa-max",
        (
            web("hpa-max", **_SHARED),
            thing("hpa-max", "HorizontalPodAutoscaler", "web", "autoscaling/v2", spec={**_HPA, "metrics": [_BY_CPU]}),
        ),
        {**WEB, "autoscaler": "web", "maximum": 5},
        "HorizontalPodAutoscaler/hpa-max/web",
        ("spec", "maxReplicas"),
        2,
        5,
    ),
    Staged(
        "pvc",
        (_SHELF, _volume(), _claim("pvc")),
        {"claim": "data", "storage_class": "shelf"},
        "PersistentVolumeClaim/pvc/data",
        ("spec", "storageClassName"),
        None,
        "shelf",
    ),
)


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with played nodes, on which everything is staged."""
    folder = tmp_path_factory.mktemp("curated")
    with harness.running(folder, needs.control_plane()) as plane, playing(plane, world()):
        played.measure(plane)
        for case in CASES:
            plane.apply([_namespace(case.book), *case.objects])
        plane.apply(
            [
                _namespace("hpa-blind"),
                web("hpa-blind"),
                thing("hpa-blind", "HorizontalPodAutoscaler", "web", "autoscaling/v2", spec=_HPA),
            ]
        )
        for case in CASES:
            if case.later:
                wait_until(f"{case.book} runs", partial(_runs, plane, case.book), within=60)
                plane.apply([case.later])
        yield plane


def _runs(plane: ControlPlane, book: str) -> bool:
    found = plane.get(f"/apis/apps/v1/namespaces/{book}/deployments/web")
    return bool(at(found, "status", "readyReplicas", default=0) == 1)


@dataclass(frozen=True)
class Told:
    """What came of a book."""

    reads: dict[str, Json]
    proposed: object
    state: str
    after: object
    verdict: str
    reasons: tuple[str, ...]


@pytest.fixture(scope="module")
def told(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """Every book, played to its end, all side by side."""

    async def all_of_them() -> dict[str, Told]:
        async with (
            Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as cluster,
            gated(cluster, tmp_path_factory.mktemp("gateway")) as gate,
        ):
            found = await asyncio.gather(*(_play(gate, case) for case in CASES))
        return {case.book: one for case, one in zip(CASES, found, strict=True)}

    return asyncio.run(all_of_them())


async def _play(gate: Gated, case: Staged) -> Told:
    course = Course.of(gate, case.book, **{"namespace": case.book, **case.values})
    reads = await course.reads()
    row = await course.propose()
    proposed = await _value(gate, case)
    row = await gate.approve(row)
    judgement = await course.judge(row, wait=120)
    return Told(reads, proposed, row.state, await _value(gate, case), judgement.verdict, judgement.reasons)


async def _value(gate: Gated, case: Staged) -> object:
    kind, namespace, name = case.subject.split("/")
    return at(await gate.gateway.cluster.get(ObjectRef(kind, name, namespace)), *case.path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.book)
def test_a_book_repairs(case: Staged, told: dict[str, Told]) -> None:
    """Proposed: nothing changed. Approved: applied, and VERIFIED by the real controllers' own words."""
    found = told[case.book]
    assert found.proposed == case.before
    assert (found.state, found.after) == ("executed", case.after)
    assert found.verdict == "VERIFIED", found.reasons
    assert found.reads


async def test_an_autoscaler_that_cannot_measure_is_not_known(plane: ControlPlane, tmp_path: Path) -> None:
    """Without a request to measure by the maximum is raised all the same; whether that is enough is not known."""
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as cluster, gated(cluster, tmp_path) as gate:
        course = Course.of(gate, "hpa-max", **WEB, namespace="hpa-blind", autoscaler="web", maximum=5)
        assert "autoscaler" in await course.reads()
        row = await gate.approve(await course.propose())
        assert row.state == "executed"
        scaler = await cluster.get(ObjectRef("HorizontalPodAutoscaler", "web", "hpa-blind"))
        assert at(scaler, "spec", "maxReplicas") == 5
        now = await cluster.now()
        view = View(cluster, now=now, since=now)
        found = await observe(check.below_maximum("web", namespace="hpa-blind"), view)
        await view.close()
        assert (found.holds, "does not measure" in found.observed) == ("unknown", True)


@pytest.mark.parametrize(("days", "verdict"), [(90, "VERIFIED"), (3, "FAILED")])
async def test_a_certificate(plane: ControlPlane, tmp_path: Path, days: int, verdict: str) -> None:
    """By the real server's clock."""
    name = f"tls-{days}"
    plane.apply([secret(name, "default", ends=datetime.now(UTC) + timedelta(days=days))])
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as cluster, gated(cluster, tmp_path) as gate:
        course = Course.of(gate, "certificate", namespace="default", secret=name)
        assert (await course.reads())["certificate"]["count"] == 1
        assert (await course.judge()).verdict == verdict


async def test_a_node_goes_and_comes_back(told: dict[str, Told], plane: ControlPlane, tmp_path: Path) -> None:
    """After the others, because it moves their pods: drained, verified, returned, verified."""
    assert told
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as cluster, gated(cluster, tmp_path) as gate:
        for book in ("node-drain", "node-return"):
            settle: dict[str, Value] = {"settle": "5s"} if book == "node-return" else {}
            course = Course.of(gate, book, node="node-a", **settle)
            await course.reads()
            row = await gate.approve(await course.propose())
            judgement = await course.judge(row, wait=90)
            assert (row.state, judgement.verdict) == ("executed", "VERIFIED"), judgement.reasons
