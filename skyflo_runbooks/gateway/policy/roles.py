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
from skyflo_runbooks.gateway.policy.base import LEVELS, Asked, Case, weight
from skyflo_runbooks.gateway.policy.file import Binding
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
        if self.bindings is None:
            return Asked()
        names = sorted({name for binding in self.bindings for name in binding.operators})
        may = [name for name in names if self._decides(Identity("operator", name, "admin"), proposal)]
        return Asked((f"May be decided by: {', '.join(may) or 'nobody'}.",))

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if not self._decides(case.who, case.proposal):
            places = ", ".join(
                sorted({request.target.namespace or "the cluster" for request in case.proposal.requests})
            )
            raise NotAllowed(
                f"{case.who.name} has no role that decides a change of {weight(case.proposal)} risk in {places}.",
                next_step="An approver has to decide it.",
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

    def may_propose(self, who: Identity, namespaces: frozenset[str]) -> bool:
        """Return whether an operator may propose a change there, whatever its risk."""
        return bool(namespaces) and all(_reaches(self.at(who, one, "low"), "requester") for one in namespaces)

    def _decides(self, who: Identity, proposal: Proposal) -> bool:
        level = weight(proposal)
        places = {request.target.namespace for request in proposal.requests}
        return bool(places) and all(_reaches(self.at(who, place, level), "approver") for place in places)


def covers(pattern: str, namespace: str) -> bool:
    """Return whether a pattern fits a namespace; what lies in none is fitted by `*` alone."""
    return pattern == "*" if not namespace else fnmatchcase(namespace, pattern)


def _reaches(rank: Rank, wanted: Rank) -> bool:
    return RANKS.index(rank) >= RANKS.index(wanted)
