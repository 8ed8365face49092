"""Family C, containers that end: CON-07 and CON-04.

Sources of the evidence: the kubelet writes `reason: OOMKilled, exitCode: 137` to `lastState.terminated` (or, for up to
a second, `state.terminated`) of the container's status; no event on the pod says so. A crash shows as `reason: Error`
with the process's own exit code, and why it crashed stands in the log of the run before the present one.
"""

import errno
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import tells_error
from skyflo_runbooks.diagnosis.pods import (
    Container,
    amount,
    containers,
    each,
    namespace_of,
    ready,
    template_container,
    texts,
)
from skyflo_runbooks.diagnosis.rules.base import (
    Rule,
    changeable,
    culprit,
    deployed,
    evidence,
    given_up,
    outdated,
    services,
)
from skyflo_runbooks.diagnosis.snapshot import Usage, seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# A container that was killed longer ago than this and has been ready since is history, not an incident.
RECENT = 3600.0
SHOWN = 4


class Ended(msgspec.Struct, frozen=True):
    """A container of a pod, and the termination that tells."""

    pod: Json
    container: Container
    termination: Json

    @property
    def at(self) -> str:
        """When it ended (RFC 3339)."""
        return str(self.termination.get("finishedAt", ""))


Ends = dict[tuple[ObjectRef, str], list[Ended]]


def _ends(graph: Graph) -> list[Ended]:
    """Return the newest termination of each container; once for all rules."""
    known: list[Ended] | None = graph.notes.get("ends")
    if known is None:
        known = graph.notes["ends"] = list(_newest_ends(graph))
    return known


def _newest_ends(graph: Graph) -> Iterator[Ended]:
    for pod in graph.ended:
        for container in containers(pod):
            for termination in container.terminations[:1]:
                yield Ended(pod, container, termination)


def _by_container(graph: Graph, ends: Iterable[Ended]) -> Ends:
    groups: Ends = defaultdict(list)
    for end in ends:
        groups[ref(culprit(graph, end.pod)), end.container.name].append(end)
    return groups


# CON-07 ---------------------------------------------------------------------------------------------------------------


def oom_killed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container of a workload that the kernel killed at its memory limit."""
    killed = (end for end in _ends(graph) if _oom(end) and _matters(graph, end))
    for (owner, container), ends in _by_container(graph, killed).items():
        workload = graph.get(owner)
        if workload is not None:
            yield _oom_finding(graph, workload, container, ends)


def _oom(end: Ended) -> bool:
    return end.termination.get("reason") == "OOMKilled"


def _matters(graph: Graph, end: Ended) -> bool:
    """Return whether it concerns the present: not repaired by a newer revision, and recent or still not ready."""
    workload = culprit(graph, end.pod)
    if outdated(graph, workload, end.pod) and not _same_limit(workload, end):
        return False
    passed = seconds_between(end.at, graph.snapshot.time)
    return not ready(end.pod) or not end.container.ready or passed is None or passed <= RECENT


def _oom_finding(graph: Graph, workload: Json, container: str, ends: list[Ended]) -> Finding:
    spec = ends[0].container.spec
    limit = at(spec, "resources", "limits", "memory")
    restarts = sum(end.container.restarts for end in ends)
    facts = {
        "container": container,
        "limit": str(limit or ""),
        "request": str(at(spec, "resources", "requests", "memory", default="")),
        "restarts": str(restarts),
        "pods": str(len(ends)),
    }
    repairable = limit is not None and changeable(graph, ends[0].pod) is not None and _same_limit(workload, ends[0])
    down = any(not ready(end.pod) for end in ends)
    return Finding(
        fault="CON-07",
        title=f"{container} of {ref(workload)} is OOMKilled at its memory limit of {limit}"
        if limit is not None
        else f"{container} of {ref(workload)} is OOMKilled without a memory limit of its own",
        object=ref(workload),
        confidence=0.97 if limit is not None and down else 0.8 if limit is not None else 0.6,
        evidence=(*_oom_evidence(ends), *_limit_evidence(graph, workload, ends, limit)),
        facts=facts if repairable else {key: value for key, value in facts.items() if key != "limit"},
        related=(*(ref(end.pod) for end in ends), *services(graph, workload)),
        advice="" if repairable else _oom_advice(workload, limit),
    )


def _same_limit(workload: Json, end: Ended) -> bool:
    """Return whether the template still asks for the limit that killed; if not, a repair is already under way."""
    found = template_container(workload, end.container.name)
    return found is not None and amount(found[2], "limits", "memory") == amount(end.container.spec, "limits", "memory")


def _oom_evidence(ends: list[Ended]) -> Iterator[Evidence]:
    for end in sorted(ends, key=lambda item: item.at, reverse=True)[:SHOWN]:
        code = end.termination.get("exitCode", "?")
        waiting = end.container.waiting[0]
        state = waiting or ("running at the moment" if end.container.runs else "ended")
        text = f"terminated: reason OOMKilled, exitCode {code}; {end.container.restarts} restarts; state now: {state}"
        yield evidence(end.pod, f"status of container {end.container.name}", end.at, text)


def _limit_evidence(graph: Graph, workload: Json, ends: list[Ended], limit: object) -> Iterator[Evidence]:
    now = graph.snapshot.time
    container = ends[0].container
    if limit is not None:
        text = (
            f"resources.limits.memory is {limit}. What the process needs cannot be seen while this limit kills it: "
            "its measured use never passes the limit"
        )
        yield evidence(workload, f"template of container {container.name}", now, text)
    peak = _peak(graph, ends)
    if peak:
        where = f"Pod/{peak.namespace}/{peak.pod} usage of container {container.name}"
        text = f"working set {(peak.memory or 0) // 2**20}Mi at this moment"
        yield Evidence(source=where, at=peak.at or now, text=text)
    rolled_out = deployed(graph, workload)
    if rolled_out:
        yield rolled_out


def _peak(graph: Graph, ends: list[Ended]) -> Usage | None:
    uses = [use for end in ends for use in graph.usage(end.pod) if use.container == end.container.name]
    return max((use for use in uses if use.memory is not None), key=lambda use: use.memory or 0, default=None)


def _oom_advice(workload: Json, limit: object) -> str:
    if limit is None:
        return (
            "The container has no memory limit, so the node itself ran out of memory. Give the container a request "
            "that reflects what it uses, or the node more memory; a limit alone would only kill it sooner."
        )
    if workload.get("kind") not in ("Deployment", "StatefulSet", "DaemonSet"):
        return f"{workload.get('kind')} templates cannot be edited in place: raise the limit where it is declared."
    return "The template asks for another limit already: a rollout is under way. Wait for it, then look again."


# CON-04 ---------------------------------------------------------------------------------------------------------------

# What a line says when a variable is missing; the variable itself is written as such names are.
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\b[A-Z]{4,}\b")
_MISSING = re.compile(
    r"(?i)\b(missing|not set|unset|undefined|required|must be set|not defined|not found|no such|is empty|invalid"
    r"|KeyError|cannot find|could not find|could not resolve placeholder|(?:cannot|must not) be null|environment"
    r"|env var)"
)
# How a configuration library spells a variable's name: `Jwt:Key` is Jwt__Key (.NET), `db.url` is DB_URL (Spring).
_SEPARATOR = re.compile(r"[_:.-]+")
# What a line says where a single word in capitals is a variable's name.
_OF_THE_ENVIRONMENT = re.compile(
    r"(?i)\b(missing|not set|unset|undefined|required|must be set|not defined|is empty|KeyError|environment|env var)"
)
# Words in capitals that are levels, protocols, formats or codes of errors, never a variable's name.
_NOT_VARIABLES = {
    *("ERROR", "FATAL", "PANIC", "WARN", "WARNING", "INFO", "DEBUG", "TRACE", "CRITICAL", "SEVERE", "NOTICE"),
    *("HTTP", "HTTPS", "NULL", "JSON", "YAML", "TOML", "SQLSTATE", "SELECT", "INSERT", "UPDATE", "DELETE", "TABLE"),
    *("NOT_FOUND", "ENOTFOUND", "EAI_AGAIN", *errno.errorcode.values()),
}
_CODE = re.compile(
    r"^ERR?_|_(?:NOT_FOUND|DENIED|ERROR|FAILED|FAILURE|INVALID|ARGUMENT|EXCEPTION|EXCEEDED|EXHAUSTED|UNAVAILABLE)$"
)
# Killed from outside (SIGKILL, SIGTERM), so no answer of the process to its environment.
_KILLED = (137, 143)


def missing_variable(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that crashes because a variable is not in its environment."""
    crashed = (end for end in _ends(graph) if _crashed(end) and _newest(graph, end))
    for (owner, container), ends in _by_container(graph, crashed).items():
        workload = graph.get(owner)
        if workload is None:
            continue
        has = _environment(graph, ends[0].container.spec, namespace_of(workload))
        taken = [name for name in _previous_environment(graph, workload, container) if name not in has]
        told = next(((end, line) for end in ends for line in _lines(graph, end, taken)), None)
        if told is None and any(tells_error(graph.log(end.pod, end.container.name)) for end in ends):
            continue  # it says why it ends, and names no variable
        absent = _absent(has, taken, told[1] if told else "")
        if absent is not None:
            yield _variable_finding(graph, workload, ends, absent, told)


def _newest(graph: Graph, end: Ended) -> bool:
    old = given_up(graph, end.pod) or outdated(graph, culprit(graph, end.pod), end.pod)
    return not end.container.ready and not old


def _crashed(end: Ended) -> bool:
    code = end.termination.get("exitCode", 0)
    return end.termination.get("reason") == "Error" and code != 0 and code not in _KILLED


def _lines(graph: Graph, end: Ended, taken: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a crashed container's log that say that a variable is missing, the last first.

    One that was `taken` away since the previous revision is known by other spellings as well.
    """
    for line in reversed(graph.log(end.pod, end.container.name).splitlines()[-50:]):
        if _MISSING.search(line) and (_names(line) or any(_spells(line, name) for name in taken)):
            yield line


def _spells(line: str, name: str) -> bool:
    """Return whether a line names a variable: as it is, or, where it has several words, by a library's own spelling."""
    words = [re.escape(word) for word in _SEPARATOR.split(name) if word]
    spelling = rf"(?i:{'[_:.-]{1,2}'.join(words)})" if len(words) > 1 else re.escape(name)
    return re.search(rf"(?<![\w.:-]){spelling}(?!\w)", line) is not None


def _names(line: str) -> list[str]:
    """Return the words of a line that may be variables: one without `_` only where the line is about such."""
    about = _OF_THE_ENVIRONMENT.search(line) is not None
    named = [name for name in _VARIABLE.findall(line) if name not in _NOT_VARIABLES and not _CODE.search(name)]
    return [name for name in named if about or "_" in name]


def _absent(has: set[str], taken: list[str], line: str) -> str | None:
    """Return the variable that is missing: one that the log names and the environment lacks.

    One that the previous revision had comes before one that only the log knows; without a log line only a single
    variable that was taken away between the revisions counts.
    """
    both = [name for name in taken if _spells(line, name)]
    named = [name for name in _names(line) if name not in has]
    if both or named:
        return (both or named)[0]
    return taken[0] if len(taken) == 1 and not line else None


def _environment(graph: Graph, spec: Json, namespace: str) -> set[str]:
    """Return the names that a container's environment holds, as far as they can be read."""
    names = {str(item.get("name")) for item in each(spec, "env")}
    for source in each(spec, "envFrom"):
        name = at(source, "configMapRef", "name")
        found = graph.get(ObjectRef(kind="ConfigMap", name=str(name), namespace=namespace)) if name else None
        prefix = str(source.get("prefix", ""))
        names |= {f"{prefix}{key}" for key in at(found, "data", default={})}
    return names


def _previous_environment(graph: Graph, workload: Json, container: str) -> dict[str, Json]:
    before = graph.previous(workload)
    found = template_container(before, container) if before is not None else None
    return {str(item.get("name")): item for item in each(found[2], "env")} if found else {}


def _variable_finding(
    graph: Graph, workload: Json, ends: list[Ended], variable: str, told: tuple[Ended, str] | None
) -> Finding:
    container = ends[0].container
    before = _previous_environment(graph, workload, container.name).get(variable)
    facts = {"container": container.name, "variable": variable, "restarts": str(_restarts(ends)), **_source(before)}
    # Both witnesses, or one of them: the log names it, the previous revision had it.
    confidence = 0.95 if told and before else 0.7 if told else 0.55
    advice = (
        ""
        if before
        else (f"No earlier revision of {ref(workload)} sets {variable}: its value has to come from whoever knows it.")
    )
    return Finding(
        fault="CON-04",
        title=f"{container.name} of {ref(workload)} crashes: the environment variable {variable} is missing",
        object=ref(workload),
        confidence=confidence,
        evidence=tuple(_variable_evidence(graph, workload, ends, variable, told, before)),
        facts=facts,
        related=(*(ref(end.pod) for end in ends), *services(graph, workload)),
        advice=advice,
    )


def _restarts(ends: list[Ended]) -> int:
    return sum(end.container.restarts for end in ends)


def _source(before: Json | None) -> dict[str, str]:
    """Return where the previous revision took the value from: a key of a Secret or ConfigMap, or a literal.

    The literal itself is not a fact of the finding: it could be a secret.
    """
    if before is None:
        return {}
    for kind, key in (("secret", "secretKeyRef"), ("config_map", "configMapKeyRef")):
        reference = texts(before, "valueFrom", key)
        if "name" in reference and "key" in reference:
            return {"source": kind, "source_name": reference["name"], "source_key": reference["key"]}
    return {"source": "other" if "valueFrom" in before else "literal"}


def _variable_evidence(
    graph: Graph,
    workload: Json,
    ends: list[Ended],
    variable: str,
    told: tuple[Ended, str] | None,
    before: Json | None,
) -> Iterator[Evidence]:
    for end in ends[:SHOWN]:
        code = end.termination.get("exitCode", "?")
        text = f"terminated: reason Error, exitCode {code}; {end.container.restarts} restarts"
        yield evidence(end.pod, f"status of container {end.container.name}", end.at, text)
    if told:
        end, line = told
        yield evidence(end.pod, f"log of container {end.container.name}", end.at, line)
    previous = graph.previous(workload)
    now = graph.snapshot.time
    yield evidence(workload, f"template of container {ends[0].container.name}", now, f"env does not set {variable}")
    if before and previous:
        source = _source(before)
        where = (
            f"{source['source']} {source['source_name']}, key {source['source_key']}"
            if len(source) > 1
            else ("a value written in the template")
        )
        yield evidence(previous, "template", now, f"the revision before sets {variable} from {where}")
    rolled_out = deployed(graph, workload)
    if rolled_out:
        yield rolled_out


RULES = (
    Rule(fault="CON-07", needs=("Pod",), find=oom_killed),
    Rule(fault="CON-04", needs=("Pod", "Log"), find=missing_variable),
)

__all__ = ["RULES", "missing_variable", "oom_killed"]
