"""`python -m skyflo_mcp.kubernetes`: the Kubernetes reads as an MCP server of their own, over stdio or HTTP.

It offers what only reads, and has no way to anything else. Over HTTP it listens on loopback alone, asks for the bearer
token in SKYFLO_MCP_TOKEN, and answers only calls that name its own host: a server without a token on localhost is open
to every program and every web page on the machine.
"""

import argparse
import hmac
import os
import sys
from collections.abc import Sequence
from typing import Any

from skyflo_mcp.kubernetes import Cluster, server
from skyflo_runbooks.model.errors import BadInput, SkyfloError

TOKEN = "SKYFLO_MCP_TOKEN"  # noqa: S105  (the variable's name)
_SHORTEST = 16


class Bearer:
    """ASGI middleware: no call without the token."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the call through, or answer 401."""
        if scope["type"] == "http":
            said = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(said, self._expected):
                await send(
                    {"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]}
                )
                await send({"type": "http.response.body", "body": b"a bearer token was expected"})
                return
        await self._app(scope, receive, send)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until the client goes away or the process is ended; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        token = _token() if asked.http is not None else ""
        served = server(Cluster.from_kubeconfig(asked.kubeconfig, asked.context))
    except SkyfloError as error:
        print(error, file=sys.stderr)
        return int(error.exit_code)
    if asked.http is None:
        served.run("stdio", show_banner=False)
        return 0
    import uvicorn
    from starlette.middleware import Middleware

    app = served.http_app(
        path="/mcp", stateless_http=True, middleware=[Middleware(Bearer, token=token)], host_origin_protection=True
    )
    uvicorn.run(app, host="127.0.0.1", port=asked.http, log_level="warning")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m skyflo_mcp.kubernetes", description=__doc__)
    parser.add_argument("--kubeconfig", help="the kubeconfig; give it a credential that only reads")
    parser.add_argument("--context", help="its context")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve HTTP on 127.0.0.1 instead of stdio")
    return parser


def _token() -> str:
    token = os.environ.get(TOKEN, "")
    if len(token) < _SHORTEST:
        raise BadInput(
            f"Over HTTP a token of at least {_SHORTEST} characters is expected in {TOKEN}.",
            next_step="Make one: python -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    return token


if __name__ == "__main__":
    sys.exit(main())
