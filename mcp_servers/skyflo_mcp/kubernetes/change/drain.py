"""k8s_drain: cordon a node, then evict its pods one after another.

Rules (kubectl's own, k8s.io/kubectl/pkg/drain/filters.go):
  1. Mirror pods (static ones, which the kubelet keeps), pods that ended and pods that are being deleted stay out of it.
  2. A DaemonSet's pods stay, with `ignore_daemonsets`; without it the drain is refused, because they would come back.
  3. A pod that no controller owns would be lost: refused, except with `force`.
  4. A pod with an emptyDir loses what is in it: refused, except with `delete_emptydir_data`.
An eviction asks the PodDisruptionBudgets; where one says no, the server refuses, and so does the dry run.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.nodes import cordoning
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import label
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered, Request

Grace = Annotated[int, Meta(ge=0, le=86_400)]
Fate = Literal["evict", "mirror", "ended", "going", "daemon", "unowned", "local"]
MOST = 500
_MIRROR = "kubernetes.io/config.mirror"
_STAYS: dict[Fate, str] = {
    "mirror": "static pods, which the kubelet keeps",
    "ended": "pods that ended",
    "going": "pods that are being deleted already",
    "daemon": "pods of DaemonSets",
}
_REFUSED: dict[Fate, tuple[str, str]] = {
    "daemon": ("belong to DaemonSets, which would place them there again", "Say ignore_daemonsets=True to leave them."),
    "unowned": ("belong to no controller and would be lost", "Say force=True to lose them."),
    "local": ("keep data in an emptyDir, which would be deleted", "Say delete_emptydir_data=True to lose it."),
}


class Allowed(msgspec.Struct, frozen=True):
    """What the drain may do, and how long pods get to end (seconds; None: as each says itself)."""

    ignore_daemonsets: bool = True
    delete_emptydir_data: bool = False
    force: bool = False
    grace_period: int | None = None


async def k8s_drain(
    cluster: Cluster,
    *,
    name: str,
    ignore_daemonsets: bool = True,
    delete_emptydir_data: bool = False,
    force: bool = False,
    grace_period: Grace | None = None,
) -> Rendered:
    """Cordon a node and evict its pods; PodDisruptionBudgets are kept."""
    allowed = Allowed(ignore_daemonsets, delete_emptydir_data, force, grace_period)
    node = await target.read(cluster, "Node", "", name)
    pods = sorted((await cluster.list("Pod", field_selector=f"spec.nodeName={name}")).items, key=label)
    fates = {label(pod): fate(pod, allowed) for pod in pods}
    refuse(node, fates, allowed)
    leave = [pod for pod in pods if fates[label(pod)] == "evict"]
    if len(leave) > MOST:
        raise BadInput(f"{node.ref} runs {len(leave)} pods; at most {MOST} are evicted in one change.")
    resource = await cluster.resource("Pod", "v1")
    evictions = [_eviction(pod, resource.path(*_where(pod)), grace_period) for pod in leave]
    cordon = [node.patch(changes)] if (changes := cordoning(node.manifest)) else []
    evict = f"evict {len(leave)} pod{'' if len(leave) == 1 else 's'}"
    return Rendered(
        (*cordon, *evictions) or (node.patch(operations.same(node.manifest)),),
        title=f"{node.kubectl_name}: {'cordon and ' if cordon else ''}{evict}",
        equivalent=node.kubectl("drain", name, *_flags(allowed)),
        irreversible=_lost(leave),
        notes=tuple(_stay(fates)),
    )


def fate(pod: Json, allowed: Allowed) -> Fate:
    """Return what a drain does with a pod: evict it, leave it, or the reason to refuse. Pure."""
    if _MIRROR in at(pod, "metadata", "annotations", default={}):
        return "mirror"
    if at(pod, "status", "phase") in ("Succeeded", "Failed"):
        return "ended"
    if at(pod, "metadata", "deletionTimestamp"):
        return "going"
    owner = controller(pod)
    if owner is not None and owner.get("kind") == "DaemonSet":
        return "daemon"
    if owner is None and not allowed.force:
        return "unowned"
    if _keeps_data(pod) and not allowed.delete_emptydir_data:
        return "local"
    return "evict"


def refuse(node: Target, fates: dict[str, Fate], allowed: Allowed) -> None:
    """Raise `BadInput` where a pod may neither leave nor stay, with the first ten and what would allow it."""
    for reason, (why, allow) in _REFUSED.items():
        if reason == "daemon" and allowed.ignore_daemonsets:
            continue
        if pods := [pod for pod, fate_ in fates.items() if fate_ == reason]:
            more = f" and {len(pods) - 10} more" if len(pods) > 10 else ""
            raise BadInput(f"{node.ref}: {', '.join(pods[:10])}{more} {why}.", next_step=allow)


def controller(pod: Json) -> Json | None:
    """Return the reference to the controller that owns a pod."""
    owners: list[Json] = at(pod, "metadata", "ownerReferences", default=[])
    return next((one for one in owners if one.get("controller")), None)


def _keeps_data(pod: Json) -> bool:
    return any("emptyDir" in volume for volume in at(pod, "spec", "volumes", default=[]))


def _where(pod: Json) -> tuple[str, str]:
    return str(at(pod, "metadata", "namespace", default="")), str(at(pod, "metadata", "name", default=""))


def _eviction(pod: Json, path: str, grace_period: int | None) -> Request:
    namespace, name = _where(pod)
    body: Json = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    if grace_period is not None:
        body["deleteOptions"] = {"gracePeriodSeconds": grace_period}
    return Request("evict", ObjectRef("Pod", name, namespace, "v1"), f"{path}/eviction", body)


def _flags(allowed: Allowed) -> list[str]:
    flags = {
        "--ignore-daemonsets": allowed.ignore_daemonsets,
        "--delete-emptydir-data": allowed.delete_emptydir_data,
        "--force": allowed.force,
    }
    said = [flag for flag, wanted in flags.items() if wanted]
    return said + ([f"--grace-period={allowed.grace_period}"] if allowed.grace_period is not None else [])


def _stay(fates: dict[str, Fate]) -> list[str]:
    said = []
    for reason, what in _STAYS.items():
        if pods := [pod for pod, fate_ in fates.items() if fate_ == reason]:
            said.append(f"Not evicted, {what}: {', '.join(pods)}.")
    return said


def _lost(leave: list[Json]) -> str:
    unowned = [label(pod) for pod in leave if controller(pod) is None]
    local = [label(pod) for pod in leave if _keeps_data(pod)]
    said = [f"nothing makes {', '.join(unowned)} again"] * bool(unowned)
    said += [f"the emptyDir data of {', '.join(local)} is deleted"] * bool(local)
    return ", and ".join(said)
