"""Where a repaired workload's requests come in, so that a verify step can ask there.

Rules, the first that holds:
  1. A path that the operator named (`/checkout`, "errors on checkout"), unless the service answers that it has none, or
     stands in another namespace than what the operator spoke of. Where nothing answers yet, a word without a slash is
     known to be a path only if an Ingress, a probe or a log of the service's pods has it; else all that is asked of it
     is an answer that is no error of the server: "errors at payment" may speak of a page, or of anything else.
  2. A path that an Ingress routes to the Service.
  3. The path of the pods' readiness probe, which the kubelet asks too.
A path is never invented. Without a Service in front there is none.
"""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, selector
from skyflo_runbooks.diagnosis.pods import each, name_of, namespace_of, template
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.planning.way import Probe, Web

_LITERAL = re.compile(r"(?<![\w/.:])(/[A-Za-z0-9][\w./-]*[\w-])")
# Directories of every machine (Filesystem Hierarchy Standard): a file that somebody speaks of is no page.
_OF_FILES = re.compile(r"/(?:bin|dev|etc|lib|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)(?:/|$)")
_SPOKEN = re.compile(
    r"(?i)\b(?:errors?|50[0-9]s?|5xx|time-?outs?|failures?)\s+(?:on|at|from|for)\s+(?:the\s+)?([a-z][\w-]{2,})"
)
_NO_SUCH_PAGE = (401, 403, 404, 405)
_NOT_A_PATH = frozenset(
    ["all", "every", "some", "production", "prod", "staging", "our", "customers", "users", "requests", "pods"]
)


async def entrance(graph: Graph, finding: Finding, incident: Incident, probe: Probe | None) -> Web | None:
    """Return where requests to the finding's object come in, or None where it is not known."""
    service = _service(graph, finding)
    if service is None:
        return None
    for path, source in _paths(graph, finding, service, incident):
        if source != "the incident":
            return Web(name_of(service), path, _port(service), source)
        status = await _ask(probe, service, path)
        if status not in _NO_SUCH_PAGE:
            known = status is not None or path in incident.text or _is_served(graph, finding, service, path)
            return Web(name_of(service), path, _port(service), source, known)
    return None


def _is_served(graph: Graph, finding: Finding, service: Json, path: str) -> bool:
    """Return whether an Ingress, a readiness probe, or a line of a log of the service's pods has this path."""
    routed = [one for held in graph.all("Ingress") for one in _routed(held, name_of(service))]
    if path in (*routed, _probe_path(graph, finding)):
        return True
    asked = re.compile(rf"(?<![\w/.:-]){re.escape(path)}(?![\w.-])")
    pods = graph.selected(namespace_of(service), selector(service))
    return any(
        asked.search(graph.log(pod, str(held.get("name", ""))))
        for pod in pods
        for held in each(pod, "spec", "containers")
    )


async def _ask(probe: Probe | None, service: Json, path: str) -> int | None:
    try:
        return await probe(namespace_of(service), name_of(service), path) if probe else None
    except SkyfloError:
        # Whether the path is one is then not known, which is what None says.
        return None


def _service(graph: Graph, finding: Finding) -> Json | None:
    fronts = [item for item in (finding.object, *finding.related) if item.kind == "Service"]
    fronts.sort(key=lambda item: item.name != finding.object.name)
    found = [service for item in fronts if (service := graph.get(item)) is not None and _speaks_http(service)]
    return found[0] if found else None


def _speaks_http(service: Json) -> bool:
    """Return whether a GET makes sense: a TCP port that is not known to speak something else."""
    return bool(_ports(service)) and bool(selector(service))


def _ports(service: Json) -> list[Json]:
    other = ("grpc", "redis", "postgres", "mysql", "kafka", "amqp", "tcp-")
    return [
        port
        for port in each(service, "spec", "ports")
        if port.get("protocol", "TCP") == "TCP" and not str(port.get("name", "")).startswith(other)
    ]


def _port(service: Json) -> int | None:
    """Return the port to ask, or None where the Service has one only."""
    if len(each(service, "spec", "ports")) <= 1:
        return None
    ports = sorted(_ports(service), key=lambda port: not str(port.get("name", "")).startswith("http"))
    return int(ports[0]["port"])


def _paths(graph: Graph, finding: Finding, service: Json, incident: Incident) -> Iterator[tuple[str, str]]:
    read = graph.snapshot.namespaces
    said = incident.text if not read or namespace_of(service) in read else ""
    for path in _LITERAL.findall(said):
        if not _OF_FILES.match(path):
            yield path, "the incident"
    for word in _SPOKEN.findall(said):
        if word.lower() not in _NOT_A_PATH and word.lower() != name_of(service):
            yield f"/{word.lower()}", "the incident"
    for ingress in graph.all("Ingress"):
        if namespace_of(ingress) == namespace_of(service):
            for path in _routed(ingress, name_of(service)):
                yield path, f"Ingress {name_of(ingress)}"
    probe = _probe_path(graph, finding)
    if probe:
        yield probe, "the readiness probe"


def _routed(ingress: Json, service: str) -> Iterator[str]:
    for rule in each(ingress, "spec", "rules"):
        for path in each(rule, "http", "paths"):
            written = str(path.get("path", "/"))
            if at(path, "backend", "service", "name") == service and re.fullmatch(r"/[\w./-]*", written):
                yield written


def _probe_path(graph: Graph, finding: Finding) -> str:
    """Return the readiness probe's path of the workload that answers, or nothing."""
    names = (finding.object, ObjectRef.parse(finding.facts["workload"]) if "workload" in finding.facts else None)
    for name in names:
        workload = graph.get(name) if name else None
        for container in each(template(workload), "spec", "containers") if workload else []:
            path = at(container, "readinessProbe", "httpGet", "path")
            if path:
                return str(path)
    return ""
