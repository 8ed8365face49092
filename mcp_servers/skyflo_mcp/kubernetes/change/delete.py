"""k8s_delete: one object, with what belongs to it.

Where data is lost with it, or more than its manifest can bring back, the change is irreversible and says why.
"""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes import dependents
from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import ApiError
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered, Request

Cascade = Literal["background", "foreground", "orphan"]
Grace = Annotated[int, Meta(ge=0, le=86_400)]
_SHOWN = 20


async def k8s_delete(
    cluster: Cluster,
    *,
    kind: str,
    name: str,
    namespace: str | None = None,
    cascade: Cascade = "background",
    grace_period: Grace | None = None,
) -> Rendered:
    """Delete one object; what it owns goes with it, or stays with cascade=orphan."""
    found = await target.read(cluster, kind, namespace or "", name)
    forced = grace_period == 0 and found.ref.kind == "Pod"
    since = at(found.manifest, "metadata", "deletionTimestamp")
    if since and not forced:
        held = ", ".join(at(found.manifest, "metadata", "finalizers", default=[])) or "none"
        raise BadInput(
            f"{found.ref} is being deleted already, since {since}. Its finalizers: {held}.",
            next_step="Mend what its finalizers wait for. A pod on a dead node: grace_period=0.",
        )
    body: Json = {"propagationPolicy": cascade.capitalize()}
    flags = [f"--cascade={cascade}"]
    if grace_period is not None:
        body["gracePeriodSeconds"] = grace_period
        flags += [f"--grace-period={grace_period}"] + ["--force"] * forced
    return Rendered(
        (Request("delete", found.ref, found.path, body),),
        title=f"{found.kubectl_name}: delete",
        equivalent=found.kubectl("delete", found.kubectl_name, *flags),
        irreversible=await _lost(cluster, found.manifest),
        notes=(*await _with_it(cluster, found, cascade), *_after(found, forced)),
    )


async def _with_it(cluster: Cluster, found: Target, cascade: Cascade) -> tuple[str, ...]:
    """Return what goes with the object, or stays without an owner."""
    belong = await dependents.read(cluster, found.manifest)
    said = []
    if belong.items:
        names = ", ".join(str(one) for one in belong.items[:_SHOWN])
        more = f" and {len(belong.items) - _SHOWN} more" if len(belong.items) > _SHOWN else ""
        stays = cascade == "orphan" and found.ref.kind not in ("Namespace", "CustomResourceDefinition")
        what = "stay, and belong to nothing" if stays else "are deleted with it"
        said.append(f"{belong.counted()} {what}: {names}{more}.")
    if belong.unknown:
        said.append(f"Whether these have to do with it could not be read: {', '.join(belong.unknown)}.")
    return tuple(said)


def _after(found: Target, forced: bool) -> list[str]:
    said = []
    if forced:
        said.append("Its node is not waited for: where that is alive, the containers may still run for a while.")
    if held := at(found.manifest, "metadata", "finalizers", default=[]):
        said.append(f"It is gone only when its finalizers are: {', '.join(held)}.")
    for owner in at(found.manifest, "metadata", "ownerReferences", default=[]):
        if owner.get("controller"):
            said.append(f"{owner.get('kind')} {owner.get('name')} owns it and may make it again.")
            return said
    if found.ref.kind == "Pod":
        said.append("No controller owns it, so nothing makes it again.")
    return said


async def _lost(cluster: Cluster, manifest: Json) -> str:
    """Return in words why the deletion has no way back, where it has none."""
    kind = manifest.get("kind")
    if kind == "Namespace":
        return "everything in the namespace is deleted with it, and only the namespace could be made again"
    if kind == "CustomResourceDefinition":
        return "every object of its kind is deleted with it"
    if kind == "PersistentVolume":
        return "" if _retained(manifest) else "the volume's storage may be deleted with it"
    if kind == "PersistentVolumeClaim":
        return await _data_lost(cluster, manifest)
    if at(manifest, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted") == "Delete":
        return "its claims are deleted with it, and with them the data"
    return ""


async def _data_lost(cluster: Cluster, claim: Json) -> str:
    volume = str(at(claim, "spec", "volumeName", default=""))
    if not volume:
        return ""  # nothing was ever stored
    try:
        manifest = await cluster.get(ObjectRef("PersistentVolume", volume))
    except ApiError:
        return f"volume {volume} could not be read, so the data must be taken for lost"
    if _retained(manifest):
        return f"volume {volume} keeps the data, but is released: a new claim does not get it by itself"
    return f"volume {volume} is deleted with it, and with that the data"


def _retained(volume: Json) -> bool:
    return bool(at(volume, "spec", "persistentVolumeReclaimPolicy") == "Retain")
