"""Where k8sgpt is, and how it is built: from the Go module proxy, into the cache outside the checkout.

The module's bytes are pinned here by their hash, and its own go.sum pins everything that it is made of. It is built as
the main module, so that the replacements of its go.mod hold. Its generated-API modules (buf.build) are in no public
checksum database; `GONOSUMDB` names them alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.control_plane import builds

MODULE = "github.com/k8sgpt-ai/k8sgpt"
VERSION = "v0.4.36"
SUM = "h1:sRD0s9qyB0TgZXa+bS8N9JaM/MXxEVHY3vedSh9j3xs="
UNSUMMED = "buf.build"


def folder() -> Path:
    """Return where k8sgpt lies, built or not."""
    return builds.cache() / "k8sgpt" / VERSION


def find() -> Path | None:
    """Return the program, or None."""
    path = folder() / "k8sgpt"
    return path if os.access(path, os.X_OK) else None


def build() -> None:
    """Build it unless it is there; raise `BuildError` where Go is missing or refuses, or the module is another."""
    target = folder()
    with builds.locked(target):
        if find() is not None:
            print(f"k8sgpt {VERSION} is there already ({target})")
            return
        began = time.monotonic()
        print(f"k8sgpt {VERSION}: building (minutes on 2 cores)", flush=True)
        os.environ["GONOSUMDB"] = UNSUMMED
        with tempfile.TemporaryDirectory() as place:
            module = Path(place) / "k8sgpt"
            shutil.copytree(_downloaded(), module, copy_function=shutil.copyfile)
            for each in (module, *module.rglob("*")):
                each.chmod(0o755 if each.is_dir() else 0o644)
            builds.go_build(module, ["."], target, f"-X main.version={VERSION}")
        print(f"k8sgpt {VERSION}: built in {time.monotonic() - began:.0f} s into {target}")


def _downloaded() -> Path:
    """Return the folder of the module in Go's own cache, if its bytes are those that are pinned."""
    if shutil.which("go") is None:
        raise builds.BuildError("expected Go on PATH, found none; install it from https://go.dev/dl and run again")
    command = ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    said = json.loads(done.stdout or "{}")
    if done.returncode != 0 or said.get("Sum") != SUM:
        raise builds.BuildError(f"expected {MODULE}@{VERSION} with {SUM}, got {said.get('Sum') or done.stderr[-400:]}")
    return Path(said["Dir"])


if __name__ == "__main__":
    try:
        build()
    except builds.BuildError as error:
        sys.exit(str(error))
