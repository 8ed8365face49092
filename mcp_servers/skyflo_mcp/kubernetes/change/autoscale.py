"""k8s_autoscale: the HorizontalPodAutoscaler of a workload, made or changed.

An autoscaler belongs to a workload by its scaleTargetRef, not by its name. What is not named stays as it is.
"""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Operation, Path, Target
from skyflo_mcp.kubernetes.change.scale import replicas_path
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_mcp.kubernetes.workload import containers
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered, Request

Count = Annotated[int, Meta(ge=1, le=10_000)]
Percent = Annotated[int, Meta(ge=1, le=1_000, description="Of what the pods request, on average.")]
_KIND, _VERSION = "HorizontalPodAutoscaler", "autoscaling/v2"
_CPU = 80  # what the API server sets where nothing is said


async def k8s_autoscale(
    cluster: Cluster,
    *,
    kind: str,
    namespace: str,
    name: str,
    min_replicas: Count | None = None,
    max_replicas: Count | None = None,
    cpu_percent: Percent | None = None,
    memory_percent: Percent | None = None,
) -> Rendered:
    """Scale a workload by its use of CPU or memory: makes its HorizontalPodAutoscaler, or changes the one it has."""
    use = {key: value for key, value in (("cpu", cpu_percent), ("memory", memory_percent)) if value is not None}
    if min_replicas is None and max_replicas is None and not use:
        raise BadInput("Nothing to set.", next_step="Give max_replicas, min_replicas, cpu_percent or memory_percent.")
    found = await target.read(cluster, kind, namespace, name)
    await replicas_path(cluster, found)  # refuses what cannot be scaled
    resource = await target.kind_of(cluster, _KIND, _VERSION)
    known = (await cluster.list(_KIND, namespace)).items
    bounds = {"minReplicas": min_replicas, "maxReplicas": max_replicas}
    wanted = {key: value for key, value in bounds.items() if value is not None}
    mine = [one for one in known if _targets(one, found)]
    if len(mine) > 1:
        names = ", ".join(str(at(one, "metadata", "name")) for one in mine)
        raise BadInput(f"{found.ref} has several autoscalers, which fight: {names}.", next_step="Delete all but one.")
    if mine:
        return _change(found, Target(resource, mine[0]), wanted, use)
    if any(at(one, "metadata", "name") == name for one in known):
        raise BadInput(
            f"{_KIND} {name} is there already, and scales something else.",
            next_step="Set its spec.scaleTargetRef with k8s_patch, or delete it.",
        )
    return _create(found, resource, wanted, use or {"cpu": _CPU})


def _targets(autoscaler: Json, found: Target) -> bool:
    ref = at(autoscaler, "spec", "scaleTargetRef", default={})
    group = str(ref.get("apiVersion", "")).rpartition("/")[0]
    return (ref.get("kind"), ref.get("name"), group) == (found.ref.kind, found.ref.name, found.resource.group)


def _create(found: Target, resource: Resource, wanted: dict[str, int], use: dict[str, int]) -> Rendered:
    if "maxReplicas" not in wanted:
        raise BadInput(f"{found.ref} has no autoscaler yet.", next_step="Say max_replicas, so that one can be made.")
    _ordered(wanted.get("minReplicas", 1), wanted["maxReplicas"])
    ref = ObjectRef(_KIND, found.ref.name, found.ref.namespace, resource.api_version)
    scaled = {"apiVersion": found.resource.api_version, "kind": found.ref.kind, "name": found.ref.name}
    manifest: Json = {
        "apiVersion": resource.api_version,
        "kind": _KIND,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "spec": {"scaleTargetRef": scaled, **wanted, "metrics": [_metric(*one) for one in use.items()]},
    }
    return Rendered(
        (Request("create", ref, resource.collection(ref.namespace), manifest),),
        title=f"{found.kubectl_name}: autoscale, {_said(wanted, use)}",
        equivalent=found.kubectl("autoscale", found.kubectl_name, *_flags(wanted, use)),
        notes=_doubts(found, use),
    )


def _change(found: Target, autoscaler: Target, wanted: dict[str, int], use: dict[str, int]) -> Rendered:
    spec = {**at(autoscaler.manifest, "spec", default={}), **wanted}
    _ordered(spec.get("minReplicas", 1), spec.get("maxReplicas", 1))
    changes = [*operations.members(autoscaler.manifest, ("spec",), wanted), *_use(autoscaler.manifest, use)]
    return autoscaler.render(
        changes,
        title=f"{found.kubectl_name}: autoscaler {autoscaler.name}, {_said(wanted, use)}",
        equivalent=autoscaler.kubectl_patch(changes),
        notes=_doubts(found, use),
    )


def _use(autoscaler: Json, use: dict[str, int]) -> list[Operation]:
    root: Path = ("spec", "metrics")
    metrics = at(autoscaler, *root, default=[])
    places = {at(one, "resource", "name"): place for place, one in enumerate(metrics)}
    if use and not metrics:
        return [{"op": "add", "path": operations.pointer(root), "value": [_metric(*one) for one in use.items()]}]
    changes: list[Operation] = []
    for resource, percent in use.items():
        if resource in places:
            path: Path = (*root, places[resource])
            changes.append(operations.holds(path, metrics[places[resource]]))
            changes.append({"op": "replace", "path": operations.pointer(path), "value": _metric(resource, percent)})
        else:
            new = _metric(resource, percent)
            changes.append({"op": "add", "path": operations.pointer((*root, "-")), "value": new})
    return changes


def _metric(resource: str, percent: int) -> Json:
    goal = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": resource, "target": goal}}


def _ordered(lowest: int, highest: int) -> None:
    if lowest > highest:
        raise BadInput(f"At least {lowest} and at most {highest} replicas cannot be.", next_step="Set both.")


def _said(wanted: dict[str, int], use: dict[str, int]) -> str:
    words = {"minReplicas": "at least", "maxReplicas": "at most"}
    said = [f"{words[key]} {value} replicas" for key, value in wanted.items()]
    return ", ".join(said + [f"{resource} at {percent}%" for resource, percent in use.items()])


def _flags(wanted: dict[str, int], use: dict[str, int]) -> list[str]:
    names = {"minReplicas": "--min", "maxReplicas": "--max"}
    flags = [f"{names[key]}={value}" for key, value in wanted.items()]
    return flags + [f"--{resource}={percent}%" for resource, percent in use.items()]


def _doubts(found: Target, use: dict[str, int]) -> tuple[str, ...]:
    """Return which containers request nothing of what is measured: the autoscaler cannot compute a share of nothing."""
    return tuple(
        f"Container {one.name} requests no {resource}, so its autoscaler cannot tell how much of it is used."
        for resource in use
        for one in containers(found.manifest)
        if not one.init
        and not at(one.value, "resources", "requests", resource)
        and not at(one.value, "resources", "limits", resource)
    )
