"""Family C, processes that end: CON-05, CON-06, CON-14, CON-16, CON-22.

Source of the evidence: the termination in the container's status and the last lines of its log. CON-05 is what is left
where the log names no cause of its own kind; `collapse` lets it yield to any other finding of the same workload.
"""

import re
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import finds_no_host, last_error
from skyflo_runbooks.diagnosis.pods import Container, containers, each, name_of, namespace_of, template_container
from skyflo_runbooks.diagnosis.rules import files
from skyflo_runbooks.diagnosis.rules.asking import UNREACHED, asks, names, unreached
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence, short
from skyflo_runbooks.diagnosis.rules.startup import Look, Seen, finding, groups
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_KILLED = (137, 143)
_IN_USE = re.compile(r"(?i)address already in use|EADDRINUSE|port (\d+) is (?:already )?in use")
_READ_ONLY = re.compile(r"(?i)read-only file system|EROFS")
# The file system's no, to a path or a port; another server's (a database, an API, a login) is not about the container.
_DENIED = re.compile(
    r"(?i)^(?!.*(?:permission denied (?:for|on)\b|publickey|rpc error))"
    r"(?=.*(?:(?:^|[\s'\"(=:])/[\w.]|\b(?:bind|mkdir|chown|chmod|open|create|write)\b))"
    r".*(?:permission denied|EACCES|operation not permitted)"
)
_PATH = re.compile(r"(?<![\w./-])(?:/[\w.-]*\w)+")
_PORT = re.compile(r":(\d{2,5})\b")
_URL = re.compile(
    r"(?:(?:[a-z][a-z0-9+.-]*)://)?(?:[^@/\s]*@)?(?P<host>[a-z0-9][a-z0-9.-]*[a-z0-9])(?::(?P<port>\d{1,5}))(?:[/?].*)?$"
)


def _crash(graph: Graph, pod: Json, container: Container) -> Seen | None:
    for end in container.terminations[:1]:
        code = end.get("exitCode", 0)
        if end.get("reason") == "Error" and code and code not in _KILLED and not container.init:
            text = f"terminated: reason Error, exitCode {code}; {container.restarts} restarts"
            return Seen(pod, container, text, str(end.get("finishedAt", "")), f"status of container {container.name}")
    return None


def with_line(words: re.Pattern[str]) -> Look:
    """Return a look for crashed containers whose log holds these words; the line is its text."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        seen = _crash(graph, pod, container)
        if seen is None:
            return None
        for line in reversed(graph.log(pod, container.name).splitlines()[-40:]):
            if words.search(line):
                return Seen(pod, container, short(line), seen.at, f"log of container {container.name}")
        return None

    return look


# CON-05, CON-06 -------------------------------------------------------------------------------------------------------


def crashes(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that ends with an error that its log tells, and no rule knows better."""
    for workload, name, seen in groups(graph, _crash):
        lines = [line for line in graph.log(seen[0].pod, name).splitlines() if line.strip()][-30:]
        told = last_error(lines)
        if not told:
            continue  # a crash that says nothing of itself is unknown
        before = graph.previous(workload)
        more = (evidence(seen[0].pod, f"log of container {name}", graph.snapshot.time, told),)
        code = seen[0].container.terminations[0].get("exitCode")
        yield finding(
            graph,
            workload,
            seen,
            "CON-05",
            f"{name} of {ref(workload)} crashes with exit code {code}: {told.strip()[:160]}",
            # Whoever does not answer is the cause, and that is not this container.
            confidence=0.5 if finds_no_host(told) else 0.75,
            facts=({"revision": str(at(before, "metadata", "name", default=""))} if before else {})
            | asks(graph, seen[0].pod, unreached(graph.log(seen[0].pod, name))),
            more=more,
            advice="" if before else "No revision before it is known: repair what its log says.",
        )


def completes(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that ends well again and again although it should run on."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        ends = [end for end in container.terminations if end.get("reason") == "Completed" and end.get("exitCode") == 0]
        killed = any(event.get("reason") == "Killing" for event in graph.events(pod))
        again = at(pod, "spec", "restartPolicy", default="Always") == "Always" and not container.init
        if not ends or killed or not again or container.restarts == 0:
            return None
        text = f"terminated: reason Completed, exitCode 0; {container.restarts} restarts"
        return Seen(pod, container, text, str(ends[0].get("finishedAt", "")), f"status of container {container.name}")

    for workload, name, seen in groups(graph, look):
        spec = seen[0].container.spec
        command = " ".join(str(part) for part in [*(spec.get("command") or []), *(spec.get("args") or [])])[:120]
        yield finding(
            graph,
            workload,
            seen,
            "CON-06",
            f"{name} of {ref(workload)} ends by itself with exit code 0 and is started again and again",
            facts={"command": command},
            advice="Give it a command that runs on, or make it a Job.",
        )


# CON-14, CON-22 -------------------------------------------------------------------------------------------------------


def port_in_use(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that wants a port which another container of its pod has."""
    for workload, name, seen in groups(graph, with_line(_IN_USE)):
        pod = seen[0].pod
        named = _IN_USE.search(seen[0].text)
        # The address stands at the end, behind the time of the line.
        ports = [named.group(1)] if named and named.group(1) else _PORT.findall(seen[0].text)
        port = ports[-1] if ports else ""
        rivals = [c.name for c in containers(pod) if c.name != name and _has_port(c.spec, port)]
        rivals = rivals or [c.name for c in containers(pod) if c.name != name and not c.init]
        if not rivals:
            continue
        yield finding(
            graph, workload, seen, "CON-14",
            f"{name} of {ref(workload)} cannot listen on port {port or '?'}: {rivals[0]} of the same pod has it",
            confidence=0.92,
            facts={"port": port, "rival": rivals[0]},
            advice="Move one of the two to another port, with its Service and probes.",
        )  # fmt: skip


def _has_port(spec: Json, port: str) -> bool:
    declared = any(str(item.get("containerPort")) == port for item in each(spec, "ports"))
    return declared or any(str(item.get("value")) == port for item in each(spec, "env"))


def not_writable(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that may not write where it wants to."""
    for words in (_READ_ONLY, _DENIED):
        for workload, name, seen in groups(graph, with_line(words)):
            context = at(seen[0].container.spec, "securityContext", default={})
            if (
                words is _DENIED
                and not context
                and at(seen[0].pod, "spec", "securityContext", default={}) in ({}, None)
            ):
                continue
            read_only = bool(at(context, "readOnlyRootFilesystem", default=False))
            mounted = "it is mounted read-only there" if words is _READ_ONLY else "its user may not"
            why = "its root file system is read-only" if read_only and words is _READ_ONLY else mounted
            user = at(context, "runAsUser", default="unset")
            text = f"securityContext: readOnlyRootFilesystem {read_only}, runAsUser {user}"
            yield finding(
                graph, workload, seen, "CON-22",
                f"{name} of {ref(workload)} cannot write: {why} ({seen[0].text[-120:]})",
                confidence=0.9 if words is _READ_ONLY else 0.8,
                facts={"path": _told_path(seen[0].text)} if words is _READ_ONLY and read_only else {},
                more=(evidence(workload, f"template of container {name}", graph.snapshot.time, text),),
                advice="Mount an emptyDir where it writes, or set fsGroup for the volume; keep the root read-only.",
            )  # fmt: skip


def _told_path(line: str) -> str:
    """Return the one path that a line names; empty where it names none, or several."""
    found = set(_PATH.findall(line))
    return found.pop() if len(found) == 1 else ""


# CON-16, NET-04 -------------------------------------------------------------------------------------------------------


def wrong_endpoint(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose environment names a Service or port that is not there."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        said = with_line(UNREACHED)(graph, pod, container) or _not_ready_line(graph, pod, container)
        return said if said and _asked(graph, pod, container) else None

    for workload, name, seen in groups(graph, look):
        asked = _asked(graph, seen[0].pod, seen[0].container)
        if asked is None:
            continue
        variable, host, port, why, meant = asked
        if not _declared(workload, name, variable):
            continue
        text = f"{variable} names {host}:{port}; {why}"
        facts = {"variable": variable, "host": host, "port": port} | ({"meant": meant} if meant else {})
        missing = _unserved(graph, workload, host) if why.startswith("no such") and not meant else None
        more = (evidence(workload, f"template of container {name}", graph.snapshot.time, text),)
        if missing is None:
            yield finding(
                graph,
                workload,
                seen,
                "CON-16",
                f"{name} of {ref(workload)} asks {host}:{port} by {variable}: {why}",
                confidence=0.92,
                facts=facts,
                more=more,
                advice=f"Set {variable} to a Service and port that exist.",
            )
            continue
        found = finding(
            graph,
            workload,
            seen,
            "NET-04",
            f"The Service {host} does not exist, and {name} of {ref(workload)} needs it",
            confidence=0.92,
            facts=facts,
            more=more,
            advice=f"Make the Service {host} for {ref(missing)} again, from where it is declared.",
        )
        service = ObjectRef("Service", host.split(".")[0], namespace_of(workload))
        yield msgspec.structs.replace(found, object=service, explains=(ref(workload), ref(missing)))
    yield from _in_files(graph)


def _in_files(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that asks, by a file, what is not there, and not by its environment."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        said = with_line(UNREACHED)(graph, pod, container) or _not_ready_line(graph, pod, container)
        return said if said and not _asked(graph, pod, container) and files.written(graph, pod, container) else None

    for workload, name, seen in groups(graph, look):
        found = files.written(graph, seen[0].pod, seen[0].container)
        if found is None:
            continue
        text = f"key {found.key} names {found.host}; no such Service"
        yield finding(
            graph,
            workload,
            seen,
            "CON-16",
            f"{name} of {ref(workload)} asks {found.host} by {ref(found.config)}: no such Service",
            confidence=0.92,
            facts={"host": found.host, "config": name_of(found.config), "key": found.key},
            more=(evidence(found.config, f"data.{found.key}", graph.snapshot.time, text),),
            advice=files.advice(found),
        )


def _not_ready_line(graph: Graph, pod: Json, container: Container) -> Seen | None:
    for line in reversed(graph.log(pod, container.name).splitlines()[-40:]):
        if UNREACHED.search(line) and not container.ready:
            return Seen(pod, container, short(line), graph.snapshot.time, f"log of container {container.name}")
    return None


Endpoint = tuple[str, str, str, str, str]


def _asked(graph: Graph, pod: Json, container: Container) -> Endpoint | None:
    """Return the endpoint that is not there and that the log is about.

    Where the log names it, it is; where the log names a Service that exists, that one is asked, and not this.
    """
    lines = unreached(graph.log(pod, container.name))
    wrong = list(_endpoints(graph, pod, container.spec))
    for found in wrong:
        if any(names(line, found[1].split(".")[0]) or f":{found[2]}" in line for line in lines):
            return found
    here = [name_of(item) for item in graph.all("Service") if namespace_of(item) == namespace_of(pod)]
    if any(names(line, name) for line in lines for name in here):
        return None
    return wrong[0] if wrong else None


def _endpoints(graph: Graph, pod: Json, spec: Json) -> Iterator[Endpoint]:
    """Yield variable, host, port, what is wrong with it, and what was meant, for each endpoint that is not there."""
    from rapidfuzz import fuzz

    here = namespace_of(pod)
    known = {name_of(item): item for item in graph.all("Service") if namespace_of(item) == here}
    for variable in each(spec, "env"):
        found = _URL.match(str(variable.get("value") or ""))
        if found is None:
            continue
        host, port = found["host"], found["port"]
        parts = host.split(".")
        if len(parts) > 1 and (parts[1] != here or (len(parts) > 2 and parts[2] != "svc")):
            continue  # another namespace, or no Service at all: it was not read
        name = str(variable.get("name"))
        service = known.get(parts[0])
        if service is None and not parts[0].isdigit() and parts[0] != "localhost":
            near = [other for other in known if fuzz.ratio(other, parts[0]) >= 75]
            yield name, host, port, "no such Service", near[0] if len(near) == 1 else ""
        elif service is not None and _forwards(service):
            ports = [str(item.get("port")) for item in each(service, "spec", "ports")]
            if port not in ports:
                yield name, host, port, f"it has {', '.join(ports)}", ports[0] if len(ports) == 1 else ""


def _forwards(service: Json) -> bool:
    """Return whether only the ports that a Service has are answered: others are names in DNS and nothing more."""
    return bool(at(service, "spec", "type") != "ExternalName" and at(service, "spec", "clusterIP") != "None")


def _declared(workload: Json, container: str, variable: str) -> bool:
    found = template_container(workload, container)
    return found is None or any(item.get("name") == variable for item in each(found[2], "env"))


def _unserved(graph: Graph, workload: Json, host: str) -> Json | None:
    """Return the workload of this name that no Service stands in front of."""
    name = host.split(".")[0]
    for kind in ("Deployment", "StatefulSet"):
        found = graph.get(ObjectRef(kind, name, namespace_of(workload)))
        if found is not None:
            return found
    return None


RULES = (
    Rule(fault="CON-05", needs=("Pod",), find=crashes),
    Rule(fault="CON-06", needs=("Pod",), find=completes),
    Rule(fault="CON-14", needs=("Pod", "Log"), find=port_in_use),
    Rule(fault="CON-16", needs=("Pod", "Log", "Service"), find=wrong_endpoint, also=("NET-04",)),
    Rule(fault="CON-22", needs=("Pod", "Log"), find=not_writable),
)

__all__ = ["RULES", "with_line"]
