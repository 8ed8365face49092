"""Reads the object that a change tool is about.

Nothing is read before kind, name and namespace could be those of an object: ASCII, one word, of a bounded length.
"""

import re

from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace

# `Deployment`, `deployments.apps`, `HTTPRoute.gateway.networking.k8s.io`.
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}(\.[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?")


async def kind_of(cluster: Cluster, kind: str, api_version: str = "") -> Resource:
    """Return what the cluster serves under a kind's name; `BadInput` where it can be none."""
    if not _KIND.fullmatch(kind):
        raise BadInput(
            f"{kind[:80]!r} cannot be a kind.", next_step="Write it like Deployment, deployments or deployments.apps."
        )
    return await cluster.resource(kind, api_version)


async def read(cluster: Cluster, kind: str, namespace: str, name: str, api_version: str = "") -> Target:
    """Return the object with its resource; `NotFound` where the cluster has no such object."""
    # The widest rule that any kind has; the kind's own comes with its path.
    check_name(name, kind="Role")
    if namespace:
        check_namespace(namespace)
    resource = await kind_of(cluster, kind, api_version)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace, resource.api_version))
    return Target(resource, manifest)
