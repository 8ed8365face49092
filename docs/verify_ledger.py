"""Verify an export of a Skyflo Runbooks ledger, offline, without Skyflo Runbooks: one page to read before you trust it.

    pip install cryptography
    python verify_ledger.py EXPORT PUBLIC_KEY

PUBLIC_KEY is what `skyflo-runbooks ledger key` prints (`ed25519:…`). Get it from the gateway's owner by another way
than the export itself. The exit code is 0 where everything holds, else 1, with the first thing that does not.

What is checked: the envelope's signature (DSSE, https://github.com/secure-systems-lab/dsse); that each entry has the
hash it claims and follows the one before it; that each checkpoint is signed and names an entry with that hash.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TYPE = "application/vnd.skyflo.ledger.v1+json"


def holds(key: Ed25519PublicKey, message: bytes, signature: str) -> bool:
    """Whether the signature (base64) over the message is the key's."""
    try:
        key.verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def verify(envelope: dict, public: str) -> str:
    """Return what holds, or raise ValueError with what does not."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("ed25519:")))
    payload = base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %b %d %b" % (len(TYPE), TYPE.encode(), len(payload), payload)
    if envelope["payloadType"] != TYPE or not any(holds(key, signed, one["sig"]) for one in envelope["signatures"]):
        raise ValueError("the envelope is not signed by this key")
    export = json.loads(payload)
    hashes: dict[int, str] = {}
    before = None
    for place, link in enumerate(export["entries"], start=1):
        if hashlib.sha256(link["signed"].encode()).hexdigest() != link["hash"]:
            raise ValueError(f"entry {place} of the export is not what its hash says")
        entry = json.loads(link["signed"])
        if export["of"] == "all":
            first = entry["seq"] != 1 or entry["prev"] == "0" * 64
            follows = before is None or (entry["seq"] == before[0] + 1 and entry["prev"] == before[1])
            if not (first and follows):
                raise ValueError(f"entry {entry['seq']} does not follow the one before it")
        before = (entry["seq"], link["hash"])
        hashes[entry["seq"]] = link["hash"]
    for checkpoint in export["checkpoints"]:
        said = json.loads(checkpoint["signed"])
        if not holds(key, checkpoint["signed"].encode(), checkpoint["signature"]):
            raise ValueError(f"the checkpoint at entry {checkpoint['seq']} is not signed by this key")
        if said["seq"] != checkpoint["seq"] or hashes.get(said["seq"]) != said["hash"]:
            raise ValueError(f"the checkpoint at entry {checkpoint['seq']} is of another chain")
    last = max((one["seq"] for one in export["checkpoints"]), default=0)
    if not hashes:
        raise ValueError("the export holds no entry")
    gone = "" if min(hashes) == 1 else f"; entries 1 to {min(hashes) - 1} are not in it"
    chain = f"the chain from {min(hashes)} to {max(hashes)}{gone}"
    what = chain if export["of"] == "all" else f"single entries of {export['of']}"
    return (
        f"{len(export['entries'])} entries hold ({what}), with checkpoints up to entry {last}; exported {export['at']}"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Usage: verify_ledger.py EXPORT PUBLIC_KEY (the key as 'skyflo-runbooks ledger key' prints it)")
    try:
        print(verify(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"NOT VERIFIED: {error}")
