"""Starts the service: binds, writes `gateway.json`, serves until it is told to stop.

Rules:
  1. On localhost it listens on 127.0.0.1 and on ::1 at the same port, or not at all: with one of them free, another
     process could own the origin there. Where the machine has no ::1, 127.0.0.1 alone is bound.
  2. `home/run/gateway.json` (mode 0600) holds the address and a kernel token, nothing stronger; it goes with the
     process.
"""

import asyncio
import errno
import hashlib
import json
import logging
import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import uvicorn
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.foreign.catalogue import Foreign
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway, new_link, open_store
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import PATIENCE, Patience
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.service import discreet
from skyflo_runbooks.service.app import build
from skyflo_runbooks.service.auth import Doorkeeper
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.settings import Settings

Announce = Callable[[str, str], None]
_LOCAL = {"localhost", "127.0.0.1", "::1"}


def run(settings: Settings, *, announce: Announce, patience: Patience = PATIENCE) -> None:
    """Serve until interrupted; `announce(url, login_link)` is called once it listens."""
    asyncio.run(serve(settings, announce=announce, patience=patience))


async def serve(settings: Settings, *, announce: Announce, patience: Patience = PATIENCE) -> None:
    """See `run`."""
    asyncio.get_running_loop().set_exception_handler(discreet.of_task)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(discreet.Formatter())
    sockets = bind(settings.host, settings.port)
    try:
        port = sockets[0].getsockname()[1]
        store = open_store(settings.data_dir, witness_file(settings.home, settings.data_dir))
        try:
            desk = open_desk(settings, store, port, patience=patience)
        except BaseException:
            store.close()
            raise
        config = uvicorn.Config(
            build(desk),
            log_config=None,  # what it logs is written by the handler of last resort, without an error's message
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=3,
        )
        server = Announcing(config, lambda: _listening(settings, desk, announce))
        try:
            await server.serve(sockets=sockets)
        finally:
            address_file(settings.home).unlink(missing_ok=True)
    finally:
        for one in sockets:
            one.close()


class Announcing(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; afterwards the address is announced."""
        await super().startup(sockets)
        if self.started:
            self._listening()


def open_desk(
    settings: Settings, store: Store, port: int, cluster: Cluster | None = None, *, patience: Patience = PATIENCE
) -> Desk:
    """Put the gateway together for `settings`, listening on `port`."""
    writer = cluster or _cluster(settings.kubeconfig, settings.context)
    reader = writer if settings.read_kubeconfig is None else _cluster(settings.read_kubeconfig, "")
    redactor = Redactor()
    gate = Gate(reader, redactor, Foreign(settings.mcp_servers, os.environ, fence=settings.mcp_fence))
    gate.foreign.recorded_by(store.record)
    name = "localhost" if settings.host in _LOCAL else settings.host
    origin = f"http://{name}:{port}"
    gateway = Gateway(
        cluster=writer,
        store=store,
        render=gate.render,
        redactor=redactor,
        life=timedelta(seconds=settings.expires),
        rules=compose(settings.policy),
        origin=origin,
        patience=patience,
    )
    gate.events = gateway.events
    own = (
        {origin} if settings.host not in _LOCAL else {f"http://{h}:{port}" for h in ("localhost", "127.0.0.1", "[::1]")}
    )
    door = Doorkeeper(store, frozenset(own))
    return Desk(settings=settings, gateway=gateway, gate=gate, reader=reader, door=door, origin=origin)


def bind(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets, by rule 1."""
    if host not in _LOCAL:
        return [_listen(socket.AF_INET, host, port)]
    first = _listen(socket.AF_INET, "127.0.0.1", port)
    try:
        second = _listen(socket.AF_INET6, "::1", first.getsockname()[1])
    except BadInput:
        first.close()
        raise
    except OSError:
        # This machine has no ::1, so nobody can own the origin there either.
        return [first]
    return [first, second]


def address_file(home: Path) -> Path:
    """Return where the gateway says how to reach it."""
    return home / "run" / "gateway.json"


def witness_file(home: Path, data_dir: Path) -> Path:
    """Return where the witness of a data directory lies: in the home, outside that directory."""
    return home / "witness" / hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:16]


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for the client's
    # delayed acknowledgement.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            taken = "is in use" if error.errno == errno.EADDRINUSE else "may not be used"
            raise BadInput(
                f"Port {port} on {host} {taken}.", next_step="Give another --port, or 0 for a free one."
            ) from None
        raise
    return made


def _listening(settings: Settings, desk: Desk, announce: Announce) -> None:
    store = desk.gateway.store
    token = identity.issue(store, "kernel", "notebook", identity.PROCESS_LIFE)
    path = address_file(settings.home)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = path.with_suffix(f".{os.getpid()}")
    written.touch(mode=0o600)
    written.write_text(json.dumps({"url": desk.origin, "token": token, "pid": os.getpid()}))
    written.replace(path)
    announce(desk.origin, new_link(store, desk.origin))


def _cluster(kubeconfig: Path | None, context: str) -> Cluster:
    return Cluster.from_kubeconfig(str(kubeconfig) if kubeconfig else None, context or None)
