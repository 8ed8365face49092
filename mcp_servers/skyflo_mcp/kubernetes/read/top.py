"""k8s_top_pods and k8s_top_nodes: what is used, beside what is asked for and what there is."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.kubelets import silent
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_mcp.kubernetes.usage import Sample, Usage
from skyflo_runbooks.model.errors import SkyfloError, Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name
from skyflo_runbooks.model.quantity import format_cpu, parse_quantity

_COLUMNS = (
    "POD",
    "CONTAINER",
    "MEMORY",
    "MEMORY REQUEST",
    "MEMORY LIMIT",
    "MEMORY %",
    "CPU",
    "CPU REQUEST",
    "CPU LIMIT",
    "MEASURED",
    "SOURCE",
)
_NODE_COLUMNS = ("NODE", "CPU", "CPU ALLOCATABLE", "CPU %", "MEMORY", "MEMORY ALLOCATABLE", "MEMORY %", "MEASURED")


async def k8s_top_pods(
    cluster: Cluster,
    *,
    namespace: str | None = None,
    name: str | None = None,
    label_selector: str | None = None,
    containers: bool = True,
    sort_by: Literal["memory", "cpu"] = "memory",
) -> Json:
    """Show each running container's memory and CPU against its requests and limits; null is not known.

    Without `containers` the figures are summed for each pod; a sum that lacks one is not known.
    """
    if name is not None:
        pod = await cluster.get(ObjectRef("Pod", check_name(name), namespace or "", "v1"))
        pods, when = [pod], await cluster.now()
    else:
        found = await cluster.list("pods", namespace, label_selector=label_selector or "")
        pods, when = list(found.items), found.at or await cluster.now()
        if namespace and not pods:
            await check_there(cluster, namespace)
    running = [pod for pod in pods if at(pod, "status", "phase") == "Running"]
    use = await cluster.usage(running)
    if not containers:
        return _summed(use, running, namespace, sort_by, when=stamp(when))
    lines = [(_sample(use, pod, one), _row(use, pod, one, namespace)) for pod in running for one in _containers(pod)]
    lines.sort(key=lambda line: _size(line[0], sort_by), reverse=True)
    columns = _COLUMNS if namespace else ("NAMESPACE", *_COLUMNS)
    unknown = [*use.gaps, *_missing(use, running)]
    return table(columns, [row for _, row in lines], namespace=namespace, unknown=unknown, at=stamp(when))


async def k8s_top_nodes(
    cluster: Cluster,
    *,
    name: str | None = None,
    label_selector: str | None = None,
    sort_by: Literal["memory", "cpu"] = "memory",
) -> Json:
    """Show each node's memory and CPU in use against what it can allocate; null is not known.

    From metrics.k8s.io, else from the kubelets themselves.
    """
    if name is not None:
        nodes: Sequence[Json] = [await cluster.get(ObjectRef("Node", check_name(name), "", "v1"))]
    else:
        nodes = (await cluster.list("Node", label_selector=label_selector or "")).items
    unknown: list[str] = []
    used = await _nodes_used(cluster, nodes, unknown)
    rows = [_node_row(node, used.get(str(at(node, "metadata", "name")))) for node in nodes]
    place = _NODE_COLUMNS.index("MEMORY %" if sort_by == "memory" else "CPU %")
    rows.sort(key=lambda row: -1 if row[place] is None else int(row[place] or 0), reverse=True)
    return table(_NODE_COLUMNS, rows, unknown=unknown, at=stamp(await cluster.now()))


async def _nodes_used(cluster: Cluster, nodes: Sequence[Json], unknown: list[str]) -> dict[str, Json]:
    try:
        return await cluster.node_usage()
    except (NotFound, Unknown) as error:
        why = error.message
    names = [str(at(node, "metadata", "name")) for node in nodes]
    found = await asyncio.gather(*(cluster.node_stats(name) for name in names), return_exceptions=True)
    used: dict[str, Json] = {}
    refused: list[tuple[str, str]] = []
    for name, stats in zip(names, found, strict=True):
        if isinstance(stats, SkyfloError):
            refused.append((name, stats.message))
        elif isinstance(stats, BaseException):
            raise stats
        else:
            nano, memory = at(stats, "node", "cpu", "usageNanoCores"), at(stats, "node", "memory", "workingSetBytes")
            used[name] = {
                "cpu": None if nano is None else f"{nano}n",
                "memory": None if memory is None else str(memory),
                "at": at(stats, "node", "memory", "time"),
            }
    unknown += [f"metrics.k8s.io: {why}", *silent(refused)] if refused else []
    return used


def _node_row(node: Json, used: Json | None) -> list[Value]:
    there = at(node, "status", "allocatable", default={})
    figures: list[Value] = []
    for resource, written in (("cpu", format_cpu), ("memory", _mebibytes)):
        use = None if not used or used.get(resource) is None else parse_quantity(str(used[resource]))
        whole = parse_quantity(str(there[resource])) if resource in there else None
        percent = round(100 * use / whole) if use is not None and whole else None
        figures += [None if use is None else written(use), None if whole is None else written(whole), percent]
    return [at(node, "metadata", "name"), *figures, used.get("at") if used else None]


def _mebibytes(size: Decimal) -> str:
    return f"{round(size / 2**20)}Mi"


def _summed(use: Usage, pods: Sequence[Json], namespace: str | None, sort_by: str, *, when: str | None) -> Json:
    """Return one row for each pod."""
    rows: list[list[Value]] = []
    for pod in pods:
        samples = [_sample(use, pod, one) for one in _containers(pod)]
        memory = [None if one is None else one.memory for one in samples]
        cpu = [None if one is None else one.cpu for one in samples]
        known_memory, known_cpu = [one for one in memory if one is not None], [one for one in cpu if one is not None]
        rows.append([
            at(pod, "metadata", "namespace"),
            at(pod, "metadata", "name"),
            None if len(known_memory) < len(memory) else round(sum(known_memory) / 2**20),
            None if len(known_cpu) < len(cpu) else round(sum(known_cpu) * 1000),
        ])  # fmt: skip
    place = 2 if sort_by == "memory" else 3
    rows.sort(key=lambda row: -1 if row[place] is None else int(row[place] or 0), reverse=True)
    columns = ("NAMESPACE", "POD", "MEMORY (Mi)", "CPU (m)")
    unknown = [*use.gaps, *_missing(use, list(pods))]
    return table(columns, rows, namespace=namespace, unknown=unknown, at=when)


def _missing(use: Usage, pods: list[Json]) -> list[str]:
    """Say for each container without figures whether it is not running now, or not measured."""
    said = []
    for pod in pods:
        up = {one["name"] for one in at(pod, "status", "containerStatuses", default=[]) if at(one, "state", "running")}
        for one in _containers(pod):
            if _sample(use, pod, one) is None:
                why = "has no figures yet" if one["name"] in up else "is not running at the moment"
                said.append(f"{at(pod, 'metadata', 'name')}: container {one['name']} {why}.")
    return said


def _containers(pod: Json) -> list[Json]:
    return list(at(pod, "spec", "containers", default=[]))


def _sample(use: Usage, pod: Json, container: Json) -> Sample | None:
    return use.of(
        at(pod, "metadata", "namespace", default=""), at(pod, "metadata", "name", default=""), container["name"]
    )


def _row(use: Usage, pod: Json, container: Json, namespace: str | None) -> list[Value]:
    sample = _sample(use, pod, container)
    memory = sample.memory if sample else None
    cpu = sample.cpu if sample else None
    limit = at(container, "resources", "limits", "memory")
    row: list[Value] = [
        at(pod, "metadata", "name"),
        container["name"],
        None if memory is None else f"{round(memory / 2**20)}Mi",
        at(container, "resources", "requests", "memory"),
        limit,
        None if memory is None or limit is None else round(100 * memory / float(parse_quantity(limit))),
        None if cpu is None else format_cpu(Decimal(str(cpu))),
        at(container, "resources", "requests", "cpu"),
        at(container, "resources", "limits", "cpu"),
        sample.at if sample else None,
        sample.source if sample else None,
    ]
    return row if namespace else [at(pod, "metadata", "namespace"), *row]


def _size(sample: Sample | None, sort_by: str) -> float:
    figure = None if sample is None else sample.memory if sort_by == "memory" else sample.cpu
    return -1.0 if figure is None else float(figure)
