"""Starts gateways quickly: everything is imported once, and each gateway is a fork that serves until it is killed.

Each line of standard input asks for one; the answer is `{"pid": …}`, and then what the gateway announces. The former
one is waited for first, so that its port and its lock are free.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

import httpx
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.gateway import open_store
from skyflo_runbooks.service import server
from skyflo_runbooks.service.app import build
from skyflo_runbooks.service.settings import Settings
from tests.gateway.world import QUICK


def gateway(asked: dict[str, str]) -> None:
    """Serve as `skyflo-runbooks serve` does, with a short life of proposals."""
    settings = Settings(
        home=Path(asked["home"]),
        data_dir=Path(asked["home"]) / "data",
        port=int(asked["port"]),
        kubeconfig=Path(asked["kubeconfig"]),
        expires=float(asked["expires"]),
    )
    settings.home.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=settings.home / "gateway.log", level=logging.WARNING)
    server.run(
        settings,
        announce=lambda url, login: print(json.dumps({"url": url, "login": login}), flush=True),
        patience=QUICK,
    )


def warm() -> None:
    """Import, by building once, all that a gateway needs; without that each fork takes a second of processor time."""
    import kubernetes.config  # noqa: F401
    import langgraph.checkpoint.sqlite.aio
    import langgraph.graph  # noqa: F401
    import uvicorn.lifespan.on
    import uvicorn.protocols.http.auto  # noqa: F401

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), data_dir=Path(folder) / "data")
        store = open_store(settings.data_dir)
        build(server.open_desk(settings, store, 1, Cluster(httpx.AsyncClient())))
        identity.identify(store, identity.issue(store, "kernel", "warm", identity.PROCESS_LIFE))
        store.close()


def main() -> None:
    """Answer line after line."""
    warm()
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            try:
                gateway(json.loads(line))
            finally:
                sys.stderr.flush()
                os._exit(0)
        print(json.dumps({"pid": child}), flush=True)


if __name__ == "__main__":
    main()
