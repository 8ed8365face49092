"""Where the arguments of a call lead: asked before any object is read, for a token that is narrowed to namespaces.

Rules:
  1. A tool reads the objects that its arguments name, and its errors say what it found there. So what a narrowed token
     could not see is refused by the arguments alone.
  2. Outside is a namespace that it does not reach, in the argument or in a manifest; a tool that names none (nodes);
     and a kind that lies in none, whatever namespace is said with it.
  3. What the rendered change names is admitted once more (`permissions.admit_proposal`).
"""

from skyflo_mcp.kubernetes.catalogue import TOOLS
from skyflo_mcp.kubernetes.change.manifests import checked, read
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import permissions
from skyflo_runbooks.gateway.identity import EVERYWHERE, Identity
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.json import Json, at


async def admit(cluster: Cluster, who: Identity, tool: str, arguments: Json) -> None:
    """Raise `NotAllowed` where a change tool's arguments lead out of the namespaces that `who` reaches."""
    if who.namespaces == EVERYWHERE:
        return
    said = arguments.get("namespace")
    own = said if isinstance(said, str) else ""
    permissions.admit_places(who, {own})
    given = manifests(tool, arguments)
    permissions.admit_places(who, {str(at(one, "metadata", "namespace") or own) for one in given})
    for one in given:
        await admit_kind(cluster, who, one["kind"], str(one["apiVersion"]))
    await admit_kind(cluster, who, arguments.get("kind"))


async def admit_kind(cluster: Cluster, who: Identity, kind: object, api_version: str = "") -> None:
    """Raise `NotAllowed` where a narrowed token names a kind that lies in no namespace."""
    if who.namespaces == EVERYWHERE or not isinstance(kind, str):
        return
    if not (await cluster.resource(kind, api_version)).namespaced:
        raise NotAllowed(f"A {kind[:60]} lies in no namespace, and {who} reaches {', '.join(who.namespaces)}.")


def manifests(tool: str, arguments: Json) -> list[Json]:
    """Return the manifests among a tool's arguments, or raise `BadInput` where they are none."""
    found: list[Json] = []
    for name in TOOLS[tool].manifests if tool in TOOLS else ():
        content = arguments.get(name)
        found += read(content) if isinstance(content, str | list) else [checked(content)]
    return found
