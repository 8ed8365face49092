"""A small gateway on a real socket: the four questions that a Jupyter server asks, with answers a test sets."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from skyflo_runbooks.model.json import Json

TOKEN = "kernel-token-of-the-test"


class Gateway:
    """What it will answer, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.cluster: Json = {"uid": "uid-1", "context": "practice"}
        self.views: dict[str, Json] = {}
        self.leases: set[str] = set()
        self.tokens: set[str] = set()
        self.asked: list[str] = []

    def app(self) -> Starlette:
        """The routes."""
        return Starlette(
            routes=[
                Route("/api/v1/status", self._status),
                Route("/api/v1/leases", self._lease, methods=["POST"]),
                Route("/api/v1/proposals/{id}", self._proposal),
            ]
        )

    def _note(self, request: Request) -> None:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        self.tokens.add(request.headers.get("authorization", ""))

    async def _status(self, request: Request) -> Response:
        self._note(request)
        return JSONResponse({"cluster": self.cluster, "version": "0"})

    async def _lease(self, request: Request) -> Response:
        self._note(request)
        key = (await request.json())["key"]
        granted = key not in self.leases
        self.leases.add(key)
        return JSONResponse({"granted": granted})

    async def _proposal(self, request: Request) -> Response:
        self._note(request)
        view = self.views.get(request.path_params["id"])
        if view is None:
            fault = {"code": 13, "kind": "Refused", "message": "There is no such proposal.", "next_step": "Look again."}
            return JSONResponse({"error": fault}, 404)
        return JSONResponse(view)


@contextmanager
def served(gateway: Gateway) -> Iterator[Gateway]:
    """Serve it from a thread, on localhost."""
    listening = socket.create_server(("127.0.0.1", 0))
    gateway.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(gateway.app(), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])), name="gateway")
    thread.start()
    try:
        yield gateway
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
