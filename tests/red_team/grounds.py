"""Where an attack takes place: on the practice cluster, or on a real control plane.

Rules:
  1. Either is one ASGI application, its API server; so whatever stands before it is the same on both.
  2. On the real control plane the application is a relay: what the API server answers reaches the gateway byte for
     byte, under an administrator's credential, the strongest one that a mistaken gate could misuse.
  3. Every test finds the flagship's objects as new ones. Nodes there are none: pods wait, and no attack looks at them.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.scenario import load
from skyflo_runbooks.service.server import Announcing
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until

SCENARIO = "oomkilled-payment"
DEPLOYMENTS = "/apis/apps/v1/namespaces/checkout/deployments"
MAPS = "/api/v1/namespaces/checkout/configmaps"
_PER_HOP = {b"host", b"connection", b"content-length", b"transfer-encoding", b"authorization"}


class Relay:
    """An ASGI application that passes every call on to a real API server, and the answer back as it comes."""

    def __init__(self, server: httpx.AsyncClient) -> None:
        self._server = server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one call on."""
        if scope["type"] != "http":
            return
        path, query = scope["raw_path"], scope["query_string"]
        asked = self._server.build_request(
            scope["method"],
            self._server.base_url.copy_with(raw_path=path + b"?" + query if query else path),
            headers=_carried(scope["headers"]),
            content=await body_of(receive),
        )
        answer = await self._server.send(asked, stream=True)
        try:
            headers = _carried(answer.headers.raw)
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await answer.aclose()


def _carried(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _PER_HOP]


async def body_of(receive: Any) -> bytes:
    """Return the whole body of a call."""
    body, more = b"", True
    while more:
        message: MutableMapping[str, Any] = await receive()
        body, more = body + message.get("body", b""), bool(message.get("more_body", False))
    return body


@asynccontextmanager
async def practice(speed: float = 20.0) -> AsyncIterator[Any]:
    """A practice cluster with the flagship, whose clock runs."""
    cluster = PracticeCluster(SCENARIO, speed=speed, leap=speed / 10)
    async with cluster.running():
        yield cluster.app


@asynccontextmanager
async def real(plane: ControlPlane) -> AsyncIterator[Any]:
    """The real control plane, with the flagship's objects made anew."""
    _made_anew(plane)
    headers = {"Authorization": f"Bearer {plane.token('admin')}"}
    async with httpx.AsyncClient(base_url=plane.server, verify=plane.tls, headers=headers, timeout=30) as server:
        yield Relay(server)


def _made_anew(plane: ControlPlane) -> None:
    with plane.http() as client:
        for name in ("payment-service", "storefront"):
            client.delete(f"{DEPLOYMENTS}/{name}")
        for left in client.get(MAPS).json()["items"]:
            _let_go(client, left)
    plane.apply(_objects())
    # Whoever made it has finished: what an attack sees move is moved by the attack.
    wait_until("the Deployments' first status", lambda: all(map(_known, plane.get(DEPLOYMENTS)["items"])), within=30)


def _let_go(client: httpx.Client, left: Json) -> None:
    path = f"{MAPS}/{left['metadata']['name']}"
    if at(left, "metadata", "finalizers"):
        merge = {"Content-Type": "application/merge-patch+json"}
        client.patch(path, json={"metadata": {"finalizers": None}}, headers=merge)
    if left["metadata"]["name"] != "kube-root-ca.crt":
        client.delete(path)


def _objects() -> Iterator[Json]:
    """Return the flagship's objects as they are at last, without the quota, which pods in collection would fill."""
    first, last = load(SCENARIO).history
    images = {one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]["image"] for one in last.apply}
    for made in copy.deepcopy(first.apply):
        if made["metadata"]["name"] in images and made["kind"] == "Deployment":
            made["spec"]["template"]["spec"]["containers"][0]["image"] = images[made["metadata"]["name"]]
        if made["kind"] != "ResourceQuota":
            yield made


def _known(deployment: Json) -> bool:
    status = deployment.get("status", {})
    seen = (status.get("observedGeneration"), status.get("replicas"))
    return seen == (at(deployment, "metadata", "generation"), at(deployment, "spec", "replicas"))


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """Serve an application on a real socket, and give its address."""
    ready = asyncio.Event()
    config = uvicorn.Config(app, port=0, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = Announcing(config, ready.set)
    task = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(ready.wait(), 20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        # What an attack held open is not closed by a server that ends.
        for connection in list(server.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)
