"""What a diagnosis costs as the cluster grows: time, memory of the gateway, and the rules alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from tests.benchmarks import fleet, stack
from tests.benchmarks.figures import Figure, Missing, Scale, Target, median
from tests.control_plane.processes import Children, wait_until

_TEXT = "something does not start"
_TURNS = 3


def measure(folder: Path, scale: Scale) -> Iterator[Figure | Missing]:
    """Yield the figures for clusters of `scale.fleet` pods each."""
    if not Path("/proc/self/status").exists():
        yield Missing("diagnosis_5000_pods", "this system has no /proc, where the kernel says what a process takes")
        return
    seconds, megabytes, rules = {}, {}, {}
    for pods in scale.fleet:
        place = folder / str(pods)
        place.mkdir()
        seconds[pods], megabytes[pods] = _asked(place, pods)
        rules[pods] = _rules(pods)
    middle, parts = _middle(scale.fleet), {f"{pods}_pods_s": value for pods, value in seconds.items()}
    yield Figure(
        "diagnosis_5000_pods",
        seconds[middle],
        "s",
        f"median of POST /api/v1/incidents over a whole cluster of {middle} pods, gateway warm, runbook included",
        Target("<", 6),
        parts,
    )
    yield Figure(
        "memory_5000_pods",
        megabytes[middle],
        "MB",
        "the most that the gateway's process held by then (VmHWM), a process of its own for each size",
        Target("<", 300),
        {f"{pods}_pods_mb": value for pods, value in megabytes.items()},
    )
    yield Figure(
        "rules_5000_pods",
        rules[middle] * 1000,
        "ms",
        f"median of diagnose() alone over a snapshot of {middle} pods in memory",
        Target("<", 300),
        {f"{pods}_pods_ms": value * 1000 for pods, value in rules.items()},
    )
    least, most = min(scale.fleet), max(scale.fleet)
    yield Figure(
        "diagnosis_growth",
        (seconds[most] / most) / (seconds[least] / least),
        "ratio",
        f"seconds a pod at {most} pods over seconds a pod at {least}: 1 is linear, less is better than linear",
        Target("<=", 1.3),
    )


def _middle(sizes: Sequence[int]) -> int:
    return 5000 if 5000 in sizes else sorted(sizes)[len(sizes) // 2]


def _asked(folder: Path, pods: int) -> tuple[float, float]:
    """Return the median seconds of a diagnosis, and the most megabytes that the gateway held."""
    kubeconfig = folder / "kubeconfig"
    children = Children(folder / "logs")
    children.start("fleet", [sys.executable, "-m", "tests.benchmarks.fleet", str(pods), kubeconfig])
    try:
        wait_until("the fleet", kubeconfig.exists, within=120, check=children.check)
        with stack.before(folder, kubeconfig) as stood:
            times = [_once(stood) for _ in range(_TURNS + 1)][1:]
            return median(times), stood.most_megabytes()
    finally:
        children.stop()


def _once(stood: stack.Stack) -> float:
    began = time.perf_counter()
    found = stood.gateway.post("/api/v1/incidents", {"text": _TEXT, "namespaces": []}, timeout=300)
    took = time.perf_counter() - began
    named = [(one["fault"], one["object"]["name"]) for one in found["findings"]]
    if named != [("IMG-01", fleet.BROKEN)]:
        raise RuntimeError(f"the diagnosis found {named}, so its time means nothing")
    return took


def _rules(pods: int) -> float:
    """Return the median seconds of the rules alone."""
    snapshot = Snapshot(time=fleet.NOW, objects=fleet.objects(pods), elsewhere=())
    times = []
    for _ in range(_TURNS):
        began = time.perf_counter()
        found = diagnose(snapshot, Incident(_TEXT))
        times.append(time.perf_counter() - began)
        if [one.fault for one in found.findings] != ["IMG-01"]:
            raise RuntimeError("the rules did not find what is broken, so their time means nothing")
    return median(times)


def plot(figures: Sequence[Figure]) -> str:
    """Return the growth as Mermaid: seconds of a diagnosis by pods."""
    parts = next((figure.parts for figure in figures if figure.name == "diagnosis_5000_pods"), {})
    sizes = ", ".join(f'"{name.removesuffix("_pods_s")}"' for name in parts)
    values = ", ".join(f"{value:.2f}" for value in parts.values())
    most = max(parts.values(), default=1.0)
    return (
        '```mermaid\nxychart-beta\n    title "One diagnosis of the whole cluster, by pods"\n'
        f'    x-axis "pods" [{sizes}]\n    y-axis "seconds" 0 --> {most * 1.1:.1f}\n    line [{values}]\n```'
    )
