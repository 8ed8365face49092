"""k8s_rollout_restart: replaces the pods of a workload, as its update strategy says."""

from skyflo_mcp.kubernetes.change import operations, target, template
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import RolloutKind
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


async def k8s_rollout_restart(cluster: Cluster, *, kind: RolloutKind, namespace: str, name: str) -> Rendered:
    """Restart a workload: its pods are replaced one after another."""
    found = await target.read(cluster, kind, namespace, name)
    if at(found.manifest, "spec", "paused"):
        raise BadInput(f"{found.ref} is paused, so nothing would restart.", next_step="Resume its rollout first.")
    now = (await cluster.now()).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found.render(
        operations.put(found.manifest, ("spec", "template", "metadata", "annotations", RESTARTED_AT), now),
        title=f"{found.kubectl_name}: restart",
        equivalent=found.kubectl("rollout", "restart", found.kubectl_name),
        notes=template.effect(found),
    )
