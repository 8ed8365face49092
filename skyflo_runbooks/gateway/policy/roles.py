"""Roles: what an operator may do, where, and up to which risk. Pure.

Rules:
  1. `viewer` looks. `requester` also proposes, modifies what is their own, and asks for ways back. `approver` also
     decides and modifies what others asked for. `admin` also manages tokens, links and keys.
  2. A binding gives operators a role for namespaces (patterns as in a shell; `*` has what lies in none) up to a risk.
     Of several that fit, the highest role holds. Who is bound nowhere looks.
  3. Without bindings every operator is admin everywhere: a laptop with one person.
  4. A role never exceeds the one that the operator's link carried.
  5. To decide a proposal takes the role for each of its objects.
"""

from fnmatch import fnmatchcase

import msgspec

from skyflo_runbooks.gateway.identity import RANKS, Identity, Rank
from skyflo_runbooks.gateway.policy.base import Asked, Case, weight
from skyflo_runbooks.gateway.policy.file import LEVELS, Binding
from skyflo_runbooks.model.digest import sha256
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.proposal import Proposal, Risk


class Roles(msgspec.Struct, frozen=True):
    """Who has which role; `bindings` is None where nothing is bound (rule 3)."""

    bindings: tuple[Binding, ...] | None = None

    @property
    def name(self) -> str:
        """See `Policy`."""
        if self.bindings is None:
            return "every-operator"
        return f"roles({sha256(msgspec.to_builtins(self.bindings))[7:23]})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        may = self.deciders(proposal)
        return Asked() if may is None else Asked((f"May be decided by: {', '.join(may) or 'nobody'}.",))

    def deciders(self, proposal: Proposal) -> list[str] | None:
        """Return who may decide a proposal, by name; None where that is every operator."""
        if self.bindings is None:
            return None
        names = sorted({name for binding in self.bindings for name in binding.operators})
        return [name for name in names if self._decides(Identity("operator", name, "admin"), proposal)]

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if not self._decides(case.who, case.proposal):
            places = ", ".join(
                sorted({request.target.namespace or "the cluster" for request in case.proposal.requests})
            )
            raise NotAllowed(
                f"{case.who.name} has no role that decides a change of {weight(case.proposal)} risk in {places}.",
                next_step=_who_may(self.deciders(case.proposal)),
            )

    def anywhere(self, who: Identity) -> Rank:
        """Return the highest role that an operator has anywhere."""
        if self.bindings is None:
            return who.rank
        held = [binding.role for binding in self.bindings if who.name in binding.operators]
        return min(who.rank, max(held, key=RANKS.index, default="viewer"), key=RANKS.index)

    def at(self, who: Identity, namespace: str, risk: Risk) -> Rank:
        """Return the role that an operator has in a namespace (empty for what lies in none) for a change of `risk`."""
        if self.bindings is None:
            return who.rank
        held = [
            binding.role
            for binding in self.bindings
            if who.name in binding.operators
            and LEVELS.index(risk) <= LEVELS.index(binding.up_to)
            and any(covers(pattern, namespace) for pattern in binding.namespaces)
        ]
        return min(who.rank, max(held, key=RANKS.index, default="viewer"), key=RANKS.index)

    def says(self, who: Identity) -> str:
        """Return in words what an operator's rank comes to: the role, where, and up to which risk."""
        if self.bindings is None:
            return f"{who.rank} everywhere"
        held = [
            f"{min(binding.role, who.rank, key=RANKS.index)} in {', '.join(binding.namespaces)}"
            + ("" if binding.up_to == "high" else f" up to {binding.up_to} risk")
            for binding in self.bindings
            if who.name in binding.operators
        ]
        return "; ".join(held) or "viewer: bound nowhere"

    def may_propose(self, who: Identity, namespaces: frozenset[str]) -> bool:
        """Return whether an operator may propose a change there, whatever its risk."""
        return bool(namespaces) and all(_reaches(self.at(who, one, "low"), "requester") for one in namespaces)

    def _decides(self, who: Identity, proposal: Proposal) -> bool:
        level = weight(proposal)
        places = {request.target.namespace for request in proposal.requests}
        return bool(places) and all(_reaches(self.at(who, place, level), "approver") for place in places)


def _who_may(names: list[str] | None) -> str:
    """Return what somebody who may not decide can do."""
    if names is None:
        return "Log in by the link of an approver."
    if not names:
        return "Nobody may: bind an approver for it under [[policy.bindings]] in skyflo.toml."
    return f"It may be decided by {', '.join(names)}."


def covers(pattern: str, namespace: str) -> bool:
    """Return whether a pattern fits a namespace; what lies in none is fitted by `*` alone."""
    return pattern == "*" if not namespace else fnmatchcase(namespace, pattern)


def _reaches(rank: Rank, wanted: Rank) -> bool:
    return RANKS.index(rank) >= RANKS.index(wanted)
