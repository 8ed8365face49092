"""k8s_cluster_info: what cluster this is, whether its control plane is well, its nodes, and what is added to it."""

import asyncio
from collections.abc import Awaitable
from decimal import Decimal
from typing import TypeVar

from skyflo_mcp.kubernetes.answers import cut, stamp, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_memory, parse_quantity

T = TypeVar("T")
_COLUMNS = ("NODE", "READY", "SCHEDULABLE", "ROLES", "VERSION", "CPU", "MEMORY", "PODS", "PROBLEMS", "CREATED")
_ROLE = "node-role.kubernetes.io/"
_MOST = 100


async def k8s_cluster_info(cluster: Cluster) -> Json:
    """Say which cluster this is, its version, whether its API server is ready, its nodes, and the added API groups."""
    unknown: list[str] = []
    version = await cluster.raw("/version", doing="read the version")
    ready, nodes, kinds = await asyncio.gather(
        _known(_readiness(cluster), unknown), _known(cluster.list("Node", limit=_MOST), unknown), cluster.kinds()
    )
    groups = sorted({one.group for one in kinds if one.group})
    answer: Json = {
        "server": cluster.server,
        "context": cluster.context,
        "uid": await cluster.uid(),
        "version": version.get("gitVersion"),
        "platform": version.get("platform"),
        "ready": ready,
        "added_groups": [group for group in groups if "." in group and not group.endswith(".k8s.io")],
        "usage_figures": "metrics.k8s.io" in groups,
        "unknown": unknown,
        "at": stamp(await cluster.now()),
    }
    if nodes is not None:
        how = f"The first {_MOST} nodes are shown: k8s_get kind=Node lists them all."
        answer["nodes"] = table(_COLUMNS, [_row(node) for node in nodes.items], **cut(nodes.more, how))
    return answer


async def _readiness(cluster: Cluster) -> str:
    """Return `ok`, or the API server's checks that failed."""
    try:
        return await cluster.text("/readyz", doing="ask whether the API server is ready")
    except NotFound:
        raise Unknown("This API server does not say whether it is ready.") from None


async def _known(read: Awaitable[T], unknown: list[str]) -> T | None:
    try:
        return await read
    except Unknown as error:
        unknown.append(error.message)
        return None


def _row(node: Json) -> list[Value]:
    conditions = {one.get("type"): one for one in at(node, "status", "conditions", default=[])}
    labels = at(node, "metadata", "labels", default={})
    problems = [
        f"{name}: {one.get('reason', '')}"
        for name, one in conditions.items()
        if name != "Ready" and one.get("status") == "True"
    ]
    ready = at(conditions.get("Ready"), "status")
    if ready != "True":
        problems.insert(0, str(at(conditions.get("Ready"), "message", default="does not say whether it is ready")))
    memory = at(node, "status", "allocatable", "memory")
    return [
        at(node, "metadata", "name"),
        {"True": True, "False": False}.get(str(ready)),
        not at(node, "spec", "unschedulable", default=False),
        ",".join(sorted(key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE))),
        at(node, "status", "nodeInfo", "kubeletVersion"),
        at(node, "status", "allocatable", "cpu"),
        None if memory is None else format_memory(Decimal(parse_quantity(memory))),
        at(node, "status", "allocatable", "pods"),
        "; ".join(problems),
        at(node, "metadata", "creationTimestamp"),
    ]
