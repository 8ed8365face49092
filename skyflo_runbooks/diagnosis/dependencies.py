"""What the workloads of a namespace ask in other namespaces, and whose trouble there is theirs.

Rules:
  1. A workload names a Service elsewhere in the environment of its containers, outright or through a ConfigMap, as the
     cluster's DNS writes it: `name.namespace`, with `svc` and a domain behind it or not. The namespace has to exist.
  2. Where such a Service has no ready endpoint, or one that is not, its namespace is read as the asking one is; at most
     `MOST` namespaces. Of the others nothing is kept.
  3. What is wrong there is felt here only where it stands before a Service that is asked.
  4. Nobody asked for those namespaces: a read that is refused there is said, and makes nothing here unknown.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import each, labels_of, leaving, name_of, namespace_of, texts
from skyflo_runbooks.diagnosis.snapshot import Gap
from skyflo_runbooks.diagnosis.taker import Taker, listed
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

MOST = 3
# What is said of a read elsewhere that gave no answer.
ASKED = "Services that are asked from here"
# Where a host can stand in a value, with its namespace behind it; a domain of the internet has no `svc` there.
_HOST = re.compile(
    r"(?:^|[\s/@,;=])(?P<name>[a-z0-9][a-z0-9-]*)\.(?P<space>[a-z0-9][a-z0-9-]*)(?:\.svc(?:\.[a-z0-9.-]+)?)?(?=[:/,;\s]|$)"
)
_LIGHT = ("Service", "EndpointSlice")

Objects = Mapping[str, Sequence[Json]]


def values(pod: Json, configs: Mapping[tuple[str, str], Json]) -> Iterator[tuple[str, str]]:
    """Yield name and value of each variable of a pod's containers that can be read; `configs` are the ConfigMaps."""
    here = namespace_of(pod)
    for container in (*each(pod, "spec", "containers"), *each(pod, "spec", "initContainers")):
        for source in each(container, "envFrom"):
            held = configs.get((here, str(at(source, "configMapRef", "name", default=""))))
            yield from texts(held, "data").items() if held else ()
        for variable in each(container, "env"):
            name, origin = str(variable.get("name")), texts(variable, "valueFrom", "configMapKeyRef")
            held = configs.get((here, origin.get("name", ""))) if origin else None
            found = texts(held, "data").get(origin.get("key", ""), "") if held else variable.get("value")
            if isinstance(found, str):
                yield name, found


def asked(objects: Objects, read: Sequence[str]) -> Iterator[tuple[Json, str, ObjectRef]]:
    """Yield pod, variable and Service for each Service of another namespace that a pod of those `read` names."""
    known = {name_of(item) for item in objects.get("Namespace", ())} - {*read}
    configs = {(namespace_of(item), name_of(item)): item for item in objects.get("ConfigMap", ())}
    for pod in objects.get("Pod", ()):
        if namespace_of(pod) in read and not leaving(pod):
            for variable, value in values(pod, configs):
                for host in _HOST.finditer(value):
                    if host["space"] in known:
                        yield pod, variable, ObjectRef("Service", host["name"], host["space"])


async def read_what_is_asked(
    taker: Taker,
    objects: dict[str, list[Json]],
    read: Sequence[str],
    kinds: Sequence[str],
    *,
    besides: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Read the namespaces of the Services that are asked and not well into `objects`, and return them.

    Those `read` are what the incident concerns; `besides` are in `objects` for another reason.
    """
    wanted = {one for _, _, one in asked(objects, read) if one.namespace not in besides} if read else set()
    spaces = sorted({service.namespace for service in wanted})[:MOST]
    found = await asyncio.gather(*(_unwell(taker, space, wanted) for space in spaces))
    unwell = [space for space, ill in zip(spaces, found, strict=True) if ill]
    lists = [(kind, space) for space in unwell for kind in kinds]
    answers = await asyncio.gather(*(_listed(taker, kind, space) for kind, space in lists))
    for (kind, _), answer in zip(lists, answers, strict=True):
        objects[kind] = [*objects.get(kind, []), *answer]
    return frozenset(unwell)


async def _unwell(taker: Taker, space: str, wanted: set[ObjectRef]) -> bool:
    """Return whether a Service of a namespace that is asked has no ready endpoint, or one that is not ready."""
    services, slices = await asyncio.gather(*(_listed(taker, kind, space) for kind in _LIGHT))
    for service in services:
        if ref(service) not in wanted or at(service, "spec", "type") == "ExternalName":
            continue
        mine = [item for item in slices if labels_of(item).get("kubernetes.io/service-name") == name_of(service)]
        ready = [at(one, "conditions", "ready") is not False for item in mine for one in each(item, "endpoints")]
        if not ready or not all(ready):
            return True
    return False


async def _listed(taker: Taker, kind: str, space: str) -> list[Json]:
    asking = Taker(taker.reader, taker.deadline, [])
    answer = await listed(asking, kind, space)
    taker.gaps += [Gap(ASKED, space, gap.reason) for gap in asking.gaps]
    return answer or []


def felt(graph: Graph, causes: Sequence[Finding]) -> list[Finding]:
    """Return the causes; one of another namespace that stands before a Service asked from here says who asks it."""
    read = graph.snapshot.namespaces
    beyond = [cause for cause in causes if read and cause.namespace and cause.namespace not in read]
    if not beyond:
        return list(causes)
    clients: dict[ObjectRef, dict[ObjectRef, str]] = {}
    for pod, variable, service in asked(graph.snapshot.objects, read):
        clients.setdefault(service, {}).setdefault(ref(graph.workload(pod)), variable)
    return [_with_clients(cause, clients) if cause in beyond else cause for cause in causes]


def _with_clients(cause: Finding, clients: Mapping[ObjectRef, Mapping[ObjectRef, str]]) -> Finding:
    fronts = [item for item in dict.fromkeys((cause.object, *cause.related)) if item in clients]
    said = [f"{client} asks {front} by {variable}" for front in fronts for client, variable in clients[front].items()]
    explains = (*cause.explains, *(client for front in fronts for client in clients[front]))
    return msgspec.structs.replace(
        cause, explains=tuple(dict.fromkeys(explains)), consequences=(*cause.consequences, *said)
    )


__all__ = ["ASKED", "MOST", "asked", "felt", "read_what_is_asked", "values"]
