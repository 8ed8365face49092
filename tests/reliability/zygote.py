"""Starts gateways quickly: everything is imported once, and each gateway is a fork that serves until it is killed.

Each line of standard input asks for one; the answer is `{"pid": …}`, and then what the gateway announces. The former
one is waited for first, so that its port and its lock are free.
"""

import json
import logging
import os
import sys
from pathlib import Path

from skyflo_runbooks.service import server
from skyflo_runbooks.service.settings import Settings


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
    server.run(settings, announce=lambda url, login: print(json.dumps({"url": url, "login": login}), flush=True))


def main() -> None:
    """Answer line after line."""
    import fastmcp  # noqa: F401  # slow to import
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: F401

    import skyflo_runbooks.gateway.gateway
    import skyflo_runbooks.planning.graph  # noqa: F401

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
