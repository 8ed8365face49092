"""Hosts that stand in a file: CON-16 where no variable names what a process asks.

Source of the evidence: the process's own words of the host that it did not find, and a ConfigMap that its pod mounts,
in which that host stands. A log chooses no object: without the ConfigMap there is no finding here. A host of another
namespace, or of the internet, was not read.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import finds_no_host, lost_host
from skyflo_runbooks.diagnosis.pods import Container, each, name_of, namespace_of, texts
from skyflo_runbooks.diagnosis.rules.asking import names
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_LIKE = 75


class Written(msgspec.Struct, frozen=True):
    """A host that is no Service, the ConfigMap and key in which it stands, and the Service that was meant, if any."""

    host: str
    config: Json
    key: str
    meant: str


def written(graph: Graph, pod: Json, container: Container) -> Written | None:
    """Return the host that a container's log does not find and a file that its pod mounts names."""
    for line in reversed(graph.log(pod, container.name).splitlines()[-40:]):
        host = lost_host(line) if finds_no_host(line) else ""
        if not host or not _missing(graph, namespace_of(pod), host):
            continue
        for config in _mounted(graph, pod):
            for key, text in texts(config, "data").items():
                if names(text, host):
                    return Written(host, config, key, _meant(graph, namespace_of(pod), host))
    return None


def _missing(graph: Graph, here: str, host: str) -> bool:
    """Return whether a host is a name of this namespace that no Service has."""
    first, _, rest = host.partition(".")
    space, _, domain = rest.partition(".")
    if first == "localhost" or first.isdigit() or space not in ("", here) or domain.split(".")[0] not in ("", "svc"):
        return False
    return not graph.snapshot.unread(here, "Service") and graph.get(ObjectRef("Service", first, here)) is None


def _mounted(graph: Graph, pod: Json) -> Iterator[Json]:
    for volume in each(pod, "spec", "volumes"):
        sources = [volume, *each(volume, "projected", "sources")]
        for source in sources:
            held = graph.get(
                ObjectRef("ConfigMap", str(at(source, "configMap", "name", default="")), namespace_of(pod))
            )
            if held is not None:
                yield held


def _meant(graph: Graph, here: str, host: str) -> str:
    from rapidfuzz import fuzz

    first = host.partition(".")[0]
    known = [name_of(item) for item in graph.all("Service") if namespace_of(item) == here]
    near = [name for name in known if fuzz.ratio(name, first) >= _LIKE]
    return near[0] if len(near) == 1 else ""


def advice(found: Written) -> str:
    """Return what is to do: the file is changed where it is declared, and read again."""
    where = f"key {found.key} of {ref(found.config)}"
    return (
        f"Name {found.meant or 'a Service that exists'} in {where}, and make the pods anew: they read it as they start."
    )


__all__ = ["Written", "advice", "written"]
