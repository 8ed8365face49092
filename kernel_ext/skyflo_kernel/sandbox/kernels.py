"""Kernels at the ports that the sandbox leaves them: what Jupyter starts a kernel with, inside the wall.

Jupyter takes any free port for a kernel, and the wall closes all but a block. `Provisioner` is Jupyter's own, with the
ports taken from that block. It is named to every Jupyter program inside by `JUPYTER_DEFAULT_PROVISIONER_NAME` (an entry
point of this package), so a notebook that is executed from a terminal in there finds its ports, too.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from jupyter_client.connect import LocalPortCache
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from tornado.web import HTTPError

from skyflo_kernel.sandbox.ports import VARIABLE, block


class BlockPorts(LocalPortCache):
    """Gives out the ports of a block; `instance()` of the class above it returns this one once it was made."""

    ports: Sequence[int] = ()

    def find_available_port(self, ip: str) -> int:
        """Return a port of the block that is free at this address; an error in words where there is none."""
        for port in self.ports:
            if port not in self.currently_used_ports and _free(ip, port):
                self.currently_used_ports.add(port)
                return port
        said = "All ports that Jupyter's sandbox leaves to kernels are taken: shut a kernel down, then start this one."
        raise HTTPError(503, said, reason="No port is left for a kernel")


class Provisioner(LocalProvisioner):
    """Starts a kernel as Jupyter does, at ports of the block."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose the kernel's ports before it is launched."""
        cache = BlockPorts.instance()
        cache.ports = block(os.environ[VARIABLE]).ports
        taken = set(cache.currently_used_ports)
        try:
            return await super().pre_launch(**kwargs)
        except HTTPError:
            # Some were left, and not enough: they stay for a kernel that comes after one was shut down.
            cache.currently_used_ports &= taken
            raise


def _free(ip: str, port: int) -> bool:
    with socket.socket() as probe:
        # As the kernel's own sockets have it: what lingers of an ended kernel's connections is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError:
            return False
    return True
