"""The ledger in an envelope that a third party verifies offline: DSSE, as in in-toto and The Update Framework.

Rules:
  1. The envelope is `{"payloadType", "payload", "signatures": [{"keyid", "sig"}]}`; what is signed is
     `DSSEv1 SP len SP type SP len SP payload` (DSSE's pre-authentication encoding), by the key of the checkpoints.
  2. Each entry and each checkpoint is carried as the very text that was hashed or signed, so that nobody has to know
     canonical JSON to verify it.
  3. A whole export has every entry, from the first or from a given one on, without a gap. One of a run has that run's
     entries: each holds by itself, the chain between them is not shown, and the export says so.
"""

import base64
import hashlib
from collections.abc import Collection
from typing import Literal

import msgspec

from skyflo_runbooks.gateway import checkpoints, ledger
from skyflo_runbooks.gateway.checkpoints import Checkpoint, Signer
from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.model.errors import BadInput

TYPE = "application/vnd.skyflo.ledger.v1+json"


class Link(msgspec.Struct, frozen=True):
    """One entry as it was hashed."""

    signed: str
    hash: str


class Export(msgspec.Struct, frozen=True):
    """What an envelope holds. `of` is `all`, or the run whose entries these are."""

    of: str
    at: str
    key: str
    entries: list[Link]
    checkpoints: list[Checkpoint]
    schema: Literal["skyflo.dev/ledger-export/v1"] = "skyflo.dev/ledger-export/v1"


class Signature(msgspec.Struct, frozen=True):
    """One signature of an envelope."""

    keyid: str
    sig: str


class Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    """A DSSE envelope."""

    payload_type: str
    payload: str
    signatures: list[Signature]


class _Place(msgspec.Struct, frozen=True):
    """An entry's place in the chain."""

    seq: int
    prev: str
    hash: str = ""


class Report(msgspec.Struct, frozen=True):
    """What verifying came to. `signed` is the last entry that a checkpoint covers, `problems` what does not hold."""

    ok: bool
    entries: int
    checkpoints: int
    signed: int
    key: str
    problems: list[str]


def link(entry: Entry) -> Link:
    """Return an entry as it was hashed."""
    return Link(ledger.text(entry), entry.hash)


def seal(export: Export, signer: Signer) -> Envelope:
    """Return the signed envelope of an export."""
    payload = msgspec.json.encode(export)
    signature = Signature(checkpoints.key_id(signer.public), signer.sign(pae(TYPE, payload)))
    return Envelope(TYPE, base64.b64encode(payload).decode(), [signature])


def pae(kind: str, payload: bytes) -> bytes:
    """Return the bytes that an envelope signs, by rule 1."""
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def verify(raw: bytes, trusted: Collection[str]) -> Report:
    """Return what verifying an envelope with these public keys comes to; `BadInput` where it is none of ours."""
    try:
        envelope = msgspec.json.decode(raw, type=Envelope)
        payload = base64.b64decode(envelope.payload, validate=True)
        if envelope.payload_type != TYPE:
            raise BadInput(f"Expected an envelope of {TYPE}, got {envelope.payload_type[:80]!r}.")
        export = msgspec.json.decode(payload, type=Export)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInput(f"This is no ledger export: {error}.", next_step="'ledger export -o FILE' makes one.") from None
    signed = pae(TYPE, payload)
    by = [key for key in trusted for one in envelope.signatures if checkpoints.signed_by(key, signed, one.sig)]
    problems = [] if by else ["The envelope is not signed by the gateway's key."]
    held, broken = _chain(export.entries, gaps=export.of != "all")
    hashes = {one.seq: one.hash for one in held}
    found = (checkpoints.problem(one, hashes.get(one.seq), trusted) for one in export.checkpoints)
    problems += [broken] if broken else [said for said in found if said]
    last = max((one.seq for one in export.checkpoints), default=0)
    return Report(not problems, len(export.entries), len(export.checkpoints), last, export.key, problems)


def _chain(links: list[Link], *, gaps: bool) -> tuple[list[_Place], str]:
    """Return the places of the entries that hold, and what is wrong with the first other one."""
    read: list[_Place] = []
    for place, one in enumerate(links, start=1):
        if hashlib.sha256(one.signed.encode()).hexdigest() != one.hash:
            return read, f"Entry {place} of the export is not what its hash says; those before it hold."
        try:
            said = msgspec.structs.replace(msgspec.json.decode(one.signed, type=_Place), hash=one.hash)
        except msgspec.MsgspecError as error:
            return read, f"Entry {place} of the export is none: {error}."
        if said.seq == 1 and said.prev != ledger.GENESIS:
            return read, "Entry 1 does not begin the chain."
        if read and not gaps and (said.seq, said.prev) != (read[-1].seq + 1, read[-1].hash):
            return read, f"Entry {said.seq} does not follow entry {read[-1].seq}; those before it hold."
        read.append(said)
    return read, ""
