"""Reads the pods that belong to an object, and whatever stands between them."""

import asyncio

import msgspec

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import owned, selector_text, uid
from skyflo_runbooks.model.json import Json, at

# What a workload's controller puts between it and its pods.
_BETWEEN = {"Deployment": "ReplicaSet", "CronJob": "Job"}
_WITH_PODS = ("ReplicaSet", "StatefulSet", "DaemonSet", "Job", "ReplicationController")


class Family(msgspec.Struct, frozen=True):
    """An object's ReplicaSets or Jobs, and its pods."""

    between: tuple[Json, ...] = ()
    pods: tuple[Json, ...] = ()


async def read(cluster: Cluster, manifest: Json) -> Family:
    """Return what an object owns, down to its pods; a Pod is its own family."""
    kind = str(manifest.get("kind", ""))
    namespace = at(manifest, "metadata", "namespace", default="")
    if kind == "Pod":
        return Family(pods=(manifest,))
    if kind not in _BETWEEN and kind not in _WITH_PODS:
        return Family()
    # A CronJob has no selector; its Jobs' pods are found by owner alone.
    selector = "" if kind == "CronJob" else selector_text(manifest)
    pods = cluster.list("Pod", namespace, label_selector=selector)
    if kind not in _BETWEEN:
        return Family(pods=tuple(owned((await pods).items, {uid(manifest)})))
    between, found = await asyncio.gather(cluster.list(_BETWEEN[kind], namespace, label_selector=selector), pods)
    mine = owned(between.items, {uid(manifest)})
    return Family(tuple(mine), tuple(owned(found.items, {uid(one) for one in mine})))
