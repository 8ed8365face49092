"""A gateway process that kills itself, by SIGKILL, at one step between approval and receipt.

Run as `python -m tests.gateway.dying DATA URL STEP`: it opens the gateway on the practice cluster at URL, proposes the
flagship's change, approves it with a key of its own, and dies at STEP. Without a step it only finishes what a former
process left behind, and prints the states and the number of attempts.
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import httpx
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.sending import Sent

from skyflo_runbooks.gateway import decisions, identity
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway
from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import Event
from skyflo_runbooks.model.proposal import Decision, Origin, ProposalId
from skyflo_runbooks.model.request import Request
from tests.gateway.operator import Key
from tests.gateway.world import KERNEL, OPERATOR, RAISE

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


def die() -> None:
    """The worst way to stop."""
    os.kill(os.getpid(), signal.SIGKILL)


class MortalStore(Store):
    """Dies around one of its commits."""

    step = ""

    def decide(self, id_: ProposalId, decision: Decision, nonce: str, *, enough: bool = True) -> Entry:
        """See `Store`."""
        if self.step == "before approve":
            die()
        entry = super().decide(id_, decision, nonce, enough=enough)
        if self.step == "after approve":
            die()
        return entry

    def start_attempt(self, id_: ProposalId, attempt: str, told: Json | None = None) -> Entry:
        """See `Store`."""
        entry = super().start_attempt(id_, attempt, told)
        if self.step == "after attempt":
            die()
        return entry

    def mark_sent(self, attempt: str, place: int) -> None:
        """See `Store`."""
        super().mark_sent(attempt, place)
        if self.step == "after sending mark":
            die()

    def mark_applied(self, attempt: str, applied: list[Json], after: list[Json]) -> None:
        """See `Store`."""
        super().mark_applied(attempt, applied, after)
        if self.step == "after the answer is noted":
            die()

    def end_attempt(self, id_: ProposalId, event: Event, message: str, rolled_back: str = "") -> Entry:
        """See `Store`."""
        entry = super().end_attempt(id_, event, message, rolled_back)
        if self.step == "after the receipt":
            die()
        return entry


class MortalCluster(Cluster):
    """Dies around its one real write."""

    step = ""

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
        if not dry_run and self.step == "before the request leaves":
            die()
        sent = await super().send(
            request,
            dry_run=dry_run,
            field_manager=field_manager,
            uid=uid,
            resource_version=resource_version,
            timeout=timeout,
        )
        if not dry_run and self.step == "after the request arrived":
            die()
        return sent


async def main(data: Path, url: str, step: str) -> None:
    """Live, and perhaps die."""
    store = MortalStore(data)
    store.step = step
    cluster = MortalCluster(httpx.AsyncClient(base_url=url))
    cluster.step = step
    redactor = Redactor()
    gate = Gate(cluster, redactor)
    life = timedelta(minutes=30)
    gateway = Gateway(cluster=cluster, store=store, render=gate.render, redactor=redactor, life=life, tick=0.1)
    async with gateway:
        if step:
            await approve(gateway)
        else:
            await finished(gateway)


async def approve(gateway: Gateway) -> None:
    """Propose the change and approve it."""
    key = Key()
    link = identity.issue(gateway.store, "link", "test", identity.LINK_LIFE)
    identity.pair(gateway.store, link=link, name=OPERATOR.name, key=identity.read_key(key.jwk))
    row = await gateway.propose(Wish("k8s_set_resources", RAISE, Origin(requester=str(KERNEL), step="raise")))
    id_, digest = row.proposal.id, row.proposal.digest
    nonce = identity.new_nonce(gateway.store, proposal=id_, operator=OPERATOR.name)
    message = decisions.message(proposal=id_, digest=digest, decision="approve", nonce=nonce, reason="")
    await gateway.decide(id_, Ballot("approve", digest, nonce, key.sign(message)), OPERATOR)
    await gateway.settled(id_, 20)


async def finished(gateway: Gateway) -> None:
    """Wait until nothing is under way any more, and say how it stands."""
    states: list[str] = []
    for _ in range(100):
        states = [row.state for row in gateway.store.find()]
        if not set(states) & {"approved", "executing", "unknown"}:
            break
        await gateway.events.changed(0.2)
    attempts = gateway.store.one("SELECT count(*) FROM attempts")
    print(",".join(states), attempts[0] if attempts else 0)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""))
