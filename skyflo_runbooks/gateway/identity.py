"""Who is asking: tokens, one-time links, and the keys of operators.

Rules:
  1. A token is 32 random bytes; only its SHA-256 is kept. It has a role, a name and an end.
  2. Roles: `kernel` and `agent` read, propose and ask for verdicts. `operator` looks as well; to decide takes more than
     any token: a signature by a key that was paired through a one-time link.
  3. A link serves once. Links are made when the gateway starts, and by operators afterwards.
  4. No role may decide by its token alone, whatever its name.
"""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from skyflo_runbooks.gateway.database import Transaction
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json, canonical

Role = Literal["kernel", "agent", "operator", "link"]
# Who makes the links that are printed at the start.
GATEWAY = "gateway"
LINK_LIFE = timedelta(hours=1)
SESSION_LIFE = timedelta(days=7)
PROCESS_LIFE = timedelta(days=365)
NONCE_LIFE = timedelta(minutes=10)


class Identity(msgspec.Struct, frozen=True):
    """Who a credential stands for."""

    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role}:{self.name}"


class PublicKey(msgspec.Struct, frozen=True):
    """An ECDSA P-256 public key as a JWK (RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str


def hash_of(token: str) -> str:
    """Return the form in which a token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def key_id(key: PublicKey) -> str:
    """Return the key's thumbprint (RFC 7638)."""
    return hashlib.sha256(canonical({"crv": key.crv, "kty": key.kty, "x": key.x, "y": key.y})).hexdigest()


def read_key(jwk: Json) -> PublicKey:
    """Return the public key in `jwk`, or raise `BadInput` where it is not one on the curve."""
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = msgspec.convert(jwk, PublicKey)
        ec.EllipticCurvePublicNumbers(number(key.x), number(key.y), ec.SECP256R1()).public_key()
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInput(f"Expected a public ECDSA P-256 key as JWK: {error}.") from None
    return key


def number(text: str) -> int:
    """Return the integer in base64url without padding."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def issue(store: Store, role: Role, name: str, life: timedelta) -> str:
    """Return a new token; its hash is kept until its end."""
    token = secrets.token_urlsafe(32)
    with store.transaction() as db:
        db.execute("DELETE FROM tokens WHERE expires < ?", (rfc3339(store.now()),))
        db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?)", (hash_of(token), role, name, rfc3339(store.now() + life)))
    return token


def identify(store: Store, token: str) -> Identity:
    """Return who a bearer token or session stands for, or raise `NotAllowed`."""
    found = _live(store, token)
    if found is None or found.role == "link":
        raise NotAllowed(
            "This credential is not known here, or it has ended.",
            next_step="Log in with a one-time link: 'skyflo-runbooks login LINK'.",
        )
    return found


def link_is_open(store: Store, token: str) -> bool:
    """Return whether a one-time link still serves."""
    found = _live(store, token)
    return found is not None and found.role == "link"


def pair(store: Store, *, link: str, name: str, key: PublicKey) -> str:
    """Use up a one-time link, register the operator's key, and return the session token.

    A link that an operator made opens no door to another operator's name; one that the gateway made at its start may,
    because whoever started it may log in again. A key stays its operator's.
    """
    name = operator_name(name)
    session = secrets.token_urlsafe(32)
    with store.transaction() as db:
        _use_up(db, link, name, rfc3339(store.now()))
        owner = db.execute("SELECT name FROM operators WHERE key = ?", (key_id(key),)).fetchone()
        if owner is not None and owner[0] != name:
            raise NotAllowed("This key is another operator's.", next_step="Log in with a key of your own.")
        db.execute(
            "INSERT INTO tokens VALUES (?, 'operator', ?, ?)",
            (hash_of(session), name, rfc3339(store.now() + SESSION_LIFE)),
        )
        db.execute(
            "INSERT OR REPLACE INTO operators VALUES (?, ?, ?, ?)",
            (key_id(key), name, msgspec.json.encode(key).decode(), rfc3339(store.now())),
        )
    store.record("paired", {"operator": name, "key": key_id(key)})
    return session


def _use_up(db: Transaction, link: str, name: str, now: str) -> None:
    found = db.execute(
        "DELETE FROM tokens WHERE hash = ? AND role = 'link' AND expires >= ? RETURNING name", (hash_of(link), now)
    ).fetchone()
    if found is None:
        raise NotAllowed(
            "This link was used already or has ended.",
            next_step="Ask an operator for 'skyflo-runbooks login --new-link', or start the gateway again.",
        )
    taken = db.execute("SELECT 1 FROM operators WHERE name = ?", (name,)).fetchone()
    if taken and found[0] not in (GATEWAY, name):
        raise NotAllowed(f"The name {name!r} is another operator's.", next_step="Log in under a name of your own.")


def operator_name(name: str) -> str:
    """Return a name that can stand in the record: one line, at most 120 characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    if not clean or len(clean) > 120:
        raise BadInput("An operator needs a name of 1 to 120 characters.", next_step="Give it with --operator NAME.")
    return clean


def keys_of(store: Store, name: str) -> list[tuple[str, PublicKey]]:
    """Return the paired keys of an operator, by thumbprint."""
    rows = store.all("SELECT key, jwk FROM operators WHERE name = ?", (name,))
    return [(str(key), msgspec.json.decode(str(jwk), type=PublicKey)) for key, jwk in rows]


def new_nonce(store: Store, *, proposal: str, operator: str) -> str:
    """Return a nonce for one decision by one operator on one proposal."""
    nonce = secrets.token_urlsafe(24)
    with store.transaction() as db:
        db.execute("DELETE FROM nonces WHERE until < ?", (rfc3339(store.now()),))
        db.execute(
            "INSERT INTO nonces VALUES (?, ?, ?, ?)", (nonce, proposal, operator, rfc3339(store.now() + NONCE_LIFE))
        )
    return nonce


def nonce_serves(store: Store, *, nonce: str, proposal: str, operator: str) -> bool:
    """Return whether the nonce is this operator's, for this proposal, and not used yet."""
    row = store.one(
        "SELECT 1 FROM nonces WHERE nonce = ? AND proposal = ? AND operator = ? AND until >= ?",
        (nonce, proposal, operator, rfc3339(store.now())),
    )
    return row is not None


def burn_nonce(store: Store, *, nonce: str, purpose: str, operator: str) -> bool:
    """Use a nonce up that decides no proposal; return whether it was this operator's, for this purpose, and fresh."""
    with store.transaction() as db:
        used = db.execute(
            "DELETE FROM nonces WHERE nonce = ? AND proposal = ? AND operator = ? AND until >= ?",
            (nonce, purpose, operator, rfc3339(store.now())),
        ).rowcount
    return used == 1


def _live(store: Store, token: str) -> Identity | None:
    row = store.one("SELECT role, name, expires FROM tokens WHERE hash = ?", (hash_of(token),))
    if row is None or datetime.fromisoformat(str(row[2])) < store.now():
        return None
    return msgspec.convert({"role": row[0], "name": row[1]}, Identity)
