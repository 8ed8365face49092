"""What may be read of Secrets, and of other objects without what they hold: names, times of change, certificates.

Rules:
  1. `names_only`: the server is asked for metadata alone (PartialObjectMetadata). Whatever a server answers, nothing
     but metadata is handed on: no annotation (`last-applied-configuration` holds values), and of managedFields only
     who changed which keys of `data` when.
  2. `certificate`: a Secret is read whole, because the API has no other way to its public half, and dropped here.
     Handed on are its metadata, its type, and what the first certificate in `tls.crt` says; never a value, never the
     key, never the text of an error that came while reading it.
"""

from skyflo_mcp.kubernetes.certificates import certificates
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at

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
_TIME = "%Y-%m-%dT%H:%M:%SZ"
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
    return found | {"certificate": _said(secret)}


def _said(secret: Json) -> Json | None:
    try:
        first = certificates(secret)[0]
    except Unknown:
        return None
    return {
        "notBefore": first.begins.strftime(_TIME),
        "notAfter": first.ends.strftime(_TIME),
        "serial": first.serial,
        "subject": first.subject,
        "issuer": first.issuer,
        "names": list(first.names),
    }
