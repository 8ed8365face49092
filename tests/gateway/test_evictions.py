"""Evictions: the dry run leaves the pod, a disruption budget is an answer, and a drain waits for it a bounded time."""

import asyncio
from pathlib import Path

import httpx
import pytest

from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.part import standing
from skyflo_runbooks.model.request import Request
from skyflo_runbooks.practice.kinds import BUDGET, POD
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, Rendering, World, world

BUDGETS = "/apis/policy/v1/namespaces/checkout/poddisruptionbudgets"
HASTY = Patience(budget=0.3, budget_pause=0.05)
HEALTHY = "healthy"
SMALL: Json = {"limits": {"memory": "16Mi"}, "requests": {"memory": "16Mi", "cpu": "1m"}}


def budget(least: int) -> Json:
    """A budget over the flagship's pods."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "pay", "namespace": "checkout"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "payment-service"}}},
    }


def drain() -> dict[str, Rendering]:
    """A change tool that evicts the flagship's pods whose names it is given."""

    async def render(_: object, arguments: Json) -> object:
        return make.rendered([make.evict(name) for name in arguments["pods"]])

    return {"drain": render}  # type: ignore[dict-item]


async def put_budget(gate: World, least: int) -> None:
    """Somebody sets a budget."""
    ref = ObjectRef("PodDisruptionBudget", "pay", "checkout", "policy/v1")
    await gate.gateway.cluster.send(Request("create", ref, BUDGETS, budget(least)), dry_run=False, field_manager="them")


async def running(gate: World) -> list[str]:
    """Return the pods once all are ready."""
    for _ in range(200):
        listed = (await gate.gateway.cluster.list("Pod", "checkout")).items
        ready = [
            item["metadata"]["name"]
            for item in listed
            if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", []))
            and item["metadata"]["labels"]["app"] == "payment-service"
            and "deletionTimestamp" not in item["metadata"]
        ]
        if len(ready) == 3:
            return ready
        await gate.practice.advance(1)
    raise AssertionError("the pods are not ready")


def journal(gate: World, kind: str) -> int:
    """Return how many entries of a kind the ledger has."""
    return sum(entry.kind == kind for entry in gate.gateway.store.entries())


async def test_the_dry_run_leaves_the_pod_and_the_eviction_takes_it_once(tmp_path: Path) -> None:
    """By its uid; its controller makes another one, and there is no way back to ask for."""
    async with world(tmp_path, HEALTHY, tools=drain()) as gate:
        name = (await running(gate))[0]
        row = await gate.propose("drain", {"pods": [name]})
        assert name in await make.pods(gate.gateway.cluster)
        assert "(evicted)" in row.proposal.diff
        assert "is made again by its ReplicaSet" in row.proposal.assessment.way_back
        done = await gate.approve(row)
        assert done.state == "executed"
        assert name not in await make.pods(gate.gateway.cluster)
        with pytest.raises(Refused, match="no way back"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_a_budget_that_lets_nothing_go_ends_the_drain_in_its_own_words(tmp_path: Path) -> None:
    """The proposal stands and says it; each try is in the journal; what went before is said."""
    async with world(tmp_path, HEALTHY, tools=drain(), patience=HASTY) as gate:
        names = await running(gate)
        await put_budget(gate, len(names))
        row = await gate.propose("drain", {"pods": names[:1]})
        assert any("may not go at this moment" in said for said in row.proposal.impact.unknown)
        done = await gate.approve(row)
        assert done.state == "failed"
        assert done.attempt is not None
        assert "The disruption budget pay needs 3 healthy pods and has 3 currently" in done.attempt.message
        assert "it was tried for" in done.attempt.message
        assert "Have another of its pods ready, or the budget changed" in done.attempt.message
        assert "Try again in a moment" not in done.attempt.message
        assert journal(gate, "waiting") >= 2
        assert journal(gate, "sending") == journal(gate, "waiting") + 1
        assert set(names) <= set(await make.pods(gate.gateway.cluster))


async def test_a_drain_waits_until_the_budget_lets_the_next_one_go(tmp_path: Path) -> None:
    """One pod may be missing: the second goes when the first is replaced."""
    patience = Patience(budget=8, budget_pause=0.02)
    async with world(tmp_path, HEALTHY, tools=drain(), patience=patience, speed=10) as gate:
        names = await running(gate)
        await put_budget(gate, len(names) - 1)
        row = await gate.propose("drain", {"pods": names[:2]})
        done = await gate.approve(row)
        assert done.attempt is not None
        assert done.state == "executed", done.attempt.message
        assert journal(gate, "waiting") > 0
        assert not set(names[:2]) & set(await make.pods(gate.gateway.cluster))


async def test_while_a_drain_waits_its_view_says_what_is_gone_and_what_for(tmp_path: Path) -> None:
    """For which budget, since when and for how long still; before and afterwards there is no progress to tell."""
    patience = Patience(budget=20, budget_pause=0.02)
    async with world(tmp_path, HEALTHY, tools=drain(), patience=patience) as gate:
        names = await running(gate)
        alone = next(name for name in await make.pods(gate.gateway.cluster) if name.startswith("storefront"))
        await put_budget(gate, len(names))
        row = await gate.propose("drain", {"pods": [alone, names[0]]})
        assert gate.gateway.view(row)["progress"] is None
        approving = asyncio.create_task(gate.approve(row))
        while not (view := gate.gateway.view(gate.gateway.store.get(row.proposal.id)))["progress"] or (
            view["progress"]["waits"] is None
        ):
            await gate.gateway.events.changed(0.02)
        assert (view["progress"]["done"], view["progress"]["of"]) == (1, 2)
        waits = view["progress"]["waits"]
        assert "The disruption budget pay needs 3 healthy pods and has 3 currently" in waits["said"]
        assert 0 < waits["left"] <= 20
        assert waits["since"] >= view["receipt"]["decided_at"]
        stands = standing(view)
        assert [(one.state, one.part.object.split("/")[-1]) for one in stands] == [("done", alone), ("waits", names[0])]
        gate.practice.store.remove(BUDGET, "checkout", "pay")
        done = await approving
        assert done.state == "executed"
        assert gate.gateway.view(done)["progress"] is None


async def test_a_pod_that_went_by_itself_is_no_obstacle(tmp_path: Path) -> None:
    """Nothing is sent for it, and the other one is evicted."""
    async with world(tmp_path, HEALTHY, tools=drain()) as gate:
        first, second = (await running(gate))[:2]
        row = await gate.propose("drain", {"pods": [first, second]})
        await gate.gateway.cluster.send(make.evict(first), dry_run=False, field_manager="somebody")
        done = await gate.approve(row)
        assert done.state == "executed"
        assert done.attempt is not None
        assert [one["status"] for one in done.attempt.applied] == [0, 201]


@pytest.mark.parametrize("code", [404, 409])
async def test_a_second_answer_after_the_pod_went_is_not_taken_for_a_failure(tmp_path: Path, code: int) -> None:
    """Delivered twice: the first one took the pod, and the answer is the second one's."""
    there: list[World] = []

    def front(request: httpx.Request) -> httpx.Response | None:
        if not request.url.path.endswith("/eviction") or b"dryRun" in request.content:
            return None
        there[0].practice.store.remove(POD, "checkout", request.url.path.split("/")[-2])
        return httpx.Response(code, json={"kind": "Status", "code": code, "message": "another, or none"})

    async with world(tmp_path, HEALTHY, tools=drain(), front=front) as gate:
        there.append(gate)
        row = await gate.propose("drain", {"pods": (await running(gate))[:1]})
        done = await gate.approve(row)
        assert done.state == "executed"
        assert done.attempt is not None
        assert [one["status"] for one in done.attempt.applied] == [200]
        assert "by whom was lost" in done.attempt.message


async def test_a_pod_that_nobody_makes_again_is_evicted_for_ever(tmp_path: Path) -> None:
    """So the proposal is irreversible and says why."""
    alone: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "alone", "namespace": "checkout"},
        "spec": {"containers": [{"name": "app", "image": "storefront:v5.1.0", "resources": SMALL}]},
    }
    async with world(tmp_path, HEALTHY, tools=drain()) as gate:
        await make.put(gate.gateway.cluster, alone, "/api/v1/namespaces/checkout/pods")
        row = await gate.propose("drain", {"pods": ["alone"]})
        assert row.proposal.assessment.irreversible
        assert row.proposal.assessment.risk == "high"
