"""What a real node takes of the machine: one slot of bridge, pod network and cgroup, given back at the end.

Several nodes may run at once, for several people; each holds a slot (`slots`). What a killed holder left is cleaned by
the next one who gets it.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.control_plane import slots
from tests.control_plane.processes import wait_until

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Slot:
    """The names that belong to one node."""

    number: int

    @property
    def bridge(self) -> str:
        """The network device that pods are attached to, and the node's address is on."""
        return f"skyflo-n{self.number}"

    @property
    def network(self) -> str:
        """The first three numbers of the pods' /24 network."""
        return f"10.77.{self.number}"

    @property
    def address(self) -> str:
        """The node's own address."""
        return f"{self.network}.1"

    @property
    def cgroup(self) -> str:
        """The control group that all its pods are in."""
        return f"/skyflo-node-{self.number}"


@contextmanager
def slot() -> Iterator[Slot]:
    """A slot of this machine, with its bridge and cgroups made. Needs root."""
    with slots.hold("node") as number:
        held = Slot(number)
        _clean(held)
        try:
            _prepare(held)
            yield held
        finally:
            _clean(held)


def _prepare(held: Slot) -> None:
    _ip("link", "add", held.bridge, "type", "bridge")
    _ip("addr", "add", f"{held.address}/24", "dev", held.bridge)
    _ip("link", "set", held.bridge, "up")
    for group in _groups(held):
        if (
            group.parent.name != "unified"
        ):  # beside version 1 it has no controllers, and the kubelet needs nothing there
            group.mkdir()
    cpuset = _CGROUPS / "cpuset" / held.cgroup[1:]
    if cpuset.exists():  # version 1: a new cpuset is empty, and nothing can run in it
        for name in ("cpuset.cpus", "cpuset.mems"):
            (cpuset / name).write_text((cpuset.parent / name).read_text())


def _clean(held: Slot) -> None:
    """Remove what a node left; its processes are gone, or going."""
    if Path("/sys/class/net", held.bridge).exists():
        _ip("link", "del", held.bridge)
    for group in _groups(held):
        if group.exists():
            wait_until(f"{group} without processes", partial(_removed, group), within=20)


def _groups(held: Slot) -> list[Path]:
    """The node's control group: one folder in version 2, one for each controller in version 1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        wanted = " ".join(f"+{name}" for name in (_CGROUPS / "cgroup.controllers").read_text().split())
        (_CGROUPS / "cgroup.subtree_control").write_text(wanted)
        return [_CGROUPS / held.cgroup[1:]]
    controllers = (each for each in _CGROUPS.iterdir() if each.is_dir() and not each.is_symlink())
    return [each / held.cgroup[1:] for each in controllers]


def _removed(group: Path) -> bool:
    for folder in sorted((each for each in group.rglob("*") if each.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # still busy: the next look tries again
            folder.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise slots.MachineError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}; run as root with iproute2")
