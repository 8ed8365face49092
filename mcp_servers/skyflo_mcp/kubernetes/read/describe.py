"""k8s_describe: one object with what belongs to it (`belonging`): owners, conditions, pods, endpoints, events."""

import asyncio

from skyflo_mcp.kubernetes import family
from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.cleaning import cleaned
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.read import belonging, events
from skyflo_mcp.kubernetes.workload import ready, restarts
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_POD_COLUMNS = ("NAME", "READY", "PHASE", "RESTARTS", "STATE", "LAST STATE", "NODE", "CREATED")
_EVENTS = 50


async def k8s_describe(cluster: Cluster, *, kind: str, name: str, namespace: str | None = None) -> Json:
    """Describe one object of any kind: itself, its conditions and owners, what belongs to it, and the events about it.

    What belongs to it: the pods of a workload; a Service's endpoints; an Ingress' backends; a Node's pods and requests;
    a claim's volume and users; an autoscaler's target and metrics; a CronJob's Jobs; the pods that a budget or a policy
    selects, or that use a ConfigMap or Secret.
    """
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace or "", resource.api_version))
    answer: Json = {"object": cleaned(manifest), "owners": _owners(manifest)}
    if conditions := belonging.conditions(manifest):
        answer["conditions"] = conditions
    unknown: list[str] = []
    refs = [ObjectRef.of(manifest)]
    try:
        belongs = await family.read(cluster, manifest)
        if belongs.pods:
            answer["pods"] = _pods(belongs.pods)
        refs = list(dict.fromkeys([*refs, *map(ObjectRef.of, belongs.between), *map(ObjectRef.of, belongs.pods)]))
        if resource.kind in belonging.READS:
            answer |= await belonging.READS[resource.kind](cluster, manifest)
    except (Unknown, NotFound) as error:
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
