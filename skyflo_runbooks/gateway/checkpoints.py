"""Signed checkpoints of the ledger: up to here, the chain had this hash; signed by the gateway.

Rules:
  1. A checkpoint signs the canonical JSON of {schema, cluster, seq, hash, at} by Ed25519 (RFC 8032).
  2. One is made in the transaction of each entry that ends something (a decision, an attempt, a verdict), and of each
     entry that is `EVERY` after the last one; what is left is signed after `SECONDS`.
  3. The private key is the data directory's `checkpoints.key`, mode 0600. Its public half is printed for whoever asks.
  4. A checkpoint holds if its signature is by a key that the reader trusts, and the chain has its hash at its place.
"""

import base64
import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from skyflo_runbooks.gateway.database import Database, Transaction
from skyflo_runbooks.gateway.keys import key_file
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import canonical

SCHEMA = "skyflo.dev/checkpoint/v1"
KEY_FILE = "checkpoints.key"
PREFIX = "ed25519:"
EVERY = 100
SECONDS = 60.0
ENDS = frozenset(
    {
        "approve",
        "drift",
        "expire",
        "fail",
        "lose",
        "reject",
        "restored",
        "roll_back",
        "settle_executed",
        "settle_failed",
        "settle_void",
        "succeed",
        "verdict",
    }
)


_NEWEST = "SELECT seq, signed, key, signature FROM checkpoints ORDER BY seq DESC LIMIT 1"


class Statement(msgspec.Struct, frozen=True):
    """What is signed: the cluster whose record it is, the last entry that it covers, and when."""

    cluster: str
    seq: int
    hash: str
    at: str
    schema: str = SCHEMA


class Checkpoint(msgspec.Struct, frozen=True):
    """A statement as it was signed, byte for byte, with the public key and the signature (base64)."""

    seq: int
    signed: str
    key: str
    signature: str


class Signer:
    """Holds the gateway's private key. `public` is the half that anybody may have."""

    def __init__(self, directory: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(key_file(directory, KEY_FILE))
        self.public = PREFIX + _text(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """Return the signature over `message`, base64."""
        return _text(self._private.sign(message))

    def __repr__(self) -> str:
        return f"Signer({key_id(self.public)})"


def due(kind: str, seq: int, last: int) -> bool:
    """Return whether the entry of this kind at `seq` gets a checkpoint, by rule 2; the last one covers `last`."""
    return kind in ENDS or seq - last >= EVERY


def make(db: Transaction, signer: Signer, statement: Statement) -> None:
    """Keep the signed checkpoint inside the caller's transaction."""
    said = canonical(msgspec.to_builtins(statement))
    made = (statement.seq, said.decode(), signer.public, signer.sign(said))
    db.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING", made)


def last(db: Transaction) -> Checkpoint | None:
    """Return the checkpoint that covers most, as an open transaction sees it."""
    row = db.execute(_NEWEST).fetchone()
    return None if row is None else Checkpoint(*row)


def newest(database: Database) -> Checkpoint | None:
    """Return the checkpoint that covers most."""
    row = database.one(_NEWEST)
    return None if row is None else _read(row)


def cluster_of(checkpoint: Checkpoint) -> str:
    """Return the cluster that a checkpoint names."""
    return msgspec.json.decode(checkpoint.signed, type=Statement).cluster


def kept(database: Database) -> Iterator[Checkpoint]:
    """Yield every checkpoint in the order of the chain."""
    for row in database.all("SELECT seq, signed, key, signature FROM checkpoints ORDER BY seq"):
        yield _read(row)


def _read(row: tuple[object, ...]) -> Checkpoint:
    return msgspec.convert(dict(zip(("seq", "signed", "key", "signature"), row, strict=True)), Checkpoint)


def problem(checkpoint: Checkpoint, hash_: str | None, trusted: Collection[str]) -> str:
    """Return what is wrong with a checkpoint where the chain has `hash_` at its place; empty where it holds."""
    where = f"The checkpoint at entry {checkpoint.seq}"
    if checkpoint.key not in trusted:
        return f"{where} is by the key {key_id(checkpoint.key)}, which is not the gateway's."
    if not signed_by(checkpoint.key, checkpoint.signed.encode(), checkpoint.signature):
        return f"{where} is not signed by the key that it names."
    try:
        said = msgspec.json.decode(checkpoint.signed, type=Statement)
    except msgspec.MsgspecError as error:
        return f"{where} is no statement: {error}."
    if said.schema != SCHEMA or said.seq != checkpoint.seq:
        return f"{where} signs something else: {said.schema}, entry {said.seq}."
    if hash_ is None:
        return f"{where} covers an entry that is not there: the record was cut off."
    if said.hash != hash_:
        return f"{where} signed {said.hash[:12]}…, the chain has {hash_[:12]}… there: it was written anew."
    return ""


def signed_by(key: str, message: bytes, signature: str) -> bool:
    """Return whether the signature over `message` is the key's."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_bytes(key)).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError, BadInput):
        return False
    return True


def public_bytes(key: str) -> bytes:
    """Return the 32 bytes of a public key as it is printed, or raise `BadInput`."""
    try:
        raw = base64.b64decode(key.removeprefix(PREFIX), validate=True)
    except ValueError:
        raw = b""
    if not key.startswith(PREFIX) or len(raw) != 32:
        raise BadInput(
            f"Expected a public key like {PREFIX}<44 characters>, got {key[:60]!r}.",
            next_step="'skyflo-runbooks ledger key' prints it.",
        )
    return raw


def key_id(key: str) -> str:
    """Return a short name of a public key: the beginning of its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
