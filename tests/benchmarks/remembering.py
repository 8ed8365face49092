"""How much memory the gateway takes: idle, and after many tool calls. What grows with the calls is a leak."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Missing, Scale
from tests.benchmarks.stack import NAMESPACE, Stack, staged

_READS = (
    ("k8s_get", {"kind": "Deployment", "namespace": NAMESPACE, "name": "payment-service"}),
    ("k8s_get", {"kind": "Pod", "namespace": NAMESPACE}),
    ("k8s_events", {"namespace": NAMESPACE}),
)
_CLIENTS = 4


def measure(folder: Path, scale: Scale) -> Iterator[Figure | Missing]:
    """Yield the figures on the flagship's cluster."""
    if not Path("/proc/self/status").exists():
        yield Missing("memory_gateway", "this system has no /proc, where the kernel says what a process takes")
        return
    with staged(folder) as stack:
        idle = _megabytes(stack)
        _call(stack, scale.calls // 10)  # warm: modules are loaded, connections stand, caches are full
        warm = _megabytes(stack)
        _call(stack, scale.calls // 2)
        half = _megabytes(stack)
        _call(stack, scale.calls - scale.calls // 2)
        after = _megabytes(stack)
    parts = {"idle_mb": idle, "warm_mb": warm, "half_mb": half, "calls": float(scale.calls)}
    parts["second_half_kb_a_call"] = (after - half) * 1000 / (scale.calls - scale.calls // 2)
    yield Figure("memory_idle", idle, "MB", "resident memory of a gateway that has just started", None)
    yield Figure(
        "memory_after_calls",
        after,
        "MB",
        f"the same after {scale.calls} calls of read tools by {_CLIENTS} clients, and as many tenths to warm it",
        None,
        parts,
    )


def _call(stack: Stack, count: int) -> None:
    share = max(1, count // _CLIENTS)
    with concurrent.futures.ThreadPoolExecutor(_CLIENTS) as pool:
        list(pool.map(lambda _: _calls(stack, share), range(_CLIENTS)))


def _calls(stack: Stack, count: int) -> None:
    with stack.http() as client:
        for turn in range(count):
            tool, arguments = _READS[turn % len(_READS)]
            client.post(f"/api/v1/tools/{tool}", json={"arguments": arguments}).raise_for_status()


def _megabytes(stack: Stack) -> float:
    pid = json.loads((stack.home / "run" / "gateway.json").read_text())["pid"]
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6
