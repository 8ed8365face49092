"""The whole service on a real socket, over a practice cluster in this process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.foreign.config import Server
from skyflo_runbooks.gateway.gateway import new_link, open_store
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.service.app import build
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.server import Announcing, bind, open_desk
from skyflo_runbooks.service.settings import Settings
from tests.gateway.operator import Key

FLAGSHIP = (
    "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."
)


class Served:
    """A running service over some cluster, with one logged-in operator and a kernel's token."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.url = desk.origin
        self.key = Key()
        self.kernel = identity.issue(desk.gateway.store, "kernel", "notebook", identity.PROCESS_LIFE)
        self.session = ""

    def client(self, token: str = "") -> httpx.AsyncClient:
        """Return a client with a bearer token, or with none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=90)

    def link(self) -> str:
        """Return the token of a fresh one-time link."""
        return new_link(self.desk.gateway.store, self.url).rpartition("/")[2]

    async def login(self, name: str = "on-call") -> str:
        """Pair the operator's key as a terminal does and return the session token."""
        async with self.client() as client:
            answer = await client.post("/api/v1/pair", json={"token": self.link(), "name": name, "key": self.key.jwk})
        answer.raise_for_status()
        self.session = answer.json()["session"]
        return self.session

    async def decide(self, id_: str, kind: str = "approve", reason: str = "") -> httpx.Response:
        """Decide as a terminal does."""
        async with self.client(self.session or await self.login()) as client:
            path = f"/api/v1/proposals/{id_}"
            asked = (await client.get(f"{path}/nonce", params={"decision": kind, "reason": reason})).json()
            ballot = {
                "decision": kind,
                "reason": reason,
                "digest": asked["digest"],
                "nonce": asked["nonce"],
                "signature": self.key.sign(asked["message"].encode()),
            }
            return await client.post(f"{path}/decision", json=ballot)

    async def new(self) -> Json:
        """Diagnose the flagship."""
        async with self.client(self.kernel) as client:
            answer = await client.post("/api/v1/incidents", json={"text": FLAGSHIP, "namespaces": ["checkout"]})
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    async def propose(self, **more: Any) -> Json:
        """Propose the flagship's change as a kernel does."""
        body = {
            "tool": "k8s_set_resources",
            "arguments": {
                "kind": "Deployment",
                "namespace": "checkout",
                "name": "payment-service",
                "container": "payment-service",
                "limits": {"memory": "512Mi"},
            },
            "step": "raise_memory",
            **more,
        }
        async with self.client(self.kernel) as client:
            answer = await client.post("/api/v1/proposals", json=body)
        answer.raise_for_status()
        view: Json = answer.json()
        return view


class Service(Served):
    """A running service over the practice cluster."""

    def __init__(self, desk: Desk, practice: PracticeCluster) -> None:
        super().__init__(desk)
        self.practice = practice


@asynccontextmanager
async def running(
    home: Path,
    scenario: str = "oomkilled-payment",
    *,
    practice: PracticeCluster | None = None,
    speed: float = 20.0,
    policy: PolicyFile | None = None,
    servers: tuple[Server, ...] = (),
    fence: tuple[str, ...] = (),
) -> AsyncIterator[Service]:
    """Run the service while the block lasts. A practice cluster that is given outlives it.

    `servers` are the operator's own MCP servers, and `fence` is put before their commands.
    """
    own = practice or PracticeCluster(scenario, speed=speed, leap=speed / 10)
    cluster = Cluster(httpx.AsyncClient(transport=httpx.ASGITransport(own.app), base_url="http://practice"))
    clock = own.running() if practice is None else _nothing()
    async with clock, serving(home, cluster, policy, servers=servers, fence=fence) as desk:
        yield Service(desk, own)


@asynccontextmanager
async def serving(
    home: Path,
    cluster: Cluster,
    policy: PolicyFile | None = None,
    *,
    servers: tuple[Server, ...] = (),
    fence: tuple[str, ...] = (),
) -> AsyncIterator[Desk]:
    """Run the service over any cluster while the block lasts; see `running`."""
    sockets = bind("localhost", 0)
    settings = Settings(
        home=home,
        data_dir=home / "data",
        practice=True,
        jupyter_origin="http://localhost:8888",
        policy=policy or PolicyFile(),
        mcp_servers=servers,
        mcp_fence=fence,
    )
    desk = open_desk(settings, open_store(settings.data_dir), sockets[0].getsockname()[1], cluster=cluster)
    desk.gateway.verifier.tick = 0.05
    listening = asyncio.Event()
    server = Announcing(uvicorn.Config(build(desk), log_level="error", timeout_graceful_shutdown=1), listening.set)
    task = asyncio.create_task(server.serve(sockets=sockets))
    try:
        await _started(listening, task)
        yield desk
    finally:
        server.should_exit = True
        await task
        _close(sockets)


async def _started(listening: asyncio.Event, task: "asyncio.Task[None]") -> None:
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait({waiting, task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()


def _close(sockets: list[socket.socket]) -> None:
    for one in sockets:
        one.close()


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
