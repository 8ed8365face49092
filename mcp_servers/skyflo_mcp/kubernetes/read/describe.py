"""k8s_describe: one object with what belongs to it: owners, pods, endpoints, requests on a node, events."""

import asyncio
from decimal import Decimal

from skyflo_mcp.kubernetes import family
from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.cleaning import cleaned
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.read import events
from skyflo_mcp.kubernetes.workload import ready, restarts
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import format_cpu, format_memory, parse_quantity

_POD_COLUMNS = ("NAME", "READY", "PHASE", "RESTARTS", "STATE", "LAST STATE", "NODE", "CREATED")
_EVENTS = 50


async def k8s_describe(cluster: Cluster, *, kind: str, name: str, namespace: str | None = None) -> Json:
    """Describe one object: itself, its owners, its pods or endpoints, and the events about all of them."""
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace or "", resource.api_version))
    answer: Json = {"object": cleaned(manifest), "owners": _owners(manifest)}
    unknown: list[str] = []
    refs = [ObjectRef.of(manifest)]
    try:
        belongs = await family.read(cluster, manifest)
        if belongs.pods:
            answer["pods"] = _pods(belongs.pods)
        refs = list(dict.fromkeys([*refs, *map(ObjectRef.of, belongs.between), *map(ObjectRef.of, belongs.pods)]))
        if resource.kind == "Service":
            answer["endpoints"] = await _endpoints(cluster, manifest)
        if resource.kind == "Node":
            answer["requested"] = await _requested(cluster, name)
    except Unknown as error:
        unknown.append(error.message)
    try:
        happened, now = await asyncio.gather(events.read(cluster, namespace, refs), cluster.now())
        answer["events"] = events.rows(events.merged(happened), limit=_EVENTS)
        answer["at"] = stamp(now)
    except Unknown as error:
        unknown.append(error.message)
    return {**answer, "unknown": unknown}


def _owners(manifest: Json) -> list[str]:
    namespace = at(manifest, "metadata", "namespace", default="")
    return [
        str(ObjectRef(owner.get("kind", ""), owner.get("name", ""), namespace))
        for owner in at(manifest, "metadata", "ownerReferences", default=[])
    ]


def _pods(pods: tuple[Json, ...]) -> Json:
    return table(
        _POD_COLUMNS,
        [
            [
                at(pod, "metadata", "name"),
                ready(pod),
                "Terminating" if at(pod, "metadata", "deletionTimestamp") else at(pod, "status", "phase"),
                restarts(pod),
                _states(pod, "state"),
                _states(pod, "lastState"),
                at(pod, "spec", "nodeName"),
                at(pod, "metadata", "creationTimestamp"),
            ]
            for pod in pods
        ],
    )


def _states(pod: Json, member: str) -> str:
    """Return the containers' states in words, as in `payment-service: terminated OOMKilled (exit 137)`."""
    said = []
    for one in at(pod, "status", "containerStatuses", default=[]):
        for state, detail in (one.get(member) or {}).items():
            code = f" (exit {detail['exitCode']})" if "exitCode" in detail else ""
            said.append(f"{one.get('name')}: {state} {detail.get('reason', '')}".rstrip() + code)
    return ", ".join(said)


async def _endpoints(cluster: Cluster, service: Json) -> Json:
    """Return the addresses behind a Service, with the pods that they are and whether they are ready."""
    name = at(service, "metadata", "name", default="")
    found = await cluster.list(
        "EndpointSlice",
        at(service, "metadata", "namespace"),
        label_selector=f"kubernetes.io/service-name={name}",
    )
    rows = [
        [", ".join(one.get("addresses") or []), at(one, "targetRef", "name"), at(one, "conditions", "ready")]
        for piece in found.items
        for one in piece.get("endpoints") or []
    ]
    return table(("ADDRESS", "POD", "READY"), rows, selector=at(service, "spec", "selector"))


async def _requested(cluster: Cluster, node: str) -> Json:
    """Return what the pods on a node ask for in sum, as the scheduler counts it."""
    found = await cluster.list("Pod", None, field_selector=f"spec.nodeName={node}")
    sums = {"cpu": Decimal(0), "memory": Decimal(0)}
    live = [pod for pod in found.items if at(pod, "status", "phase") not in ("Succeeded", "Failed")]
    for pod in live:
        for one in at(pod, "spec", "containers", default=[]):
            for resource in sums:
                sums[resource] += parse_quantity(at(one, "resources", "requests", resource, default="0"))
    return {"pods": len(live), "cpu": format_cpu(sums["cpu"]), "memory": format_memory(sums["memory"])}
