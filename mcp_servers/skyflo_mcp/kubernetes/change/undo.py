"""k8s_rollout_undo: the pod template of an earlier revision."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes import history
from skyflo_mcp.kubernetes.change import operations, target, template
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Revision, RolloutKind
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

Number = Annotated[int, Meta(ge=1)]


async def k8s_rollout_undo(
    cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str, to_revision: Number | None = None
) -> Rendered:
    """Set a workload's pod template back to an earlier revision: the one before, or `to_revision`."""
    found = await target.read(cluster, kind, namespace, name)
    if at(found.manifest, "spec", "paused"):
        raise BadInput(f"{found.ref} is paused, and cannot be rolled back.", next_step="Resume its rollout first.")
    revisions = await history.revisions(cluster, found.manifest)
    chosen = _choose(revisions, history.current(found.manifest, revisions), to_revision, str(found.ref))
    flag = [f"--to-revision={to_revision}"] if to_revision else []
    return found.render(
        operations.put(found.manifest, ("spec", "template"), chosen.template),
        title=f"{found.kubectl_name}: back to revision {chosen.number} ({history.images(chosen.template)})",
        equivalent=found.kubectl("rollout", "undo", found.kubectl_name, *flag),
        notes=template.effect(found),
    )


def _choose(revisions: list[Revision], now: Revision | None, wanted: int | None, label: str) -> Revision:
    known = ", ".join(str(one.number) for one in revisions) or "none"
    if wanted is None:
        earlier = [one for one in revisions if now is None or one.number < now.number]
        if not earlier:
            raise BadInput(f"{label} has no earlier revision.", next_step=f"Its revisions: {known}.")
        return earlier[-1]
    chosen = next((one for one in revisions if one.number == wanted), None)
    if chosen is None:
        raise BadInput(f"{label} has no revision {wanted}.", next_step=f"Its revisions: {known}.")
    return chosen
