"""Family F, certificates of what is served: NET-08 and NET-09.

Sources of the evidence: the Secrets that an Ingress (`spec.tls`) or a Gateway (`listeners.tls.certificateRefs`) names,
those of type kubernetes.io/tls that there are, and what the public certificate in them says. No Secret's value is in a
snapshot: of a certificate it has the dates, the serial number and the names.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import created, each, name_of, namespace_of, texts
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.diagnosis.snapshot import ago, seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

ABOUT = r"(?i)\btls\b|\bssl\b|https|certificat|x509|handshake|expired"
# An issuer needs a while; a Secret that it has not made after this does not come by itself.
_ISSUED = 300.0
# How long a certificate must still hold to be taken instead of one that has expired.
_LASTS = 7 * 86400.0
_ISSUERS = ("cert-manager.io/", "kubernetes.io/tls-acme")


class Served(msgspec.Struct, frozen=True):
    """A Secret that something serves the certificate of: who names it and where, and for which hosts."""

    by: Json
    path: str
    secret: ObjectRef
    hosts: tuple[str, ...]


def served(graph: Graph) -> Iterator[Served]:
    """Yield what Ingresses and Gateways serve."""
    for ingress in graph.all("Ingress"):
        for index, tls in enumerate(each(ingress, "spec", "tls")):
            name, hosts = str(tls.get("secretName") or ""), _strings(tls.get("hosts"))
            if name:
                secret = ObjectRef("Secret", name, namespace_of(ingress))
                yield Served(ingress, f"/spec/tls/{index}/secretName", secret, hosts)
    for gateway in graph.all("Gateway"):
        for index, listener in enumerate(each(gateway, "spec", "listeners")):
            for place, held in enumerate(each(listener, "tls", "certificateRefs")):
                if held.get("kind", "Secret") == "Secret":
                    space = str(held.get("namespace") or namespace_of(gateway))
                    secret = ObjectRef("Secret", str(held.get("name")), space)
                    path = f"/spec/listeners/{index}/tls/certificateRefs/{place}/name"
                    hosts = (str(listener["hostname"]),) if listener.get("hostname") else ()
                    yield Served(gateway, path, secret, hosts)


def _strings(found: object) -> tuple[str, ...]:
    return tuple(str(item) for item in found) if isinstance(found, list) else ()


# NET-08 ---------------------------------------------------------------------------------------------------------------


def no_secret(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Secret that a certificate is to be served of, and that does not exist."""
    from rapidfuzz import fuzz

    for one in served(graph):
        space = one.secret.namespace
        if graph.get(one.secret) is not None or graph.snapshot.unread(space, "Secret") or _on_its_way(graph, one):
            continue
        there = [item for item in _certificates(graph, space) if _names(item, one.hosts)]
        near = [name_of(item) for item in there if fuzz.ratio(name_of(item), one.secret.name) >= 70]
        meant = near[0] if len(near) == 1 else ""
        yield _finding(
            graph,
            one,
            "NET-08",
            f"{ref(one.by)} serves TLS by {one.secret}, which does not exist",
            (evidence(one.by, "TLS Secrets beside it", graph.snapshot.time, _listed(_certificates(graph, space))),),
            meant,
            f"Have the certificate issued to {one.secret.name} again, or name the Secret that holds it.",
        )


def _on_its_way(graph: Graph, one: Served) -> bool:
    """Return whether an issuer is to make the Secret and has not had the time."""
    issued = any(key.startswith(_ISSUERS) for key in texts(one.by, "metadata", "annotations"))
    age = seconds_between(created(one.by), graph.snapshot.time)
    return issued and age is not None and age < _ISSUED


def _certificates(graph: Graph, namespace: str) -> list[Json]:
    return [item for item in graph.all("Secret") if namespace_of(item) == namespace and item.get("certificate")]


def _names(secret: Json, hosts: tuple[str, ...]) -> bool:
    """Return whether a certificate is for all these hosts and lasts."""
    return all(any(_covers(name, host) for name in _strings(at(secret, "certificate", "names"))) for host in hosts)


def _covers(name: str, host: str) -> bool:
    # RFC 6125: a wildcard stands for exactly one label, the first.
    return name == host or (name.startswith("*.") and host.partition(".")[2] == name[2:])


def _listed(secrets: list[Json]) -> str:
    return ", ".join(sorted(name_of(item) for item in secrets)[:10]) or "none"


# NET-09 ---------------------------------------------------------------------------------------------------------------


def expired(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each certificate that is served although its time is over, or has not come."""
    now = graph.snapshot.time
    for one in served(graph):
        held = graph.get(one.secret)
        said = texts(held, "certificate") if held is not None else {}
        over = seconds_between(said.get("notAfter", ""), now)
        early = seconds_between(now, said.get("notBefore", ""))
        if held is None or over is None or not (over > 0 or (early is not None and early > 0)):
            continue
        why = f"expired {ago(said['notAfter'], now)} ago" if over > 0 else f"is valid only from {said['notBefore']} on"
        others = [
            name_of(item)
            for item in _certificates(graph, one.secret.namespace)
            if item is not held and one.hosts and _names(item, one.hosts) and _lasts(item, now)
        ]
        issuer = _issuer(graph, one.secret)
        text = ", ".join(f"{part} {said.get(part, '?')}" for part in ("notBefore", "notAfter", "serial"))
        advice = "Have it renewed by whoever issued it" + (f" ({said['issuer']})" if said.get("issuer") else "")
        yield _finding(
            graph,
            one,
            "NET-09",
            f"The certificate in {one.secret}, which {ref(one.by)} serves, {why}",
            (evidence(held, "certificate in tls.crt", now, text), *issuer),
            others[0] if len(others) == 1 else "",
            f"{advice}; its key stays where it is."
            if not issuer
            else f"{advice}: the issuer says why it was not: {issuer[0].text}",
        )


def _lasts(secret: Json, now: str) -> bool:
    left = seconds_between(now, str(at(secret, "certificate", "notAfter", default="")))
    begun = seconds_between(str(at(secret, "certificate", "notBefore", default="")), now)
    return left is not None and left > _LASTS and begun is not None and begun >= 0


def _issuer(graph: Graph, secret: ObjectRef) -> tuple[Evidence, ...]:
    """Return what cert-manager says of the certificate, where it issued it."""
    for item in graph.all("Certificate"):
        if namespace_of(item) == secret.namespace and at(item, "spec", "secretName") == secret.name:
            said = [c for c in each(item, "status", "conditions") if c.get("type") in ("Ready", "Issuing")]
            text = "; ".join(f"{c.get('type')} {c.get('status')}: {c.get('message', '')}" for c in said)
            return (evidence(item, "conditions", graph.snapshot.time, text or "none yet"),)
    return ()


def _finding(
    graph: Graph, one: Served, fault: str, title: str, pieces: tuple[Evidence, ...], meant: str, advice: str
) -> Finding:
    services = [
        str(at(path, "backend", "service", "name"))
        for rule in each(one.by, "spec", "rules")
        for path in each(rule, "http", "paths")
        if at(path, "backend", "service", "name")
    ]
    text = f"{one.secret.name}; hosts: {', '.join(one.hosts) or 'any'}"
    facts = {"secret": one.secret.name, "path": one.path, "by": str(ref(one.by))}
    exact = meant and one.secret.namespace == namespace_of(one.by)
    return Finding(
        fault=fault,
        title=title,
        object=ref(one.by) if exact or fault == "NET-08" else one.secret,
        confidence=0.95,
        evidence=(
            evidence(one.by, one.path, graph.snapshot.time, text),
            *pieces,
        ),
        facts=facts | ({"meant": meant} if exact else {}),
        related=(ref(one.by), *dict.fromkeys(ObjectRef("Service", name, namespace_of(one.by)) for name in services)),
        explains=(ref(one.by),),
        advice=advice,
    )


RULES = (
    Rule(fault="NET-08", needs=("Ingress",), find=no_secret, wants=("Secret",), about=ABOUT),
    Rule(fault="NET-09", needs=("Ingress",), find=expired, wants=("Secret",), about=ABOUT),
)

__all__ = ["RULES"]
