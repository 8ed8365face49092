"""k8s_disk_usage: what fills a node's disks, and how full the volumes of pods are.

The figures are each kubelet's own (/stats/summary), asked over verified TLS, which takes the permission nodes/stats;
never through nodes/proxy, which is execution. A node that could not be asked is unknown, never empty.
"""

import asyncio
from collections.abc import Sequence

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.kubelets import silent
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name

_DISKS = ("NODE", "DISK", "USED", "CAPACITY", "%", "INODES %")
_USES = ("NAMESPACE", "POD", "WHAT", "USED", "CAPACITY", "%", "INODES %", "CLAIM", "NODE")
_MOST_NODES = 50
_MOST_ROWS = 500


async def k8s_disk_usage(
    cluster: Cluster,
    *,
    node: str | None = None,
    namespace: str | None = None,
    name: str | None = None,
    label_selector: str | None = None,
) -> Json:
    """Show how full disks are: of a node, or of the pods of a namespace (by name or selector) with their volumes.

    Containers are shown with what they wrote (rootfs, logs), volumes with their capacity, the fullest first.
    """
    if node is not None and (name or namespace or label_selector):
        raise BadInput("Either a node or pods were expected.", next_step="Say node, or namespace with name.")
    if name is not None and not namespace:
        raise BadInput("A pod's name was given without its namespace.", next_step="Say namespace=….")
    only: set[tuple[str, str]] | None = None
    if node is not None:
        nodes = [check_name(node)]
    else:
        pods = await _pods(cluster, namespace, name, label_selector)
        nodes = sorted({str(at(pod, "spec", "nodeName")) for pod in pods if at(pod, "spec", "nodeName")})
        only = {(at(pod, "metadata", "namespace"), at(pod, "metadata", "name")) for pod in pods}
    found = await asyncio.gather(*(_asked(cluster, one) for one in nodes[:_MOST_NODES]))
    unknown = silent((one, said) for one, said in zip(nodes, found, strict=False) if isinstance(said, str))
    if len(nodes) > _MOST_NODES:
        unknown.append(f"{len(nodes) - _MOST_NODES} more nodes were not asked: say a node, a pod or a selector.")
    summaries = [one for one in found if isinstance(one, dict)]
    rows = [row for one in summaries for row in _uses(one, only)]
    rows.sort(key=lambda row: (_number(row[5]), _number(row[3])), reverse=True)
    disks = [row for one in summaries for row in _disks(one)]
    return {
        "disks": table(_DISKS, [[*row[:2], *map(_bytes, row[2:4]), *row[4:]] for row in disks]),
        "uses": table(_USES, [[*row[:3], *map(_bytes, row[3:5]), *row[5:]] for row in rows[:_MOST_ROWS]]),
        "more": len(rows) > _MOST_ROWS,
        "unknown": unknown,
        "at": stamp(await cluster.now()),
    }


async def _pods(cluster: Cluster, namespace: str | None, name: str | None, selector: str | None) -> Sequence[Json]:
    if name is not None:
        return [await cluster.get(ObjectRef("Pod", name, namespace or "", "v1"))]
    pods = (await cluster.list("pods", namespace, label_selector=selector or "")).items
    if namespace and not pods:
        await check_there(cluster, namespace)
    return pods


async def _asked(cluster: Cluster, node: str) -> Json | str:
    """Return a node's statistics, or why there are none."""
    try:
        return await cluster.node_stats(node)
    except SkyfloError as error:
        return error.message


def _disks(summary: Json) -> list[list[Value]]:
    node = at(summary, "node", "nodeName")
    parts = (("root", ("node", "fs")), ("images", ("node", "runtime", "imageFs")))
    return [[node, label, *_figures(at(summary, *path, default={}))] for label, path in parts if at(summary, *path)]


def _uses(summary: Json, only: set[tuple[str, str]] | None) -> list[list[Value]]:
    node = at(summary, "node", "nodeName")
    rows: list[list[Value]] = []
    for pod in summary.get("pods") or []:
        key = (at(pod, "podRef", "namespace"), at(pod, "podRef", "name"))
        if only is not None and key not in only:
            continue
        for one in pod.get("containers") or []:
            for part in ("rootfs", "logs"):
                if written := one.get(part):
                    # The capacity that the kubelet tells here is the node's disk, not a bound of the container's.
                    rows.append([*key, f"{one.get('name')}: {part}", written.get("usedBytes"), *[None] * 4, node])
        for one in pod.get("volume") or []:
            claim = at(one, "pvcRef", "name")
            rows.append([*key, f"volume {one.get('name')}", *_figures(one), claim, node])
    return rows


def _figures(part: Json) -> list[Value]:
    """Return used and capacity in bytes, and the percentages of bytes and inodes."""
    used, capacity = part.get("usedBytes"), part.get("capacityBytes")
    return [used, capacity, _percent(used, capacity), _percent(part.get("inodesUsed"), part.get("inodes"))]


def _percent(used: int | None, whole: int | None) -> int | None:
    return round(100 * used / whole) if used is not None and whole else None


def _bytes(size: Value) -> Value:
    return None if size is None else f"{int(size) / 2**20:.1f}Mi"


def _number(value: Value) -> float:
    return -1.0 if value is None else float(value)
