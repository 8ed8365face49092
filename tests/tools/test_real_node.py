"""The tools on a real node: a real OOM kill is seen, the change repairs it, and the kubelet's own figures show it."""

import asyncio
import time

import pytest
from skyflo_mcp.kubernetes import Cluster, call

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered
from tests.control_plane.fixtures import Stage

pytestmark = pytest.mark.real_node
PAYMENT: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}


async def ask(cluster: Cluster, name: str, /, **arguments: object) -> Json:
    """Call a read tool."""
    answer = await call(cluster, name, arguments)
    assert isinstance(answer, dict)
    return answer


async def complete(cluster: Cluster, within: float) -> Json:
    """Wait for the rollout, and return how it stands."""
    end = time.monotonic() + within
    while (state := await ask(cluster, "k8s_rollout_status", **PAYMENT))["state"] != "complete":
        assert time.monotonic() < end, f"expected complete within {within} s: {state}"
        await asyncio.sleep(0.5)
    return state


def _listens(log: Json) -> bool:
    return "listening" in log["text"]


async def test_a_real_kill_is_seen_and_repaired(stage_on_real_node: Stage) -> None:
    """Status, logs, figures and HTTP, before and after, as an operator who is no administrator."""
    plane = stage_on_real_node("oomkilled-payment").plane
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("operator"))) as cluster:
        described = await ask(cluster, "k8s_describe", **PAYMENT)
        assert "terminated OOMKilled (exit 137)" in str(described["pods"]["rows"])
        arguments: Json = {**PAYMENT, "container": "payment-service", "limits": {"memory": "512Mi"}}
        change = await call(cluster, "k8s_set_resources", arguments)
        assert isinstance(change, Rendered)
        (request,) = change.requests
        found = await cluster.get(request.target)
        uid = found["metadata"]["uid"]
        await cluster.send(request, dry_run=True, field_manager="skyflo-test", uid=uid)
        assert (await cluster.get(request.target))["spec"] == found["spec"]
        await cluster.send(request, dry_run=False, field_manager="skyflo-test", uid=uid)
        state = await complete(cluster, within=120)
        assert (state["available"], state["restarts"], state["old_pods"]) == (3, 0, [])

        async def measured() -> bool:
            top = await ask(cluster, "k8s_top_pods", namespace="checkout", label_selector="app=payment-service")
            sizes = [int(str(row[2]).removesuffix("Mi")) for row in top["rows"] if row[2] is not None]
            return len(sizes) == 3 and all(300 < size < 400 for size in sizes)

        end = time.monotonic() + 60
        while not await measured():
            assert time.monotonic() < end, "expected the kubelet to show about 340Mi of 512Mi within 60 s"
            await asyncio.sleep(0.5)
        top = await ask(cluster, "k8s_top_pods", namespace="checkout")
        assert {row[-1] for row in top["rows"]} == {"kubelet of node-a"}
        assert top["unknown"] == []
        answer = await cluster.proxy_get("checkout", "payment-service", "/checkout")
        assert (answer.status, answer.by) == (200, "service"), answer
        # A process may say that it listens after it was found ready.
        end = time.monotonic() + 30
        while silent := [one for one in (await ask(cluster, "k8s_logs", **PAYMENT))["logs"] if not _listens(one)]:
            assert time.monotonic() < end, f"expected each log to say that it listens within 30 s: {silent}"
            await asyncio.sleep(0.5)
