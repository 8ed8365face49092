"""A gateway process that kills itself, by SIGKILL, at one step between approval and receipt.

Run as `python -m tests.gateway.dying DATA URL STREAMS CHANGE [STEP [PATIENCE]]`: it opens the gateway on the cluster at
URL (and the pods behind STREAMS), proposes CHANGE, approves it with a key of its own, and dies at STEP: `STEP 2` is
where it comes there for the second time. Without a step it only finishes what a former process left behind, for which
it has PATIENCE seconds, and prints the states and the number of attempts.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import httpx
from skyflo_mcp.kubernetes.change.resources import k8s_set_resources
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.sending import Sent
from skyflo_mcp.kubernetes.streams import Ran, Streams

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway
from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import Event
from skyflo_runbooks.model.proposal import Decision, Origin, ProposalId
from skyflo_runbooks.model.request import APPLY_PATCH, Rendered, Request
from tests.gateway import requests as make
from tests.gateway.operator import Key
from tests.gateway.world import KERNEL, OPERATOR, QUICK, RAISE, Rendering, rendering, signed

STEPS = (
    "before approve",
    "after approve",
    "after attempt",
    "after sending mark",
    "before the request leaves",
    "after the request arrived",
    "after the answer is noted",
    "after the receipt",
)


class Fate:
    """Where this process dies: at a step, the so-manieth time that it comes there."""

    def __init__(self, step: str) -> None:
        self._step, _, number = step.rpartition(" ") if step[-1:].isdigit() else (step, "", "1")
        self._left = int(number)

    def at(self, step: str) -> None:
        """Die here, if it is time: the worst way to stop."""
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


Change = Callable[[Cluster], Awaitable[list[Request]]]


def these(*requests: Request) -> Change:
    """Return a change of these requests, whatever the cluster holds."""

    async def change(_: Cluster) -> list[Request]:
        return list(requests)

    return change


async def first_pod(cluster: Cluster) -> str:
    """Return the first of the flagship's pods."""
    return sorted(await make.pods(cluster))[0]


async def evicting(cluster: Cluster) -> list[Request]:
    """Evict a pod."""
    return [make.evict(await first_pod(cluster))]


async def running(cluster: Cluster) -> list[Request]:
    """Run a command in a pod."""
    return [make.run(await first_pod(cluster), "migrate")]


async def raising(cluster: Cluster) -> list[Request]:
    """Raise the flagship's memory limit."""
    return list((await k8s_set_resources(cluster, **RAISE)).requests)


APPLIED = Request("apply", make.ref(), f"{make.MAPS}/settings", make.settings(mode="fast"), APPLY_PATCH, force=True)
# "settings" is there, "one" and "two" are not.
CHANGES: dict[str, Change] = {
    "patch": raising,
    "create": these(make.create(make.settings("one"))),
    "delete": these(make.delete()),
    "apply": these(APPLIED),
    "evict": evicting,
    "run": running,
    "list": these(make.create(make.settings("one")), make.patch(), make.create(make.settings("two"))),
}


class MortalStore(Store):
    """Dies around one of its commits."""

    fate = Fate("")

    def decide(self, id_: ProposalId, decision: Decision, nonce: str, *, enough: bool = True) -> Entry:
        """See `Store`."""
        self.fate.at("before approve")
        entry = super().decide(id_, decision, nonce, enough=enough)
        self.fate.at("after approve")
        return entry

    def start_attempt(self, id_: ProposalId, attempt: str, told: Json | None = None) -> Entry:
        """See `Store`."""
        entry = super().start_attempt(id_, attempt, told)
        self.fate.at("after attempt")
        return entry

    def mark_sent(self, attempt: str, place: int, before: Json | None = None) -> None:
        """See `Store`."""
        super().mark_sent(attempt, place, before)
        self.fate.at("after sending mark")

    def mark_applied(self, attempt: str, applied: list[Json], after: list[Json]) -> None:
        """See `Store`."""
        super().mark_applied(attempt, applied, after)
        self.fate.at("after the answer is noted")

    def end_attempt(self, id_: ProposalId, event: Event, message: str, rolled_back: str = "") -> Entry:
        """See `Store`."""
        entry = super().end_attempt(id_, event, message, rolled_back)
        self.fate.at("after the receipt")
        return entry


class MortalCluster(Cluster):
    """Dies around its one real write."""

    fate = Fate("")

    async def send(
        self,
        request: Request,
        *,
        dry_run: bool,
        field_manager: str,
        uid: str = "",
        resource_version: str = "",
        timeout: float | None = None,
    ) -> Sent:
        """See `Cluster`."""
        if not dry_run:
            self.fate.at("before the request leaves")
        sent = await super().send(
            request,
            dry_run=dry_run,
            field_manager=field_manager,
            uid=uid,
            resource_version=resource_version,
            timeout=timeout,
        )
        if not dry_run:
            self.fate.at("after the request arrived")
        return sent

    async def run(self, request: Request, *, field_manager: str = "") -> Ran:
        """See `Cluster`."""
        self.fate.at("before the request leaves")
        ran = await super().run(request, field_manager=field_manager)
        self.fate.at("after the request arrived")
        return ran


async def main(data: Path, url: str, pods: str, change: str, step: str = "", patience: str = "20") -> None:
    """Live, and perhaps die."""
    fate = Fate(step)
    store = MortalStore(data)
    cluster = MortalCluster(httpx.AsyncClient(base_url=url), streams=Streams(pods))
    store.fate = cluster.fate = fate
    redactor = Redactor()
    render = rendering(cluster, Gate(cluster, redactor), {change: renders(CHANGES[change])})
    life = timedelta(minutes=30)
    gateway = Gateway(
        cluster=cluster, store=store, render=render, redactor=redactor, life=life, tick=0.1, patience=QUICK
    )
    async with gateway:
        if step:
            await approve(gateway, change)
        else:
            await finished(gateway, float(patience))


def renders(change: Change) -> Rendering:
    """Return a change tool that renders the requests."""

    async def render(cluster: Cluster, arguments: Json) -> Rendered:
        return make.rendered(await change(cluster))

    return render


async def approve(gateway: Gateway, change: str) -> None:
    """Propose the change and approve it."""
    key = Key()
    link = identity.issue(gateway.store, "link", "test", identity.LINK_LIFE)
    identity.pair(gateway.store, link=link, name=OPERATOR.name, key=identity.read_key(key.jwk))
    row = await gateway.propose(Wish(change, {}, Origin(requester=str(KERNEL), step="step")))
    id_ = row.proposal.id
    await gateway.decide(id_, signed(gateway, row, OPERATOR, key), OPERATOR)
    await gateway.settled(id_, 20)


async def finished(gateway: Gateway, patience: float) -> None:
    """Wait until nothing is under way any more, at most so many seconds, and say how it stands."""
    states: list[str] = []
    end = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < end:
        states = [row.state for row in gateway.store.find()]
        if not set(states) & {"approved", "executing", "unknown"}:
            break
        await gateway.events.changed(0.2)
    attempts = gateway.store.one("SELECT count(*) FROM attempts")
    print(",".join(states), attempts[0] if attempts else 0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
