"""What one real node is made of, and how it is got.

The kubelet is built from source beside the control plane. The container runtime is the distribution's (containerd, runc
and the CNI plug-ins), installed by apt where this runs as root and they are missing. The service in the images is built
from `image/`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.control_plane import builds

_IMAGE = Path(__file__).parent / "image"
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "unshare": "util-linux",
    "mount": "mount",
}
_CNI = Path("/usr/lib/cni")
_CNI_PACKAGE = "containernetworking-plugins"


class InstallError(RuntimeError):
    """Packages are missing and could not be installed; the message says what to do."""


def look() -> builds.Binaries | builds.Absent:
    """Every program that a real node runs, or the names of those that are absent."""
    kubernetes = builds.gather([*builds.CONTROL_PLANE, "kubelet"])
    absent = list(kubernetes.names) if isinstance(kubernetes, builds.Absent) else []
    programs = {name: shutil.which(name, path=_path()) for name in _PACKAGES}
    absent += [name for name, path in programs.items() if path is None]
    absent += [] if (_CNI / "bridge").exists() else ["CNI plug-ins"]
    absent += [] if service().exists() else ["the service image"]
    if absent or isinstance(kubernetes, builds.Absent):
        return builds.Absent(tuple(absent))
    found = {name: Path(path) for name, path in programs.items() if path}
    return builds.Binaries({**kubernetes.paths, **found, "service": service()})


def service() -> Path:
    """Where the program of the images is, built or not."""
    sources = sorted([*_IMAGE.glob("*.go"), _IMAGE / "go.mod"])
    return builds.cache() / "real-node" / builds.key("service", sources) / "service"


def make(say: Callable[[str], None] = print) -> None:
    """Install and build what is missing.

    Raises:
        InstallError: distribution packages are missing, and this is not root on a system with apt.
        builds.BuildError: Go is missing or refused.
    """
    _install(say)
    builds.build([*builds.CONTROL_PLANE, "kubectl", "kubelet"], say)
    target = service()
    with builds.locked(target.parent):
        if not target.exists():
            began = time.monotonic()
            builds.go_build(_IMAGE, ["."], target.parent)
            say(f"service image: built in {time.monotonic() - began:.0f} s")


def _install(say: Callable[[str], None]) -> None:
    wanted = [package for name, package in _PACKAGES.items() if shutil.which(name, path=_path()) is None]
    wanted += [] if (_CNI / "bridge").exists() else [_CNI_PACKAGE]
    if not wanted:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise InstallError(f"expected the packages {' '.join(wanted)}; install them as root, and run again")
    say(f"installing {', '.join(wanted)} with apt")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *wanted]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise InstallError(f"apt-get {command[0]} failed: {done.stderr.strip().splitlines()[-1:]}")


def _path() -> str:
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
