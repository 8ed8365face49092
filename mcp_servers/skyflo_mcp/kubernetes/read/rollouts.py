"""k8s_rollout_status and k8s_rollout_history."""

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes import history, rollout
from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Revision, RolloutKind, selector_text
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

Number = Annotated[int, Meta(ge=1)]
_COLUMNS = ("REVISION", "CURRENT", "CREATED", "IMAGES", "LIMITS", "REQUESTS", "REPLICAS", "CHANGE CAUSE", "SOURCE")


async def k8s_rollout_status(cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str) -> Json:
    """Say how far a rollout is, at once: complete, progressing, stalled or paused, with the numbers."""
    now = await cluster.now()
    state = await state_of(cluster, ObjectRef(kind, name, namespace, "apps/v1"))
    built: Json = msgspec.to_builtins(state)
    return {"object": f"{kind}/{namespace}/{name}", **built, "old_pods": list(state.old_pods), "at": stamp(now)}


async def state_of(cluster: Cluster, ref: ObjectRef) -> rollout.Rollout:
    """Return how far the rollout of a workload is."""
    workload = await cluster.get(ref)
    selector = selector_text(workload)
    sets_kind = "ReplicaSet" if ref.kind == "Deployment" else "ControllerRevision"
    sets, pods = await asyncio.gather(
        cluster.list(sets_kind, ref.namespace, label_selector=selector),
        cluster.list("Pod", ref.namespace, label_selector=selector),
    )
    return rollout.status(workload, pods.items, sets.items)


async def k8s_rollout_history(
    cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str, revision: Number | None = None
) -> Json:
    """List a workload's revisions, oldest first, with what each ran; or show the pod template of one of them."""
    now = await cluster.now()
    workload = await cluster.get(ObjectRef(kind, name, namespace, "apps/v1"))
    known = await history.revisions(cluster, workload)
    label = f"{kind}/{namespace}/{name}"
    if revision is not None:
        return {"object": label, **_shown(known, revision, label), "at": stamp(now)}
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
    return table(_COLUMNS, rows, object=label, change_cause=cause, at=stamp(now))


def _shown(known: list[Revision], wanted: int, label: str) -> Json:
    chosen = next((one for one in known if one.number == wanted), None)
    if chosen is None:
        numbers = ", ".join(str(one.number) for one in known) or "none"
        raise BadInput(f"{label} has no revision {wanted}.", next_step=f"Its revisions: {numbers}.")
    built: Json = msgspec.to_builtins(chosen)
    return built
