"""Whom a failing process asked: a Service that exists, and that its log or its wait names.

A log's words choose nothing but the order of causes: who fails because another does not answer comes after that other,
where a cause of its own was found there (`collapse`).
"""

import re
from collections.abc import Iterable

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import NO_HOST
from skyflo_runbooks.diagnosis.pods import name_of, namespace_of
from skyflo_runbooks.diagnosis.rules.base import culprit, services
from skyflo_runbooks.model.json import Json

# The fact that names the Service that was asked.
ASKS = "asks"
UNREACHED = re.compile(rf"{NO_HOST.pattern}|connection refused|ECONNREFUSED|timed? ?out|unreachable")


def asks(graph: Graph, pod: Json, lines: Iterable[str]) -> dict[str, str]:
    """Return as a fact which Service the last of these lines names: of the pod's namespace, or by both names."""
    here, own = namespace_of(pod), set(services(graph, culprit(graph, pod)))
    for line in reversed(list(lines)):
        for service in graph.all("Service"):
            name, space = name_of(service), namespace_of(service)
            if (names(line, f"{name}.{space}") or (space == here and names(line, name))) and ref(service) not in own:
                return {ASKS: str(ref(service))}
    return {}


def names(line: str, host: str) -> bool:
    """Return whether a line names a host, as a word of its own or before a dot, a port or a path."""
    return host in line and re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", line) is not None


def unreached(log: str) -> list[str]:
    """Return the last lines of a log that say that another was not reached."""
    return [line for line in log.splitlines()[-40:] if UNREACHED.search(line)]
