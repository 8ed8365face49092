"""k8s_top_pods: what containers use, beside what they ask for and what they may use."""

from decimal import Decimal
from typing import Literal

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.usage import Sample, Usage
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


async def k8s_top_pods(
    cluster: Cluster,
    *,
    namespace: str | None = None,
    name: str | None = None,
    label_selector: str | None = None,
    sort_by: Literal["memory", "cpu"] = "memory",
) -> Json:
    """Show each running container's memory and CPU against its requests and limits; null is not known."""
    if name is not None:
        pod = await cluster.get(ObjectRef("Pod", check_name(name), namespace or "", "v1"))
        pods, when = [pod], await cluster.now()
    else:
        found = await cluster.list("pods", namespace, label_selector=label_selector or "")
        pods, when = list(found.items), found.at or await cluster.now()
    running = [pod for pod in pods if at(pod, "status", "phase") == "Running"]
    use = await cluster.usage(running)
    lines = [(_sample(use, pod, one), _row(use, pod, one, namespace)) for pod in running for one in _containers(pod)]
    lines.sort(key=lambda line: _size(line[0], sort_by), reverse=True)
    columns = _COLUMNS if namespace else ("NAMESPACE", *_COLUMNS)
    unknown = [*use.gaps, *_missing(use, running)]
    return table(columns, [row for _, row in lines], namespace=namespace, unknown=unknown, at=stamp(when))


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
