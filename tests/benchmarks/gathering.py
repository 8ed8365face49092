"""Five independent reads of a second each in one `gather`, from a kernel's Python through the gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import slow
from tests.benchmarks.figures import Figure, Scale, Target, median
from tests.benchmarks.stack import NAMESPACE, Stack, staged

# What a cell does, in a fresh interpreter with nothing but the kernel's token: the first gather warms.
_CELL = """
import contextlib, io, json, sys, time
from skyflo_kernel import runbook

namespace, turns = sys.argv[1], int(sys.argv[2])
times = []
for turn in range(turns + 1):
    begun = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        state = runbook.gather(
            pods=("k8s_get", {"kind": "Pod", "namespace": namespace}),
            deployments=("k8s_get", {"kind": "Deployment", "namespace": namespace}),
            sets=("k8s_get", {"kind": "ReplicaSet", "namespace": namespace}),
            services=("k8s_get", {"kind": "Service", "namespace": namespace}),
            settings=("k8s_get", {"kind": "ConfigMap", "namespace": namespace}),
        )
    times.append(time.perf_counter() - begun)
    unknown = [name for name in ("pods", "deployments", "sets", "services", "settings") if state[name].unknown]
    if unknown:
        sys.exit(f"not known: {unknown}")
print(json.dumps(times[1:]))
"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure."""
    with ExitStack() as stack:
        path = f"/namespaces/{NAMESPACE}/"
        gateway = stack.enter_context(
            staged(folder, between=lambda kubeconfig: stack.enter_context(slow.before(kubeconfig, path)))
        )
        times = _gathered(gateway, scale.gathers)
    yield Figure(
        "gather_five_reads",
        median(times),
        "s",
        "median of runbook.gather of five k8s_get lists, each of which the API server answers after one second",
        Target("<", 1.3),
        {"worst_s": max(times)},
    )


def _gathered(stack: Stack, turns: int) -> list[float]:
    times: list[float] = json.loads(stack.run(sys.executable, "-c", _CELL, NAMESPACE, str(turns)))
    if min(times) < slow.DELAY:
        raise RuntimeError("a gather was faster than its slowest read: the reads were not slow")
    return times
