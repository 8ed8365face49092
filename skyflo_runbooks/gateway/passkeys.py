"""Passkeys (WebAuthn): a second signature over the same decision, by an authenticator that has checked who holds it.

Rules:
  1. A passkey is registered by a paired operator: the options carry a challenge of ours, and the operator's paired key
     signs for the credential that came of it. The ledger keeps both, so a row in the table alone is no passkey.
  2. An assertion's challenge is the SHA-256 of the bytes that the decision signs, its nonce among them. So it holds for
     one decision by one operator on one digest, and is burnt with the nonce.
  3. The origin is the gateway's own, exactly; the relying party is its host. User verification is required.
  4. A counter that does not grow is refused, except that many passkeys always say 0.
"""

import base64
import hashlib
import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.signing import signed_by
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json, canonical
from skyflo_runbooks.model.proposal import Decision

T = TypeVar("T")
SCHEMA = "skyflo.dev/passkey/v1"


class Passkey(msgspec.Struct, frozen=True):
    """A registered passkey: the credential's id (base64url), its public key (COSE) and its counter."""

    id: str
    operator: str
    label: str
    key: bytes
    count: int
    added: str


class Site(msgspec.Struct, frozen=True):
    """Where assertions are made: the gateway's origin as a browser writes it."""

    origin: str

    @property
    def host(self) -> str:
        """The relying party's id."""
        return self.origin.partition("://")[2].rpartition(":")[0] or self.origin.partition("://")[2]


def challenge(signed: bytes) -> bytes:
    """Return the challenge of the assertion that goes with a decision, by rule 2."""
    return hashlib.sha256(signed).digest()


def registration_message(*, nonce: str, credential: str) -> bytes:
    """Return the bytes that an operator's paired key signs for a new passkey."""
    return canonical({"schema": SCHEMA, "nonce": nonce, "credential": credential})


def options(store: Store, site: Site, who: Identity) -> Json:
    """Return what `navigator.credentials.create` is called with, and the nonce that the operator's key will sign."""
    nonce = identity.new_nonce(store, proposal=SCHEMA, operator=who.name)
    return {
        "nonce": nonce,
        "options": {
            "challenge": text(_registration_challenge(nonce)),
            "rp": {"id": site.host, "name": "Skyflo Runbooks"},
            "user": {
                "id": text(hashlib.sha256(who.name.encode()).digest()),
                "name": who.name,
                "displayName": who.name,
            },
            "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in (-7, -257)],
            "excludeCredentials": [{"type": "public-key", "id": one.id} for one in of(store, who.name)],
            "authenticatorSelection": {"userVerification": "required", "residentKey": "preferred"},
            "attestation": "none",
            "timeout": 120_000,
        },
    }


def register(
    store: Store, site: Site, *, nonce: str, signature: str, credential: Json, label: str, who: Identity
) -> Passkey:
    """Keep a passkey by rule 1, or raise `NotAllowed`."""
    from webauthn import verify_registration_response

    id_ = str(credential.get("id", ""))
    signed = registration_message(nonce=nonce, credential=id_)
    signer = next((k for k in identity.keys_of(store, who.name) if signed_by(k.key, signed, signature)), None)
    if signer is None:
        raise NotAllowed("The passkey is not signed for by a key of yours.", next_step="Log in again on this browser.")
    if not identity.burn_nonce(store, nonce=nonce, purpose=SCHEMA, operator=who.name):
        raise NotAllowed("The nonce is not yours for a passkey, or it was used.", next_step="Begin again.")
    made = _checked(
        lambda: verify_registration_response(
            credential=credential,
            expected_challenge=_registration_challenge(nonce),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    )
    label = " ".join(label.split())[:80] or "passkey"
    kept = Passkey(
        text(made.credential_id), who.name, label, made.credential_public_key, made.sign_count, rfc3339(store.now())
    )
    told = {
        "operator": who.name,
        "passkey": kept.id,
        "public_key": text(kept.key),
        "label": label,
        "by": signer.thumbprint,
        "nonce": nonce,
        "signature": signature,
    }
    with store.transaction() as db:
        taken = db.execute("SELECT operator FROM passkeys WHERE id = ?", (kept.id,)).fetchone()
        if taken is not None:
            raise NotAllowed("This passkey is registered already.", next_step="Use it, or register another one.")
        db.execute(
            "INSERT INTO passkeys VALUES (?, ?, ?, ?, ?, ?)",
            (kept.id, kept.operator, kept.label, kept.key, kept.count, kept.added),
        )
        store.append(db, "passkey", told)
    return kept


def of(store: Store, operator: str) -> list[Passkey]:
    """Return an operator's passkeys that count, by rule 1."""
    rows = store.all("SELECT id, operator, label, key, count, added FROM passkeys WHERE operator = ?", (operator,))
    known = [msgspec.convert(row, tuple[str, str, str, bytes, int, str]) for row in rows]
    return [made for made in (Passkey(*row) for row in known) if _told(store, made)]


def asked(store: Store, site: Site, signed: bytes, operator: str) -> Json:
    """Return what `navigator.credentials.get` is called with for a decision that signs these bytes."""
    return {
        "challenge": text(challenge(signed)),
        "rpId": site.host,
        "allowCredentials": [{"type": "public-key", "id": one.id} for one in of(store, operator)],
        "userVerification": "required",
        "timeout": 120_000,
    }


def verified(
    store: Store, site: Site, *, assertion: Json, signed: bytes, operator: str, again: bool = False
) -> tuple[str, int]:
    """Return the id of the passkey that made this assertion over `signed`, and its counter; else raise `NotAllowed`.

    `again` checks an assertion that is on record: the counter has moved on since.
    """
    from webauthn import verify_authentication_response

    id_ = str(assertion.get("id", ""))
    known = next((one for one in of(store, operator) if one.id == id_), None)
    if known is None:
        raise NotAllowed("This passkey is none of yours.", next_step="Register it on the gateway's own page.")
    made = _checked(
        lambda: verify_authentication_response(
            credential=assertion,
            expected_challenge=challenge(signed),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=known.key,
            credential_current_sign_count=0 if again else known.count,
            require_user_verification=True,
        )
    )
    return known.id, made.new_sign_count


def counted(store: Store, id_: str, count: int) -> None:
    """Keep the counter of a passkey that was used."""
    with store.transaction() as db:
        db.execute("UPDATE passkeys SET count = max(count, ?) WHERE id = ?", (count, id_))


def used(decision: Decision) -> str:
    """Return the id of the passkey that a recorded decision carries; empty where there is none."""
    return str((decision.passkey or {}).get("id", ""))


def text(raw: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _told(store: Store, made: Passkey) -> bool:
    """Return whether the ledger's last word on it is that a key of its operator signed for it."""
    row = store.one(
        "SELECT kind, body FROM entries WHERE kind IN ('passkey', 'revoked') AND json_extract(body, '$.passkey') = ? "
        "ORDER BY seq DESC LIMIT 1",
        (made.id,),
    )
    if row is None or row[0] != "passkey":
        return False
    told = msgspec.json.decode(str(row[1]), type=dict)
    if (told.get("operator"), told.get("public_key")) != (made.operator, text(made.key)):
        return False
    signed = registration_message(nonce=str(told.get("nonce")), credential=made.id)
    keys = identity.keys_of(store, made.operator)
    return any(k.thumbprint == told.get("by") and signed_by(k.key, signed, str(told["signature"])) for k in keys)


def _registration_challenge(nonce: str) -> bytes:
    return hashlib.sha256(canonical({"schema": SCHEMA, "nonce": nonce})).digest()


def _checked(verify: Callable[[], T]) -> T:
    """Run one of webauthn's checks; what it refuses is `NotAllowed` in its words."""
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        return verify()
    except WebAuthnException as error:
        raise NotAllowed(f"The passkey's answer does not count: {error}.", next_step="Try once more.") from None
    except (ValueError, TypeError, LookupError, AttributeError, struct.error) as error:
        raise BadInput(f"That is no answer of a passkey: {type(error).__name__}.") from None
