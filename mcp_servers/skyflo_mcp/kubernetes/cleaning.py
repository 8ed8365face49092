"""Objects as a person reads them: without the server's book-keeping, and Secrets without their values. Pure.

A Secret's values never leave the read tools: of each only the size is said, as in `(12 bytes)`. kubectl's copy of the
whole object in an annotation goes with them. Values elsewhere that look secret are the gateway's redaction.
"""

import base64
import binascii
import contextlib
import copy

from skyflo_runbooks.model.json import Json, at

MASKED = "(masked)"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def cleaned(manifest: Json) -> Json:
    """Return a copy without managedFields, kubectl's last-applied annotation and, in a Secret, values."""
    clean = copy.deepcopy(manifest)
    metadata = clean.get("metadata") or {}
    for noise in ("managedFields", "selfLink"):
        metadata.pop(noise, None)
    annotations = metadata.get("annotations") or {}
    annotations.pop(_LAST_APPLIED, None)
    if not annotations:
        metadata.pop("annotations", None)
    if clean.get("kind") == "Secret":
        for member in ("data", "stringData"):
            if isinstance(clean.get(member), dict):
                clean[member] = {key: _size(value, member) for key, value in clean[member].items()}
    return clean


def _size(value: object, member: str) -> str:
    """Return how long a value is; of one that is no base64, as it is written."""
    content = str(value or "").encode()
    if member == "data":
        with contextlib.suppress(binascii.Error):
            content = base64.b64decode(content, validate=True)
    return f"({len(content)} bytes)"


def brief(manifest: Json) -> Json:
    """Return how an owner or a member is named: kind, name and uid."""
    return {
        "kind": manifest.get("kind", ""),
        "name": at(manifest, "metadata", "name", default=""),
        "namespace": at(manifest, "metadata", "namespace", default=""),
    }
