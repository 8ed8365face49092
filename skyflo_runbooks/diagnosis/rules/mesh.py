"""Family K, Istio: MES-01 and MES-02.

Sources of the evidence: the policies that select the pods behind a Service, by Istio's rules (a PeerAuthentication of
the workload comes before the namespace's; without an ALLOW policy all is allowed, with one only what it admits; DENY
comes first: https://istio.io/latest/docs/reference/config/security/; what has targets is for gateways and waypoints
and not for pods; the root namespace's policies hold everywhere), beside who asks; the subsets that a
VirtualService names, beside those of the DestinationRule of the same host. What depends on a request's own content
(paths, methods, tokens, conditions, addresses) is not judged: such a rule is taken to admit, and to deny nobody.
Where a policy names another trust domain than `cluster.local`, which stands for the mesh's own, nobody is judged.
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, carries, ref, selector
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    each,
    labels_of,
    name_of,
    namespace_of,
    pod_spec,
    ready,
    template,
    texts,
)
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.diagnosis.rules.routing import clients, declared_ports
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# Istio's own name of the container that it injects, and the label of a namespace whose nodes carry the mesh.
_PROXY = "istio-proxy"
_AMBIENT = "istio.io/dataplane-mode"
_PAST = "traffic.sidecar.istio.io/exclude"
# The namespace whose policies hold for the whole mesh, unless its configuration names another.
_ROOT = "istio-system"
_TRUST = "cluster.local"
_ABOUT = r"(?i)istio|mesh|mtls|\brbac\b|\b403\b|\b503\b|denied|forbidden|reset|refus|subset|route"


# MES-01 ---------------------------------------------------------------------------------------------------------------


def refused_in_mesh(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each policy of the mesh that keeps a client of a Service from its pods."""
    if not graph.all("PeerAuthentication") and not graph.all("AuthorizationPolicy"):
        return
    for service in graph.all("Service"):
        pods = [pod for pod in graph.selected(namespace_of(service), selector(service)) if ready(pod)]
        if not pods or not _in_mesh(pods[0]) or _passed_by(pods[0]):
            continue
        for client in clients(graph, service):
            asking = [pod for pod in graph.pods(client.workload) if ready(pod)]
            if not asking or client.workload is graph.workload(pods[0]):
                continue
            found = _strict(graph, pods[0], asking[0]) or _unauthorized(graph, service, pods[0], client.workload)
            if found is not None:
                yield _refused(graph, service, pods[0], client.workload, client.variable, *found)
                break


def _in_mesh(pod: Json) -> bool:
    names = [c.get("name") for listed in ("containers", "initContainers") for c in each(pod, "spec", listed)]
    return _PROXY in names


def _passed_by(pod: Json) -> bool:
    """Return whether some of a pod's ports are said to go past its proxy."""
    return any(key.startswith(_PAST) for key in texts(pod, "metadata", "annotations"))


def _strict(graph: Graph, pod: Json, client: Json) -> tuple[Json, str, dict[str, str]] | None:
    """Return the policy that wants mutual TLS of a client that has no proxy to speak it."""
    space = graph.get(ObjectRef("Namespace", namespace_of(client)))
    if _in_mesh(client) or (space is not None and labels_of(space).get(_AMBIENT) == "ambient"):
        return None
    mine = [p for p in graph.all("PeerAuthentication") if namespace_of(p) == namespace_of(pod) and _selects(p, pod)]
    mine.sort(key=lambda item: (not texts(item, "spec", "selector", "matchLabels"), name_of(item)))
    if not mine or at(mine[0], "spec", "mtls", "mode") != "STRICT" or at(mine[0], "spec", "portLevelMtls"):
        return None
    return mine[0], "wants mutual TLS, and the client has no proxy of the mesh", {"refuses": "plain"}


def _selects(policy: Json, pod: Json) -> bool:
    if each(policy, "spec", "targetRefs") or at(policy, "spec", "targetRef"):
        return False
    return carries(labels_of(pod), texts(policy, "spec", "selector", "matchLabels"))


def _unauthorized(graph: Graph, service: Json, pod: Json, client: Json) -> tuple[Json, str, dict[str, str]] | None:
    """Return the policy that denies the client, or that allows others only."""
    if any(_foreign(policy) for policy in graph.all("AuthorizationPolicy")):
        return None
    mine = [p for p in graph.all("AuthorizationPolicy") if namespace_of(p) == namespace_of(pod) and _selects(p, pod)]
    account = str(at(pod_spec(client), "serviceAccountName", default="default"))
    who = f"{_TRUST}/ns/{namespace_of(client)}/sa/{account}"
    for policy in mine:
        if at(policy, "spec", "action") == "DENY" and any(
            _certain(rule) and _from(rule, who) for rule in each(policy, "spec", "rules")
        ):
            return policy, f"denies {who}", {"refuses": "denied"}
    allowing = [p for p in mine if at(p, "spec", "action", default="ALLOW") == "ALLOW"]
    if not allowing or any(_from(rule, who) for p in allowing for rule in each(p, "spec", "rules")):
        return None
    if not _root_is_empty(graph):
        return None  # what is admitted there is admitted here
    allowing.sort(key=lambda item: (not texts(item, "spec", "selector", "matchLabels"), name_of(item)))
    facts = {"refuses": "not-allowed"}
    ports = _ports(service, pod)
    if ports and _alone(graph, allowing[0], graph.workload(pod)):
        facts |= {"principal": who, "ports": ",".join(ports)}
    return allowing[0], f"admits others, and not {who}", facts


def _foreign(policy: Json) -> bool:
    """Return whether a policy names principals of another trust domain."""
    sources = [item.get("source") or {} for rule in each(policy, "spec", "rules") for item in each(rule, "from")]
    named = [str(one) for s in sources for key in ("principals", "notPrincipals") for one in s.get(key) or []]
    return any(not one.startswith("*") and one.split("/")[0] != _TRUST for one in named)


def _root_is_empty(graph: Graph) -> bool:
    """Return whether the root namespace was read and has no policy: its ALLOW policies hold for every workload."""
    snapshot = graph.snapshot
    if (snapshot.namespaces and _ROOT not in snapshot.namespaces) or snapshot.unread(_ROOT, "AuthorizationPolicy"):
        return False
    return not any(namespace_of(policy) == _ROOT for policy in graph.all("AuthorizationPolicy"))


def _alone(graph: Graph, policy: Json, workload: Json) -> bool:
    """Return whether a policy is about one workload and no other, so that what it admits is admitted there only."""
    wanted, here = texts(policy, "spec", "selector", "matchLabels"), namespace_of(policy)
    if not wanted:
        return False
    others = [graph.workload(pod) for pod in graph.selected(here, wanted)]
    others += [
        item
        for kind in EDITABLE
        for item in graph.all(kind)
        if namespace_of(item) == here and carries(labels_of(template(item)), wanted)
    ]
    return all(ref(item) == ref(workload) for item in others)


def _ports(service: Json, pod: Json) -> list[str]:
    """Return the pod's ports behind a Service, which are those that a policy counts; none where one is not known."""
    targets = [str(port.get("targetPort", port.get("port"))) for port in each(service, "spec", "ports")]
    numbers = [target if target.isdigit() else declared_ports(pod).get(target, "") for target in targets]
    return sorted(set(numbers)) if all(numbers) else []


def _certain(rule: Json) -> bool:
    """Return whether a rule depends on who asks alone."""
    known = {"principals", "namespaces"}
    sources = [item.get("source") or {} for item in each(rule, "from")]
    return (
        not rule.get("to")
        and not rule.get("when")
        and all(isinstance(s, dict) and not s.keys() - known for s in sources)
    )


def _from(rule: Json, who: str) -> bool:
    """Return whether a rule may hold for who asks; a rule without sources holds for everybody."""
    sources = [item.get("source") or {} for item in each(rule, "from")]
    return not sources or any(_source(source, who) for source in sources)


def _source(source: Json, who: str) -> bool:
    namespace = who.split("/")[2]
    checks = []
    for member, value in (("principals", who), ("namespaces", namespace)):
        wanted = source.get(member)
        if isinstance(wanted, list):
            checks.append(any(_like(str(pattern), value) for pattern in wanted))
    return all(checks)


def _like(pattern: str, value: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


def _refused(
    graph: Graph, service: Json, pod: Json, client: Json, variable: str, policy: Json, why: str, facts: dict[str, str]
) -> Finding:
    now = graph.snapshot.time
    proxied = "has" if _in_mesh(next(iter(graph.pods(client)), {})) else "has no"
    plain = facts["refuses"] == "plain"
    mode = str(at(policy, "spec", "mtls", "mode")) if plain else str(at(policy, "spec", "action", default="ALLOW"))
    return Finding(
        fault="MES-01",
        title=f"{ref(policy)} keeps {ref(client)} from {ref(service)}: it {why}",
        object=ref(policy),
        confidence=0.9,
        evidence=(
            evidence(policy, "spec", now, mode),
            evidence(client, "template", now, f"{variable} names {name_of(service)}; it {proxied} {_PROXY}"),
            evidence(pod, "spec.containers", now, f"{_PROXY} beside {ref(graph.workload(pod))}"),
        ),
        facts={**facts, "client": str(ref(client)), "service": name_of(service)},
        related=(ref(service), ref(client), ref(pod)),
        explains=(ref(service), ref(client)),
        advice=f"Let {ref(client)} have the mesh's proxy (label sidecar.istio.io/inject of its template); PERMISSIVE "
        "would let everybody in without TLS."
        if plain
        else "Admit this one identity; a policy without sources admits everybody.",
    )


# MES-02 ---------------------------------------------------------------------------------------------------------------


def no_subset(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each VirtualService that sends to a subset which no DestinationRule of the host defines."""
    from rapidfuzz import fuzz

    if graph.snapshot.gaps_in("DestinationRule"):
        return
    for route in graph.all("VirtualService"):
        for path, destination in _destinations(route):
            subset, host = str(destination.get("subset") or ""), _host(str(destination.get("host", "")), route)
            rules = [
                item for item in graph.all("DestinationRule") if _host(str(at(item, "spec", "host")), item) == host
            ]
            known = sorted({str(part.get("name")) for item in rules for part in each(item, "spec", "subsets")})
            if not subset or subset in known or not _read(graph, host):
                continue
            near = [name for name in known if fuzz.ratio(name, subset) >= 60]
            meant = near[0] if len(near) == 1 else known[0] if len(known) == 1 else ""
            yield Finding(
                fault="MES-02",
                title=f"{ref(route)} sends to the subset {subset} of {host}, which no DestinationRule defines",
                object=ref(route),
                confidence=0.93 if rules else 0.8,
                evidence=(
                    evidence(route, path, graph.snapshot.time, f"host {host}, subset {subset}"),
                    *(
                        evidence(item, "spec.subsets", graph.snapshot.time, ", ".join(known) or "none")
                        for item in rules
                    ),
                ),
                facts={"path": path, "subset": subset} | ({"meant": meant} if meant else {}),
                related=(*(ref(item) for item in rules), *_services(graph, host)),
                explains=(ref(route),),
                advice=f"Define the subset {subset} in a DestinationRule of {host}, or send to one that is defined.",
            )
            break


def _destinations(route: Json) -> Iterator[tuple[str, Json]]:
    for protocol in ("http", "tls", "tcp"):
        for index, rule in enumerate(each(route, "spec", protocol)):
            for place, held in enumerate(each(rule, "route")):
                destination = held.get("destination")
                if isinstance(destination, dict):
                    yield f"/spec/{protocol}/{index}/route/{place}/destination/subset", destination


def _host(written: str, by: Json) -> str:
    """Return a host in full: a short name is one of the namespace of who writes it."""
    parts = written.split(".")
    if len(parts) == 1:
        return f"{written}.{namespace_of(by)}.svc.cluster.local"
    return f"{written}.svc.cluster.local" if len(parts) == 2 else written


def _read(graph: Graph, host: str) -> bool:
    """Return whether the namespace of a host was read, in which its DestinationRule is as a rule."""
    parts, spaces = host.split("."), graph.snapshot.namespaces
    return not spaces or (len(parts) > 2 and parts[2] == "svc" and parts[1] in spaces)


def _services(graph: Graph, host: str) -> tuple[ObjectRef, ...]:
    name, _, rest = host.partition(".")
    found = graph.get(ObjectRef("Service", name, rest.split(".")[0]))
    return (ref(found),) if found is not None else ()


_KINDS = ("PeerAuthentication", "AuthorizationPolicy", "VirtualService", "DestinationRule")
RULES = (
    Rule(fault="MES-01", needs=("Service", "Pod"), find=refused_in_mesh, wants=_KINDS, about=_ABOUT),
    Rule(fault="MES-02", needs=("Service",), find=no_subset, wants=_KINDS, about=_ABOUT),
)

__all__ = ["RULES"]
