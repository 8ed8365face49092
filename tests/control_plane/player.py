"""The process that plays a scenario's nodes on a real control plane, until it is ended.

`python -m tests.control_plane.player SETTINGS.json`, where the settings are `Settings` below. It says one line when its
nodes are served, so that whoever started it can wait for that.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from skyflo_runbooks.practice import scenario
from skyflo_runbooks.practice.remote import Endpoint
from tests.control_plane.gets import serve
from tests.control_plane.metrics import Metrics
from tests.control_plane.served import Doors, NodeApi
from tests.control_plane.troubled import TroubledPlayer

SERVED = "nodes are served"
_ADDRESS = "127.0.0.1"  # the played kubelets' InternalIP: one port for each


@dataclass(frozen=True)
class Settings:
    """What the player needs to know; everything but the scenario is a file, an address or a name on this machine.

    `troubles` says which nodes are ill (`troubled`), and `metrics_port` is where it serves figures.
    """

    scenario: str
    server: str
    ca: str
    token_file: str
    certificate: str
    key: str
    network: str
    device: str
    troubles: str
    metrics_port: int


async def play(settings: Settings, token: str) -> None:
    """Play until cancelled."""
    wanted = scenario.load(settings.scenario)
    bearer = {"Authorization": f"Bearer {token}"}
    trusted = ssl.create_default_context(cafile=settings.ca)
    async with httpx.AsyncClient(base_url=settings.server, verify=trusted, headers=bearer, timeout=30) as api:
        endpoints: dict[str, Endpoint] = {}
        player = TroubledPlayer(api, wanted, endpoints, settings.network, Path(settings.troubles))
        for node in wanted.nodes:
            server = await serve(NodeApi(player.kubelet, node.name, api).answer, _ADDRESS, 0, _tls(settings))
            endpoints[node.name] = Endpoint(_ADDRESS, server.sockets[0].getsockname()[1])
        await serve(Metrics(player.kubelet).answer, _ADDRESS, settings.metrics_port, _tls(settings))
        if settings.device:
            player.after_step = Doors(player.kubelet, settings.device).update
        print(SERVED, flush=True)
        await player.run()


def _tls(settings: Settings) -> ssl.SSLContext:
    """The kubelets' certificate; a client may show one of the cluster's authority, as the API server does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=settings.ca)
    context.load_cert_chain(settings.certificate, settings.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


if __name__ == "__main__":
    given = Settings(**json.loads(Path(sys.argv[1]).read_text()))
    asyncio.run(play(given, Path(given.token_file).read_text()))
