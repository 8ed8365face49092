"""k8s_cordon and k8s_uncordon: whether new pods may be placed on a node."""

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import ready
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered

_PATH = ("spec", "unschedulable")
_CORDONED = "node.kubernetes.io/unschedulable"


async def k8s_cordon(cluster: Cluster, *, name: str) -> Rendered:
    """Let no new pod be placed on a node; those that run there stay."""
    found = await target.read(cluster, "Node", "", name)
    return found.render(
        cordoning(found.manifest),
        title=f"{found.kubectl_name}: cordon",
        equivalent=found.kubectl("cordon", name),
        notes=("Pods that run on it stay.",),
    )


async def k8s_uncordon(cluster: Cluster, *, name: str) -> Rendered:
    """Let pods be placed on a node again."""
    found = await target.read(cluster, "Node", "", name)
    changes = operations.drop(found.manifest, _PATH) if at(found.manifest, *_PATH) else []
    return found.render(
        changes,
        title=f"{found.kubectl_name}: uncordon",
        equivalent=found.kubectl("uncordon", name),
        notes=tuple(_doubts(found)),
    )


def cordoning(node: Json) -> list[Operation]:
    """Return the operations that cordon a node; none where it is cordoned."""
    if at(node, *_PATH):
        return []
    return [{"op": "add", "path": operations.pointer(_PATH), "value": True}]


def _doubts(found: Target) -> list[str]:
    said = [] if ready(found.manifest) else [f"{found.ref} is not Ready, so nothing will run on it yet."]
    others = [
        f"{one.get('key')}:{one.get('effect')}"
        for one in at(found.manifest, "spec", "taints", default=[])
        if one.get("key") != _CORDONED
    ]
    return said + ([f"Its other taints stay: {', '.join(others)}."] if others else [])
