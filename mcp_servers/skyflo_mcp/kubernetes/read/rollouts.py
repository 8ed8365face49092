"""k8s_rollout_status and k8s_rollout_history."""

import asyncio

import msgspec

from skyflo_mcp.kubernetes import history, rollout
from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import RolloutKind, selector_text
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_COLUMNS = ("REVISION", "CURRENT", "CREATED", "IMAGES", "LIMITS", "REQUESTS", "REPLICAS", "CHANGE CAUSE", "SOURCE")


async def k8s_rollout_status(cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str) -> Json:
    """Say how far a rollout is, at once: complete, progressing, stalled or paused, with the numbers."""
    now = await cluster.now()
    workload = await cluster.get(ObjectRef(kind, name, namespace, "apps/v1"))
    selector = selector_text(workload)
    sets_kind = "ReplicaSet" if kind == "Deployment" else "ControllerRevision"
    sets, pods = await asyncio.gather(
        cluster.list(sets_kind, namespace, label_selector=selector),
        cluster.list("Pod", namespace, label_selector=selector),
    )
    state = rollout.status(workload, pods.items, sets.items)
    built: Json = msgspec.to_builtins(state)
    return {"object": f"{kind}/{namespace}/{name}", **built, "old_pods": list(state.old_pods), "at": stamp(now)}


async def k8s_rollout_history(cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str) -> Json:
    """List a workload's revisions, oldest first, with what each ran."""
    now = await cluster.now()
    workload = await cluster.get(ObjectRef(kind, name, namespace, "apps/v1"))
    known = await history.revisions(cluster, workload)
    current = history.current(workload, known)
    rows = [
        [
            one.number,
            one is current,
            one.created,
            history.images(one.template),
            history.amounts(one.template, "limits"),
            history.amounts(one.template, "requests"),
            one.replicas,
            one.change_cause,
            one.source,
        ]
        for one in known
    ]
    cause = at(workload, "metadata", "annotations", "kubernetes.io/change-cause")
    return table(_COLUMNS, rows, object=f"{kind}/{namespace}/{name}", change_cause=cause, at=stamp(now))
