"""What a test needs from the machine: present, or a skip of one line that says what is missing and how to get it.

With STRICT=1 in the environment a missing thing is a failure instead, so that continuous integration cannot go green by
skipping. Each function returns what it found, so that a test uses exactly the thing that was looked for.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

from tests.control_plane import builds

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LABEXTENSION = Path(__file__).parents[1] / "kernel_ext" / "skyflo_kernel" / "labextension" / "package.json"


def missing(what: str, how: str) -> NoReturn:
    """Skip this test, or fail it under STRICT=1, with one line: what is missing, and how to get it."""
    line = f"needs {what}: {how}"
    if os.environ.get("STRICT") == "1":
        pytest.fail(line, pytrace=False)
    pytest.skip(line)


def program(name: str, how: str) -> str:
    """The path of a program on PATH."""
    return shutil.which(name) or missing(name, how)


def root() -> None:
    """This process runs as root."""
    if os.geteuid() != 0:
        missing("root", "run the tests as root (network devices, cgroups and mounts are made)")


def kubectl() -> str:
    """The path of kubectl: the machine's, else the one built beside the control plane."""
    built = builds.find("kubectl")
    return shutil.which("kubectl") or (str(built) if built else missing("kubectl", "make control-plane"))


def chromium() -> str:
    """The path of a Chromium that Playwright can drive."""
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    return found or missing("Chromium", "apt-get install chromium")


def labextension() -> Path:
    """The built JupyterLab extension, and JupyterLab itself."""
    if importlib.util.find_spec("jupyterlab") is None:
        missing("JupyterLab", "pip install 'skyflo-runbooks[lab]'")
    return _LABEXTENSION.parent if _LABEXTENSION.exists() else missing("the built labextension", "make labextension")


def control_plane() -> builds.Binaries:
    """The binaries of etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""
    found = builds.control_plane()
    if isinstance(found, builds.Absent):
        missing(f"a Kubernetes control plane (no {', '.join(found.names)})", "make control-plane")
    return found


def real_node() -> builds.Binaries:
    """Root, and everything that one real node is made of."""
    from tests.real_node import parts

    root()
    found = parts.look()
    if isinstance(found, builds.Absent):
        missing(f"a real Kubernetes node (no {', '.join(found.names)})", "make real-node")
    return found
