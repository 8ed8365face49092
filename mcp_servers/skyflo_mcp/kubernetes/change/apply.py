"""k8s_apply and k8s_create: objects from manifests.

An apply is the server's own (server-side apply): what a manifest says is set; what it leaves out goes where an earlier
apply of ours had set it, and stays otherwise. A creation is for one object that must not be there yet.
"""

import asyncio

from skyflo_mcp.kubernetes.change import manifests, operations
from skyflo_mcp.kubernetes.change.manifests import Content, Placed
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import APPLY_PATCH, Rendered, Request

_SHOWN = 10


async def k8s_apply(cluster: Cluster, *, content: Content, namespace: str = "default", force: bool = False) -> Rendered:
    """Apply manifests (YAML, JSON or a list of objects), in the order in which they need each other.

    `namespace` is for objects that name none. A field that somebody else manages is a conflict, which names them;
    with `force` it is taken over.
    """
    found = await asyncio.to_thread(manifests.read, content)
    placed, notes = await _placed(cluster, found, namespace)
    names = ", ".join(str(one.ref) for one in placed[:_SHOWN])
    more = f" and {len(placed) - _SHOWN} more" if len(placed) > _SHOWN else ""
    flags = ["--server-side", "--field-manager=skyflo", *(["--force-conflicts"] * force), "-f", "manifests.yaml"]
    return Rendered(
        tuple(_applied(one, force=force) for one in placed),
        title=f"apply {names}{more}",
        equivalent=operations.kubectl(_one_namespace(placed), "apply", *flags),
        notes=notes,
    )


async def k8s_create(cluster: Cluster, *, manifest: Json, namespace: str = "default") -> Rendered:
    """Create one object from its manifest; where one of that name is there already, that is an error."""
    (one,), notes = await _placed(cluster, manifests.read([manifest]), namespace)
    path = one.resource.collection(one.ref.namespace)
    return Rendered(
        (Request("create", one.ref, path, one.manifest),),
        title=f"create {one.ref}",
        equivalent=operations.kubectl(one.ref.namespace, "create", "-f", "manifest.yaml"),
        notes=notes,
    )


async def _placed(cluster: Cluster, found: list[Json], namespace: str) -> tuple[list[Placed], tuple[str, ...]]:
    clean, notes = [], []
    for manifest in found:
        kept, gone = manifests.without_servers(manifest)
        clean.append(kept)
        if gone:
            notes.append(f"{manifest['kind']} {manifest['metadata']['name']}: left out {', '.join(gone)}.")
    placed = await manifests.place(cluster, clean, namespace)
    return placed, tuple(notes)


def _one_namespace(placed: list[Placed]) -> str:
    """Return the namespace that all of them lie in; none of several, because kubectl then refuses the others."""
    found = {one.ref.namespace for one in placed if one.ref.namespace}
    return found.pop() if len(found) == 1 else ""


def _applied(one: Placed, *, force: bool) -> Request:
    path = one.resource.path(one.ref.namespace, one.ref.name)
    return Request("apply", one.ref, path, one.manifest, APPLY_PATCH, preview=one.preview, force=force)
