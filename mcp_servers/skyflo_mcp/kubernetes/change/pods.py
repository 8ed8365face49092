"""Reads the pod that something is run in, and chooses the container.

A container is chosen by its name; without one it is the only one, else the one that the pod's annotation
`kubectl.kubernetes.io/default-container` names, as kubectl does. It must be running.
"""

import msgspec

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import check_name
from skyflo_runbooks.model.request import Rendered, Request

_DEFAULT = "kubectl.kubernetes.io/default-container"
_LISTS = (
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)


class Place(msgspec.Struct, frozen=True):
    """A running container of a pod."""

    pod: Target
    container: str

    def run(self, subresource: str, body: Json, *, title: str, equivalent: str, irreversible: str) -> Rendered:
        """Return the change that runs something there; nothing can preview it."""
        path = f"{self.pod.path}/{subresource}"
        request = Request("run", self.pod.ref, path, body, preview="none")
        return Rendered((request,), title=title, equivalent=equivalent, irreversible=irreversible)


async def running(cluster: Cluster, namespace: str, name: str, container: str | None) -> Place:
    """Return the container, or raise `BadInput` with what there is instead."""
    if container is not None:
        check_name(container)
    pod = await target.read(cluster, "Pod", namespace, name)
    chosen = container or _default(pod.manifest)
    if chosen not in containers(pod.manifest):
        raise BadInput(
            f"Pod {name} has no container named {chosen!r}." if chosen else f"Pod {name} has several containers.",
            next_step=f"Say container=…; it has: {', '.join(containers(pod.manifest)) or 'none'}.",
        )
    if not at(_status(pod.manifest, chosen), "state", "running"):
        raise BadInput(
            f"Container {chosen} of pod {name} is not running, so nothing can be run in it.",
            next_step="k8s_describe shows its state, k8s_logs with previous what it said before.",
        )
    return Place(pod, chosen)


def containers(pod: Json) -> list[str]:
    """Return the names of all containers of a pod, those that were added for debugging included."""
    return [str(one.get("name")) for member, _ in _LISTS for one in at(pod, "spec", member, default=[])]


def _default(pod: Json) -> str:
    names = [str(one.get("name")) for one in at(pod, "spec", "containers", default=[])]
    return names[0] if len(names) == 1 else str(at(pod, "metadata", "annotations", _DEFAULT, default=""))


def _status(pod: Json, container: str) -> Json:
    known = (one for _, member in _LISTS for one in at(pod, "status", member, default=[]))
    return next((one for one in known if one.get("name") == container), {})
