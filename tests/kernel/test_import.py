"""Importing the kernel's module costs next to nothing, and loads nothing heavy."""

import subprocess
import sys
import time

import skyflo_kernel

HEAVY = (
    "IPython",
    "nbformat",
    "papermill",
    "httpx",
    "tornado",
    "jupyter_server",
    "kubernetes",
    "fastmcp",
    "http.client",
)


def test_nothing_heavy_is_loaded() -> None:
    """A fresh interpreter that imports it has none of the slow libraries."""
    code = f"import sys, skyflo_kernel; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_it_is_quick() -> None:
    """The best of five imports is within 150 ms of a bare interpreter."""
    assert best("import skyflo_kernel") - best("pass") < 0.15


def best(code: str) -> float:
    """Seconds of the fastest of five fresh interpreters."""
    times: list[float] = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - begun)
    return min(times)


def test_the_public_names() -> None:
    """What a runbook's cell imports, and nothing else."""
    assert skyflo_kernel.__all__ == ["check", "runbook"]
    assert all(hasattr(skyflo_kernel, name) for name in skyflo_kernel.__all__)
