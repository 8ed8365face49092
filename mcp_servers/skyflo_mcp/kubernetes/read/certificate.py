"""k8s_certificate: what the certificates of a TLS Secret say; neither the key nor anything else of the Secret.

Its values do not leave this tool, so what is shown needs no masking: names and times that any client is told in a
handshake. Of a Secret that holds no certificate it is said what it is; one whose certificate cannot be read is unknown.
"""

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.certificates import MEMBER, Certificate, certificates
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name

_COLUMNS = ("SUBJECT", "FOR", "ISSUER", "FROM", "UNTIL", "DAYS LEFT", "VALID", "SERIAL")


async def k8s_certificate(cluster: Cluster, *, namespace: str, name: str) -> Json:
    """Say of the certificates in a TLS Secret whose they are, who issued them, and for how many days they are valid."""
    secret = await cluster.get(ObjectRef("Secret", check_name(name), namespace, "v1"))
    now = await cluster.now()
    lacking = _lacking(secret)
    found = () if lacking else certificates(secret)
    rows = [_row(one, one.valid(now), one.days_left(now)) for one in found]
    annotations = at(secret, "metadata", "annotations", default={})
    issued = {key: value for key, value in annotations.items() if key.startswith("cert-manager.io/")}
    return {
        **table(_COLUMNS, rows),
        "object": f"Secret/{namespace}/{name}",
        "type": secret.get("type"),
        "issued_by": issued,
        "note": lacking,
        "at": stamp(now),
    }


def _lacking(secret: Json) -> str:
    """Return what the Secret is instead, where it has no certificate; nothing where it has one."""
    data = at(secret, "data", default={})
    if data.get(MEMBER):
        return ""
    keys = ", ".join(sorted(data)) or "none"
    empty = f"{MEMBER} of it is empty" if MEMBER in data else f"it has no {MEMBER}"
    return f"There is no certificate in it: {empty}. Its type is {secret.get('type') or 'Opaque'}, its keys: {keys}."


def _row(one: Certificate, valid: bool, days: float) -> list[Value]:
    names = ", ".join(one.names) or "no name"
    return [one.subject, names, one.issuer, stamp(one.begins), stamp(one.ends), round(days, 1), valid, one.serial]
