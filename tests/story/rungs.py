"""The three rungs on which the story is told: the practice cluster, a real control plane, a real node.

The practice cluster is a server process of its own, as `practice start` runs it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import load
from skyflo_runbooks.practice.scenario import Scenario
from skyflo_runbooks.practice.server import client_of
from tests import needs
from tests.control_plane import played
from tests.control_plane.processes import Child, Children, wait_until
from tests.control_plane.stage import Staged

RungName: TypeAlias = Literal["practice", "control_plane", "real_node"]
SPEED = "4"  # cluster seconds for each real one; with more, a busy machine leaves gaps in what the verifier sees


@dataclass(frozen=True)
class Rung:
    """A cluster on which a scenario's incident shows."""

    name: RungName
    scenario: Scenario
    kubeconfig: Path
    http: Callable[[], httpx.Client]
    settle: str
    process: Child | None = None

    def get(self, path: str) -> Json:
        """Read one object past the gateway, as the cluster's administrator."""
        with self.http() as client:
            return dict(client.get(path).raise_for_status().json())

    def merge(self, path: str, patch: Json) -> None:
        """Change one object past the gateway, as somebody else."""
        with self.http() as client:
            headers = {"Content-Type": "application/merge-patch+json"}
            client.patch(path, json=patch, headers=headers).raise_for_status()

    @property
    def broken(self) -> str:
        """The API path of the Deployment that the scenario breaks."""
        kind, namespace, name = self.scenario.expect.object.split("/")
        assert kind == "Deployment"
        return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"

    def container(self) -> Json:
        """The broken Deployment's container, as the cluster has it now."""
        return dict(self.get(self.broken)["spec"]["template"]["spec"]["containers"][0])

    def limit(self) -> str:
        """The memory limit of that container."""
        return str(at(self.container(), "resources", "limits", "memory"))

    def attempts(self) -> list[str]:
        """The field managers that the gateway's writes left on the Deployment: one for each attempt."""
        managers = {str(each["manager"]) for each in self.get(self.broken)["metadata"]["managedFields"]}
        return sorted(name for name in managers if name.startswith("skyflo-at-"))


@contextmanager
def practice(folder: Path, name: str = "oomkilled-payment") -> Iterator[Rung]:
    """A practice server process with a scenario, for the length of a `with` block."""
    children = Children(folder / "logs")
    files = folder / "practice"
    module = ["-m", "skyflo_runbooks.practice.serve", name, "--folder", str(files), "--speed", SPEED]
    try:
        child = children.start("practice", [sys.executable, *module])
        wait_until("the practice cluster's first line", lambda: "}" in child.log.read_text(), 60, child.check)
        config = Path(json.loads(child.log.read_text().splitlines()[0])["kubeconfig"])
        yield Rung("practice", load(name), config, partial(client_of, config, 20.0), "10s", child)
    finally:
        children.stop()


@contextmanager
def control_plane(folder: Path, name: str) -> Iterator[Rung]:
    """A real control plane with played nodes and a scenario on it."""
    with played.staged(folder, needs.control_plane(), load(name)) as staged:
        yield _real("control_plane", staged)


@contextmanager
def real_node(folder: Path, name: str) -> Iterator[Rung]:
    """A real node and a scenario on it."""
    from tests.real_node.node import staged as on_node

    with on_node(folder, needs.real_node(), load(name)) as staged:
        yield _real("real_node", staged)


ON = {"practice": practice, "control_plane": control_plane, "real_node": real_node}


def _real(name: RungName, staged: Staged) -> Rung:
    # The window is of real seconds here; the verdict names it.
    return Rung(name, staged.scenario, staged.plane.kubeconfig("operator"), staged.plane.http, "10s")
