"""k8s_rollout_pause and k8s_rollout_resume: whether a Deployment rolls its template out."""

from typing import Literal

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

PauseKind = Literal["Deployment"]
_PATH = ("spec", "paused")


async def k8s_rollout_pause(cluster: Cluster, *, namespace: str, name: str, kind: PauseKind = "Deployment") -> Rendered:
    """Pause a Deployment's rollout: changes of its template wait until it is resumed."""
    found = await target.read(cluster, kind, namespace, name)
    return found.render(
        [] if at(found.manifest, *_PATH) else operations.put(found.manifest, _PATH, True),
        title=f"{found.kubectl_name}: pause",
        equivalent=found.kubectl("rollout", "pause", found.kubectl_name),
        notes=("Pods that run stay as they are; a pod that ends is made again from its own ReplicaSet.",),
    )


async def k8s_rollout_resume(
    cluster: Cluster, *, namespace: str, name: str, kind: PauseKind = "Deployment"
) -> Rendered:
    """Resume a Deployment's rollout: what its template became meanwhile is rolled out."""
    found = await target.read(cluster, kind, namespace, name)
    return found.render(
        operations.drop(found.manifest, _PATH) if at(found.manifest, *_PATH) else [],
        title=f"{found.kubectl_name}: resume",
        equivalent=found.kubectl("rollout", "resume", found.kubectl_name),
        notes=("What was changed in its template while it was paused is rolled out now.",),
    )
