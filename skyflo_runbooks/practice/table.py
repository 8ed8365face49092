"""Tables: the columns that `kubectl get` shows, computed on the server as the real one does.

Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. Kinds without columns of their own show name and
age.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import parse
from skyflo_runbooks.practice.kinds import Kind

Cells = Callable[[Json, datetime], list[Any]]


@dataclass(frozen=True)
class Columns:
    """A kind's columns between name and age; those in `wide` come after age and show with `-o wide`."""

    names: tuple[str, ...]
    cells: Cells
    wide: tuple[str, ...] = ()
    first: str = "Name"
    age: bool = True


def age(since: str | None, now: datetime) -> str:
    """Return how long ago, as kubectl writes it: `22m`, `3d`, `4h5m`."""
    if not since:
        return "<unknown>"
    seconds = max(0, int((now - parse(since)).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    return f"{days}d{hours % 24}h" if days < 8 and hours % 24 else f"{days}d"


def _pod(pod: Json, now: datetime) -> list[Any]:
    statuses = at(pod, "status", "containerStatuses", default=[])
    ready = sum(bool(item.get("ready")) for item in statuses)
    total = len(pod["spec"]["containers"])
    count = sum(item.get("restartCount", 0) for item in statuses)
    ends = [end for item in statuses if (end := at(item, "lastState", "terminated", "finishedAt"))]
    restarts = f"{count} ({age(max(ends), now)} ago)" if count and ends else str(count)
    node = at(pod, "spec", "nodeName", default="<none>")
    return [f"{ready}/{total}", pod_reason(pod), restarts, at(pod, "status", "podIP", default="<none>"), node]


def pod_reason(pod: Json) -> str:
    """Return the STATUS that kubectl shows for a pod."""
    reason = str(at(pod, "status", "reason", default="") or at(pod, "status", "phase", default="Unknown"))
    inits = at(pod, "status", "initContainerStatuses", default=[])
    for place, item in enumerate(inits):
        if at(item, "state", "terminated", "exitCode", default=None) == 0:
            continue
        waiting = at(item, "state", "waiting", "reason", default="")
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{place}/{len(inits)}"
    for item in at(pod, "status", "containerStatuses", default=[]):
        reason = at(item, "state", "waiting", "reason") or at(item, "state", "terminated", "reason") or reason
    return "Terminating" if pod["metadata"].get("deletionTimestamp") else reason


def _deployment(obj: Json, _now: datetime) -> list[Any]:
    status = obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec']['replicas']}"
    return [ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0), *_images(obj)]


def _images(obj: Json) -> list[Any]:
    containers = at(obj, "spec", "template", "spec", "containers", default=[])
    labels = at(obj, "spec", "selector", "matchLabels", default={})
    return [",".join(c["name"] for c in containers), ",".join(c["image"] for c in containers), _pairs(labels)]


def _pairs(labels: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"


def _replica_set(obj: Json, _now: datetime) -> list[Any]:
    status = obj.get("status", {})
    return [obj["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0), *_images(obj)]


def _stateful_set(obj: Json, _now: datetime) -> list[Any]:
    return [f"{at(obj, 'status', 'readyReplicas', default=0)}/{obj['spec']['replicas']}", *_images(obj)[:2]]


def _job(obj: Json, now: datetime) -> list[Any]:
    status = obj.get("status", {})
    done = [c["type"] for c in status.get("conditions", []) if c["status"] == "True"]
    lasted = age(status.get("startTime"), parse(status["completionTime"]) if status.get("completionTime") else now)
    return [done[0] if done else "Running", f"{status.get('succeeded', 0)}/{obj['spec'].get('completions', 1)}", lasted]


def _service(obj: Json, _now: datetime) -> list[Any]:
    spec = obj["spec"]
    ports = ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports", []))
    return [spec.get("type"), spec.get("clusterIP", "<none>"), "<none>", ports, _pairs(spec.get("selector", {}))]


def _node(obj: Json, _now: datetime) -> list[Any]:
    ready = next((c["status"] for c in at(obj, "status", "conditions", default=[]) if c["type"] == "Ready"), "Unknown")
    word = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown")
    if at(obj, "spec", "unschedulable"):
        word += ",SchedulingDisabled"
    address = next((a["address"] for a in at(obj, "status", "addresses", default=[]) if a["type"] == "InternalIP"), "")
    return [word, "<none>", at(obj, "status", "nodeInfo", "kubeletVersion", default=""), address]


def _event(obj: Json, now: datetime) -> list[Any]:
    seen = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    about = obj["involvedObject"]
    return [
        age(seen, now),
        obj.get("type"),
        obj.get("reason"),
        f"{about['kind'].lower()}/{about['name']}",
        obj.get("message", "").strip(),
    ]


def _endpoints(obj: Json, _now: datetime) -> list[Any]:
    listed = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets", [])
        for address in subset.get("addresses", [])
        for port in subset.get("ports", [])
    ]
    return [",".join(listed) or "<none>"]


def _slice(obj: Json, _now: datetime) -> list[Any]:
    addresses = [a for endpoint in obj.get("endpoints") or [] for a in endpoint["addresses"]]
    ports = ",".join(str(port.get("port")) for port in obj.get("ports") or [])
    return [obj["addressType"], ports or "<unset>", ",".join(addresses) or "<unset>"]


def _quota(obj: Json, _now: datetime) -> list[Any]:
    used, hard = at(obj, "status", "used", default={}), at(obj, "status", "hard", default={})
    shown = [f"{name}: {used.get(name, '0')}/{amount}" for name, amount in sorted(hard.items())]
    limits = [text for text in shown if text.startswith("limits.")]
    return [", ".join(text for text in shown if text not in limits), ", ".join(limits)]


_COLUMNS: dict[str, Columns] = {
    "Pod": Columns(("Ready", "Status", "Restarts"), _pod, ("IP", "Node")),
    "Deployment": Columns(("Ready", "Up-to-date", "Available"), _deployment, ("Containers", "Images", "Selector")),
    "ReplicaSet": Columns(("Desired", "Current", "Ready"), _replica_set, ("Containers", "Images", "Selector")),
    "StatefulSet": Columns(("Ready",), _stateful_set, ("Containers", "Images")),
    "Job": Columns(("Status", "Completions", "Duration"), _job),
    "Service": Columns(("Type", "Cluster-IP", "External-IP", "Port(s)"), _service, ("Selector",)),
    "Node": Columns(("Status", "Roles"), lambda obj, now: _node(obj, now)[:2], ()),
    "Event": Columns(("Last Seen", "Type", "Reason", "Object", "Message"), _event, age=False, first=""),
    "Endpoints": Columns(("Endpoints",), _endpoints),
    "EndpointSlice": Columns(("AddressType", "Ports", "Endpoints"), _slice),
    "ConfigMap": Columns(("Data",), lambda obj, _now: [len(obj.get("data", {})) + len(obj.get("binaryData", {}))]),
    "Secret": Columns(("Type", "Data"), lambda obj, _now: [obj.get("type", "Opaque"), len(obj.get("data", {}))]),
    "Namespace": Columns(("Status",), lambda obj, _now: [at(obj, "status", "phase", default="Active")]),
    "ResourceQuota": Columns(("Request", "Limit"), _quota),
}
_PLAIN = Columns((), lambda _obj, _now: [])


def _definitions(columns: Columns) -> list[Json]:
    names = [*([columns.first] if columns.first else []), *columns.names, *(["Age"] if columns.age else [])]
    out = [_definition(name, 0) for name in names]
    return out + [_definition(name, 1) for name in columns.wide]


def _definition(name: str, priority: int) -> Json:
    kind = "integer" if name in {"Up-to-date", "Available", "Desired", "Current", "Data"} else "string"
    shape = "name" if name == "Name" else ""
    return {"name": name, "type": kind, "format": shape, "description": "", "priority": priority}


def _row(columns: Columns, obj: Json, now: datetime, include: str) -> Json:
    cells = columns.cells(obj, now)
    shown = [obj["metadata"]["name"]] if columns.first else []
    shown += cells[: len(columns.names)]
    if columns.age:
        shown.append(age(obj["metadata"].get("creationTimestamp"), now))
    row: Json = {"cells": shown + cells[len(columns.names) :]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return row


def of_list(kind: Kind, listed: Json, now: datetime, include: str = "") -> Json:
    """Return a list as a Table."""
    columns = _COLUMNS.get(kind.kind, _PLAIN)
    rows = [_row(columns, obj, now, include) for obj in listed["items"]]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": listed["metadata"],
        "columnDefinitions": _definitions(columns),
        "rows": rows,
    }


def of_object(kind: Kind, obj: Json, now: datetime, *, columns: bool = True) -> Json:
    """Return one object as a Table; a watch sends the columns with its first event only."""
    found = _COLUMNS.get(kind.kind, _PLAIN)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
        "columnDefinitions": _definitions(found) if columns else None,
        "rows": [_row(found, obj, now, "")],
    }
