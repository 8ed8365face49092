"""k8s_certificate: what the certificates of a TLS Secret say; neither the key nor anything else of the Secret.

Its values do not leave this tool, so what is shown needs no masking: names and times that any client is told in a
handshake.
"""

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.certificates import Certificate, certificates
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name

_COLUMNS = ("SUBJECT", "FOR", "ISSUER", "FROM", "UNTIL", "DAYS LEFT", "VALID", "SERIAL")


async def k8s_certificate(cluster: Cluster, *, namespace: str, name: str) -> Json:
    """Say of the certificates in a TLS Secret whose they are, who issued them, and for how many days they are valid."""
    secret = await cluster.get(ObjectRef("Secret", check_name(name), namespace, "v1"))
    now = await cluster.now()
    rows = [_row(one, one.valid(now), one.days_left(now)) for one in certificates(secret)]
    annotations = at(secret, "metadata", "annotations", default={})
    issued = {key: value for key, value in annotations.items() if key.startswith("cert-manager.io/")}
    return {
        **table(_COLUMNS, rows),
        "object": f"Secret/{namespace}/{name}",
        "type": secret.get("type"),
        "issued_by": issued,
        "at": stamp(now),
    }


def _row(one: Certificate, valid: bool, days: float) -> list[Value]:
    names = ", ".join(one.names) or "no name"
    return [one.subject, names, one.issuer, stamp(one.begins), stamp(one.ends), round(days, 1), valid, one.serial]
