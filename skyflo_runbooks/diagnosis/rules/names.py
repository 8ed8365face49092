"""Family F, names of the cluster: NET-11 and NET-12.

Sources of the evidence: the NetworkPolicies that select a workload's pods and let them out (policies add up; a pod that
none selects may go anywhere); the Service of the cluster's DNS (label `k8s-app: kube-dns` in kube-system, which
CoreDNS's own manifests carry) and its endpoints; the Corefile, whose plugin `kubernetes` answers for the cluster's
names (https://coredns.io/plugins/kubernetes/); and what processes say that find no host.

A cluster may have a domain of its own, and a resolver of its own elsewhere: what a Corefile does not answer for is a
fault where somebody asks for it, and a policy is measured by kube-dns only where that was read.
"""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref, selector
from skyflo_runbooks.diagnosis.lines import finds_no_host
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    containers,
    each,
    labels_of,
    name_of,
    namespace_of,
    pod_spec,
    replicas,
    template,
    texts,
)
from skyflo_runbooks.diagnosis.pointed import SYSTEM
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence, services
from skyflo_runbooks.diagnosis.rules.rollout import last_scale
from skyflo_runbooks.diagnosis.rules.routing import matches, policy_types
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

DNS_LABELS = {"k8s-app": "kube-dns"}
DOMAIN = "cluster.local"
# The cache of NodeLocal DNSCache, at an address of each node: https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/
_CACHE = "node-local-dns"
_PORT = 53
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^@/\s]*@)?(?P<host>[a-z0-9][a-z0-9.-]*)(?::\d+)?(?:[/?].*)?$")
_ALONE = re.compile(r"(?P<host>[a-z0-9][a-z0-9.-]*)(?P<port>:\d+)?")
_ADDRESS = re.compile(r"(?i)host|addr|server|endpoint|service|url|uri|broker|bootstrap|upstream")
_UNKNOWN = re.compile(r"Unknown directive '(?P<word>[^']+)'")
# The plugins that CoreDNS is built with: https://github.com/coredns/coredns/blob/master/plugin.cfg
_PLUGINS = (
    "acl", "any", "auto", "autopath", "azure", "bind", "bufsize", "cache", "cancel", "chaos", "clouddns", "debug",
    "dns64", "dnssec", "dnstap", "erratic", "errors", "etcd", "file", "forward", "geoip", "grpc", "header", "health",
    "hosts", "import", "k8s_external", "kubernetes", "loadbalance", "local", "log", "loop", "metadata", "minimal",
    "multisocket", "nsid", "pprof", "prometheus", "quic", "ready", "reload", "rewrite", "root", "route53",
    "secondary", "sign", "template", "timeouts", "tls", "trace", "transfer", "tsig", "view", "whoami",
)  # fmt: skip


# NET-11 ---------------------------------------------------------------------------------------------------------------


def names_out_of_reach(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each NetworkPolicy that keeps workloads which look up names from the cluster's DNS."""
    policies = [item for item in graph.all("NetworkPolicy") if "Egress" in policy_types(item)]
    if not policies or graph.snapshot.gaps_in("NetworkPolicy"):
        return
    found: dict[ObjectRef, list[tuple[Json, Evidence]]] = {}
    for kind in EDITABLE:
        for workload in graph.all(kind):
            labels = labels_of(template(workload))
            mine = [
                item
                for item in policies
                if namespace_of(item) == namespace_of(workload)
                and matches(at(item, "spec", "podSelector", default={}), labels)
            ]
            if not mine or replicas(workload) == 0:
                continue
            if at(pod_spec(workload), "hostNetwork") or at(pod_spec(workload), "dnsPolicy") in ("None", "Default"):
                continue  # policies do not hold for it, or it asks other resolvers
            lost = _lost(graph, workload)
            asks = lost or _asks(graph, workload)
            if asks is not None and not any(_to_names(graph, item, lost is not None) for item in mine):
                narrowest = max(mine, key=lambda item: (len(str(at(item, "spec", "podSelector"))), name_of(item)))
                found.setdefault(ref(narrowest), []).append((workload, asks))
    for policy, items in found.items():
        held = graph.get(policy)
        if held is not None:
            yield _names_blocked(graph, held, items)


def _names_blocked(graph: Graph, policy: Json, items: list[tuple[Json, Evidence]]) -> Finding:
    workloads = [ref(workload) for workload, _ in items]
    said = "; ".join(_written(rule) for rule in each(policy, "spec", "egress")) or "no rule at all"
    return Finding(
        fault="NET-11",
        title=f"{ref(policy)} lets no lookups of names out of {', '.join(str(item) for item in workloads[:3])}",
        object=ref(policy),
        confidence=0.93 if any("log" in asks.source for _, asks in items) else 0.85 if _front(graph) else 0.7,
        evidence=(
            evidence(policy, "spec.egress", graph.snapshot.time, f"{said}; UDP port 53 is in none"),
            *(asks for _, asks in items[:3]),
        ),
        facts={"workload": str(workloads[0])} | ({"resolver": "kube-dns"} if _asked_itself(graph) else {}),
        related=(*workloads, *(front for workload, _ in items for front in services(graph, workload))),
        explains=tuple(workloads),
        advice="Let the pods ask the cluster's DNS at port 53, UDP and TCP, where it runs (in kube-system as a rule; "
        "with NodeLocal DNSCache at 169.254.20.10); what else they may reach stays as it is.",
    )


def _written(rule: Json) -> str:
    ports = [f"{port.get('protocol', 'TCP')} {port.get('port', 'all')}" for port in each(rule, "ports")]
    return f"to {len(each(rule, 'to')) or 'all'} peers, ports {', '.join(ports) or 'all'}"


def _asked_itself(graph: Graph) -> bool:
    """Return whether pods ask kube-dns: it was read, and no cache of the nodes is seen to answer before it."""
    return _front(graph) is not None and graph.get(ObjectRef("DaemonSet", _CACHE, SYSTEM)) is None


def _to_names(graph: Graph, policy: Json, lost: bool) -> bool:
    """Return whether a policy lets pods ask the cluster's DNS, or may.

    Addresses are not compared. Another namespace may be the resolver's where kube-dns was not read, or where no log
    says that lookups are `lost`; so may whoever is let be asked at the ports of DNS by name, where it was not read.
    """
    front = _front(graph)
    for rule in each(policy, "spec", "egress"):
        ports, peers = each(rule, "ports"), each(rule, "to")
        if ports and not any(_is_dns(port) for port in ports):
            continue
        if not peers or (front is None and ports) or any(_is_resolver(graph, peer, policy) for peer in peers):
            return True
        if (front is None or not lost) and any(_elsewhere(graph, peer, policy) for peer in peers):
            return True
    return False


def _elsewhere(graph: Graph, peer: Json, policy: Json) -> bool:
    """Return whether a peer may be in another namespace than the policy."""
    spaces = peer.get("namespaceSelector")
    own = {"kubernetes.io/metadata.name": namespace_of(policy)}
    return isinstance(spaces, dict) and texts(spaces, "matchLabels") != own


def _is_dns(port: Json) -> bool:
    number, last = port.get("port"), port.get("endPort")
    if port.get("protocol", "TCP") != "UDP":
        return False
    if not isinstance(number, int):
        return True  # every port, or one by its name
    # The pods of the DNS may listen on another port than their Service.
    return number in (_PORT, 1053, 5353, 8053) or (isinstance(last, int) and number <= _PORT <= last)


def _is_resolver(graph: Graph, peer: Json, policy: Json) -> bool:
    if "ipBlock" in peer:
        return True
    spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
    space = graph.get(ObjectRef("Namespace", SYSTEM))
    labels = labels_of(space) if space else {"kubernetes.io/metadata.name": SYSTEM}
    there = namespace_of(policy) == SYSTEM if spaces is None else matches(spaces, labels)
    resolvers = [labels_of(pod) for pod in graph.selected(SYSTEM, DNS_LABELS)] or [DNS_LABELS]
    return there and (pods is None or any(matches(pods, held) for held in resolvers))


def _asks(graph: Graph, workload: Json) -> Evidence | None:
    """Return a variable of a workload that holds a host by its name, which only a resolver knows: in a URL, or alone.

    Alone, with or without a port, it has to be the name of a Service; a bare word also where the variable says so.
    """
    known = {str(name) for alias in each(pod_spec(workload), "hostAliases") for name in alias.get("hostnames") or []}
    for container in each(pod_spec(workload), "containers"):
        for variable in each(container, "env"):
            host = _host(graph, namespace_of(workload), str(variable.get("name")), str(variable.get("value") or ""))
            if host and host not in {"localhost", *known} and not host.replace(".", "").isdigit():
                text = f"{variable.get('name')} names the host {host}"
                return evidence(workload, f"template of container {container.get('name')}", graph.snapshot.time, text)
    return None


def _host(graph: Graph, here: str, name: str, value: str) -> str:
    if found := _URL.match(value):
        return found["host"]
    alone = _ALONE.fullmatch(value)
    if alone is None or not (alone["port"] or "." in alone["host"] or _ADDRESS.search(name)):
        return ""
    first, _, rest = alone["host"].partition(".")
    space = rest.partition(".")[0] or here
    return alone["host"] if graph.get(ObjectRef("Service", first, space)) is not None else ""


def _lost(graph: Graph, workload: Json, under: str = "") -> Evidence | None:
    """Return the last line of a workload's logs that says that a name (`under` a domain) was not found."""
    for pod in graph.pods(workload):
        for container in containers(pod):
            for line in reversed(graph.log(pod, container.name).splitlines()[-40:]):
                if finds_no_host(line) and under in line:
                    return evidence(pod, f"log of container {container.name}", graph.snapshot.time, line)
    return None


# NET-12 ---------------------------------------------------------------------------------------------------------------


def no_resolver(graph: Graph) -> Iterator[Finding]:
    """Yield the finding that the cluster's DNS does not answer, or not for the cluster's names."""
    front = _front(graph)
    if front is None or graph.snapshot.unread(SYSTEM, "EndpointSlice", "Pod"):
        return
    workload = _behind(graph, front)
    serving = [item for item in graph.endpoints(front) if at(item, "conditions", "ready") is not False]
    held, wrong = _corefile(graph), {}
    if held is not None:
        text = str(at(held, "data", "Corefile", default=""))
        wrong = _refused(graph, workload, text) or _unanswered(graph, text)
    if held is not None and wrong:
        yield _dns(graph, held, wrong.pop("why"), wrong, (_slices(graph, front, serving), *_said(graph, workload)))
    elif not serving and workload is not None:
        yield _down(graph, front, workload)


def _front(graph: Graph) -> Json | None:
    for service in graph.all("Service"):
        if namespace_of(service) == SYSTEM and labels_of(service).get("k8s-app") == "kube-dns":
            return service
    return None


def _behind(graph: Graph, front: Json) -> Json | None:
    for kind in EDITABLE:
        for workload in graph.all(kind):
            labels = labels_of(template(workload))
            if namespace_of(workload) == SYSTEM and selector(front).items() <= labels.items() and selector(front):
                return workload
    return None


def _corefile(graph: Graph) -> Json | None:
    held = graph.get(ObjectRef("ConfigMap", "coredns", SYSTEM))
    return held if held is not None and at(held, "data", "Corefile") else None


def _words(corefile: str) -> list[list[str]]:
    return [line.split("#")[0].split() for line in corefile.splitlines()]


def _refused(graph: Graph, workload: Json | None, corefile: str) -> dict[str, str]:
    """Return which word of a Corefile CoreDNS says that it does not know (`why`), and what was meant; else nothing."""
    from rapidfuzz import fuzz

    lines = _words(corefile)
    for pod in graph.pods(workload) if workload else []:
        for container in containers(pod):
            said = _UNKNOWN.search(graph.log(pod, container.name))
            if said and any(words[:1] == [said["word"]] for words in lines):
                near = [name for name in _PLUGINS if fuzz.ratio(name, said["word"]) >= 80]
                meant = {"word": said["word"], "meant": near[0]} if len(near) == 1 else {}
                return {"why": f"{said['word']} is no directive of a Corefile"} | meant
    return {}


def _unanswered(graph: Graph, corefile: str) -> dict[str, str]:
    """Return for what a Corefile does not answer although a workload asks for it (`why`); else nothing."""
    lines = _words(corefile)
    zones = [words[1:] for words in lines if words[:1] == ["kubernetes"]]
    names = [
        word for words in zones for word in words if word != "{" and not word.endswith(".arpa") and "/" not in word
    ]
    if any("import" in words for words in lines) or any("{" in word for word in names):
        return {}  # what else there is was not read
    if DOMAIN in names or (zones and not names) or not any(_suffering(graph, f".svc.{DOMAIN}")):
        return {}
    if not zones:
        return {"why": "the plugin kubernetes is not in it"}
    zone = next((name for name in names if _misspelt(name)), "")
    facts = {"word": zone, "meant": DOMAIN} if zone else {"zone": names[0]}
    return {"why": f"it answers for {zone or ', '.join(names)} and not for {DOMAIN}"} | facts


def _misspelt(zone: str) -> bool:
    """Return whether a zone is the usual one with a slip: letters added to its words make a name of its own."""
    from rapidfuzz.distance import OSA

    said, meant = zone.split("."), DOMAIN.split(".")
    if len(said) != len(meant) or all(word in label for word, label in zip(meant, said, strict=True)):
        return False
    return OSA.distance(zone, DOMAIN) <= 2


def _suffering(graph: Graph, under: str = "") -> Iterator[tuple[ObjectRef, Evidence]]:
    """Yield the workloads outside kube-system whose logs say that a name (`under` a domain) was not found."""
    for pod in graph.heard:
        workload = graph.workload(pod)
        told = _lost(graph, workload, under) if namespace_of(pod) != SYSTEM else None
        if told is not None:
            yield ref(workload), told


def _down(graph: Graph, front: Json, workload: Json) -> Finding:
    facts: dict[str, str] = {}
    pieces = [_slices(graph, front, [])]
    why = "none of its pods is ready"
    if replicas(workload) == 0:
        before = last_scale(graph, workload)
        why = "it is scaled to 0"
        facts = {"replicas": str(before[0] if before else 1)}
        pieces += [evidence(workload, "spec.replicas", graph.snapshot.time, "0"), *((before[1],) if before else ())]
    return _dns(graph, workload, why, facts, tuple(pieces) + _said(graph, workload))


def _slices(graph: Graph, front: Json, serving: list[Json]) -> Evidence:
    text = f"{len(serving)} of {len(graph.endpoints(front))} endpoints are ready"
    return evidence(front, "EndpointSlices", graph.snapshot.time, text)


def _said(graph: Graph, workload: Json | None) -> tuple[Evidence, ...]:
    told = [
        evidence(pod, f"log of container {container.name}", graph.snapshot.time, lines[-1])
        for pod in (graph.pods(workload) if workload else [])
        for container in containers(pod)
        if (lines := [line for line in graph.log(pod, container.name).splitlines() if line.strip()])
    ]
    return tuple(told[:2])


def _dns(graph: Graph, subject: Json, why: str, facts: dict[str, str], pieces: tuple[Evidence, ...]) -> Finding:
    suffering = dict(_suffering(graph))
    # A zone that may be the cluster's own explains who asks for another, and nobody else.
    guessed = "zone" in facts
    spaces = {namespace_of(pod): None for pod in graph.all("Pod") if namespace_of(pod) != SYSTEM and not guessed}
    what = "does not answer" if subject.get("kind") != "ConfigMap" else "does not answer for the cluster's names"
    return Finding(
        fault="NET-12",
        title=f"The cluster's DNS {what}: {ref(subject)}: {why}",
        object=ref(subject),
        confidence=0.6 if guessed else 0.95,
        evidence=(
            *((_text(graph, subject, why),) if subject.get("kind") == "ConfigMap" else ()),
            *pieces,
            *list(suffering.values())[:3],
        ),
        facts=facts,
        related=tuple(suffering),
        explains=(ref(subject), *suffering, *(ObjectRef("Namespace", name) for name in spaces)),
        advice=_to_do(subject, facts, guessed),
    )


def _to_do(subject: Json, facts: dict[str, str], guessed: bool) -> str:
    if subject.get("kind") != "ConfigMap":
        return "Let its pods run again; every name of the cluster depends on them."
    if guessed:
        return (
            f"See which clusterDomain the kubelets' configuration says: if it is {facts['zone']}, who asks for names "
            f"under {DOMAIN} has to ask for them under {facts['zone']}, and the Corefile is right as it is."
        )
    return "Restore the Corefile as it was before its last change, and let the pods read it."


def _text(graph: Graph, held: Json, why: str) -> Evidence:
    return evidence(held, "data.Corefile", graph.snapshot.time, f"{why}: {texts(held, 'data').get('Corefile', '')}")


RULES = (
    Rule(fault="NET-11", needs=("NetworkPolicy",), find=names_out_of_reach),
    Rule(fault="NET-12", needs=("Pod",), find=no_resolver),
)

__all__ = ["DNS_LABELS", "RULES", "SYSTEM"]
