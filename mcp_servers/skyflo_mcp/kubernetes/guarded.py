"""What may be read of Secrets, and of other objects without what they hold: names, times of change, certificates.

Rules:
  1. `names_only`: the server is asked for metadata alone (PartialObjectMetadata). Whatever a server answers, nothing
     but metadata is handed on: no annotation (`last-applied-configuration` holds values), and of managedFields only
     who changed which keys of `data` when.
  2. `certificate`: a Secret is read whole, because the API has no other way to its public half, and dropped here.
     Handed on are its metadata, its type, and what the first certificate in `tls.crt` says; never a value, never the
     key, never the text of an error that came while reading it.
"""

import base64
from typing import TYPE_CHECKING

from skyflo_runbooks.model.json import Json, at

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_KEPT = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "finalizers",
    "ownerReferences",
)
_DATA = ("f:data", "f:binaryData", "f:stringData")


def names_only(item: Json, kind: str, api_version: str) -> Json:
    """Return of an object what rule 1 lets through."""
    metadata = at(item, "metadata", default={})
    kept: Json = {name: metadata[name] for name in _KEPT if name in metadata}
    changes = [_change(one) for one in metadata.get("managedFields") or [] if isinstance(one, dict)]
    return {"kind": kind, "apiVersion": api_version, "metadata": kept | {"managedFields": changes}}


def _change(managed: Json) -> Json:
    fields = at(managed, "fieldsV1", default={})
    keys: Json = {name: {key: {} for key in fields[name]} for name in _DATA if isinstance(fields.get(name), dict)}
    return {"manager": managed.get("manager", ""), "time": managed.get("time", ""), "fieldsV1": keys}


def certificate(secret: Json) -> Json:
    """Return of a Secret what rule 2 lets through; `certificate` is null where it holds none that can be read."""
    found = names_only(secret, "Secret", "v1") | {"type": str(secret.get("type", ""))}
    return found | {"certificate": _said(at(secret, "data", "tls.crt", default=""))}


def _said(encoded: object) -> Json | None:
    from cryptography import x509

    try:
        parsed = x509.load_pem_x509_certificates(base64.b64decode(str(encoded)))[0]
    except (ValueError, IndexError):
        return None
    return {
        "notBefore": parsed.not_valid_before_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "notAfter": parsed.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "serial": f"{parsed.serial_number:x}",
        "subject": parsed.subject.rfc4514_string(),
        "issuer": parsed.issuer.rfc4514_string(),
        "names": _names(parsed),
    }


def _names(parsed: "Certificate") -> list[str]:
    from cryptography import x509

    try:
        held = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name) for name in held.get_values_for_type(x509.DNSName)]
