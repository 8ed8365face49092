"""One real Kubernetes node beside a real control plane: kubelet, containerd and runc on this machine.

Nothing is played: containers are really killed by the kernel at their memory limit, images are really pulled, and the
figures are the kubelet's own. The node runs in its own mount and pid namespace, so that ending one process ends
all of it and leaves the machine as it was.
"""

from __future__ import annotations

import ssl
import string
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.scenario import Scenario
from tests.control_plane import harness, stage
from tests.control_plane.builds import Binaries
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import Children, free_ports, wait_until
from tests.control_plane.stage import Staged
from tests.real_node import images, machine, network

_HERE = Path(__file__).parent
_LONGEST_SOCKET = 107  # bytes of a path that Linux takes for a unix socket


@dataclass(frozen=True)
class RealNode:
    """A control plane with one real node that is Ready."""

    plane: ControlPlane
    name: str
    address: str
    port: int

    @property
    def kubelet(self) -> str:
        """The kubelet's address; its certificate is signed by the cluster's authority."""
        return f"https://{self.address}:{self.port}"


@contextmanager
def running(folder: Path, binaries: Binaries, stock: images.Stock, longest_backoff: str = "10s") -> Iterator[RealNode]:
    """A control plane and a real node in this empty folder, for the length of a `with` block. Needs root.

    Args:
        stock: what the registries have.
        longest_backoff: the longest wait of CrashLoopBackOff; Kubernetes' own is 300s.
    """
    if len(str(folder / "containerd.sock")) > _LONGEST_SOCKET:
        raise ValueError(f"expected a shorter path than {folder}: unix sockets are in it")
    with ExitStack() as stack:
        plane = stack.enter_context(harness.running(folder, binaries))
        held = stack.enter_context(machine.slot())
        content = images.shelve(binaries["service"], stock)
        open_, closed = (stack.enter_context(images.registry(content, tls)) for tls in (None, _unknown(plane)))
        for host in content.hosts:
            registry = closed if host in stock.untrusted else open_
            _fill("hosts.toml", folder / "registries" / host / "hosts.toml", {"host": host, "registry": registry})
        port, health_port, stream_port = free_ports(3)
        pair = plane.authority.serving("kubelet", [held.address, harness.NODE])
        _write_files(folder, {
            "folder": folder, "network": held.network, "bridge": held.bridge, "cgroup": held.cgroup,
            "port": port, "health_port": health_port, "stream_port": stream_port,
            "pause": f"docker.io/library/{images.PAUSE}", "longest_backoff": longest_backoff,
            "ca": plane.ca, "certificate": pair.certificate, "key": pair.key,
        })  # fmt: skip
        stack.enter_context(network.answering(plane, held.address))
        children = Children(folder / "logs")
        stack.callback(children.stop)
        _start(children, folder, binaries, plane, held)
        wait_until("the real node Ready", lambda: _is_ready(plane), within=60, check=children.check)
        yield RealNode(plane, harness.NODE, held.address, port)


@contextmanager
def staged(folder: Path, binaries: Binaries, scenario: Scenario) -> Iterator[Staged]:
    """A real node in this empty folder with a scenario staged on it, for the length of a `with` block. Needs root."""
    with running(folder, binaries, images.Stock(scenario.images)) as node:
        stage.play(node.plane, scenario)
        stage.wait_shown(node.plane, scenario)
        yield Staged(node.plane, scenario)


def _unknown(plane: ControlPlane) -> ssl.SSLContext:
    """A certificate that the node does not trust: the cluster's authority vouches for it, and no public one."""
    pair = plane.authority.serving("registry", ["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def _start(children: Children, folder: Path, binaries: Binaries, plane: ControlPlane, held: machine.Slot) -> None:
    children.start("node", [
        binaries["unshare"], "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        _HERE / "init.sh", folder, binaries["containerd"], binaries["kubelet"],
        f"--config={folder / 'kubelet.yaml'}", f"--kubeconfig={plane.kubeconfig('node')}",
        f"--hostname-override={harness.NODE}", f"--node-ip={held.address}",
        f"--root-dir={folder / 'kubelet'}", f"--cert-dir={folder / 'kubelet-certificates'}",
        # Without it the kubelet's own metrics look for containers at containerd's default socket, and find none.
        f"--containerd={folder / 'containerd.sock'}",
    ])  # fmt: skip


def _write_files(folder: Path, values: Mapping[str, object]) -> None:
    _fill("containerd.toml", folder / "containerd.toml", values)
    _fill("kubelet.yaml", folder / "kubelet.yaml", values)
    _fill("cni.json", folder / "cni" / "10-pods.conflist", values)


def _fill(template: str, place: Path, values: Mapping[str, object]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(string.Template((_HERE / "templates" / template).read_text()).substitute(values))


def _is_ready(plane: ControlPlane) -> bool:
    nodes: list[Json] = plane.get("/api/v1/nodes")["items"]
    conditions = [each for node in nodes for each in at(node, "status", "conditions", default=[])]
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
