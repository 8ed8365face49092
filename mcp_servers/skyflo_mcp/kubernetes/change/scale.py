"""k8s_scale: the number of replicas of one workload."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import ScaleKind
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

Count = Annotated[int, Meta(ge=0, le=10_000)]


async def k8s_scale(cluster: Cluster, *, kind: ScaleKind, namespace: str, name: str, replicas: Count) -> Rendered:
    """Set how many pods a workload wants."""
    found = await target.read(cluster, kind, namespace, name)
    was = at(found.manifest, "spec", "replicas", default=1)
    return found.render(
        operations.put(found.manifest, ("spec", "replicas"), replicas),
        title=f"{found.kubectl_name}: replicas {was} → {replicas}",
        equivalent=found.kubectl("scale", found.kubectl_name, f"--replicas={replicas}"),
    )
