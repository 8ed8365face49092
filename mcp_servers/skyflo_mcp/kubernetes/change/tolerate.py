"""k8s_tolerate: a toleration of one taint in a workload's pod template: of its key and effect, never of everything."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target, template
from skyflo_mcp.kubernetes.change.metadata import label_key, label_value
from skyflo_mcp.kubernetes.change.operations import Operation
from skyflo_mcp.kubernetes.change.taint import Effect, tolerates
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import TemplateKind, template_path
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered

Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]


async def k8s_tolerate(
    cluster: Cluster,
    *,
    kind: TemplateKind,
    namespace: str,
    name: str,
    key: str,
    effect: Effect,
    value: str | None = None,
    seconds: Seconds | None = None,
) -> Rendered:
    """Let a workload's pods bear one taint: of this key and effect, and of this value where one is given."""
    label_key(key)
    label_value(value or "", key)
    if seconds is not None and effect != "NoExecute":
        raise BadInput("Only a NoExecute taint is tolerated for a time.", next_step="Leave seconds out.")
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    taint = {"key": key, "value": value or "", "effect": effect}
    new: Json = {"key": key, "effect": effect, "operator": "Exists"}
    if value is not None:
        new |= {"operator": "Equal", "value": value}
    if seconds is not None:
        new["tolerationSeconds"] = seconds
    root = (*template_path(found.manifest), "spec", "tolerations")
    known = at(found.manifest, *root, default=[])
    there = new in known or (seconds is None and value is not None and any(tolerates(one, taint) for one in known))
    changes: list[Operation] = []
    if not there and known:
        changes = [operations.holds(root, known), {"op": "add", "path": operations.pointer((*root, "-")), "value": new}]
    elif not there:
        changes = [{"op": "add", "path": operations.pointer(root), "value": [new]}]
    said = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    return found.render(
        changes,
        title=f"{found.kubectl_name}: tolerate taint {said}",
        equivalent=found.kubectl_patch(changes),
        notes=template.effect(found),
    )
