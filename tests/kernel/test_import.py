"""Importing the kernel's module costs next to nothing, and loads nothing heavy."""

import resource
import subprocess
import sys

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
    """The best of five imports takes at most 150 ms more of the processor than a bare interpreter."""
    assert best("import skyflo_kernel") - best("pass") < 0.15


def best(code: str) -> float:
    """Processor seconds of the fastest of five fresh interpreters; wall time says more about the machine's load."""
    times: list[float] = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_the_public_names() -> None:
    """What a runbook's cell imports, and nothing else."""
    assert skyflo_kernel.__all__ == ["check", "runbook"]
    assert all(hasattr(skyflo_kernel, name) for name in skyflo_kernel.__all__)
