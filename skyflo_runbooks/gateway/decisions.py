"""Whether a decision counts: when it arrives, and again before the executor consumes it. One guard per rule.

Rules:
  1. The policy admits who decides, with the evidence that was gathered; the signature is by a key that was paired to
     that operator (`identity`), and no key counts for more than the rank it was paired with.
  2. The signature is over the canonical JSON of {schema, proposal, digest, decision, nonce, reason}, and `typed` where
     a name was typed, so that none of them can be exchanged. A passkey signs the same bytes (`passkeys`).
  3. The nonce is the gateway's, for this operator and this proposal, and is burnt with the first use.
  4. The digest is the proposal's; the time lies between `not_before` and `expires`; the state allows it
     (`lifecycle.admit_decision`); the policy is the one under which it was proposed.
  5. A reject carries a reason. Where a value is still to be typed (`model.entry`) nothing is approved.
  6. Where the policy wants several approvers, each is a decision of its own; the same operator counts once, and one
     reject ends it.
  7. Before an approval is consumed all of it is checked anew, from what is recorded, with nothing but the public keys:
     `admit_dispatch`. What does not stand is not executed, however it came into the record.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from skyflo_runbooks.gateway import identity, passkeys
from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.identity import Identity, PairedKey
from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.gateway.passkeys import Site
from skyflo_runbooks.gateway.policy.base import HOUR, Asked, Case, Policy
from skyflo_runbooks.gateway.signing import signed_by
from skyflo_runbooks.gateway.store import Row, Store, rfc3339
from skyflo_runbooks.model import entry, lifecycle
from skyflo_runbooks.model.digest import Binding, binding_digest
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from skyflo_runbooks.model.json import Json, canonical
from skyflo_runbooks.model.proposal import Decision, Proposal
from skyflo_runbooks.model.request import Request

SCHEMA = "skyflo.dev/decision/v1"
LONGEST_REASON = 2000
Kind = Literal["approve", "reject"]
# What Kubernetes refuses each operator who was asked about; one who is missing was not asked about.
Access = Mapping[str, tuple[str, ...]]


class Ballot(msgspec.Struct, frozen=True):
    """A decision as it arrives. `typed` is the name typed for a deletion, `passkey` a WebAuthn assertion."""

    decision: Kind
    digest: str
    nonce: str
    signature: str
    reason: str = ""
    typed: str = ""
    passkey: Json | None = None


class Requires(msgspec.Struct, frozen=True):
    """What a decision by this operator still takes; `refused` says why it would not count, whatever they signed.

    `next_step` says what can be done about that.
    """

    typed: str
    passkey: bool
    needed: int
    have: int
    refused: str
    next_step: str = ""


def message(*, proposal: str, digest: str, decision: Kind, nonce: str, reason: str, typed: str = "") -> bytes:
    """Return the bytes that a decision signs, by rule 2."""
    said = {
        "schema": SCHEMA,
        "proposal": proposal,
        "digest": digest,
        "decision": decision,
        "nonce": nonce,
        "reason": reason,
    }
    return canonical(said | ({"typed": typed} if typed else {}))


def decide(
    store: Store, *, policy: Policy, proposal: str, ballot: Ballot, who: Identity, site: Site, access: Access
) -> Decision:
    """Record a decision that keeps every rule and return it; else raise, with nothing recorded."""
    row = store.get(proposal)
    if who.role == "operator":
        _admit_words(row.proposal, ballot)
    if not identity.nonce_serves(store, nonce=ballot.nonce, proposal=proposal, operator=who.name):
        raise NotAllowed("The nonce is not this operator's for this proposal, or it was used.", next_step="Sign again.")
    signed = _signed(row.proposal.id, ballot)
    key = signing_key(identity.keys_of(store, who.name), signed, ballot.signature)
    used = _passkey(store, site, ballot, signed, who)
    case = _case(store, row, who, ballot.decision, ballot.typed, key, access)
    policy.admit(msgspec.structs.replace(case, passkey=used[0]))
    _admit_policy(row.proposal, policy)
    binding = row.proposal.binding
    lifecycle.admit_decision(
        state=row.state,
        event=ballot.decision,
        expected_digest=row.proposal.digest,
        digest=ballot.digest,
        not_before=datetime.fromisoformat(binding.not_before),
        expires=datetime.fromisoformat(binding.expires),
        now=store.now(),
    )
    made = Decision(
        kind=ballot.decision,
        operator=who.name,
        digest=ballot.digest,
        at=rfc3339(store.now()),
        reason=ballot.reason,
        key=key.thumbprint,
        signature=ballot.signature,
        nonce=ballot.nonce,
        typed=ballot.typed,
        passkey=ballot.passkey if used[0] else None,
    )
    if ballot.decision == "approve":
        _admit_first(row, who)
    enough = len(_approvers(row) | {who.name}) >= policy.asks(row.proposal).approvals
    store.decide(row.proposal.id, made, ballot.nonce, enough=enough)
    if used[0]:
        passkeys.counted(store, *used)
    return made


def requires(store: Store, row: Row, *, policy: Policy, who: Identity, kind: Kind, access: Access) -> Requires:
    """Return what a decision by `who` would take; it is refused now where what they cannot change stands against it."""
    asked: Asked = policy.asks(row.proposal)
    refused, next_step = "", ""
    case = _case(store, row, who, kind, asked.typed, _any_key(store, who), access)
    try:
        policy.admit(msgspec.structs.replace(case, passkey="to be asked"))
        if kind == "approve" and row.state == "proposed":
            _admit_first(row, who)
    except (NotAllowed, Refused) as error:
        refused, next_step = error.message, error.next_step
    approving = kind == "approve"
    return Requires(
        typed=asked.typed if approving else "",
        passkey=asked.passkey and approving,
        needed=asked.approvals if approving else 1,
        have=len(_approvers(row)),
        refused=refused,
        next_step=next_step,
    )


def admit_dispatch(
    store: Store, row: Row, *, policy: Policy, site: Site, access: Access, told: Sequence[Entry], resumed: bool = False
) -> None:
    """Raise `Refused` where the approval of a proposal does not stand, by rule 7.

    `told` are the ledger's entries of the proposal. `resumed` is an attempt that was begun before: its approval was
    consumed in time, and each sending asks the clock again (`step`).
    """
    proposal, binding = row.proposal, row.proposal.binding
    if binding_digest(binding) != proposal.digest:
        raise Refused("the stored binding does not give the digest that was approved")
    admit_sealed(binding, proposal.requests)
    _admit_policy(proposal, policy)
    _admit_history(row, told, resumed=resumed)
    if not resumed:
        _admit_time(binding, store.now())
    wanted = policy.asks(proposal).approvals
    counting = {one.operator for one in row.approvals if _counts(store, row, one, policy, site, access, told)}
    if len(counting) < wanted or any(one.kind == "reject" for one in row.decisions):
        raise Refused(f"{len(counting)} approvals count, {wanted} are needed")


def admit_sealed(binding: Binding, sealed: Sequence[Request]) -> None:
    """Raise `Refused` where the requests that would be sent are not about what was approved.

    That they say the same as well is seen by their dry run, or their own digest where there is none (`step`).
    """
    wanted = [(one.object, one.verb, one.subresource) for one in binding.requests]
    if [(one.target, one.verb, one.subresource) for one in sealed] != wanted:
        raise Refused("the sealed requests are not those that were approved")


def signing_key(keys: Sequence[PairedKey], signed: bytes, signature: str) -> PairedKey:
    """Return the key that made the signature, or raise `NotAllowed`."""
    for key in keys:
        if signed_by(key.key, signed, signature):
            return key
    raise NotAllowed(
        "The signature is by none of this operator's paired keys.",
        next_step="Log in again on this browser or terminal with a one-time link.",
    )


def _counts(
    store: Store,
    row: Row,
    said: Decision,
    policy: Policy,
    site: Site,
    access: Access,
    told: Sequence[Entry],
) -> bool:
    """Return whether one recorded approval stands; raise `Refused` with the reason where it does not."""
    signed = message(
        proposal=row.proposal.id,
        digest=said.digest,
        decision=said.kind,
        nonce=said.nonce,
        reason=said.reason,
        typed=said.typed,
    )
    entered = _admit_told(row, said, told)
    who = Identity("operator", said.operator, "admin")
    try:
        keys = [one for one in identity.keys_of(store, said.operator) if one.since < entered.seq]
        key = signing_key(keys, signed, said.signature)
        case = _case(store, row, who, "approve", said.typed, key, access, counted=True)
        if said.passkey is not None:
            id_, _ = passkeys.verified(
                store, site, assertion=said.passkey, signed=signed, operator=said.operator, again=True
            )
            case = msgspec.structs.replace(case, passkey=id_)
        policy.admit(case)
    except RecordUnusable:
        raise
    except (NotAllowed, BadInput) as error:
        raise Refused(f"the approval of {said.operator} does not count: {error.message}") from None
    return True


def _admit_told(row: Row, said: Decision, told: Sequence[Entry]) -> Entry:
    """Return the ledger's entry of a recorded approval; raise `Refused` where there is none for this digest."""
    for one in told:
        if one.kind in ("endorse", "approve") and (one.body.get("operator"), one.body.get("signature")) == (
            said.operator,
            said.signature,
        ):
            if said.digest == row.proposal.digest:
                return one
            raise Refused(f"the approval of {said.operator} is for another digest")
    raise Refused(f"the ledger tells of no such approval of {said.operator}")


def _admit_time(binding: Binding, now: datetime) -> None:
    """Raise `Refused` where the approval is consumed before or after its time."""
    if not datetime.fromisoformat(binding.not_before) <= now < datetime.fromisoformat(binding.expires):
        raise Refused(f"it holds from {binding.not_before} to {binding.expires}, and now it is {rfc3339(now)}")


def _admit_history(row: Row, told: Sequence[Entry], *, resumed: bool) -> None:
    """Raise `Refused` where the ledger tells another story than the table: an approval used before, a state made up."""
    state: lifecycle.State | None = None
    for one in told:
        if one.kind == "proposed":
            state = "proposed"
            if one.body.get("digest") != row.proposal.digest:
                raise Refused("the ledger tells of another digest")
        elif state is not None and one.kind in lifecycle.EVENTS:
            state = lifecycle.move(state, one.kind)
    if state != row.state or (state == "executing") != resumed:
        raise Refused(f"the ledger tells that it is {state or 'unknown'}, the table says {row.state}")


def _case(
    store: Store,
    row: Row,
    who: Identity,
    kind: Kind,
    typed: str,
    key: PairedKey | None,
    access: Access,
    *,
    counted: bool = False,
) -> Case:
    """Return the case for the policy. `counted` says that this approval is among the last hour's already."""
    rank = min(who.rank, key.rank, key=identity.RANKS.index) if key else who.rank
    now = store.now()
    return Case(
        proposal=row.proposal,
        who=msgspec.structs.replace(who, rank=rank),
        now=now,
        kind=kind,
        typed=typed,
        key=key.thumbprint if key else "",
        recent=_recent(store, now, counted=counted),
        access=access.get(who.name),
    )


def _recent(store: Store, now: datetime, *, counted: bool) -> tuple[datetime, ...]:
    times = store.times("approve", now - HOUR)
    return tuple(times[:-1] if counted else times)


def _admit_words(proposal: Proposal, ballot: Ballot) -> None:
    """Raise where the words of a ballot do not keep rule 5."""
    if ballot.decision == "reject" and not ballot.reason.strip():
        raise BadInput("A rejection needs a reason.", next_step="Say in a few words why.")
    if len(ballot.reason) > LONGEST_REASON:
        raise BadInput(f"A reason has at most {LONGEST_REASON} characters, got {len(ballot.reason)}.")
    open_ = entry.open_entries(proposal.arguments)
    if open_ and ballot.decision == "approve":
        raise Refused(
            f"{proposal.id} waits for a value: {', '.join(entry.key(pointer) for pointer in open_)}.",
            next_step=f"Type it on the gateway's page, or: skyflo-runbooks enter {proposal.id}",
        )


def _admit_first(row: Row, who: Identity) -> None:
    """Raise `Refused` where this operator approved it before (rule 6)."""
    if who.name in _approvers(row):
        raise Refused(f"{who.name} approved {row.proposal.id} already.", next_step="Another approver has to decide.")


def _admit_policy(proposal: Proposal, policy: Policy) -> None:
    if proposal.binding.policy != policy.name:
        raise Refused(
            f"{proposal.id} was proposed under another policy than the one in force.",
            next_step="Run the change step again for a new proposal.",
        )


def _passkey(store: Store, site: Site, ballot: Ballot, signed: bytes, who: Identity) -> tuple[str, int]:
    """Return the passkey that signed and its counter, or nothing where the ballot brings no assertion."""
    if ballot.passkey is None:
        return "", 0
    return passkeys.verified(store, site, assertion=ballot.passkey, signed=signed, operator=who.name)


def _signed(id_: str, ballot: Ballot) -> bytes:
    return message(
        proposal=id_,
        digest=ballot.digest,
        decision=ballot.decision,
        nonce=ballot.nonce,
        reason=ballot.reason,
        typed=ballot.typed,
    )


def _approvers(row: Row) -> set[str]:
    return {one.operator for one in row.approvals}


def _any_key(store: Store, who: Identity) -> PairedKey | None:
    """Return the operator's key of the highest rank: what they could sign with at best."""
    return max(identity.keys_of(store, who.name), key=lambda one: identity.RANKS.index(one.rank), default=None)
