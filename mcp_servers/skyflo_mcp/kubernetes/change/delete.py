"""k8s_delete: one object, and what becomes of what belongs to it.

What goes with it, and what is lost for good, the proposal says (the gateway reads it there); here only what the way of
deleting adds.
"""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered, Request

Cascade = Literal["background", "foreground", "orphan"]
Grace = Annotated[int, Meta(ge=0, le=86_400)]


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
        notes=tuple(_after(found, forced)),
    )


def _after(found: Target, forced: bool) -> list[str]:
    said = []
    if forced:
        said.append("Its node is not waited for: where that is alive, the containers may still run for a while.")
    for owner in at(found.manifest, "metadata", "ownerReferences", default=[]):
        if owner.get("controller"):
            said.append(f"{owner.get('kind')} {owner.get('name')} owns it and may make it again.")
            return said
    if found.ref.kind == "Pod":
        said.append("No controller owns it, so nothing makes it again.")
    return said
