"""Family F, the way of a request: NET-02, NET-06, NET-07, NET-10, NET-13, NET-14.

Sources of the evidence: the ports that a Service sends to beside those that its pods declare; the class and backends
that an Ingress names; the NetworkPolicies that select a pod, by the rules of the API (policies add up, a pod that
none selects takes everything: https://kubernetes.io/docs/concepts/services-networking/network-policies/).
"""

import re
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.capacity import expressed
from skyflo_runbooks.diagnosis.graph import Graph, carries, ref, selector
from skyflo_runbooks.diagnosis.lines import finds_no_host, lost_host
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    created,
    each,
    labels_of,
    name_of,
    namespace_of,
    pod_spec,
    ready,
    template,
    texts,
)
from skyflo_runbooks.diagnosis.rules.base import INTENDED, INTENT, UNSAID, Rule, evidence, services
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# Where a host can stand in a value: at its beginning, after `//` or `@`, up to a dot, a port or a path.
_HOST = re.compile(r"(?:^|[/@])([a-z0-9][a-z0-9-]*)(?=[.:/]|$)")
_NOBODY = re.compile(r"(?i)connection refused|ECONNREFUSED|connect\w* refused")
# A load balancer takes a while; one that has no address after this is not coming.
_PENDING = 120.0


# NET-02 ---------------------------------------------------------------------------------------------------------------


def wrong_port(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Service that sends to a port which the containers behind it do not declare."""
    for service in graph.all("Service"):
        pods = graph.selected(namespace_of(service), selector(service))
        if at(service, "spec", "clusterIP") == "None" or not pods or _served_otherwise(graph, service, pods[0]):
            continue
        declared = [declared_ports(pod) for pod in pods]
        behind = {key: number for one in declared for key, number in one.items()}
        for port in each(service, "spec", "ports"):
            target = str(port.get("targetPort", port.get("port")))
            if target in behind or not all(declared) or _is_probed(pods, target):
                continue
            silent = _silent(pods) if target.isdigit() else ()
            refused = _refused(graph, service) if silent and all(map(ready, pods)) else None
            doubt = bool(silent) and refused is None
            unsaid = doubt and not _beside(pods, silent)
            if unsaid and not all(map(ready, pods)):
                continue
            meant = _meant(graph, service, port, pods)
            named = sorted(set(behind.values()))
            yield Finding(
                fault="NET-02",
                title=f"{ref(service)} sends to port {target}, and its pods declare {', '.join(named)}",
                object=ref(service),
                confidence=INTENDED if doubt else 0.93 if meant else 0.75,
                evidence=(
                    evidence(
                        service, "spec.ports", graph.snapshot.time, f"port {port.get('port')} to targetPort {target}"
                    ),
                    *(
                        evidence(pod, "spec.containers.ports", graph.snapshot.time, ", ".join(sorted(held)))
                        for pod, held in ((pod, declared_ports(pod)) for pod in pods[:2])
                    ),
                    *((refused,) if refused else ()),
                ),
                facts={
                    "port": str(port.get("port")),
                    "target": target,
                    **({"meant": meant} if meant else {}),
                    **({INTENT: "spec.ports"} if doubt else {}),
                    **({UNSAID: "containers.ports"} if unsaid else {}),
                },
                related=tuple({ref(graph.workload(pod)): None for pod in pods}),
                advice=f"{', '.join(silent)} declares no port, and may listen there: ask it before this is changed."
                if doubt
                else ""
                if meant
                else "Send to the port that the container listens on.",
            )


def _is_probed(pods: list[Json], target: str) -> bool:
    """Return whether a probe of a ready pod asks there, so that somebody listens, though it is not declared."""
    return target in {
        str(at(container, probe, way, "port", default=""))
        for pod in pods
        if ready(pod)
        for container in each(pod, "spec", "containers")
        for probe in ("readinessProbe", "livenessProbe")
        for way in ("httpGet", "tcpSocket", "grpc")
    }


def _silent(pods: list[Json]) -> tuple[str, ...]:
    """Return the containers that declare no port: such a one may listen anywhere, declaring is information only."""
    held = [container for pod in pods for container in each(pod, "spec", "containers")]
    return tuple(dict.fromkeys(str(container.get("name")) for container in held if not each(container, "ports")))


def _beside(pods: list[Json], silent: tuple[str, ...]) -> bool:
    """Return whether the containers that declare nothing stand behind one that does: the first is the work itself.

    kubectl takes the first one for the default, too.
    """
    firsts = {str(at(each(pod, "spec", "containers"), 0, "name", default="")) for pod in pods}
    return not firsts & set(silent)


def _refused(graph: Graph, service: Json) -> Evidence | None:
    """Return the line of a client's log that says that a connection to the Service was refused; None where none does.

    A Service whose pods are ready refuses where nothing listens behind it.
    """
    host = re.compile(rf"(?<![\w.-]){re.escape(name_of(service))}(?![\w-])")
    for client in clients(graph, service):
        for pod in graph.pods(client.workload):
            for container in each(pod, "spec", "containers"):
                name = str(container.get("name"))
                for line in reversed(graph.log(pod, name).splitlines()[-30:]):
                    if _NOBODY.search(line) and host.search(line):
                        return evidence(pod, f"log of container {name}", graph.snapshot.time, line)
    return None


def _served_otherwise(graph: Graph, service: Json, pod: Json) -> bool:
    """Return whether another Service sends to a declared port of the pod: this one may mean a port that is not."""
    declared = declared_ports(pod)
    return any(
        str(port.get("targetPort", port.get("port"))) in declared
        for other in graph.services(namespace_of(service), labels_of(pod))
        if other is not service
        for port in each(other, "spec", "ports")
    )


def declared_ports(pod: Json) -> dict[str, str]:
    """Return the ports that a pod's containers, and its sidecars among the init containers, declare.

    Number and name to number.
    """
    found: dict[str, str] = {}
    beside = [init for init in each(pod, "spec", "initContainers") if init.get("restartPolicy") == "Always"]
    for container in (*each(pod, "spec", "containers"), *beside):
        for port in each(container, "ports"):
            number = str(port.get("containerPort"))
            found[number] = number
            if port.get("name"):
                found[str(port["name"])] = number
    return found


def _meant(graph: Graph, service: Json, port: Json, pods: list[Json]) -> str:
    """Return the port that was meant: the probe's, the one of the same name or number, or the only one."""
    behind = declared_ports(pods[0])
    for candidate in (str(port.get("name", "")), str(port.get("port", ""))):
        if candidate in behind:
            return candidate
    probed = {
        str(at(container, probe, "httpGet", "port", default=""))
        for container in each(pods[0], "spec", "containers")
        for probe in ("readinessProbe", "livenessProbe")
    }
    asked = [item for item in probed if item in behind]
    if len(asked) == 1:
        return asked[0]
    return next(iter(set(behind.values()))) if len(set(behind.values())) == 1 else ""


# NET-06, NET-07 -------------------------------------------------------------------------------------------------------


def no_class(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Ingress whose class does not exist, or that names none where none is the default."""
    if graph.snapshot.gaps_in("IngressClass"):
        return
    classes = {name_of(item): item for item in graph.all("IngressClass")}
    default = [n for n, c in classes.items() if texts(c, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"]
    for ingress in graph.all("Ingress"):
        wanted = at(ingress, "spec", "ingressClassName") or texts(ingress, "metadata", "annotations").get(_OLD_CLASS)
        if at(ingress, "status", "loadBalancer", "ingress") or (wanted in classes) or (not wanted and default):
            continue
        if not wanted and not classes:
            continue  # nothing says that this cluster has Ingress at all
        meant = default[0] if default else next(iter(classes)) if len(classes) == 1 else ""
        said = f"its class {wanted} does not exist" if wanted else "it names no class, and none is the default"
        yield Finding(
            fault="NET-06",
            title=f"No controller serves {ref(ingress)}: {said}",
            object=ref(ingress),
            confidence=0.93,
            evidence=(
                evidence(ingress, "spec.ingressClassName", graph.snapshot.time, str(wanted or "none")),
                Evidence("IngressClasses", graph.snapshot.time, ", ".join(sorted(classes)) or "none"),
            ),
            facts={"class": str(wanted or ""), **({"meant": meant} if meant else {})},
            related=tuple(ObjectRef("Service", name, namespace_of(ingress)) for name, _ in _backends(ingress)),
            advice="" if meant else "Set the class of the controller that should serve it.",
        )


_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_OLD_CLASS = "kubernetes.io/ingress.class"


# The port of a backend that is an action of the AWS controller, told in an annotation, and no Service.
_ACTION = "use-annotation"


def wrong_backend(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Ingress that sends to a Service or port which does not exist."""
    from rapidfuzz import fuzz

    if graph.snapshot.gaps_in("Service"):
        return
    for ingress in graph.all("Ingress"):
        here = namespace_of(ingress)
        known = {name_of(item): item for item in graph.all("Service") if namespace_of(item) == here}
        for name, port in _backends(ingress):
            service = known.get(name)
            ports = {str(v) for p in each(service, "spec", "ports") for v in (p.get("port"), p.get("name")) if v}
            if (service is not None and (not port or port in ports)) or port == _ACTION:
                continue
            near = [other for other in known if fuzz.ratio(other, name) >= 70]
            candidates = near if service is None else sorted(p for p in ports if p.isdigit())
            meant = candidates[0] if len(candidates) == 1 else ""
            what = (
                f"Service {name}, which does not exist"
                if service is None
                else f"port {port} of {name}, which it has not"
            )
            have = ", ".join(sorted(known)) if service is None else ", ".join(sorted(ports))
            yield Finding(
                fault="NET-07",
                title=f"{ref(ingress)} sends to {what}",
                object=ref(ingress),
                confidence=0.95,
                evidence=(
                    evidence(ingress, "spec.rules", graph.snapshot.time, f"backend {name}:{port}"),
                    Evidence(
                        f"Services of {here}" if service is None else f"{ref(service)} spec.ports",
                        graph.snapshot.time,
                        have or "none",
                    ),
                ),
                facts={"service": name, "port": port, "wrong": "service" if service is None else "port"}
                | ({"meant": meant} if meant else {}),
                related=(ref(service),) if service is not None else (),
                advice="" if meant else "Send to a Service and port that exist.",
            )


def _backends(ingress: Json) -> Iterator[tuple[str, str]]:
    """Yield the Services, and their ports, that an Ingress sends to."""
    held = [at(ingress, "spec", "defaultBackend", default={})]
    held += [at(p, "backend", default={}) for r in each(ingress, "spec", "rules") for p in each(r, "http", "paths")]
    seen: dict[tuple[str, str], None] = {}
    for backend in held:
        number, named = (at(backend, "service", "port", member) for member in ("number", "name"))
        name = str(at(backend, "service", "name", default=""))
        if name:
            seen[name, str(number or named or "")] = None
    yield from seen


# NET-10 ---------------------------------------------------------------------------------------------------------------


class Client(msgspec.Struct, frozen=True):
    """A workload whose environment names a Service, and the variable that does."""

    workload: Json
    variable: str


def blocked(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each NetworkPolicy that keeps the clients of a Service from its pods."""
    if not graph.all("NetworkPolicy") or graph.snapshot.gaps_in("NetworkPolicy"):
        return
    for service in graph.all("Service"):
        pods = [pod for pod in graph.selected(namespace_of(service), selector(service)) if ready(pod)]
        if not pods:
            continue
        policies = [p for p in graph.all("NetworkPolicy") if selects(p, pods[0]) and "Ingress" in policy_types(p)]
        if not policies:
            continue
        policies.sort(key=lambda policy: (sum(selects(policy, pod) for pod in graph.all("Pod")), name_of(policy)))
        for client in clients(graph, service):
            if any(_admits(graph, policy, client.workload, pods[0], service) for policy in policies):
                continue
            yield _blocked(graph, service, pods, policies, client)
            break


def _blocked(graph: Graph, service: Json, pods: list[Json], policies: list[Json], client: Client) -> Finding:
    now = graph.snapshot.time
    # What a workload chooses its pods by stays as it is; other labels (a version, a chart) change with a release.
    labels = texts(client.workload, "spec", "selector", "matchLabels") or labels_of(template(client.workload))
    said = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Finding(
        fault="NET-10",
        title=f"{ref(policies[0])} lets no requests of {ref(client.workload)} reach {ref(service)}",
        object=ref(policies[0]),
        confidence=0.9,
        evidence=(
            *(
                evidence(p, "spec.ingress", now, msgspec.json.encode(at(p, "spec", "ingress", default=[])).decode())
                for p in policies[:3]
            ),
            evidence(
                client.workload, "template", now, f"{client.variable} names {name_of(service)}; its labels: {said}"
            ),
        ),
        facts={"client": str(ref(client.workload)), "service": name_of(service)}
        | {f"label:{key}": value for key, value in labels.items()},
        related=(ref(service), ref(client.workload), *(ref(pod) for pod in pods)),
        explains=(ref(service), ref(client.workload)),
        advice=f"Admit pods with {said} to the port of {ref(service)}, and nothing else.",
    )


def clients(graph: Graph, service: Json) -> list[Client]:
    """Return the workloads of the Service's namespace whose environment names its host."""
    known: dict[tuple[str, str], list[Client]] | None = graph.notes.get("clients")
    if known is None:
        known = graph.notes["clients"] = _by_host(graph)
    return known.get((namespace_of(service), name_of(service)), [])


def _by_host(graph: Graph) -> dict[tuple[str, str], list[Client]]:
    """Return who names which host of its own namespace, for all Services at once."""
    found: dict[tuple[str, str], list[Client]] = {}
    for kind in EDITABLE:
        for workload in graph.all(kind):
            for container in each(pod_spec(workload), "containers"):
                for variable in each(container, "env"):
                    for host in _HOST.findall(str(variable.get("value") or "")):
                        client = Client(workload, str(variable.get("name")))
                        found.setdefault((namespace_of(workload), host), []).append(client)
    return found


def policy_types(policy: Json) -> list[str]:
    """Return the directions that a NetworkPolicy is about."""
    said = at(policy, "spec", "policyTypes")
    return [str(item) for item in said] if isinstance(said, list) else ["Ingress"]


def selects(policy: Json, pod: Json) -> bool:
    """Return whether a NetworkPolicy is about a pod."""
    return namespace_of(policy) == namespace_of(pod) and matches(
        at(policy, "spec", "podSelector", default={}), labels_of(pod)
    )


def matches(chosen: Json, labels: dict[str, str]) -> bool:
    """Return whether labels satisfy a label selector; the empty one chooses everything."""
    wanted = carries(labels, texts(chosen, "matchLabels"))
    return wanted and all(expressed(labels, one) for one in each(chosen, "matchExpressions"))


def _admits(graph: Graph, policy: Json, client: Json, pod: Json, service: Json) -> bool:
    """Return whether a policy lets the client's pods reach a port of the Service on the pod."""
    space = graph.get(ObjectRef("Namespace", namespace_of(client)))
    targets = {str(port.get("targetPort", port.get("port"))) for port in each(service, "spec", "ports")}
    numbers = {declared_ports(pod).get(target, target) for target in targets}
    for rule in each(policy, "spec", "ingress"):
        ports = each(rule, "ports")
        if ports and not any(str(p.get("port", "")) in targets | numbers | {""} or p.get("endPort") for p in ports):
            continue
        sources = each(rule, "from")
        if not sources or any(_from(source, client, policy, space) for source in sources):
            return True
    return False


def _from(source: Json, client: Json, policy: Json, space: Json | None) -> bool:
    if "ipBlock" in source:
        return True  # whether the client's address is in it is not known: it is not called blocked
    pods, spaces = source.get("podSelector"), source.get("namespaceSelector")
    here = (
        namespace_of(client) == namespace_of(policy)
        if spaces is None
        else space is None or matches(spaces, labels_of(space))
    )
    return here and (pods is None or matches(pods, labels_of(template(client))))


# NET-13, NET-14 -------------------------------------------------------------------------------------------------------


def wrong_resolver(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload that resolves no cluster names because its dnsPolicy leads elsewhere."""
    for kind in EDITABLE:
        for workload in graph.all(kind):
            policy = str(at(pod_spec(workload), "dnsPolicy", default="ClusterFirst"))
            if policy not in ("Default", "None") or at(pod_spec(workload), "hostNetwork"):
                continue
            lines = [
                (pod, str(container.get("name")), line)
                for pod in graph.pods(workload)
                for container in each(pod, "spec", "containers")
                for line in graph.log(pod, str(container.get("name"))).splitlines()[-30:]
                if finds_no_host(line) and of_the_cluster(graph, namespace_of(workload), lost_host(line)) is not False
            ]
            if not lines:
                continue
            pod, container, line = lines[-1]
            sure = of_the_cluster(graph, namespace_of(workload), lost_host(line))
            yield Finding(
                fault="NET-13",
                title=f"{ref(workload)} resolves no names of the cluster: its dnsPolicy is {policy}",
                object=ref(workload),
                confidence=0.9 if sure else 0.6,
                evidence=(
                    evidence(workload, "template", graph.snapshot.time, f"dnsPolicy: {policy}"),
                    evidence(pod, f"log of container {container}", graph.snapshot.time, line),
                ),
                facts={"policy": policy},
                related=(*(ref(item) for item in graph.pods(workload)), *services(graph, workload)),
            )


def of_the_cluster(graph: Graph, namespace: str, host: str) -> bool | None:
    """Return whether a host's name is one that only the cluster's DNS knows; None where no name is told.

    One word is looked up in the cluster's domains alone; `service.namespace` is one of the cluster where both exist,
    or the namespace does; of all others those below `svc` are.
    """
    labels = host.split(".")
    if not host:
        return None
    if len(labels) == 1 or "svc" in labels[2:] or host.endswith("cluster.local"):
        return True
    if len(labels) != 2:
        return False
    spaces = {namespace, *(name_of(item) for item in graph.all("Namespace"))}
    return labels[1] in spaces


def no_balancer(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Service of type LoadBalancer that gets no address."""
    for service in graph.all("Service"):
        age = seconds_between(created(service), graph.snapshot.time)
        waits = at(service, "spec", "type") == "LoadBalancer" and not at(service, "status", "loadBalancer", "ingress")
        if not waits or age is None or age < _PENDING:
            continue
        told = [str(e.get("message", "")) for e in graph.events(service) if e.get("type") == "Warning"]
        yield Finding(
            fault="NET-14",
            title=f"{ref(service)} gets no address: "
            + (told[-1][:160] if told else "no controller makes load balancers here"),
            object=ref(service),
            confidence=0.85,
            evidence=(
                evidence(service, "status.loadBalancer", graph.snapshot.time, "empty"),
                *(evidence(service, "event", graph.snapshot.time, text) for text in told[-2:]),
            ),
            advice="Install a controller that makes load balancers, or use a NodePort or an Ingress.",
        )


RULES = (
    Rule(fault="NET-02", needs=("Service", "Pod"), find=wrong_port),
    Rule(fault="NET-06", needs=("Ingress", "IngressClass"), find=no_class),
    Rule(fault="NET-07", needs=("Ingress", "Service"), find=wrong_backend),
    Rule(fault="NET-10", needs=("NetworkPolicy", "Service", "Pod"), find=blocked),
    Rule(fault="NET-13", needs=("Deployment", "Log"), find=wrong_resolver),
    Rule(fault="NET-14", needs=("Service",), find=no_balancer),
)

__all__ = ["RULES", "Client", "clients", "declared_ports", "matches", "policy_types", "selects"]
