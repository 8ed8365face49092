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

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import Container, condition, containers, each, pod_spec
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, deployed, evidence, outdated, services
from skyflo_runbooks.diagnosis.rules.crash import with_line
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
    found: dict[ObjectRef, list[tuple[Json, re.Match[str]]]] = defaultdict(list)
    for pod in graph.ailing:
        said = _OWN_LIMIT.search(str(at(pod, "status", "message", default="")))
        if said is None or at(pod, "status", "reason") != "Evicted" or outdated(graph, culprit(graph, pod), pod):
            continue
        passed = seconds_between(_when(pod), graph.snapshot.time)
        if passed is None or passed <= _RECENT:
            found[ref(culprit(graph, pod))].append((pod, said))
    for owner, seen in found.items():
        workload = graph.get(owner)
        if workload is not None and _asks_still(workload, seen[-1][1]):
            yield _evicted(graph, workload, seen)


def _when(pod: Json) -> str:
    return str(condition(pod, "DisruptionTarget").get("lastTransitionTime", ""))


def _asks_still(workload: Json, said: re.Match[str]) -> bool:
    """Return whether the volume that was full has the limit still: if not, a repair is under way."""
    if said["volume"] is None or workload.get("kind") == "Pod":
        return True
    volumes = each(pod_spec(workload), "volumes")
    return any(v.get("name") == said["volume"] and at(v, "emptyDir", "sizeLimit") == said["size"] for v in volumes)


def _evicted(graph: Graph, workload: Json, seen: list[tuple[Json, re.Match[str]]]) -> Finding:
    pod, said = max(seen, key=lambda item: _when(item[0]))
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
            *(evidence(one, "status.message", _when(one), match.group(0)) for one, match in seen[:3]),
            *((rolled_out,) if rolled_out else ()),
        ),
        facts={"container": said["container"] or _user(pod, said["volume"]), **facts, "evicted": str(len(seen))},
        related=(*(ref(one) for one, _ in seen), *services(graph, workload)),
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
