"""Decisions on one gateway: the rules in force, the evidence that they need, and what is told about them.

It gathers what only the cluster knows (`reviews`) and hands it to the pure parts (`decisions`, `policy`).
"""

from collections.abc import Iterable

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.reviewing import Subject

from skyflo_runbooks.gateway import decisions, passkeys
from skyflo_runbooks.gateway.decisions import Access, Ballot, Kind, Requires
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.passkeys import Site
from skyflo_runbooks.gateway.policy.compose import Rules
from skyflo_runbooks.gateway.reviews import refusals
from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.model.errors import Refused, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Decision, Proposal


class Approvals:
    """Takes decisions, says what one takes, and vouches for an approval before it is consumed."""

    def __init__(self, *, cluster: Cluster, store: Store, rules: Rules, site: Site) -> None:
        self._cluster = cluster
        self._store = store
        self.rules = rules
        self.site = site
        self._known_as = ""

    async def decide(self, id_: str, ballot: Ballot, who: Identity) -> Decision:
        """Record a signed decision that keeps every rule, or raise."""
        if ballot.decision == "approve":
            await self._here(self._store.get(id_))
        access = await self._access(self._store.get(id_), [who.name]) if ballot.decision == "approve" else {}
        return decisions.decide(
            self._store,
            policy=self.rules.policy,
            proposal=id_,
            ballot=ballot,
            who=who,
            site=self.site,
            access=access,
        )

    async def requires(self, row: Row, who: Identity, kind: Kind) -> Requires:
        """Return what a decision by this operator takes."""
        access = await self._access(row, [who.name]) if kind == "approve" else {}
        return decisions.requires(self._store, row, policy=self.rules.policy, who=who, kind=kind, access=access)

    def asked(self, signed: bytes, who: Identity) -> Json:
        """Return what the browser asks the operator's passkey for."""
        return passkeys.asked(self._store, self.site, signed, who.name)

    async def admit(self, row: Row, *, resumed: bool = False) -> None:
        """Raise `Refused` where the approval of a proposal does not stand (`decisions.admit_dispatch`)."""
        await self._here(row)
        access = await self._access(row, [one.operator for one in row.approvals])
        decisions.admit_dispatch(
            self._store,
            self._store.get(row.proposal.id),
            policy=self.rules.policy,
            site=self.site,
            access=access,
            told=self._store.told(row.proposal.id),
            resumed=resumed,
        )

    async def _here(self, row: Row) -> None:
        """Raise `Refused` where a proposal was made for another cluster than the one that this gateway serves now."""
        here, there = await self._cluster.uid(), row.proposal.binding.cluster
        if here != there:
            raise Refused(
                f"{row.proposal.id} was proposed for cluster {there[:16]}…, and this gateway serves {here[:16]}…",
                next_step="Start the gateway for that cluster, or run the change step again on this one.",
            )

    def conditions(self, proposal: Proposal) -> tuple[str, ...]:
        """Return in sentences what an approval takes; the same for everybody who looks."""
        return self.rules.policy.asks(proposal).says

    def acting(self, row: Row) -> Subject | None:
        """Return in whose name the change is written at the cluster: the last approver's, or None for the gateway's."""
        if not self.rules.impersonate or not row.approvals:
            return None
        return self._subject(row.approvals[-1].operator)

    async def parties(self, row: Row) -> Json:
        """Return the four who had part in a change: who asked, who approved, who executes, what generated it."""
        subject = self.acting(row)
        return {
            "requester": row.proposal.binding.requester,
            "approvers": [one.operator for one in row.approvals],
            "executor": subject.user if subject else await self._own(),
            "generator": row.proposal.origin.generator,
        }

    async def _own(self) -> str:
        """Return as whom the cluster knows the gateway."""
        if not self._known_as:
            try:
                self._known_as = await self._cluster.whoami()
            except SkyfloError:
                return "the gateway (the cluster does not say as whom)"
        return self._known_as or "the gateway"

    def _subject(self, operator: str) -> Subject | None:
        known = self.rules.people.get(operator)
        return Subject(known.kubernetes_user, known.groups) if known and known.kubernetes_user else None

    async def _access(self, row: Row, operators: Iterable[str]) -> Access:
        """Ask the cluster about each operator whom it knows."""
        known = {name: subject for name in dict.fromkeys(operators) if (subject := self._subject(name)) is not None}
        return {name: await refusals(self._cluster, row.proposal.requests, subject) for name, subject in known.items()}
