"""A gateway over a practice cluster, both in this process: what most tests of the gate begin with."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.streams import Streams

from skyflo_runbooks.gateway import decisions, identity
from skyflo_runbooks.gateway.decisions import Ballot, Kind
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway, open_store
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.policy.conditions import name_to_type
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.proposer import Render, Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Origin, Verification
from skyflo_runbooks.model.request import Rendered
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import NAMESPACE
from tests.gateway.operator import Key

KERNEL = Identity("kernel", "notebook")
OPERATOR = Identity("operator", "on-call", "admin")
RAISE: Json = {
    "kind": "Deployment",
    "namespace": "checkout",
    "name": "payment-service",
    "container": "payment-service",
    "limits": {"memory": "512Mi"},
}


# Nothing is on its way for longer here than a test lets it be.
QUICK = Patience(settle=0.5, arrival=0.5)
Front = Callable[[httpx.Request], httpx.Response | None]
Rendering = Callable[[Cluster, Json], Awaitable[Rendered]]


class Gated:
    """A gateway over some cluster, and one paired operator."""

    def __init__(self, gateway: Gateway, gate: Gate) -> None:
        self.gateway = gateway
        self.gate = gate
        self.key = Key()
        link = identity.issue(gateway.store, "link", identity.GATEWAY, identity.LINK_LIFE)
        identity.pair(gateway.store, link=link, name=OPERATOR.name, key=identity.read_key(self.key.jwk))

    async def propose(
        self, tool: str = "k8s_set_resources", arguments: Json = RAISE, *, step: str = "raise_memory", **more: object
    ) -> Row:
        """Propose a change as a kernel does."""
        checks = more.get("checks")
        verification = None
        if isinstance(checks, tuple):
            verification = Verification(step="recovered", checks=checks, within="5m", after=(step,))
        origin = Origin(requester=str(KERNEL), runbook=str(more.get("runbook", "rb-test")), step=step, run="run-1")
        return await self.gateway.propose(Wish(tool, arguments, origin, "because", verification))

    def ballot(self, row: Row, kind: Kind = "approve", reason: str = "", **forged: str) -> Ballot:
        """Return a rightly signed decision of the one operator; `forged` exchanges members after signing.

        Where something is deleted its name is typed.
        """
        return signed(self.gateway, row, OPERATOR, self.key, kind, reason, **forged)

    async def approve(self, row: Row) -> Row:
        """Approve and wait until it is applied or refused."""
        await self.gateway.decide(row.proposal.id, self.ballot(row), OPERATOR)
        return await self.gateway.settled(row.proposal.id, 10)

    async def limit(self) -> str:
        """Return the memory limit in the cluster."""
        spec = (await self._flagship())["spec"]["template"]["spec"]
        return str(at(spec, "containers", 0, "resources", "limits", "memory"))

    async def replicas(self) -> int:
        """Return how many replicas the Deployment wants."""
        return int(at(await self._flagship(), "spec", "replicas"))

    async def _flagship(self) -> Json:
        return await self.gateway.cluster.get(ObjectRef("Deployment", "payment-service", "checkout"))

    def record(self, row: Row) -> None:
        """Record an approval as a gateway leaves it that dies right then: nothing is dispatched."""
        gateway = self.gateway
        decisions.decide(
            gateway.store,
            policy=gateway.policy,
            proposal=row.proposal.id,
            ballot=self.ballot(row),
            who=OPERATOR,
            site=gateway.approvals.site,
            access={},
        )


class World(Gated):
    """A gateway over the practice cluster."""

    def __init__(self, gateway: Gateway, practice: PracticeCluster, gate: Gate) -> None:
        super().__init__(gateway, gate)
        self.practice = practice

    def writes(self) -> int:
        """Return how many writes by attempts the Deployment shows."""
        from skyflo_runbooks.practice.kinds import DEPLOYMENT

        found = self.practice.store.find(DEPLOYMENT, "checkout", "payment-service") or {}
        managers = [entry["manager"] for entry in found["metadata"]["managedFields"]]
        return sum(name.startswith("skyflo-at-") for name in managers)


@asynccontextmanager
async def gated(cluster: Cluster, tmp: Path) -> AsyncIterator[Gated]:
    """Open a gateway over any cluster."""
    redactor = Redactor()
    gate, store = Gate(cluster, redactor), open_store(tmp / "data")
    gateway = Gateway(
        cluster=cluster,
        store=store,
        render=gate.render,
        redactor=redactor,
        life=timedelta(minutes=30),
        tick=0.05,
        rules=compose(PolicyFile()),
        origin="http://localhost:7717",
        patience=QUICK,
    )
    gate.events = gateway.events
    async with gateway:
        yield Gated(gateway, gate)


class Fronted(httpx.AsyncBaseTransport):
    """A transport in which `front` may answer first."""

    def __init__(self, front: Front | None, behind: httpx.AsyncBaseTransport) -> None:
        self._front = front
        self._behind = behind

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        answer = self._front(request) if self._front else None
        return answer or await self._behind.handle_async_request(request)


def signed(
    gateway: Gateway, row: Row, who: Identity, key: Key, kind: Kind = "approve", reason: str = "", **forged: str
) -> Ballot:
    """Return a decision that an operator signs with this key; `forged` exchanges members after signing."""
    proposal = row.proposal
    nonce = identity.new_nonce(gateway.store, proposal=proposal.id, operator=who.name)
    typed = name_to_type(proposal) if kind == "approve" else ""
    said = {"digest": proposal.digest, "nonce": nonce, "reason": reason, "typed": typed}
    message = decisions.message(proposal=proposal.id, decision=kind, **said)
    return msgspec.convert({"decision": kind, **said, "signature": key.sign(message), **forged}, Ballot)


@asynccontextmanager
async def world(
    tmp: Path,
    scenario: str = "oomkilled-payment",
    *,
    speed: float = 20.0,
    life: float = 1800.0,
    tools: dict[str, Rendering] | None = None,
    streams: Streams | None = None,
    patience: Patience = QUICK,
    front: Front | None = None,
    policy: PolicyFile | None = None,
    cluster_uid: str = "",
) -> AsyncIterator[World]:
    """Open a gateway over a practice cluster whose clock runs `speed` times as fast, under a configured policy.

    `tools` are change tools besides the catalogue's, by name: what they render goes through the same gate. `streams`
    is the way into pods, and `front` answers requests instead of the practice cluster, where it does. With
    `cluster_uid` it is a cluster that was there before.
    """
    practice = PracticeCluster(scenario, speed=speed, leap=speed / 10)
    if cluster_uid:
        practice.store.get(NAMESPACE, "", "kube-system")["metadata"]["uid"] = cluster_uid
    async with practice.running():
        behind = httpx.ASGITransport(practice.app)
        client = httpx.AsyncClient(transport=Fronted(front, behind), base_url="http://practice")
        cluster, redactor = Cluster(client, streams=streams), Redactor()
        gate = Gate(cluster, redactor)
        store = open_store(tmp / "data")
        try:
            gateway = Gateway(
                cluster=cluster,
                store=store,
                render=rendering(cluster, gate, tools or {}),
                redactor=redactor,
                life=timedelta(seconds=life),
                tick=0.05,
                patience=patience,
                rules=compose(policy or PolicyFile()),
                origin="http://localhost:7717",
            )
        except BadInput:
            store.close()
            raise
        gate.events = gateway.events
        async with gateway:
            yield World(gateway, practice, gate)


def rendering(cluster: Cluster, gate: Gate, tools: dict[str, Rendering]) -> Render:
    """Return what renders a wish: one of `tools`, else the catalogue's."""

    async def render(tool: str, arguments: Json) -> Rendered:
        return await (tools[tool](cluster, arguments) if tool in tools else gate.render(tool, arguments))

    return render


def checks(window: str = "30s") -> tuple[Check, ...]:
    """Return the flagship's checks."""
    from skyflo_runbooks.model import check

    name = ("Deployment", "payment-service")
    return (
        check.rollout_complete(*name, namespace="checkout"),
        check.pods_ready(*name, namespace="checkout"),
        check.no_restarts(*name, namespace="checkout", window=window),
        check.no_oom_kills(*name, namespace="checkout", window=window),
        check.memory_below(*name, namespace="checkout", percent=90, window=window),
        check.http_ok(service="payment-service", namespace="checkout", path="/checkout", window=window),
    )
