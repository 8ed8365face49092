"""k8s_set_image: the images of containers of one workload."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Operation
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import TemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.request import Rendered

Images = Annotated[
    dict[str, str], Meta(description='Image by container, as in {"payment-service": "payment-svc:v2.4.0"}.')
]


async def k8s_set_image(cluster: Cluster, *, kind: TemplateKind, namespace: str, name: str, images: Images) -> Rendered:
    """Set the image of one or more containers of a workload."""
    if not images:
        raise BadInput("Nothing to set.", next_step='Give images, as in images={"web": "nginx:1.27"}.')
    found = await target.read(cluster, kind, namespace, name)
    changes: list[Operation] = []
    said = []
    for container, image in images.items():
        operations.plain(image, "an image")
        place = find_container(found.manifest, container)
        changes.append(operations.holds((*place.path, "name"), container))
        changes += operations.put(found.manifest, (*place.path, "image"), image)
        said.append(f"{container} {place.value.get('image', 'none')} → {image}")
    pairs = [f"{container}={image}" for container, image in images.items()]
    return found.render(
        changes,
        title=f"{found.kubectl_name}: image {', '.join(said)}",
        equivalent=found.kubectl("set", "image", found.kubectl_name, *pairs),
    )
