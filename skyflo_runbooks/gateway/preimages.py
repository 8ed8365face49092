"""Pre-images: what an object was before a change, and how to get back. Sealed, outside the ledger, with an end date.

AES-256-GCM under a key in the data directory (mode 0600); the proposal's id is bound as associated data, so that one
pre-image cannot stand in for another.
"""

import secrets
from datetime import timedelta

import msgspec

from skyflo_runbooks.gateway.keys import key_file
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model.errors import BadInput, Refused
from skyflo_runbooks.model.json import Json

LIFE = timedelta(days=30)


class Tampered(Refused):
    """A sealed request is not the one that was sealed for this proposal."""


class PreImages:
    """Keeps the undo operations and the object's former state of each request of a proposal."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = key_file(store.directory, "preimages.key")

    def keep(self, proposal: str, images: list[Json]) -> None:
        """Store one image a request; images past their end are dropped."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._store.transaction() as db:
            db.execute("DELETE FROM preimages WHERE until < ?", (rfc3339(self._store.now()),))
            for place, image in enumerate(images):
                nonce = secrets.token_bytes(12)
                sealed = nonce + AESGCM(self._key).encrypt(nonce, msgspec.json.encode(image), _bound(proposal, place))
                until = rfc3339(self._store.now() + LIFE)
                db.execute("INSERT INTO preimages VALUES (?, ?, ?, ?)", (proposal, place, sealed, until))

    def read(self, proposal: str) -> list[Json]:
        """Return the images of a proposal; `BadInput` where their time is over, `Tampered` where one is not its own."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        rows = self._store.all("SELECT place, sealed FROM preimages WHERE proposal = ? ORDER BY place", (proposal,))
        if not rows:
            raise BadInput(
                f"The pre-image of {proposal} is not kept any more (kept for {LIFE.days} days).",
                next_step="Write the change that leads back yourself, with k8s_patch.",
            )
        opened = []
        for place, sealed in rows:
            raw = sealed if isinstance(sealed, bytes) else b""
            try:
                plain = AESGCM(self._key).decrypt(raw[:12], raw[12:], _bound(proposal, int(str(place))))
            except (InvalidTag, ValueError):
                raise Tampered(
                    f"What is stored of {proposal} was changed, or is another proposal's.",
                    next_step="Run the change step again; look who can write to the data directory.",
                ) from None
            opened.append(msgspec.json.decode(plain, type=dict))
        return opened


def _bound(proposal: str, place: int) -> bytes:
    return f"{proposal}/{place}".encode()
