"""k8s_set_image: the images of containers of one workload, or of one running pod."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target, template
from skyflo_mcp.kubernetes.change.operations import Operation
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import PodOrTemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered

Images = Annotated[
    dict[str, str], Meta(description='Image by container, as in {"payment-service": "payment-svc:v2.4.0"}.')
]


async def k8s_set_image(
    cluster: Cluster, *, kind: PodOrTemplateKind, namespace: str, name: str, images: Images
) -> Rendered:
    """Set the image of one or more containers of a workload, or of a running pod."""
    if not images:
        raise BadInput("Nothing to set.", next_step='Give images, as in images={"web": "nginx:1.27"}.')
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    said = [
        f"{container} {find_container(found.manifest, container).value.get('image', 'none')} → {image}"
        for container, image in images.items()
    ]
    pairs = [f"{container}={image}" for container, image in images.items()]
    return found.render(
        changes(found.manifest, images),
        title=f"{found.kubectl_name}: image {', '.join(said)}",
        equivalent=found.kubectl("set", "image", found.kubectl_name, *pairs),
        notes=template.effect(found),
    )


def changes(manifest: Json, images: dict[str, str]) -> list[Operation]:
    """Return the operations that set the images of containers."""
    made: list[Operation] = []
    for container, image in images.items():
        operations.plain(image, "an image")
        place = find_container(manifest, container)
        made.append(operations.holds((*place.path, "name"), container))
        made += operations.put(manifest, (*place.path, "image"), image)
    return made
