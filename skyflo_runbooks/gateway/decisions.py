"""Whether a decision counts. One guard per rule; each refusal says what was expected and what came.

Rules:
  1. The policy admits who asks, and the signature is by a key that was paired to that operator.
  2. The signature is over the canonical JSON of {schema, proposal, digest, decision, nonce, reason}, so that none of
     them can be exchanged.
  3. The nonce is the gateway's, for this operator and this proposal, and is burnt with the first use.
  4. The digest is the proposal's; the time lies between `not_before` and `expires`; the state allows it
     (`lifecycle.admit_decision`).
  5. A reject carries a reason. Where a value is still to be typed (`model.entry`) nothing is approved.
  6. A new one-time link makes an operator, so it takes a signature too: a session that was stolen cannot make one.
"""

import base64
from datetime import datetime
from typing import Literal

import msgspec

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.identity import Identity, PublicKey
from skyflo_runbooks.gateway.policy import Policy
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model import entry, lifecycle
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from skyflo_runbooks.model.json import canonical
from skyflo_runbooks.model.proposal import Decision, Proposal

SCHEMA = "skyflo.dev/decision/v1"
LINK_SCHEMA = "skyflo.dev/link/v1"
Kind = Literal["approve", "reject"]


class Ballot(msgspec.Struct, frozen=True):
    """A decision as it arrives."""

    decision: Kind
    digest: str
    nonce: str
    signature: str
    reason: str = ""


def message(*, proposal: str, digest: str, decision: Kind, nonce: str, reason: str) -> bytes:
    """Return the bytes that a decision signs, by rule 2."""
    return canonical(
        {
            "schema": SCHEMA,
            "proposal": proposal,
            "digest": digest,
            "decision": decision,
            "nonce": nonce,
            "reason": reason,
        }
    )


def decide(store: Store, *, policy: Policy, proposal: str, ballot: Ballot, who: Identity) -> Decision:
    """Record a decision that keeps every rule and return it; else raise, with nothing recorded."""
    row = store.get(proposal)
    policy.admit(row.proposal, who)
    reason = ballot.reason.strip()
    if ballot.decision == "reject" and not reason:
        raise BadInput("A rejection needs a reason.", next_step="Say in a few words why.")
    _admit_entries(row.proposal, ballot.decision)
    if not identity.nonce_serves(store, nonce=ballot.nonce, proposal=proposal, operator=who.name):
        raise NotAllowed("The nonce is not this operator's for this proposal, or it was used.", next_step="Sign again.")
    signed = message(
        proposal=proposal,
        digest=ballot.digest,
        decision=ballot.decision,
        nonce=ballot.nonce,
        reason=ballot.reason,
    )
    key = _signing_key(identity.keys_of(store, who.name), signed, ballot.signature)
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
        reason=reason,
        key=key,
        signature=ballot.signature,
    )
    store.decide(row.proposal.id, made, ballot.nonce)
    return made


def _admit_entries(proposal: Proposal, kind: Kind) -> None:
    open_ = entry.open_entries(proposal.arguments)
    if open_ and kind == "approve":
        raise Refused(
            f"{proposal.id} waits for a value: {', '.join(entry.key(pointer) for pointer in open_)}.",
            next_step=f"Type it on the gateway's page, or: skyflo-runbooks enter {proposal.id}",
        )


def link_message(nonce: str) -> bytes:
    """Return the bytes that the wish for a new one-time link signs."""
    return canonical({"schema": LINK_SCHEMA, "nonce": nonce})


def admit_link(store: Store, *, nonce: str, signature: str, who: Identity) -> None:
    """Burn the nonce of a new link, or raise where it or the signature is not this operator's (rule 6)."""
    _signing_key(identity.keys_of(store, who.name), link_message(nonce), signature)
    if not identity.burn_nonce(store, nonce=nonce, purpose=LINK_SCHEMA, operator=who.name):
        raise NotAllowed("The nonce is not this operator's for a new link, or it was used.", next_step="Sign again.")


def signed_by(key: PublicKey, signed: bytes, signature: str) -> bool:
    """Return whether `signature` (r and s side by side, base64url: WebCrypto's form) is the key's over `signed`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    if len(raw) != 64:
        return False
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    numbers = ec.EllipticCurvePublicNumbers(identity.number(key.x), identity.number(key.y), ec.SECP256R1())
    try:
        numbers.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _signing_key(keys: list[tuple[str, PublicKey]], signed: bytes, signature: str) -> str:
    try:
        for thumbprint, key in keys:
            if signed_by(key, signed, signature):
                return thumbprint
    except ValueError:
        pass
    raise NotAllowed(
        "The signature is by none of this operator's paired keys.",
        next_step="Log in again on this browser or terminal with a one-time link.",
    )
