"""Files that somebody else collected, as a snapshot: a `kubectl cluster-info dump`, a Troubleshoot support bundle, or
any folder of `kubectl get -o json`.

Rules:
  1. Whatever file holds a list of objects (`items`) is read; where its items say no kind, the list or the path does.
  2. Each kind that no file holds is a gap: absent from the files is not absent from the cluster.
  3. The snapshot's time is the latest time at which the files say that something happened.
  4. Of a Secret only its type and metadata are kept, and no annotation: in one `kubectl apply` repeats the values.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from skyflo_runbooks.diagnosis.lines import no_log
from skyflo_runbooks.diagnosis.snapshot import Gap, Log, Snapshot
from skyflo_runbooks.diagnosis.take import CLUSTER, NAMESPACED
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

ABSENT = "it is not in these files"
# Names of files and folders, as the collectors write them, for lists that do not say what they are lists of.
_KINDS = {
    "configmaps": "ConfigMap",
    "cronjobs": "CronJob",
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "endpointslices": "EndpointSlice",
    "events": "Event",
    "ingress": "Ingress",
    "ingress-classes": "IngressClass",
    "jobs": "Job",
    "limitranges": "LimitRange",
    "namespaces": "Namespace",
    "network-policy": "NetworkPolicy",
    "nodes": "Node",
    "pod-disruption-budgets": "PodDisruptionBudget",
    "pods": "Pod",
    "priorityclasses": "PriorityClass",
    "pvcs": "PersistentVolumeClaim",
    "pvs": "PersistentVolume",
    "replicasets": "ReplicaSet",
    "resource-quota": "ResourceQuota",
    "rolebindings": "RoleBinding",
    "roles": "Role",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
    "statefulsets": "StatefulSet",
    "storage-classes": "StorageClass",
}
_HAPPENED = (
    b"creationTimestamp",
    b"deletionTimestamp",
    b"eventTime",
    b"finishedAt",
    b"firstTimestamp",
    b"lastHeartbeatTime",
    b"lastTimestamp",
    b"lastTransitionTime",
    b"lastUpdateTime",
    b"renewTime",
    b"startedAt",
)
_TIME = re.compile(rb'"(?:' + b"|".join(_HAPPENED) + rb')":\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z"')
_BEGINS = re.compile(r"^==== START logs for container (?P<container>\S+) of pod (?P<namespace>\S+)/(?P<pod>\S+) ====$")
_ENDS = "==== END logs for container"
_LOGS = re.compile(r"(?:^|/)pods/logs/(?P<namespace>[^/]+)/(?P<pod>[^/]+)/(?P<name>[^/]+)\.log$")
_PREVIOUS = "-previous"


def read(files: Mapping[str, bytes]) -> Snapshot:
    """Return the snapshot in some files, by their paths; `BadInput` where none of them holds Kubernetes objects."""
    objects: dict[str, list[Json]] = defaultdict(list)
    held: set[str] = set()
    gaps: list[Gap] = []
    for path in sorted(files):
        if not path.endswith(".json"):
            continue
        for kind, items in _lists(path, files[path], gaps):
            held.add(kind)
            objects[kind] += items
    if not any(objects.values()):
        raise BadInput(
            "There are no Kubernetes objects in these files.",
            next_step="Give a snapshot, a support bundle, or the folder of 'kubectl cluster-info dump'.",
        )
    told = held | {gap.kind for gap in gaps}
    gaps += [Gap(kind, "", ABSENT) for kind in (*NAMESPACED, *CLUSTER, "Usage") if kind not in told]
    return Snapshot(
        time=_time(files),
        namespaces=_namespaces(objects),
        objects=dict(objects),
        logs=tuple(_logs(files)),
        gaps=tuple(sorted(gaps)),
    )


def _lists(path: str, raw: bytes, gaps: list[Gap]) -> Iterator[tuple[str, list[Json]]]:
    """Yield the kinds that a file holds with their objects; a list without items is one of what its path says."""
    expected = next((_KINDS[part] for part in reversed(_parts(path)) if part in _KINDS), "")
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if expected:
            gaps.append(Gap(expected, "", f"{path} is not JSON"))
        return
    listed = found if isinstance(found, list) else found.get("items") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        return
    said = str(found.get("kind", "")) if isinstance(found, dict) else ""
    kind = said.removesuffix("List") or expected
    objects: dict[str, list[Json]] = {kind: []} if kind and kind != "List" else {}
    for item in listed:
        if isinstance(item, dict) and isinstance(at(item, "metadata", "name"), str):
            own = str(item.get("kind") or kind)
            objects.setdefault(own, []).append(_kept({**item, "kind": own}))
    yield from ((own, items) for own, items in objects.items() if own)


def _kept(item: Json) -> Json:
    if item["kind"] != "Secret":
        return item
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("annotations", "managedFields")}
    return {"kind": "Secret", "metadata": metadata, "type": str(item.get("type", ""))}


def _parts(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    return (*pure.parts[:-1], pure.stem)


def _time(files: Mapping[str, bytes]) -> str:
    times = [said for path, raw in files.items() if path.endswith(".json") for said in _TIME.findall(raw)]
    return f"{max(times).decode()}Z" if times else ""


def _namespaces(objects: Mapping[str, list[Json]]) -> tuple[str, ...]:
    names = {str(at(item, "metadata", "namespace", default="")) for items in objects.values() for item in items}
    return tuple(sorted(names - {""}))


def _logs(files: Mapping[str, bytes]) -> Iterator[Log]:
    for path, raw in sorted(files.items()):
        if found := _LOGS.search(path):
            previous = found["name"].endswith(_PREVIOUS)
            name = found["name"].removesuffix(_PREVIOUS)
            text = raw.decode(errors="replace")
            if not no_log(text):
                yield Log(found["namespace"], found["pod"], name, previous, text)
        elif path.endswith("/logs.txt"):
            yield from _dumped(raw.decode(errors="replace"))


def _dumped(text: str) -> Iterator[Log]:
    """Yield the logs in one file of `kubectl cluster-info dump`, which holds those of all containers of a pod."""
    begun: re.Match[str] | None = None
    lines: list[str] = []
    for line in text.splitlines():
        if found := _BEGINS.match(line):
            begun, lines = found, []
        elif begun and line.startswith(_ENDS):
            said = "\n".join(lines)
            if not no_log(said):
                yield Log(begun["namespace"], begun["pod"], begun["container"], previous=False, text=said)
            begun = None
        else:
            lines.append(line)


__all__ = ["read"]
