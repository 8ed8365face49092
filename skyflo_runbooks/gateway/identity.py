"""Who is asking: tokens, one-time links, and the keys of operators.

Rules:
  1. A token is 32 random bytes; only its SHA-256 is kept. It has a role, a name and an end, and may be narrowed to
     namespaces. It can be revoked (`credentials`).
  2. Roles of credentials: `kernel` and `agent` read, propose and ask for verdicts. `operator` looks as well; to decide
     takes more than any token: a signature by a key that was paired through a one-time link.
  3. A link serves once. Links are made when the gateway starts, and by operators afterwards. It carries the highest
     rank that who pairs by it can have, and that is never above its maker's.
  4. No role may decide by its token alone, whatever its name.
  5. A key counts for its operator only as the ledger's own entry `paired` says it, and until an entry `revoked` does:
     a row that was written into the table by other means signs nothing.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from skyflo_runbooks.gateway.database import Transaction
from skyflo_runbooks.gateway.policy.file import RANKS, Rank
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json, canonical

__all__ = ["RANKS", "Identity", "PairedKey", "PublicKey", "Rank", "Role"]
Role = Literal["kernel", "agent", "operator", "link"]
EVERYWHERE = ("*",)
# Who makes the links that are printed at the start.
GATEWAY = "gateway"
LINK_LIFE = timedelta(hours=1)
SESSION_LIFE = timedelta(days=7)
PROCESS_LIFE = timedelta(days=365)
NONCE_LIFE = timedelta(minutes=10)
_PROGRAM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_ASKED = re.compile(r"operator:(?P<self>.+)|(?:kernel|agent):[^ ]+ for (?P<owner>.+)", re.DOTALL)


class Identity(msgspec.Struct, frozen=True):
    """Who a credential stands for.

    `rank` is the highest that an operator's link allowed. `namespaces` are the patterns that a program's token is
    narrowed to, `owner` the operator whose program it is, where that is known.
    """

    role: Role
    name: str
    rank: Rank = "viewer"
    namespaces: tuple[str, ...] = EVERYWHERE
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.role}:{self.name}" + (f" for {self.owner}" if self.owner else "")


def person(requester: str) -> str:
    """Return the operator who stands behind a requester, as `Identity` writes it; empty where none is named."""
    found = _ASKED.fullmatch(requester)
    return "" if found is None else found["self"] or found["owner"]


def program_name(name: str) -> str:
    """Return the name of a kernel or agent, or raise `BadInput`: it stands before ` for ` in the record."""
    if not _PROGRAM.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot name a program.", next_step="Small letters, digits and '-', at most 40 of them."
        )
    return name


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


def issue(
    store: Store,
    role: Role,
    name: str,
    life: timedelta,
    *,
    rank: Rank = "admin",
    namespaces: tuple[str, ...] = EVERYWHERE,
    owner: str = "",
    maker: str = GATEWAY,
) -> str:
    """Return a new token; its hash is kept until its end.

    Of a link `name` is its maker, `owner` the one operator whom it is meant for, and `rank` the highest that it gives.
    """
    token = secrets.token_urlsafe(32)
    with store.transaction() as db:
        db.execute("DELETE FROM tokens WHERE expires < ?", (rfc3339(store.now()),))
        _keep(db, store, token, Identity(role, name, rank, namespaces, owner), life, name if role == "link" else maker)
    return token


def _keep(db: Transaction, store: Store, token: str, who: Identity, life: timedelta, maker: str) -> None:
    now = store.now()
    scope = msgspec.json.encode(who.namespaces).decode()
    db.execute(
        "INSERT INTO tokens (hash, role, name, expires, rank, namespaces, owner, maker, made) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (hash_of(token), who.role, who.name, rfc3339(now + life), who.rank, scope, who.owner, maker, rfc3339(now)),
    )


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


def pair(store: Store, *, link: str, name: str, key: PublicKey, named: Callable[[str], bool] = lambda _: False) -> str:
    """Use up a one-time link, register the operator's key, and return the session token.

    A link that an operator made opens no door to another operator's name, nor to one that the configuration speaks of
    (`named`), unless it was made by an admin for that very name; one that the gateway made at its start may, because
    whoever started it may log in again. A key stays its operator's.
    """
    name = operator_name(name)
    session = secrets.token_urlsafe(32)
    thumbprint = key_id(key)
    with store.transaction() as db:
        rank, maker = _use_up(db, link, name, rfc3339(store.now()), named)
        owner = db.execute("SELECT name FROM operators WHERE key = ?", (thumbprint,)).fetchone()
        if owner is not None and owner[0] != name:
            raise NotAllowed("This key is another operator's.", next_step="Log in with a key of your own.")
        _keep(db, store, session, Identity("operator", name, rank), SESSION_LIFE, maker)
        db.execute(
            "INSERT OR REPLACE INTO operators (key, name, jwk, paired, rank) VALUES (?, ?, ?, ?, ?)",
            (thumbprint, name, msgspec.json.encode(key).decode(), rfc3339(store.now()), rank),
        )
        told = {"operator": name, "key": thumbprint, "rank": rank, "by": maker}
        store.append(db, "paired", told)
    return session


def _use_up(db: Transaction, link: str, name: str, now: str, named: Callable[[str], bool]) -> tuple[Rank, str]:
    """Use the link up and return the rank that it gives, and who made it."""
    found = db.execute(
        "DELETE FROM tokens WHERE hash = ? AND role = 'link' AND expires >= ? RETURNING name, rank, owner",
        (hash_of(link), now),
    ).fetchone()
    if found is None:
        raise NotAllowed(
            "This link was used already or has ended.",
            next_step="Ask an operator for 'skyflo-runbooks login --new-link', or start the gateway again.",
        )
    maker, rank, meant = found
    if meant and meant != name:
        raise NotAllowed(f"This link is for {meant!r}.", next_step=f"Log in with --operator {meant!r}.")
    taken = db.execute("SELECT 1 FROM operators WHERE name = ?", (name,)).fetchone() is not None or named(name)
    if taken and maker not in (GATEWAY, name) and not meant:
        raise NotAllowed(
            f"The name {name!r} is another operator's.",
            next_step="Log in under a name of your own, or ask an admin for a link that is made for this name.",
        )
    return msgspec.convert(rank, Rank), str(maker)


def operator_name(name: str) -> str:
    """Return a name that can stand in the record: one line, at most 120 characters."""
    clean = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    if not clean or len(clean) > 120:
        raise BadInput("An operator needs a name of 1 to 120 characters.", next_step="Give it with --operator NAME.")
    return clean


class PairedKey(msgspec.Struct, frozen=True):
    """A key that signs for an operator: its thumbprint, the highest rank it has, and where the ledger tells of it."""

    thumbprint: str
    key: PublicKey
    rank: Rank
    since: int


def keys_of(store: Store, name: str) -> list[PairedKey]:
    """Return the keys that sign for an operator, by rule 5."""
    rows = store.all("SELECT key, jwk, rank FROM operators WHERE name = ?", (name,))
    found = [_told(store, name, str(key), str(jwk), str(rank)) for key, jwk, rank in rows]
    return [one for one in found if one is not None]


def _told(store: Store, name: str, thumbprint: str, jwk: str, rank: str) -> PairedKey | None:
    """Return the key if it has this thumbprint and the ledger's last word on it is that it was paired so."""
    row = store.one(
        "SELECT seq, kind, body FROM entries WHERE json_extract(body, '$.key') = ? AND kind IN ('paired', 'revoked') "
        "ORDER BY seq DESC LIMIT 1",
        (thumbprint,),
    )
    key = msgspec.json.decode(jwk, type=PublicKey)
    if row is None or row[1] != "paired" or key_id(key) != thumbprint:
        return None
    told = msgspec.json.decode(str(row[2]), type=dict)
    # An older record's entry says no rank: whoever had paired could do everything.
    if (told.get("operator"), told.get("rank", "admin")) != (name, rank):
        return None
    return PairedKey(thumbprint, key, msgspec.convert(rank, Rank), int(str(row[0])))


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
    row = store.one("SELECT role, name, expires, rank, namespaces, owner FROM tokens WHERE hash = ?", (hash_of(token),))
    if row is None or datetime.fromisoformat(str(row[2])) < store.now():
        return None
    role, name, _, rank, namespaces, owner = row
    scope = msgspec.json.decode(str(namespaces))
    return msgspec.convert({"role": role, "name": name, "rank": rank, "namespaces": scope, "owner": owner}, Identity)
