"""Each curated runbook on the practice cluster: its reads, nothing unapproved, VERIFIED, and the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from tests.curated.certificates import secret
from tests.curated.driving import Course, Value
from tests.gateway.world import OPERATOR, World, world

HERE = Path(__file__).parent
PODS = {"namespace": "checkout", "name": "payment-service"}


@dataclass(frozen=True)
class Tried:
    """A book on a scenario: its values, what it changes, and a field that shows it, before and after."""

    book: str
    scenario: str
    values: dict[str, Value]
    subject: str
    path: tuple[str | int, ...]
    before: object
    after: object


_CONTAINER = ("spec", "template", "spec", "containers", 0)
BROKEN = (
    Tried(
        "oom",
        "oomkilled-payment",
        {**PODS, "container": "payment-service", "memory_limit": "512Mi"},
        "Deployment/checkout/payment-service",
        (*_CONTAINER, "resources", "limits", "memory"),
        "256Mi",
        "512Mi",
    ),
    Tried(
        "crash-loop",
        "missing-env",
        {"namespace": "accounts", "name": "session-api", "container": "session-api", "to_revision": 1},
        "Deployment/accounts/session-api",
        (*_CONTAINER, "image"),
        "session-api:v1.7.0",
        "session-api:v1.6.0",
    ),
    Tried(
        "image-pull",
        "wrong-image-tag",
        {
            "namespace": "shop",
            "name": "catalog",
            "container": "catalog",
            "image": "registry.example.com/shop/catalog:v3.2.0",
        },
        "Deployment/shop/catalog",
        (*_CONTAINER, "image"),
        "registry.example.com/shop/catalog:v3.2.O",
        "registry.example.com/shop/catalog:v3.2.0",
    ),
    Tried(
        "rollback",
        "wrong-image-tag",
        {"namespace": "shop", "name": "catalog", "to_revision": 1},
        "Deployment/shop/catalog",
        (*_CONTAINER, "image"),
        "registry.example.com/shop/catalog:v3.2.O",
        "registry.example.com/shop/catalog:v3.1.0",
    ),
    Tried(
        "pending",
        "insufficient-cpu",
        {
            "namespace": "analytics",
            "name": "report-builder",
            "container": "report-builder",
            "cpu_request": "250m",
            "memory_request": "384Mi",
        },
        "Deployment/analytics/report-builder",
        (*_CONTAINER, "resources", "requests", "cpu"),
        "3",
        "250m",
    ),
    Tried(
        "no-endpoints",
        "service-selector",
        {"namespace": "orders", "service": "orders-api", "label": "/spec/selector/app", "value": "orders-api"},
        "Service/orders/orders-api",
        ("spec", "selector", "app"),
        "order-api",
        "orders-api",
    ),
    Tried("dns", str(HERE / "dns.yaml"), {}, "Deployment/kube-system/coredns", ("spec", "replicas"), 0, 2),
    Tried(
        "quota",
        str(HERE / "quota.yaml"),
        {
            "namespace": "shop",
            "quota": "shop-quota",
            "limit": "/spec/hard/requests.memory",
            "amount": "512Mi",
            "name": "shop-api",
        },
        "ResourceQuota/shop/shop-quota",
        ("spec", "hard", "requests.memory"),
        "300Mi",
        "512Mi",
    ),
    Tried("node-drain", "healthy", {"node": "node-a"}, "Node/node-a", ("spec", "unschedulable"), None, True),
)


def _ref(text: str) -> ObjectRef:
    kind, *rest = text.split("/")
    return ObjectRef(kind, rest[-1], rest[0] if len(rest) == 2 else "")


async def _now(gate: World, tried: Tried) -> object:
    return at(await gate.gateway.cluster.get(_ref(tried.subject)), *tried.path)


@pytest.mark.parametrize("tried", BROKEN, ids=lambda tried: tried.book)
async def test_a_book_repairs_and_can_be_taken_back(tried: Tried, tmp_path: Path) -> None:
    """Unapproved it changes nothing; approved it is VERIFIED; the roll-back is a proposal of its own, and restores."""
    async with world(tmp_path, tried.scenario, speed=40.0) as gate:
        course = Course.of(gate, tried.book, **tried.values)
        found = await course.reads()
        # A container that was just killed has no figure; everything else is known.
        assert not [name for name, answer in found.items() if answer.get("unknown") and name != "usage"], found
        row = await course.propose()
        assert row.state == "proposed"
        assert await _now(gate, tried) == tried.before
        row = await gate.approve(row)
        assert row.state == "executed"
        judgement = await course.judge(row)
        assert judgement.verdict == "VERIFIED", judgement
        assert await _now(gate, tried) == tried.after
        back = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert back.state == "proposed"
        assert (await gate.approve(back)).state == "executed"
        assert await _now(gate, tried) == tried.before


async def test_run_again_it_is_in_place(tmp_path: Path) -> None:
    """What was repaired is found in place, and measured like a change that was just made."""
    async with world(tmp_path, "healthy", speed=40.0) as gate:
        course = Course.of(gate, "oom", **PODS, container="payment-service", memory_limit="256Mi")
        row = await course.propose()
        assert row.state == "in_place"
        assert (await course.judge(row)).verdict == "VERIFIED"


async def test_a_value_that_does_not_help_is_failed(tmp_path: Path) -> None:
    """300Mi for what needs 340Mi: the verdict is FAILED, with the kill as evidence."""
    async with world(tmp_path, speed=40.0) as gate:
        course = Course.of(gate, "oom", **PODS, container="payment-service", memory_limit="300Mi")
        _, judgement = await course.through()
        assert judgement.verdict == "FAILED"
        assert "OOMKilled" in " ".join(judgement.reasons)


@asynccontextmanager
async def _drained(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, "healthy", speed=40.0) as gate:
        row, judgement = await Course.of(gate, "node-drain", node="node-a").through()
        assert (row.state, judgement.verdict) == ("executed", "VERIFIED"), judgement
        yield gate


async def test_a_node_goes_and_comes_back(tmp_path: Path) -> None:
    """Drained by one book, returned by the other."""
    async with _drained(tmp_path) as gate:
        row, judgement = await Course.of(gate, "node-return", node="node-a").through()
        assert (row.state, judgement.verdict) == ("executed", "VERIFIED"), judgement
        node = await gate.gateway.cluster.get(ObjectRef("Node", "node-a"))
        assert not at(node, "spec", "unschedulable", default=False)


async def test_a_drain_whose_pods_find_no_place_is_not_verified(tmp_path: Path) -> None:
    """The second node of two: what was evicted waits, and the verdict says so."""
    async with world(tmp_path, str(HERE / "quota.yaml"), speed=120.0) as gate:
        for node in ("node-a", "node-b"):
            course = Course.of(gate, "node-drain", node=node)
            row = await gate.approve(await course.propose())
            judgement = await course.judge(row, wait=90)
        assert judgement.verdict == "FAILED"
        assert "wait" in " ".join(judgement.reasons)


@pytest.mark.parametrize(("days_left", "verdict"), [(90, "VERIFIED"), (5, "FAILED"), (-1, "FAILED")])
async def test_a_certificate(days_left: int, verdict: str, tmp_path: Path) -> None:
    """Nothing is proposed: it is read, and judged by the days that are left."""
    async with world(tmp_path, "healthy") as gate:
        now = await gate.gateway.cluster.now()
        await _create(gate, secret("shop-tls", "checkout", ends=now + timedelta(days=days_left)))
        course = Course.of(gate, "certificate", namespace="checkout", secret="shop-tls")
        found = await course.reads()
        assert "PRIVATE KEY" not in str(found)
        assert found["certificate"]["rows"][0][5] == pytest.approx(days_left, abs=0.2)
        judgement = await course.judge()
        assert judgement.verdict == verdict, judgement
        assert not gate.gateway.store.counts()


async def test_a_secret_without_a_certificate_is_told_as_what_it_is(tmp_path: Path) -> None:
    """The read says what it has instead, and the verdict that it is no Secret for TLS."""
    async with world(tmp_path, "healthy") as gate:
        course = Course.of(gate, "certificate", namespace="checkout", secret="payment-gateway")
        found = await course.reads()
        assert "no tls.crt" in found["certificate"]["note"]
        judgement = await course.judge()
        assert judgement.verdict == "FAILED"
        assert "/type is 'Opaque'" in " ".join(judgement.reasons)


@pytest.mark.parametrize(
    ("book", "values"),
    [
        ("hpa-max", {"namespace": "checkout", "autoscaler": "payment-service", "name": "x", "maximum": 6}),
        ("pvc", {"namespace": "checkout", "claim": "data", "storage_class": "standard"}),
        ("oom", {"namespace": "checkout", "name": "nothing", "container": "x", "memory_limit": "1Gi"}),
        ("oom", {**PODS, "container": "nothing", "memory_limit": "1Gi"}),
        ("oom", {**PODS, "container": "payment-service", "memory_limit": "a lot"}),
        ("rollback", {**PODS, "to_revision": 99}),
        ("no-endpoints", {"namespace": "checkout", "service": "x", "label": "/spec/selector/app", "value": "x"}),
        ("node-return", {"node": "node-z"}),
    ],
)
async def test_what_is_not_there_is_never_proposed(book: str, values: dict[str, Value], tmp_path: Path) -> None:
    """A wrong name or value is an error that names it, before anything is proposed."""
    async with world(tmp_path, "healthy") as gate:
        with pytest.raises(SkyfloError):
            await Course.of(gate, book, **values).propose()
        assert not gate.gateway.store.counts()


async def _create(gate: World, manifest: Json) -> None:
    import httpx

    transport = httpx.ASGITransport(gate.practice.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://practice") as client:
        where = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/secrets"
        (await client.post(where, json=manifest)).raise_for_status()
