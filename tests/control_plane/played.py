"""A scenario staged on a real control plane whose nodes are played."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.scenario import Scenario, load
from tests.control_plane import harness, metrics, slots, stage
from tests.control_plane.builds import Binaries
from tests.control_plane.harness import ControlPlane
from tests.control_plane.player import SERVED, Settings
from tests.control_plane.processes import Children, free_ports, wait_until
from tests.control_plane.stage import Staged

TROUBLES = "troubles.json"
METRICS_PORT = "metrics.port"


@contextmanager
def staged(folder: Path, binaries: Binaries, scenario: Scenario) -> Iterator[Staged]:
    """A control plane in this empty folder with a scenario staged on it, for the length of a `with` block."""
    with harness.running(folder, binaries) as plane, playing(plane, scenario.scenario):
        stage.play(plane, scenario)
        stage.wait_shown(plane, scenario)
        yield Staged(plane, scenario)


@contextmanager
def playing(plane: ControlPlane, scenario: str) -> Iterator[None]:
    """The nodes of a scenario, played by a process of their own for the length of a `with` block.

    As root the pods also have addresses that answer HTTP; without, requests to them fail.
    """
    with ExitStack() as stack:
        network, device = stack.enter_context(_pod_network()) if _can_make_devices() else ("10.244", "")
        pair = plane.authority.serving("played-kubelet", ["127.0.0.1"])
        (port,) = free_ports(1)
        (plane.folder / METRICS_PORT).write_text(str(port))
        token = plane.folder / "played-kubelet.token"
        token.touch(mode=0o600)
        token.write_text(plane.token("played-kubelet"))
        settings = Settings(
            scenario=scenario,
            server=plane.server,
            ca=str(plane.ca),
            token_file=str(token),
            certificate=str(pair.certificate),
            key=str(pair.key),
            network=network,
            device=device,
            troubles=str(plane.folder / TROUBLES),
            metrics_port=port,
        )
        path = plane.folder / "player.json"
        path.write_text(json.dumps(asdict(settings)))
        children = Children(plane.folder / "logs")
        stack.callback(children.stop)
        player = children.start("player", [sys.executable, "-m", "tests.control_plane.player", path])
        wait_until("the played nodes", lambda: SERVED in player.log.read_text(), within=60, check=children.check)
        count = len(load(scenario).nodes)
        wait_until(f"{count} nodes ready", lambda: _schedulable(plane) == count, within=60, check=children.check)
        yield


def ail(plane: ControlPlane, node: str, trouble: Json) -> None:
    """Make a played node ill, as `troubled` says; every player of this control plane reads it."""
    path = plane.folder / TROUBLES
    now = json.loads(path.read_text()) if path.exists() else {}
    # Replaced whole: the player may be reading.
    made = path.with_suffix(".new")
    made.write_text(json.dumps({**now, node: trouble}))
    made.replace(path)


def measure(plane: ControlPlane) -> None:
    """Let the API server serve the played nodes' figures as `metrics.k8s.io`."""
    plane.apply(metrics.registered(int((plane.folder / METRICS_PORT).read_text())))
    wait_until("metrics are served", lambda: _measures(plane), within=60)


def _measures(plane: ControlPlane) -> bool:
    with plane.http() as client:
        return client.get(f"/apis/{metrics.VERSION}/pods").is_success


def _schedulable(plane: ControlPlane) -> int:
    """How many nodes are Ready and have lost the taint that every new node has until then."""
    nodes = plane.get("/api/v1/nodes")["items"]
    ready = [node for node in nodes if "node.kubernetes.io/not-ready" not in str(node["spec"].get("taints"))]
    return sum(_is_ready(node) for node in ready)


def _is_ready(node: Json) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))


def _can_make_devices() -> bool:
    return os.geteuid() == 0 and shutil.which("ip") is not None


@contextmanager
def _pod_network() -> Iterator[tuple[str, str]]:
    """The first two numbers of the pods' addresses, and the device that they are on."""
    with slots.hold("pods") as number:
        device = f"skyflo-p{number}"
        if Path("/sys/class/net", device).exists():  # its last holder was killed
            _ip("link", "del", device)
        _ip("link", "add", device, "type", "bridge")  # a dummy device would do, where the kernel has it
        try:
            _ip("link", "set", device, "up")
            yield f"10.{200 + number}", device
        finally:
            _ip("link", "del", device)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise slots.MachineError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
