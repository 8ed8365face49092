"""What it costs to ask: `new` on the flagship, a diagnosis of a full namespace, and one read through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Scale, Target, median, seconds
from tests.benchmarks.stack import INCIDENT, NAMESPACE, PROGRAM, Stack, staged

_PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/payment-service"
_READ = {"kind": "Deployment", "namespace": NAMESPACE, "name": "payment-service"}


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figures of the flagship's cluster."""
    with staged(folder, pods=5) as stack:
        stack.diagnose()  # warm: kinds are discovered, and modules are loaded
        yield _new(stack, scale)
        yield from _reads(stack, scale)


def measure_crowd(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure of a namespace with many pods."""
    with staged(folder, str(crowd.write(folder / "crowd.yaml", scale.pods)), pods=scale.pods) as stack:
        for _ in range(2):
            stack.diagnose()  # warm
        before = stack.cpu_ms()
        asked = [_asked(stack) for _ in range(scale.diagnoses)]
        after = stack.cpu_ms()
    times = [took for took, _ in asked]
    parts = {"pods": float(scale.pods), "gateway_s": median([inside for _, inside in asked]), "best_s": min(times)}
    if before is not None and after is not None:
        parts["gateway_processor_s"] = (after - before) / 1000 / scale.diagnoses
    yield Figure(
        "diagnosis_100_pods",
        median(times),
        "s",
        f"median of POST /api/v1/incidents in a namespace of {scale.pods} pods, gateway warm, runbook included",
        Target("<", 0.5),
        parts,
    )


def _asked(stack: Stack) -> tuple[float, float]:
    """Return the seconds of one diagnosis: as the client sees it, and inside the gateway."""
    begun = time.perf_counter()
    found = stack.diagnose()
    took = time.perf_counter() - begun
    if not found["findings"]:
        raise RuntimeError("the diagnosis found nothing, so its time means nothing")
    return took, float(found["elapsed_ms"]) / 1000


def _new(stack: Stack, scale: Scale) -> Figure:
    asked: list[str | Path] = [PROGRAM, "new", INCIDENT, "-n", NAMESPACE, "--json", "-o"]
    command: list[float] = []
    for turn in range(scale.diagnoses):
        begun = time.perf_counter()
        stack.run(*asked, f"new-{turn}.ipynb")
        command.append(time.perf_counter() - begun)
    inside = [took for _, took in (_asked(stack) for _ in range(scale.diagnoses))]
    return Figure(
        "new_flagship",
        median(command),
        "s",
        "median of the command 'skyflo-runbooks new' on the flagship, from its start to its end, gateway warm",
        None,
        {"best_s": min(command), "gateway_s": median(inside), "gateway_best_s": min(inside)},
    )


def _reads(stack: Stack, scale: Scale) -> Iterator[Figure]:
    direct: list[float] = []
    rest: list[float] = []
    with stack.http() as gateway, stack.cluster() as cluster:
        for turn in range(scale.reads + 2):
            one = seconds(lambda: cluster.get(_PATH).raise_for_status())
            other = seconds(lambda: gateway.post("/api/v1/tools/k8s_get", json={"arguments": _READ}).raise_for_status())
            if turn >= 2:  # the first ones open connections
                direct.append(one)
                rest.append(other)
    mcp = asyncio.run(_mcp(stack, scale.reads))
    how = "median of k8s_get of one Deployment by the gateway's {}, less the median of the same GET at the API server"
    for name, kind, times in (("read_overhead", "REST", rest), ("read_overhead_mcp", "MCP over HTTP", mcp)):
        yield Figure(
            name,
            (median(times) - median(direct)) * 1000,
            "ms",
            how.format(kind),
            Target("<", 10),
            {
                "gateway_ms": median(times) * 1000,
                "direct_ms": median(direct) * 1000,
                "best_ms": (min(times) - min(direct)) * 1000,
            },
        )


async def _mcp(stack: Stack, reads: int) -> list[float]:
    from fastmcp import Client
    from fastmcp.client.transports import StreamableHttpTransport

    headers = {"Authorization": f"Bearer {stack.gateway.token}"}
    times: list[float] = []
    async with Client(StreamableHttpTransport(f"{stack.gateway.url}/mcp", headers=headers)) as client:
        for turn in range(reads + 2):
            begun = time.perf_counter()
            await client.call_tool("k8s_get", _READ)
            if turn >= 2:
                times.append(time.perf_counter() - begun)
    return times
