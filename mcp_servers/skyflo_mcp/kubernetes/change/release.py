"""k8s_remove_finalizer and k8s_remove_scheduling_gate: what holds an object back is let go, by its exact name.

Both are a last step: whoever put it there was to take it away. With an object's last finalizer the object goes too.
"""

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Path, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import template_path
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

_FINALIZERS: Path = ("metadata", "finalizers")


async def k8s_remove_finalizer(
    cluster: Cluster, *, kind: str, name: str, finalizer: str, namespace: str | None = None
) -> Rendered:
    """Remove one finalizer of an object whose owner is gone; what it guarded is then not cleaned up by anybody."""
    operations.plain(finalizer, "the name of a finalizer", limit=320)
    found = await target.read(cluster, kind, namespace or "", name)
    known = at(found.manifest, *_FINALIZERS, default=[])
    if finalizer not in known:
        raise BadInput(
            f"{found.ref} has no finalizer {finalizer[:80]!r}.", next_step=f"It has: {', '.join(known) or 'none'}."
        )
    going = at(found.manifest, "metadata", "deletionTimestamp")
    last = len(known) == 1
    place = (*_FINALIZERS, known.index(finalizer))
    changes = operations.drop(found.manifest, _FINALIZERS if last else place)
    return found.render(
        changes,
        title=f"{found.kubectl_name}: remove finalizer {finalizer}",
        equivalent=found.kubectl_patch(changes),
        irreversible="the object is being deleted, and a finalizer cannot be put back" if going else "",
        notes=_after(found, finalizer, going=bool(going), last=last),
    )


def _after(found: Target, finalizer: str, *, going: bool, last: bool) -> tuple[str, ...]:
    said = [f"What {finalizer} was to clean up is not cleaned up by anybody."]
    if going and last:
        said.append(f"{found.ref} is gone with it at once: it is being deleted, and this is its last finalizer.")
    return tuple(said)


async def k8s_remove_scheduling_gate(cluster: Cluster, *, kind: str, namespace: str, name: str, gate: str) -> Rendered:
    """Remove one scheduling gate of a Pod, or of a workload's pod template, whose controller is gone."""
    operations.plain(gate, "the name of a scheduling gate", limit=320)
    found = await target.read(cluster, kind, namespace, name)
    root: Path = (*template_path(found.manifest), "spec", "schedulingGates")
    known = [str(one.get("name")) for one in at(found.manifest, *root, default=[])]
    if gate not in known:
        raise BadInput(
            f"{found.ref} has no scheduling gate {gate[:80]!r}.", next_step=f"It has: {', '.join(known) or 'none'}."
        )
    changes = operations.drop(found.manifest, root if len(known) == 1 else (*root, known.index(gate)))
    return found.render(
        changes,
        title=f"{found.kubectl_name}: remove scheduling gate {gate}",
        equivalent=found.kubectl_patch(changes),
        irreversible="a gate cannot be put back to a pod" if found.ref.kind == "Pod" else "",
    )
