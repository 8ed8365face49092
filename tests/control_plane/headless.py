"""The product without a browser, as a person uses it: one gateway process, and commands beside it.

Everything goes through the installed commands and the files they write, so nothing here knows how they work inside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.control_plane.processes import Child, Children, wait_until

_PROGRAM = Path(sys.executable).with_name("skyflo-runbooks")


@dataclass(frozen=True)
class Headless:
    """A terminal that is logged in at a running gateway."""

    folder: Path
    environment: Mapping[str, str]
    gateway: Child

    def command(self, *arguments: str, within: float = 60) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        argv = [str(_PROGRAM), *arguments]
        return subprocess.run(
            argv, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=within, check=False
        )

    def answer(self, *arguments: str) -> Any:
        """The JSON answer of a command that exits with 0."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, f"{arguments} exited with {done.returncode}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run one command beside the block; it is killed if it does not end by itself."""
        argv = [str(_PROGRAM), *arguments]
        with subprocess.Popen(
            argv, env=self.environment, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def waiting(self, step: str, within: float = 60) -> str:
        """Wait for a proposal of this step that nobody has decided; its id."""
        wait_until(f"a proposal of {step}", lambda: bool(self._open(step)), within, self.gateway.check)
        return self._open(step)[0]

    def _open(self, step: str) -> list[str]:
        listed = self.answer("approvals")
        return [each["id"] for each in listed if each["state"] == "proposed" and step in str(each["step"])]


@contextmanager
def headless(folder: Path, kubeconfig: Path, operator: str = "tester") -> Iterator[Headless]:
    """A gateway with this kubeconfig, all its files in this folder, and a terminal that is an operator."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SKYFLO_", "KUBECONFIG"))}
    environment["SKYFLO_HOME"] = str(folder / "home")
    children = Children(folder / "logs")
    serve: list[str | Path] = [_PROGRAM, "serve", "--port", "0", "--json", "--kubeconfig", kubeconfig]
    gateway = children.start("gateway", serve, environment)
    try:
        wait_until("the gateway's first line", lambda: "login" in gateway.log.read_text(), 60, gateway.check)
        first = next(line for line in gateway.log.read_text().splitlines() if "login" in line)
        terminal = Headless(folder, environment, gateway)
        terminal.answer("login", json.loads(first)["login"], "--operator", operator)
        yield terminal
    finally:
        children.stop()
