"""What the figures are measured on: a practice cluster and a gateway, each a process of its own, as a user has them.

A benchmark's client, gateway and cluster in one process would share one interpreter lock and measure that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from skyflo_runbooks.cli import launch, operator
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.server import client_of
from tests.control_plane.processes import wait_until

FLAGSHIP = "oomkilled-payment"
INCIDENT = (
    "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."
)
NAMESPACE = "checkout"
PROGRAM = Path(sys.executable).with_name("skyflo-runbooks")


@dataclass(frozen=True)
class Stack:
    """A running gateway, its cluster's kubeconfig, and an operator."""

    home: Path
    kubeconfig: Path
    gateway: Gateway
    operator: Operator
    environment: Mapping[str, str]

    def http(self) -> httpx.Client:
        """Return a client of the gateway that keeps its connection, with the kernel's token."""
        headers = {"Authorization": f"Bearer {self.gateway.token}"}
        return httpx.Client(base_url=self.gateway.url, headers=headers, timeout=60)

    def cluster(self) -> httpx.Client:
        """Return a client of the API server itself that keeps its connection."""
        return client_of(self.kubeconfig, 60.0)

    def diagnose(self) -> Json:
        """Return what the gateway finds, over the connection of a command."""
        body = {"text": INCIDENT, "namespaces": [NAMESPACE]}
        found: Json = self.gateway.post("/api/v1/incidents", body, timeout=120)
        return found

    def cpu_ms(self) -> float | None:
        """Return the processor time that the gateway's process has taken, where the system says it (Linux)."""
        pid = json.loads((self.home / "run" / "gateway.json").read_text())["pid"]
        said = Path(f"/proc/{pid}/stat")
        if not said.exists():
            return None
        fields = said.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def most_megabytes(self) -> float:
        """Return the most memory that the gateway's process has held, where the system says it (Linux)."""
        pid = json.loads((self.home / "run" / "gateway.json").read_text())["pid"]
        line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6

    def run(self, *arguments: str | Path) -> str:
        """Run a program as a user of this gateway does, and return what it printed."""
        argv = [str(argument) for argument in arguments]
        done = subprocess.run(
            argv, env=dict(self.environment), cwd=self.home, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{argv[:3]} exited with {done.returncode}: {(done.stdout + done.stderr)[-800:]}")
        return done.stdout


@contextmanager
def staged(
    folder: Path, scenario: str = FLAGSHIP, *, pods: int = 1, between: Callable[[Path], Path] = lambda path: path
) -> Iterator[Stack]:
    """A scenario on the practice cluster with a gateway before it.

    Args:
        scenario: a shipped scenario's name, or a file's path.
        pods: how many pods must be there before it begins.
        between: given the cluster's kubeconfig, returns the one that the gateway shall use.
    """
    child, said = launch.practice(scenario, folder / "practice", speed=1.0, log=folder / "practice.log")
    with child:
        kubeconfig = Path(said.kubeconfig)
        with client_of(kubeconfig, 60.0) as client:
            wait_until(f"{pods} pods", lambda: _pods(client) >= pods, within=120)
        with before(folder, between(kubeconfig)) as stack:
            yield stack


@contextmanager
def before(folder: Path, kubeconfig: Path) -> Iterator[Stack]:
    """A gateway before the cluster of a kubeconfig, and an operator who is logged in."""
    home = folder / "home"
    environment = launch.bare(home)
    options = ["--port", "0", "--kubeconfig", str(kubeconfig), "--data-dir", str(folder / "data")]
    child, said = launch.gateway(options, environment=environment, log=folder / "gateway.log")
    with child:
        paired = operator.pair(operator.read_link(said.login), "benchmark")
        yield Stack(home, kubeconfig, Gateway(said.url, launch.kernel_token(home)), paired, environment)


def _pods(client: httpx.Client) -> int:
    answer = client.get(f"/api/v1/namespaces/{NAMESPACE}/pods")
    return len(answer.json()["items"]) if answer.is_success else 0
