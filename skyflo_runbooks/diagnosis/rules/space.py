"""Family C, containers without room on a disk: CON-20.

Sources of the evidence: the log of a container that ended because a write found no space; and the kubelet's word on a
pod that it evicted because the pod itself used more than it was given (k8s.io/kubernetes/pkg/kubelet/eviction/
eviction_manager.go): an emptyDir its sizeLimit, a container its limit of ephemeral-storage. An eviction because the
node ran short is the node's fault (NOD-02).

Which emptyDir is full is read from the path that could not be written, or from the kubelet's words; only where that one
has a limit is there something to raise.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import Container, containers, each, pod_spec, quantity
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, deployed, outdated, services
from skyflo_runbooks.diagnosis.rules.crash import with_line
from skyflo_runbooks.diagnosis.rules.evictions import Eviction, evictions
from skyflo_runbooks.diagnosis.rules.startup import finding, groups
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_NO_SPACE = re.compile(r"(?i)no space left on device|ENOSPC|disk quota exceeded")
_PATH = re.compile(r"(?<![\w./-])(/[\w.@+-]+(?:/[\w.@+-]+)*)")
_OWN_LIMIT = re.compile(
    r'Usage of EmptyDir volume "(?P<volume>[^"]+)" exceeds the limit "(?P<size>[^"]+)"'
    r'|Container (?P<container>\S+) exceeded its local ephemeral storage limit "(?P<share>[^"]+)"'
    r"|Pod ephemeral local storage usage exceeds the total limit of containers (?P<all>\d\S*[A-Za-z\d])"
)
# An eviction that is longer ago says nothing of the present.
_RECENT = 3600.0
_ADVICE = (
    "Rotate or remove what fills it, or give it more: a claim where its class allows it (it cannot shrink again), a "
    "greater sizeLimit of the emptyDir, a greater limit of ephemeral-storage."
)


def no_space(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that finds no space left on a volume or its own file system."""
    for workload, name, seen in groups(graph, with_line(_NO_SPACE)):
        volume = _written_to(seen[0].pod, seen[0].container, seen[0].text)
        limit = str(at(volume, "emptyDir", "sizeLimit", default="")) if volume else ""
        where = f"the emptyDir {volume.get('name')} of {limit}" if volume and limit else "its disk"
        yield finding(
            graph,
            workload,
            seen,
            "CON-20",
            f"{name} of {ref(workload)} finds no space left on {where}",
            confidence=0.9,
            facts={"volume": str(volume.get("name")), "limit": limit} if volume and limit else {},
            advice=_ADVICE,
        )


def _written_to(pod: Json, container: Container, line: str) -> Json | None:
    """Return the volume that a path in the line is on: the one with the longest mount path before it."""
    mounts = {str(m.get("mountPath", "")).rstrip("/"): str(m.get("name")) for m in each(container.spec, "volumeMounts")}
    for path in _PATH.findall(line):
        under = [mount for mount in mounts if mount and (path == mount or path.startswith(f"{mount}/"))]
        if under:
            name = mounts[max(under, key=len)]
            return next((item for item in each(pod, "spec", "volumes") if item.get("name") == name), None)
    return None


def evicted(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods are evicted because they use more disk than they were given."""
    found: dict[ObjectRef, list[tuple[Eviction, re.Match[str]]]] = defaultdict(list)
    for eviction in evictions(graph):
        said = _OWN_LIMIT.search(eviction.said)
        owner = culprit(graph, eviction.pod)
        if said is None or outdated(graph, owner, eviction.pod) or not _asks_still(owner, said):
            continue
        passed = seconds_between(eviction.when, graph.snapshot.time)
        if passed is None or passed <= _RECENT:
            found[ref(owner)].append((eviction, said))
    for object_, seen in found.items():
        workload = graph.get(object_)
        if workload is not None:
            yield _evicted(graph, workload, seen)


def _asks_still(workload: Json, said: re.Match[str]) -> bool:
    """Return whether the limit that was passed is the template's still: if not, a repair is under way."""
    if workload.get("kind") == "Pod":
        return True
    spec = pod_spec(workload)
    if said["volume"] is not None:
        return any(
            volume.get("name") == said["volume"] and _same(at(volume, "emptyDir", "sizeLimit"), said["size"])
            for volume in each(spec, "volumes")
        )
    if said["container"] is not None:
        held = (*each(spec, "containers"), *each(spec, "initContainers"))
        return any(one.get("name") == said["container"] and _same(_share(one), said["share"]) for one in held)
    shares = [quantity(_share(one)) for one in each(spec, "containers")]
    return sum((share for share in shares if share is not None), Decimal()) == quantity(said["all"])


def _share(container: Json) -> object:
    return at(container, "resources", "limits", "ephemeral-storage")


def _same(given: object, said: str) -> bool:
    return given is not None and quantity(given) == quantity(said)


def _evicted(graph: Graph, workload: Json, seen: list[tuple[Eviction, re.Match[str]]]) -> Finding:
    latest, said = max(seen, key=lambda item: item[0].when)
    what, facts = "more disk than its containers may", {}
    if said["volume"]:
        what = f"more than the {said['size']} of the emptyDir {said['volume']}"
        facts = {"volume": said["volume"], "limit": said["size"]}
    elif said["container"]:
        what = f"more disk than the {said['share']} that {said['container']} may"
    rolled_out = deployed(graph, workload)
    return Finding(
        fault="CON-20",
        title=f"Pods of {ref(workload)} are evicted: one uses {what}",
        object=ref(workload),
        confidence=0.93,
        evidence=(
            *(eviction.cited(match.group(0)) for eviction, match in seen[:3]),
            *((rolled_out,) if rolled_out else ()),
        ),
        facts={"container": said["container"] or _user(latest.pod, said["volume"]), **facts, "evicted": str(len(seen))},
        related=(*(ref(eviction.pod) for eviction, _ in seen), *services(graph, workload)),
        explains=(ref(workload),),
        advice=_ADVICE,
    )


def _user(pod: Json, volume: str | None) -> str:
    """Return the container that mounts the volume; nothing where several do, or none."""
    users = [c.name for c in containers(pod) if any(m.get("name") == volume for m in each(c.spec, "volumeMounts"))]
    return users[0] if len(users) == 1 else ""


def full(graph: Graph) -> Iterator[Finding]:
    """Yield what is found of disks that are full, whoever says so."""
    yield from no_space(graph)
    yield from evicted(graph)


RULES = (Rule(fault="CON-20", needs=("Pod", "Log"), find=full),)

__all__ = ["RULES"]
