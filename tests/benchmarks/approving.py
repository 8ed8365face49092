"""From a person's click to the API server's answer: approve → applied."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from skyflo_runbooks.cli import operator
from skyflo_runbooks.model.json import Json
from tests.benchmarks.figures import Figure, Missing, Scale, Target, median, p95
from tests.benchmarks.stack import NAMESPACE, Stack, before, staged
from tests.control_plane import builds, harness

_NAME = "payment-service"
_HOW = (
    "95th percentile from asking for the nonce of an approval to the gateway's answer that the change is executed; "
    "each approves another memory limit of one Deployment on {}"
)


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure on the practice cluster."""
    with staged(folder) as stack:
        yield _figure("approve_applied_practice", "the practice cluster", stack, scale, None)


def measure_control_plane(folder: Path, scale: Scale) -> Iterator[Figure | Missing]:
    """Yield the figure on a real control plane of this machine, where its programs are built."""
    binaries = builds.control_plane()
    if isinstance(binaries, builds.Absent):
        yield Missing("approve_applied", f"no {', '.join(binaries.names)}: make control-plane")
        return
    with harness.running(folder / "plane", binaries) as plane:
        plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, _deployment()])
        with before(folder, plane.kubeconfig("operator")) as stack:
            yield _figure("approve_applied", "a real control plane of this machine", stack, scale, Target("<", 300))


def _figure(name: str, where: str, stack: Stack, scale: Scale, target: Target | None) -> Figure:
    _approved(stack, 0)  # warm
    times = [_approved(stack, turn + 1) * 1000 for turn in range(scale.approvals)]
    parts = {"median_ms": median(times), "best_ms": min(times), "worst_ms": max(times), "approvals": float(len(times))}
    return Figure(name, p95(times), "ms", _HOW.format(where), target, parts)


def _approved(stack: Stack, turn: int) -> float:
    """Propose another limit than the one that holds; return the seconds from the approval to its execution."""
    arguments: Json = {"kind": "Deployment", "namespace": NAMESPACE, "name": _NAME, "container": _NAME}
    arguments["limits"] = {"memory": f"{400 + turn}Mi"}
    view = stack.gateway.post(
        "/api/v1/proposals", {"tool": "k8s_set_resources", "arguments": arguments, "step": f"turn_{turn}"}
    )
    begun = time.perf_counter()
    operator.decide(stack.gateway, stack.operator, view=view, decision="approve")
    after = stack.gateway.proposal(str(view["id"]), wait=20)
    took = time.perf_counter() - begun
    if after["state"] != "executed":
        raise RuntimeError(f"an approval ended as {after['state']}, so its time means nothing")
    return took


def _deployment() -> Json:
    """The flagship's Deployment without nodes to run on: nothing but the write is measured."""
    container = {"name": _NAME, "image": "payment-svc:v2.4.1", "resources": {"limits": {"memory": "256Mi"}}}
    labels = {"app": _NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": _NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
