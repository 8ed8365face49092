"""A passkey in software: makes credentials and assertions as a browser hands them on."""

import base64
import hashlib
import json
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from skyflo_runbooks.model.json import Json

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Authenticator:
    """One credential at one origin. `verifies` says whether it checks who holds it, `count` is its counter."""

    def __init__(self, origin: str, *, verifies: bool = True, count: int = 0) -> None:
        self.origin = origin
        self.verifies = verifies
        self.count = count
        self.id = secrets.token_bytes(16)
        self._private = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: Json) -> Json:
        """Answer `navigator.credentials.create`."""
        import cbor2

        numbers = self._private.public_key().public_numbers()
        key = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + key
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        said = self._client("webauthn.create", options["challenge"])
        return self._answer({"clientDataJSON": text(said), "attestationObject": text(made)})

    def get(self, options: Json) -> Json:
        """Answer `navigator.credentials.get`."""
        said = self._client("webauthn.get", options["challenge"])
        data = self._data(options["rpId"], 0)
        signature = self._private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        signed = {"clientDataJSON": text(said), "authenticatorData": text(data), "signature": text(signature)}
        return self._answer({**signed, "userHandle": None})

    def _answer(self, response: Json) -> Json:
        return {
            "id": text(self.id), "rawId": text(self.id), "type": "public-key", "clientExtensionResults": {},
            "response": response,
        }  # fmt: skip

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _data(self, host: str, flags: int) -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)


def text(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
