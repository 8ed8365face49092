"""From a clean checkout to the demo's VERIFIED: `git clone`, then `make demo HEADLESS=1`. Takes minutes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure, Missing, Scale, Target

_ROOT = Path(__file__).parents[2]
_LONGEST = 900


def measure(folder: Path, scale: Scale) -> Iterator[Figure | Missing]:
    """Yield the figure: the committed state, a new environment, everything that the demo needs."""
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        yield Missing("demo_clean_checkout", "this is no git checkout: clone the repository, and have git")
        return
    clone = folder / "checkout"
    # Nothing of this checkout's environment may help: neither its programs nor its settings.
    ours = ("SKYFLO_", "KUBE", "VIRTUAL_ENV", "PYTHON", "MAKE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["SKYFLO_HOME"] = str(folder / "home")
    environment["BASE_PYTHON"] = str(Path(sys.executable).resolve())  # the Python of the other figures
    begun = time.perf_counter()
    subprocess.run([git, "clone", "--quiet", "--no-hardlinks", str(_ROOT), str(clone)], check=True, timeout=120)
    cloned = time.perf_counter()
    _make(clone, environment, "environment")
    made = time.perf_counter()
    said = _make(clone, environment, "demo", "HEADLESS=1")
    ended = time.perf_counter()
    if "VERIFIED" not in said:
        raise RuntimeError(f"the demo ended without VERIFIED: {said[-800:]}")
    yield Figure(
        "demo_clean_checkout",
        ended - begun,
        "s",
        "git clone, make environment and make demo HEADLESS=1 to VERIFIED; packages from pip's and uv's caches where "
        "this machine has them",
        Target("<", 300),
        {"clone_s": cloned - begun, "environment_s": made - cloned, "demo_s": ended - made},
    )


def _make(clone: Path, environment: dict[str, str], *targets: str) -> str:
    done = subprocess.run(
        ["make", *targets], cwd=clone, env=environment, capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-1500:]
        raise RuntimeError(f"make {' '.join(targets)} exited with {done.returncode}: {said}")
    return done.stdout
