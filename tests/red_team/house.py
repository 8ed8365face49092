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
from skyflo_runbooks.gateway.gateway import Gateway, open_store
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import MERGE_PATCH, Request
from tests.gateway.world import OPERATOR, QUICK, Gated
from tests.red_team.grounds import body_of, listening
from tests.service.running import Served, serving

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
    operations = msgspec.json.decode(await body_of(receive))
    return saying(msgspec.json.encode([*operations, {"op": "add", "path": "/spec/minReadySeconds", "value": seconds}]))


def saying(body: bytes) -> Any:
    """Return a `receive` that gives this body."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _nowhere(message: Any) -> None:
    """Swallow an answer."""


class Clock(Store):
    """A record on a machine whose clock an attacker moves by `offset`."""

    offset = timedelta()

    @classmethod
    def of(cls, world: Gated) -> "Clock":
        """Return the clock of a gateway that was opened with one."""
        assert isinstance(world.gateway.store, cls)
        return world.gateway.store

    def now(self) -> datetime:
        """See `Store`."""
        return super().now() + self.offset


class Besieged(Gated):
    """A gateway over the cluster of a house."""

    async def writes(self) -> int:
        """Return how many writes by attempts the Deployment shows."""
        return attempts(await self._flagship())


def attempts(deployment: Json) -> int:
    """Return how many writes by attempts an object shows."""
    managers = [str(entry["manager"]) for entry in deployment["metadata"]["managedFields"]]
    return sum(name.startswith("skyflo-at-") for name in managers)


class House:
    """A cluster with the flagship's objects, a folder, and the gateways that are opened on them.

    `app` is the cluster's API server as an ASGI application, `tmp` the folder.
    """

    def __init__(self, app: Any, tmp: Path) -> None:
        self.app = app
        self.tmp = tmp

    def client(self, app: Any = None) -> httpx.AsyncClient:
        """Return a client of the API server, or of what stands before it."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(app or self.app), base_url="http://practice")

    def cluster(self) -> Cluster:
        """Return the cluster as somebody sees it past every gateway and attacker."""
        return Cluster(self.client())

    async def deployment(self) -> Json:
        """Return the flagship's Deployment as it is."""
        async with self.cluster() as cluster:
            return await cluster.get(REF)

    @asynccontextmanager
    async def besieged(
        self,
        *,
        life: float = 1800.0,
        store: Callable[[Path], Store] = open_store,
        between: type[Between] = Between,
        timeout: float = 30.0,
        policy: PolicyFile | None = None,
        wired: bool = False,
        patience: Patience = QUICK,
    ) -> AsyncIterator[tuple[Besieged, Between]]:
        """Open a gateway with an attacker between it and the cluster; `wired` means on a real socket."""
        attacker = between(self.app)
        async with listening(attacker) if wired else _in_process() as url:
            client = httpx.AsyncClient(base_url=url) if url else self.client(attacker)
            cluster, redactor = Cluster(client, timeout=timeout), Redactor()
            gate = Gate(cluster, redactor)
            gateway = Gateway(
                cluster=cluster,
                store=store(self.tmp / "data"),
                render=gate.render,
                redactor=redactor,
                life=timedelta(seconds=life),
                tick=0.05,
                rules=compose(policy or PolicyFile()),
                origin="http://localhost:7717",
                patience=patience,
            )
            gate.events = gateway.events
            async with gateway:
                yield Besieged(gateway, gate), attacker

    @asynccontextmanager
    async def world(self, policy: PolicyFile | None = None) -> AsyncIterator[Besieged]:
        """Open a gateway before which nobody stands."""
        async with self.besieged(policy=policy) as (here, _):
            yield here

    @asynccontextmanager
    async def running(self, policy: PolicyFile | None = None) -> AsyncIterator[Served]:
        """Run the whole service."""
        async with serving(self.tmp, self.cluster(), policy) as desk:
            yield Served(desk)

    def somebody(self, patch: Json) -> Hook:
        """Return what writes `patch` to the Deployment by another client, past the attacker."""

        async def write() -> None:
            async with self.cluster() as cluster:
                wanted = Request("patch", REF, PATH, patch, MERGE_PATCH)
                await cluster.send(wanted, dry_run=False, field_manager="somebody")

        return write

    def everything(self, world: Gated) -> str:
        """Return all that the gateway keeps on disk and would show to a client, as one text."""
        files = [path for path in (self.tmp / "data").iterdir() if path.is_file()]
        kept = b"\n".join(path.read_bytes() for path in files).decode(errors="replace")
        shown = msgspec.json.encode([world.gateway.view(row) for row in world.gateway.store.find()]).decode()
        told = msgspec.json.encode([entry.body for entry in world.gateway.store.entries()]).decode()
        return "\n".join((kept, shown, told))


@asynccontextmanager
async def _in_process() -> AsyncIterator[str]:
    yield ""


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


async def voted(world: Gated, row: Row, ballot: Ballot, who: Identity = OPERATOR) -> str:
    """Hand a ballot in and return the state in which the proposal comes to rest."""
    await tried(world.gateway.decide(row.proposal.id, ballot, who))
    return await at_rest(world.gateway, row.proposal.id)
