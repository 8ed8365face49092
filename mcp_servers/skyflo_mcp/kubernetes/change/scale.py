"""k8s_scale: the number of replicas of anything that can be scaled.

A custom resource says in its definition where its replicas lie (`subresources.scale.specReplicasPath`); they are
patched there, in the object itself, so that its diff shows them.
"""

import re
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Path, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered

Count = Annotated[int, Meta(ge=0, le=10_000)]
_BUILT_IN: dict[str, frozenset[str]] = {
    "apps": frozenset({"Deployment", "StatefulSet", "ReplicaSet"}),
    "": frozenset({"ReplicationController"}),
}
_PLACE = re.compile(r"(\.[A-Za-z0-9_]+)+")


async def k8s_scale(cluster: Cluster, *, kind: str, namespace: str, name: str, replicas: Count) -> Rendered:
    """Set how many pods a workload wants: any kind with a scale subresource, custom resources included."""
    found = await target.read(cluster, kind, namespace, name)
    path = await replicas_path(cluster, found)
    was = at(found.manifest, *path, default=1)
    return found.render(
        operations.put(found.manifest, path, replicas),
        title=f"{found.kubectl_name}: replicas {was} → {replicas}",
        equivalent=found.kubectl("scale", found.kubectl_name, f"--replicas={replicas}"),
    )


async def replicas_path(cluster: Cluster, found: Target) -> Path:
    """Return where an object keeps its number of replicas; `BadInput` where its kind cannot be scaled."""
    resource = found.resource
    if resource.kind in _BUILT_IN.get(resource.group, ()):
        return ("spec", "replicas")
    if "scale" not in resource.subresources:
        raise BadInput(
            f"A {resource.kind} cannot be scaled: it has no scale subresource.",
            next_step="Deployments, StatefulSets, ReplicaSets, ReplicationControllers and some custom resources can.",
        )
    definition = await cluster.get(ObjectRef("CustomResourceDefinition", f"{resource.plural}.{resource.group}"))
    place = _replicas_of(definition, resource.version)
    if not _PLACE.fullmatch(place):
        raise BadInput(
            f"The definition of {resource.kind} does not say where its replicas lie.", next_step="Use k8s_patch."
        )
    return tuple(place.split(".")[1:])


def _replicas_of(definition: Json, version: str) -> str:
    for one in at(definition, "spec", "versions", default=[]):
        if one.get("name") == version:
            return str(at(one, "subresources", "scale", "specReplicasPath", default=""))
    return ""
