"""Where the binaries of a real Kubernetes control plane are, and how they are built from source.

Looked for in this order: the folder KUBEBUILDER_ASSETS, as controller tests everywhere do; then a cache outside the
checkout, `SKYFLO_CACHE` or the user's cache folder, keyed by a digest of all that decides the build. So a new version
never runs with old binaries, and two checkouts share one build. Only the standard library is used here: `make` may call
this before the environment exists.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "1.36.3"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

_MODULE = Path(__file__).parent / "go"
_PACKAGES = {
    "etcd": "./etcd",
    **{
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kubelet")
    },
}


class BuildError(RuntimeError):
    """The binaries could not be built; the message says why and what to do."""


@dataclass(frozen=True)
class Binaries:
    """Programs by name."""

    paths: dict[str, Path]

    def __getitem__(self, name: str) -> Path:
        return self.paths[name]


@dataclass(frozen=True)
class Absent:
    """What was looked for and not found."""

    names: tuple[str, ...]


def cache() -> Path:
    """The folder for everything built, shared by all checkouts of this user."""
    base = os.environ.get("SKYFLO_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "skyflo-runbooks"


def key(version: str, sources: Iterable[Path]) -> str:
    """A folder name for what these sources build: changes with each byte of them."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.name}\0".encode() + source.read_bytes())
    return f"{version}-{digest.hexdigest()[:12]}"


def folder() -> Path:
    """Where this checkout's control plane lies, built or not."""
    sources = [_MODULE / "go.mod", _MODULE / "go.sum", _MODULE / "etcd" / "main.go"]
    return cache() / "control-plane" / key(f"v{KUBERNETES}", sources)


def find(name: str) -> Path | None:
    """One binary, or None."""
    places = [Path(assets)] if (assets := os.environ.get("KUBEBUILDER_ASSETS")) else []
    return next((path for place in [*places, folder()] if os.access(path := place / name, os.X_OK)), None)


def gather(names: Iterable[str]) -> Binaries | Absent:
    """These binaries, or those of them that are absent."""
    found = {name: find(name) for name in names}
    absent = tuple(name for name, path in found.items() if path is None)
    return Absent(absent) if absent else Binaries({name: path for name, path in found.items() if path})


def control_plane() -> Binaries | Absent:
    """etcd, API server, controller manager and scheduler."""
    return gather(CONTROL_PLANE)


def build(names: Iterable[str], say: Callable[[str], None] = print) -> None:
    """Build what is absent of these binaries, and say what is done and how long it took.

    Raises:
        BuildError: Go is missing or refused; its last lines are in the message.
    """
    target = folder()
    with locked(target):
        absent = [name for name in names if find(name) is None]
        if not absent:
            say(f"Kubernetes {KUBERNETES}: {', '.join(names)} are there already ({target})")
            return
        say(f"Kubernetes {KUBERNETES}: building {', '.join(absent)} (a first build takes 5 to 8 minutes on 2 cores)")
        began = time.monotonic()
        go_build(_MODULE, [_PACKAGES[name] for name in absent], target, _version_flags())
        say(f"Kubernetes {KUBERNETES}: built in {time.monotonic() - began:.0f} s into {target}")


def go_build(module: Path, packages: list[str], target: Path, ldflags: str = "") -> None:
    """Compile Go packages of one module into a folder, each binary appearing whole or not at all."""
    if shutil.which("go") is None:
        raise BuildError(
            "expected Go 1.21 or newer on PATH, found none; install it from https://go.dev/dl and run again"
        )
    # No C compiler is needed, and -trimpath makes the result the same in every checkout.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    with tempfile.TemporaryDirectory(dir=target) as made:
        command = ["go", "build", "-trimpath", "-ldflags", f"-s -w {ldflags}".strip(), "-o", f"{made}/", *packages]
        done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"go build failed in {module.name}:\n" + "\n".join(done.stderr.splitlines()[-15:]))
        for binary in Path(made).iterdir():
            binary.replace(target / binary.name)


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Only one process at a time builds into this folder, which is made."""
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _version_flags() -> str:
    major, minor, _ = KUBERNETES.split(".")
    package = "k8s.io/component-base/version"
    return f"-X {package}.gitVersion=v{KUBERNETES} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
