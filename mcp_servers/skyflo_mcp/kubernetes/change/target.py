"""Reads the object that a change tool is about."""

from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.objects import ObjectRef


async def read(cluster: Cluster, kind: str, namespace: str, name: str) -> Target:
    """Return the object with its resource; `NotFound` where the cluster has no such object."""
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace, resource.api_version))
    return Target(resource, manifest)
