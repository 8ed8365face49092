"""Where hostile code of a kernel is tried: the walls, folders as `lab` has them, and running Python behind a wall."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from skyflo_kernel.sandbox import Mode, landlock

from tests import needs
from tests.jupyter import ordinary

SECRET = "the-operator-credential"
# `landlock` is what root is left with when it asks for it; `ordinary` is the same as a laptop's user has it.
Wall = Literal["user", "landlock", "ordinary", "none"]
WALLS: tuple[Wall, ...] = ("user", "landlock", "ordinary")


class Ground(NamedTuple):
    """Folders as `lab` has them: what the gateway owns, where Jupyter works, and a person's home."""

    data: Path
    work: Path
    person: Path


@contextmanager
def laid_out() -> Iterator[Ground]:
    """Not pytest's folder, which another user cannot walk to. The data is readable by all on purpose: it is denied."""
    with tempfile.TemporaryDirectory(prefix="skyflo-sandbox-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        made = Ground(folder / "data", folder / "work", folder / "person")
        made.data.mkdir()
        made.work.mkdir()
        made.work.chmod(0o777)
        (made.data / "operator.json").write_text(SECRET)
        for file in (".kube/config", ".ssh/id_ed25519", ".bashrc", ".config/gcloud/credentials.db"):
            path = made.person / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(SECRET)
        yield made


def needed(wall: Wall) -> None:
    """Skip where this machine does not have the wall. Root can try each of them."""
    if wall == "user":
        needs.root()
    elif wall != "none" and landlock.version() == 0:
        needs.missing("Landlock", "a Linux kernel 5.13 or newer with the landlock security module")


def mode_of(wall: Wall) -> Mode:
    """The sandbox's mode that makes this wall."""
    return "landlock" if wall == "ordinary" else wall


def launcher(wall: Wall, *arguments: str) -> list[str]:
    """The command line of the sandbox, started by who would start it."""
    line = [sys.executable, "-P", "-m", "skyflo_kernel.sandbox", "--mode", mode_of(wall), *arguments]
    return ordinary.command(*line) if wall == "ordinary" else line


def inside(
    wall: Wall, ground: Ground, code: str, *options: str, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code behind the wall."""
    own = ground.work.parent / "home"
    denied = ["--deny", str(ground.data)] if wall != "none" else []
    folders = ["--work", str(ground.work), *denied, "--home", str(own), *options]
    home = {"HOME": str(ground.person)} if wall == "ordinary" else {}
    return subprocess.run(
        [*launcher(wall, *folders), "--", sys.executable, "-P", "-c", textwrap.dedent(code)],
        cwd=cwd,
        env={**os.environ, **home, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def answer(found: subprocess.CompletedProcess[str]) -> object:
    """What the code printed as JSON; its own words where it failed."""
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)
