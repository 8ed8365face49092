"""One home of the product, as a person has it: a gateway process, and commands beside it, each a process of its own.

Everything goes through the installed commands and the files they write, and every wait has a bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.launch import bare, kernel_token
from skyflo_runbooks.model.json import Json
from tests.control_plane.processes import Child, Children, free_ports, wait_until

Done: TypeAlias = subprocess.CompletedProcess[str]
PROGRAM = Path(sys.executable).with_name("skyflo-runbooks")
OPERATOR = "on-call"


@dataclass(frozen=True)
class Announced:
    """The first line of `serve --json`."""

    url: str
    login: str


class Home:
    """A folder with a home in it. Use `home` to have one; it ends what it started."""

    def __init__(self, folder: Path, children: Children) -> None:
        self.folder = folder
        self.path = folder / "home"
        self.environment = bare(self.path)
        self.port = free_ports(1)[0]
        self._children = children
        self._gateway: Child | None = None

    @property
    def gateway(self) -> Child:
        """The running gateway."""
        assert self._gateway is not None, "no gateway was started in this home"
        return self._gateway

    @property
    def kernel(self) -> Gateway:
        """The gateway as a kernel of this home calls it; for waits, which would else start a process at each look."""
        return Gateway(f"http://localhost:{self.port}", kernel_token(self.path))

    def serve(self, kubeconfig: Path, *options: str | Path) -> Announced:
        """Start a gateway, on the same port each time; wait for its first line."""
        words = ["serve", "--port", str(self.port), "--json", "--kubeconfig", kubeconfig, *options]
        self._gateway = child = self._children.start(f"gateway-{self.port}", [PROGRAM, *words], self.environment)
        spoken = len(child.log.read_text().splitlines())
        wait_until("the gateway's first line", lambda: _announced(child, spoken) is not None, 60, child.check)
        said = _announced(child, spoken)
        assert said is not None
        return said

    def open(self, kubeconfig: Path, *options: str | Path) -> Home:
        """Start a gateway, and log in at it by its one-time link, as a process of its own."""
        said = self.serve(kubeconfig, *options)
        self.json("login", said.login, "--operator", OPERATOR)
        return self

    def kill(self) -> None:
        """End the gateway by SIGKILL."""
        self._children.stop_one(self.gateway)
        self._gateway = None

    def command(self, *arguments: str | Path, within: float = 120) -> Done:
        """Run one command to its end."""
        argv = [str(PROGRAM), *map(str, arguments)]
        return subprocess.run(
            argv,
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        """The JSON document of a command that exits with `code`."""
        done = self.command(*arguments, "--json")
        assert done.returncode == code, f"{arguments} exited with {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    @contextmanager
    def beside(self, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Run one command beside the block; it is killed if it does not end by itself."""
        argv = [str(PROGRAM), *map(str, arguments)]
        with subprocess.Popen(
            argv,
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def waiting(self, beside: subprocess.Popen[str], within: float = 90) -> str:
        """Wait for a proposal that nobody has decided, made by a command beside; its id."""

        def check() -> None:
            self.gateway.check()
            if beside.poll() is not None:
                raise AssertionError(f"it ended with {beside.returncode} before it proposed: {beside.communicate()}")

        return self.fresh(set(), within, check)

    def fresh(self, known: set[str], within: float, check: Callable[[], None] | None = None) -> str:
        """Wait for a proposal that nobody has decided and that is not known yet; its id."""
        found: list[str] = []

        def proposed() -> bool:
            found[:] = [id_ for id_ in self.open_ids() if id_ not in known]
            return bool(found)

        wait_until("a proposal", proposed, within, check)
        return found[0]

    def open_ids(self) -> list[str]:
        """The ids of what waits for a decision."""
        return [str(each["id"]) for each in self.kernel.get("/api/v1/proposals") if each["state"] == "proposed"]

    def processes(self) -> set[int]:
        """Every process of this home but the gateway: those that have it in their environment."""
        mark = f"SKYFLO_HOME={self.path}".encode()
        found = {int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit() and _has(each, mark)}
        return found - ({self._gateway.process.pid} if self._gateway else set())


@contextmanager
def home(folder: Path) -> Iterator[Home]:
    """A home in this folder, for the length of a `with` block."""
    children = Children(folder / "logs")
    try:
        yield Home(folder, children)
    finally:
        children.stop()


def step_of(answer: Json, kind: str) -> Json:
    """The one step of a kind in what `new --json` says."""
    (found,) = [step for step in answer["plan"] if step["kind"] == kind]
    return dict(found)


def _announced(child: Child, spoken: int) -> Announced | None:
    for line in child.log.read_text().splitlines()[spoken:]:
        if line.startswith("{") and line.endswith("}"):
            said = json.loads(line)
            return Announced(said["url"], said["login"])
    return None


def _has(process: Path, mark: bytes) -> bool:
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and mark in (process / "environ").read_bytes().split(b"\0")
    except OSError:  # it ended while it was looked at, or is another user's
        return False
