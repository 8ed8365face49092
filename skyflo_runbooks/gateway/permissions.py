"""What a credential may do besides deciding: propose, modify, look into namespaces. Pure.

Rules:
  1. An operator proposes where a binding makes them a requester or more, whatever the risk; it is decided by others.
  2. Modifying is for who asked, and for who could approve. What was modified is asked for by who modified it, and is
     admitted as their proposal: other values may name other objects. A program modifies what it asked for itself, or
     what the operator did whose program it is.
  3. A program's token (kernel, agent) proposes and reads as far as the namespaces that it is narrowed to. One that is
     narrowed sees nothing that lies in no namespace.
"""

from collections.abc import Iterable

from skyflo_runbooks.gateway.identity import EVERYWHERE, RANKS, Identity, Rank, person
from skyflo_runbooks.gateway.policy.base import weight
from skyflo_runbooks.gateway.policy.roles import Roles, covers
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Proposal
from skyflo_runbooks.model.request import Request


def admit_proposal(roles: Roles, who: Identity, requests: Iterable[Request]) -> None:
    """Raise `NotAllowed` where a change of these objects is not for `who` to propose."""
    places = frozenset(request.target.namespace for request in requests)
    admit_places(who, places)
    if who.role == "operator" and not roles.may_propose(who, places):
        raise NotAllowed(
            f"{who.name} may not propose changes in {', '.join(sorted(one or 'the cluster' for one in places))}.",
            next_step="An admin binds roles in the configuration ([[policy.bindings]]).",
        )


def admit_change(roles: Roles, who: Identity, proposal: Proposal) -> None:
    """Raise `NotAllowed` where `who` may not modify a proposal."""
    admit_proposal(roles, who, proposal.requests)
    level = weight(proposal)
    places = {request.target.namespace for request in proposal.requests}
    decides = who.role == "operator" and all(
        RANKS.index(roles.at(who, place, level)) >= RANKS.index("approver") for place in places
    )
    if not _asked(who, proposal.binding.requester) and not decides:
        raise NotAllowed(
            f"{who.name} may modify what they asked for, and {proposal.id} is {proposal.binding.requester}'s.",
            next_step="Propose your own change, or ask an approver.",
        )


def _asked(who: Identity, requester: str) -> bool:
    """Return whether it was `who` that asked, or for a program its operator."""
    behind = who.name if who.role == "operator" else who.owner
    return requester == str(who) or (bool(behind) and person(requester) == behind)


def admit_operator(who: Identity, does: str) -> None:
    """Raise `NotAllowed` where a program asks for what a person does."""
    if who.role != "operator":
        raise NotAllowed(f"Only an operator {does}; this credential is {who}.")


def admit_places(who: Identity, places: Iterable[str]) -> None:
    """Raise `NotAllowed` where a credential is narrowed to other namespaces than these (empty: what lies in none)."""
    outside = sorted(place for place in places if not sees(who, place))
    if outside:
        wanted = ", ".join(place or "the whole cluster" for place in outside)
        raise NotAllowed(
            f"{who} reaches {', '.join(who.namespaces)}, not {wanted}.",
            next_step="Use a token that reaches there.",
        )


def admit_rank(roles: Roles, who: Identity, rank: Rank) -> None:
    """Raise `NotAllowed` where an operator has this rank nowhere."""
    held = roles.anywhere(who) if who.role == "operator" else rank
    if RANKS.index(held) < RANKS.index(rank):
        raise NotAllowed(f"This is for who is {rank}; {who.name} is {held}.", next_step="An admin binds roles.")


def admit_whole(who: Identity) -> None:
    """Raise `NotAllowed` where a credential is narrowed, for what concerns the whole gateway."""
    if who.namespaces != EVERYWHERE:
        raise NotAllowed(f"{who} reaches {', '.join(who.namespaces)}, and this concerns everything.")


def admit_read(who: Identity, arguments: Json) -> None:
    """Raise `NotAllowed` where a narrowed credential reads something else than in one namespace that it reaches."""
    if who.namespaces == EVERYWHERE:
        return
    place = arguments.get("namespace")
    if not isinstance(place, str) or not place or not sees(who, place):
        raise NotAllowed(
            f"{who} reaches {', '.join(who.namespaces)}; this reads {place or 'elsewhere'!r}.",
            next_step="Say namespace=… as far as the token reaches.",
        )


def sees_all(who: Identity, requests: Iterable[Request]) -> bool:
    """Return whether a credential reaches all objects of a change."""
    return all(sees(who, request.target.namespace) for request in requests)


def sees(who: Identity, place: str) -> bool:
    """Return whether a credential reaches a namespace."""
    return who.namespaces == EVERYWHERE or any(covers(pattern, place) for pattern in who.namespaces)
