"""A gateway whose cluster an attacker stands in front of: what he does before, after and instead of each call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from starlette.responses import JSONResponse

from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import MERGE_PATCH, Request
from skyflo_runbooks.practice import PracticeCluster
from tests.gateway.world import OPERATOR, World

PATH = "/apis/apps/v1/namespaces/checkout/deployments/payment-service"
REF = ObjectRef("Deployment", "payment-service", "checkout", "apps/v1")
Hook = Callable[[], Awaitable[None]]


class Between:
    """An ASGI application between the gateway and the API server.

    `before_write` and `before_dry_run` run before the next such call of a Deployment is passed on; `answers` are given
    instead of the real answer to the next real writes, after these were applied. `admission` says, by the number of the
    call and whether it is a dry run, what a mutating webhook sets `minReadySeconds` to.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.before_write: Hook | None = None
        self.before_dry_run: Hook | None = None
        self.answers: list[int] = []
        self.refusals: list[str] = []
        self.admission: Callable[[int, bool], int] | None = None
        self.writes = 0
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one call on, with whatever is prepared for it."""
        asks = scope["type"] == "http" and scope["path"].endswith("reviews")  # it stores nothing
        if asks or scope["type"] != "http" or scope["method"] not in ("PATCH", "PUT", "POST", "DELETE"):
            await self._app(scope, receive, send)
            return
        dry = b"dryRun" in scope["query_string"]
        hook = self.before_dry_run if dry else self.before_write
        if hook is not None:
            self.before_dry_run, self.before_write = (None, self.before_write) if dry else (self.before_dry_run, None)
            await hook()
        if self.admission is not None:
            self.calls += 1
            receive = await mutated(receive, self.admission(self.calls, dry))
        if dry and self.refusals:
            said = {"kind": "Status", "apiVersion": "v1", "code": 422, "reason": "Invalid", "message": self.refusals[0]}
            await JSONResponse(said, 422)(scope, receive, send)
            return
        if dry or not self.answers:
            self.writes += not dry
            await self._app(scope, receive, send)
            return
        self.writes += 1
        await self._app(scope, receive, _nowhere)
        status = self.answers.pop(0)
        said = {"kind": "Status", "apiVersion": "v1", "code": status, "message": "from a proxy on the way"}
        await JSONResponse(said, status)(scope, receive, send)


async def mutated(receive: Any, seconds: int) -> Any:
    """Return a `receive` whose JSON Patch sets minReadySeconds as well."""
    raw, more = b"", True
    while more:
        message = await receive()
        raw, more = raw + message.get("body", b""), message.get("more_body", False)
    operations = [*msgspec.json.decode(raw), {"op": "add", "path": "/spec/minReadySeconds", "value": seconds}]

    async def again() -> Any:
        return {"type": "http.request", "body": msgspec.json.encode(operations), "more_body": False}

    return again


async def _nowhere(message: Any) -> None:
    """Swallow an answer."""


class Clock(Store):
    """A record on a machine whose clock an attacker moves by `offset`."""

    offset = timedelta()

    @classmethod
    def of(cls, world: World) -> "Clock":
        """Return the clock of a gateway that was opened with one."""
        assert isinstance(world.gateway.store, cls)
        return world.gateway.store

    def now(self) -> datetime:
        """See `Store`."""
        return super().now() + self.offset


@asynccontextmanager
async def besieged(
    tmp: Path,
    *,
    speed: float = 20.0,
    life: float = 1800.0,
    store: type[Store] = Store,
    between: type[Between] = Between,
    timeout: float = 30.0,
) -> AsyncIterator[tuple[World, Between]]:
    """Open a gateway with an attacker between it and the practice cluster."""
    practice = PracticeCluster("oomkilled-payment", speed=speed)
    attacker = between(practice.app)
    async with practice.running():
        client = httpx.AsyncClient(transport=httpx.ASGITransport(attacker), base_url="http://practice")
        cluster = Cluster(client, timeout=timeout)
        redactor = Redactor()
        gate = Gate(cluster, redactor)
        gateway = Gateway(
            cluster=cluster,
            store=store(tmp / "data"),
            render=gate.render,
            redactor=redactor,
            life=timedelta(seconds=life),
            tick=0.05,
        )
        gate.events = gateway.events
        async with gateway:
            yield World(gateway, practice, gate), attacker


async def at_rest(gateway: Gateway, id_: str, seconds: float = 10.0) -> str:
    """Return the state of a proposal once nothing is under way for it; one that only waits is at rest."""
    async with asyncio.timeout(seconds):
        while (state := gateway.store.get(id_).state) in ("approved", "executing"):
            await gateway.events.changed(0.1)
    return state


async def tried(attempt: Coroutine[object, object, object]) -> None:
    """Let an attack go as far as it comes; what it came to is seen in the cluster."""
    with suppress(SkyfloError):
        await attempt


async def voted(world: World, row: Row, ballot: Ballot, who: Identity = OPERATOR) -> str:
    """Hand a ballot in and return the state in which the proposal comes to rest."""
    await tried(world.gateway.decide(row.proposal.id, ballot, who))
    return await at_rest(world.gateway, row.proposal.id)


def somebody(practice: PracticeCluster, patch: Json) -> Hook:
    """Return what writes `patch` to the Deployment by another client, past the attacker."""

    async def write() -> None:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
        async with Cluster(client) as cluster:
            wanted = Request("patch", REF, PATH, patch, MERGE_PATCH)
            await cluster.send(wanted, dry_run=False, field_manager="somebody")

    return write


def everything(world: World, tmp: Path) -> str:
    """Return all that the gateway keeps on disk and would show to a client, as one text."""
    files = [path for path in (tmp / "data").iterdir() if path.is_file()]
    kept = b"\n".join(path.read_bytes() for path in files).decode(errors="replace")
    shown = msgspec.json.encode([world.gateway.view(row) for row in world.gateway.store.find()]).decode()
    told = msgspec.json.encode([entry.body for entry in world.gateway.store.entries()]).decode()
    return "\n".join((kept, shown, told))
