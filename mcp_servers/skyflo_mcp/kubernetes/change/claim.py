"""k8s_resize_claim: the storage that a PersistentVolumeClaim asks for. It only grows, and never shrinks again.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Forbidden, NotFound
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.model.request import Rendered

Storage = Annotated[str, Meta(description="As in 20Gi.", max_length=40)]
_PATH = ("spec", "resources", "requests", "storage")


async def k8s_resize_claim(cluster: Cluster, *, namespace: str, name: str, storage: Storage) -> Rendered:
    """Grow a PersistentVolumeClaim. Its StorageClass must allow it; there is no way back."""
    storage = storage.strip()
    wanted = parse_quantity(storage)
    found = await target.read(cluster, "PersistentVolumeClaim", namespace, name)
    was = str(at(found.manifest, *_PATH, default="0"))
    if wanted < parse_quantity(was):
        raise BadInput(
            f"{found.ref} asks for {was}, and a claim cannot shrink to {storage[:40]}.",
            next_step="Make a smaller claim, and copy the data.",
        )
    grows = wanted > parse_quantity(was)
    notes = await _allowed(cluster, found) if grows else ()
    return found.render(
        operations.put(found.manifest, _PATH, storage) if grows else [],
        title=f"{found.kubectl_name}: storage {was} → {storage}",
        equivalent=found.kubectl(
            "patch", found.kubectl_name, "-p", f'{{"spec":{{"resources":{{"requests":{{"storage":"{storage}"}}}}}}}}'
        ),
        irreversible=f"a claim cannot shrink from {storage} to {was} again" if grows else "",
        notes=notes,
    )


async def _allowed(cluster: Cluster, found: Target) -> tuple[str, ...]:
    """Return what is not known of the claim's class; raise `BadInput` where it does not let claims grow."""
    if at(found.manifest, "status", "phase") != "Bound":
        raise BadInput(f"{found.ref} is not bound, so there is no volume to grow.")
    class_ = str(at(found.manifest, "spec", "storageClassName", default=""))
    if not class_:
        raise BadInput(f"{found.ref} has no StorageClass, so its volume was made by hand and does not grow.")
    try:
        manifest = await cluster.get(ObjectRef("StorageClass", class_))
    except NotFound:
        raise BadInput(f"{found.ref}: there is no StorageClass {class_} any more, so nothing could grow it.") from None
    except Forbidden:
        return (f"StorageClass {class_} could not be read; whether it allows this only the dry run says.",)
    if not at(manifest, "allowVolumeExpansion"):
        raise BadInput(
            f"StorageClass {class_} does not let claims grow.",
            next_step="Set allowVolumeExpansion in it, where its provisioner can do that.",
        )
    return ()
