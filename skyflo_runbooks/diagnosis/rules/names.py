"""Family F, names of the cluster: NET-11 and NET-12.

Sources of the evidence: the NetworkPolicies that select a workload's pods and let them out (policies add up; a pod that
none selects may go anywhere); the Service of the cluster's DNS (label `k8s-app: kube-dns` in kube-system, which
CoreDNS's own manifests carry) and its endpoints; the Corefile, whose plugin `kubernetes` answers for the cluster's
names (https://coredns.io/plugins/kubernetes/); and what processes say that find no host.
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
_PORT = 53
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://(?:[^@/\s]*@)?(?P<host>[a-z0-9][a-z0-9.-]*)(?::\d+)?(?:[/?].*)?$")
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
            if not mine or replicas(workload) == 0 or any(_to_names(graph, item) for item in mine):
                continue
            if at(pod_spec(workload), "hostNetwork") or at(pod_spec(workload), "dnsPolicy") in ("None", "Default"):
                continue  # policies do not hold for it, or it asks other resolvers
            asks = _lost(graph, workload) or _asks(graph, workload)
            if asks is not None:
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
        confidence=0.93 if any("log" in asks.source for _, asks in items) else 0.85,
        evidence=(
            evidence(policy, "spec.egress", graph.snapshot.time, f"{said}; UDP port 53 is in none"),
            *(asks for _, asks in items[:3]),
        ),
        facts={"workload": str(workloads[0])},
        related=(*workloads, *(front for workload, _ in items for front in services(graph, workload))),
        explains=tuple(workloads),
        advice="Let the pods ask the cluster's DNS at port 53, UDP and TCP; what else they may reach stays as it is.",
    )


def _written(rule: Json) -> str:
    ports = [f"{port.get('protocol', 'TCP')} {port.get('port', 'all')}" for port in each(rule, "ports")]
    return f"to {len(each(rule, 'to')) or 'all'} peers, ports {', '.join(ports) or 'all'}"


def _to_names(graph: Graph, policy: Json) -> bool:
    """Return whether a policy lets pods ask the cluster's DNS, or may: addresses are not compared."""
    return any(
        (not each(rule, "ports") or any(_is_dns(port) for port in each(rule, "ports")))
        and (not each(rule, "to") or any(_is_resolver(graph, peer, policy) for peer in each(rule, "to")))
        for rule in each(policy, "spec", "egress")
    )


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
    """Return a variable of a workload that holds the URL of a host by its name, which only a resolver knows."""
    known = {str(name) for alias in each(pod_spec(workload), "hostAliases") for name in alias.get("hostnames") or []}
    for container in each(pod_spec(workload), "containers"):
        for variable in each(container, "env"):
            found = _URL.match(str(variable.get("value") or ""))
            host = found["host"] if found else ""
            if host and host not in {"localhost", *known} and not host.replace(".", "").isdigit():
                text = f"{variable.get('name')} names the host {host}"
                return evidence(workload, f"template of container {container.get('name')}", graph.snapshot.time, text)
    return None


def _lost(graph: Graph, workload: Json) -> Evidence | None:
    """Return the last line of a workload's logs that says that a name was not found."""
    for pod in graph.pods(workload):
        for container in containers(pod):
            for line in reversed(graph.log(pod, container.name).splitlines()[-40:]):
                if finds_no_host(line):
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
        wrong = _misread(graph, workload, str(at(held, "data", "Corefile", default="")))
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


def _misread(graph: Graph, workload: Json | None, corefile: str) -> dict[str, str]:
    """Return what is wrong with a Corefile (`why`), and where it is one word, that and what was meant; else nothing."""
    from rapidfuzz import fuzz

    lines = [line.split("#")[0].split() for line in corefile.splitlines()]
    for pod in graph.pods(workload) if workload else []:
        for container in containers(pod):
            said = _UNKNOWN.search(graph.log(pod, container.name))
            if said and any(words[:1] == [said["word"]] for words in lines):
                near = [name for name in _PLUGINS if fuzz.ratio(name, said["word"]) >= 80]
                meant = {"word": said["word"], "meant": near[0]} if len(near) == 1 else {}
                return {"why": f"{said['word']} is no directive of a Corefile"} | meant
    zones = [words[1:] for words in lines if words[:1] == ["kubernetes"]]
    if not zones:
        return {} if any("import" in words for words in lines) else {"why": "the plugin kubernetes is not in it"}
    if any(DOMAIN in words for words in zones):
        return {}
    for zone in (word for words in zones for word in words):
        if fuzz.ratio(zone, DOMAIN) >= 80:
            return {"why": f"it answers for {zone} and not for {DOMAIN}", "word": zone, "meant": DOMAIN}
    return {}


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
    suffering = {}
    for pod in graph.heard:
        workload = graph.workload(pod)
        told = _lost(graph, workload) if namespace_of(pod) != SYSTEM else None
        if told is not None:
            suffering[ref(workload)] = told
    spaces = {namespace_of(pod): None for pod in graph.all("Pod") if namespace_of(pod) != SYSTEM}
    what = "does not answer" if subject.get("kind") != "ConfigMap" else "does not answer for the cluster's names"
    return Finding(
        fault="NET-12",
        title=f"The cluster's DNS {what}: {ref(subject)}: {why}",
        object=ref(subject),
        confidence=0.95,
        evidence=(
            *((_text(graph, subject, why),) if subject.get("kind") == "ConfigMap" else ()),
            *pieces,
            *list(suffering.values())[:3],
        ),
        facts=facts,
        related=tuple(suffering),
        explains=(ref(subject), *suffering, *(ObjectRef("Namespace", name) for name in spaces)),
        advice="Restore the Corefile as it was before its last change, and let the pods read it."
        if subject.get("kind") == "ConfigMap"
        else "Let its pods run again; every name of the cluster depends on them.",
    )


def _text(graph: Graph, held: Json, why: str) -> Evidence:
    return evidence(held, "data.Corefile", graph.snapshot.time, f"{why}: {texts(held, 'data').get('Corefile', '')}")


RULES = (
    Rule(fault="NET-11", needs=("NetworkPolicy",), find=names_out_of_reach),
    Rule(fault="NET-12", needs=("Pod",), find=no_resolver),
)

__all__ = ["DNS_LABELS", "RULES", "SYSTEM"]
