"""Evidence that is missing, late, refused or empty is INCONCLUSIVE, for every kind of check; so is a foreign change."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from skyflo_mcp.kubernetes.client import Cluster
from starlette.responses import JSONResponse

from skyflo_runbooks.gateway.checks.observe import OBSERVERS, observe
from skyflo_runbooks.gateway.checks.view import Observation, View
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import QUOTA
from tests.gateway.test_drift import somebody_changes
from tests.gateway.world import RAISE, world

NAME = ("Deployment", "payment-service")
NS = "checkout"
CHECKS: dict[str, Check] = {
    "rollout_complete": check.rollout_complete(*NAME, namespace=NS),
    "pods_ready": check.pods_ready(*NAME, namespace=NS),
    "no_restarts": check.no_restarts(*NAME, namespace=NS),
    "no_oom_kills": check.no_oom_kills(*NAME, namespace=NS),
    "memory_below": check.memory_below(*NAME, namespace=NS),
    "http_ok": check.http_ok(service="payment-service", namespace=NS, path="/checkout"),
    "http_answers": check.http_answers(service="payment-service", namespace=NS, path="/checkout"),
    "endpoints_ready": check.endpoints_ready("payment-service", namespace=NS),
    "image_running": check.image_running(*NAME, namespace=NS, container="payment-service", image="payment-svc:v2.4.1"),
    "pods_scheduled": check.pods_scheduled(*NAME, namespace=NS),
    "field_equals": check.field_equals(*NAME, namespace=NS, path="/spec/replicas", value=3),
    "env_set": check.env_set(*NAME, namespace=NS, container="payment-service", variable="X"),
    "node_ready": check.node_ready("node-a"),
    "node_drained": check.node_drained("node-a"),
    "quota_kept": check.quota_kept("checkout-quota", namespace=NS),
    "below_maximum": check.below_maximum("payment-service", namespace=NS),
    "condition_true": check.condition_true(
        "HorizontalPodAutoscaler", "payment-service", namespace=NS, condition="ScalingActive"
    ),
    "address_given": check.address_given("shop", namespace=NS),
    "run_began": check.run_began("nightly", namespace=NS),
    "on_more_nodes": check.on_more_nodes("agent", namespace=NS, than=1),
    "claim_bound": check.claim_bound("ledger", namespace=NS),
    "eviction_allowed": check.eviction_allowed("payment-service", namespace=NS),
    "certificate_valid": check.certificate_valid("payment-gateway", namespace=NS),
}
App = Callable[[Any, Any, Any], Awaitable[None]]


class Troubled:
    """An API server that refuses, fails or empties every read of a cluster, discovery apart."""

    def __init__(self, app: Any, trouble: str) -> None:
        self._app = app
        self._trouble = trouble

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with the trouble."""
        path = scope["path"]
        if path in ("/api", "/apis", "/version") or (path.count("/") <= 3 and "namespaces" not in path):
            await self._app(scope, receive, send)
            return
        answers = {
            "refused": (403, {"kind": "Status", "apiVersion": "v1", "reason": "Forbidden", "message": "is forbidden"}),
            "failing": (500, {"kind": "Status", "apiVersion": "v1", "message": "etcdserver: request timed out"}),
            "garbled": (200, ["not", "an", "object"]),
        }
        status, body = answers[self._trouble]
        await JSONResponse(body, status)(scope, receive, send)


async def look(claim: Check, app: Any) -> Observation:
    """Look at a check once."""
    async with Cluster(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://practice")) as cluster:
        now = await cluster.now()
        view = View(cluster, now=now, since=now)
        try:
            return await observe(claim, view)
        finally:
            await view.close()


def test_every_check_stands_here() -> None:
    """A check that is added without its unknown fails this."""
    assert set(CHECKS) == set(OBSERVERS) == set(check.CATALOGUE)


@pytest.mark.parametrize("trouble", ["refused", "failing", "garbled"])
@pytest.mark.parametrize("name", sorted(CHECKS))
async def test_a_read_that_fails_is_unknown(name: str, trouble: str) -> None:
    """Never `yes`, and never `no`."""
    found = await look(CHECKS[name], Troubled(PracticeCluster("healthy").app, trouble))
    assert found.holds == "unknown", found


@pytest.mark.parametrize("name", ["no_restarts", "no_oom_kills", "memory_below"], ids=["restarts", "oom", "memory"])
async def test_no_pod_is_no_evidence(name: str) -> None:
    """A workload without pods has no restarts, and that proves nothing."""
    practice = PracticeCluster("oomkilled-payment")
    async with Cluster(
        httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
    ) as cluster:
        await somebody_changes(cluster, {"spec": {"replicas": 0}})
        await practice.advance(60)
        now = await cluster.now()
        view = View(cluster, now=now, since=now)
        assert (await observe(CHECKS[name], view)).holds == "unknown"
        assert (await observe(CHECKS["pods_ready"], view)).holds == "no"
        await view.close()


async def test_a_foreign_change_in_the_window_is_inconclusive(tmp_path: Path) -> None:
    """Somebody scales while the window runs: the verdict is INCONCLUSIVE and says who."""
    async with world(tmp_path) as gate:
        claims = (
            check.rollout_complete(*NAME, namespace=NS),
            check.no_restarts(*NAME, namespace=NS, window="10m"),
        )
        row = await gate.propose(checks=claims)
        assert (await gate.approve(row)).state == "executed"
        await somebody_changes(gate.gateway.cluster, {"metadata": {"annotations": {"note": "me too"}}})
        task = Task(step="recovered", changes=(row.proposal.id,), checks=claims, runbook="rb-test", run="run-1")
        judgement, final = await gate.gateway.verify(task, ("raise_memory",), 20)
        assert final
        assert judgement.verdict == "INCONCLUSIVE"
        assert "somebody" in " ".join(judgement.reasons)


async def test_a_pending_change_is_inconclusive_at_once_and_not_recorded(tmp_path: Path) -> None:
    """The cell says so; the record holds verdicts that were measured."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        task = Task(step="recovered", changes=(row.proposal.id,), checks=(CHECKS["pods_ready"],), runbook="rb-test")
        judgement, final = await asyncio.wait_for(gate.gateway.verify(task, (), 30), 5)
        assert (judgement.verdict, final) == ("INCONCLUSIVE", False)
        assert "verdict" not in [entry.kind for entry in gate.gateway.store.entries()]


async def test_a_cell_edited_after_the_approval_is_judged_by_what_was_shown(tmp_path: Path) -> None:
    """The weaker checks of the edited cell are not used."""
    async with world(tmp_path) as gate:
        strong = (check.field_equals(*NAME, namespace=NS, path="/spec/replicas", value=4),)
        row = await gate.propose(checks=strong)
        assert (await gate.approve(row)).state == "executed"
        weak = (check.field_equals(*NAME, namespace=NS, path="/spec/replicas", value=3),)
        task = Task(step="recovered", changes=(row.proposal.id,), checks=weak, runbook="rb-test", run="run-1")
        judgement, final = await gate.gateway.verify(task, ("raise_memory",), 20)
        assert (judgement.verdict, final) == ("FAILED", True)


async def test_a_rejected_change_is_inconclusive(tmp_path: Path) -> None:
    """Nothing was done, so nothing is verified."""
    async with world(tmp_path) as gate:
        row = await gate.propose(arguments=RAISE)
        await gate.gateway.decide(row.proposal.id, gate.ballot(row, "reject", "no"), _operator())
        task = Task(step="recovered", changes=(row.proposal.id,), checks=(CHECKS["pods_ready"],), runbook="rb-test")
        judgement, final = await gate.gateway.verify(task, (), 10)
        assert (judgement.verdict, final) == ("INCONCLUSIVE", True)
        assert "rejected" in judgement.reasons[0]


def _operator() -> Any:
    from tests.gateway.world import OPERATOR

    return OPERATOR


@pytest.mark.parametrize(("limits", "holds"), [(None, "unknown"), ({"memory": "256Mi"}, "yes")])
async def test_memory_is_measured_where_there_is_a_limit(limits: dict[str, str] | None, holds: str) -> None:
    """A container without one beside it has none to stay below; where no container has one nothing is known."""
    practice = PracticeCluster("healthy")
    async with Cluster(
        httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
    ) as cluster:
        beside = {"name": "beside", "image": "storefront:v5.1.0", "resources": {"requests": {"cpu": "10m"}}}
        own = {"name": "payment-service", "image": "payment-svc:v2.4.0", "resources": {"limits": limits or {}}}
        # Its quota would have every container say a limit.
        practice.store.remove(QUOTA, NS, "checkout-quota")
        await somebody_changes(cluster, {"spec": {"template": {"spec": {"containers": [own, beside]}}}})
        await practice.advance(60)
        now = await cluster.now()
        view = View(cluster, now=now, since=now)
        found = await observe(CHECKS["memory_below"], view)
        assert found.holds == holds, found
        assert ("beside: no memory limit" in found.observed) == (holds == "unknown")
        await view.close()
