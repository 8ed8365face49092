"""k8s_debug: an ephemeral container in a running pod.

It is added through the pod's `ephemeralcontainers` subresource, which a dry run can preview. An ephemeral container is
never restarted and cannot be taken out of its pod again
(https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/).
"""

from skyflo_mcp.kubernetes.change import operations, pods, target, words
from skyflo_mcp.kubernetes.change.words import Argv
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import check_name
from skyflo_runbooks.model.request import STRATEGIC_PATCH, Rendered, Request


async def k8s_debug(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    image: str,
    command: Argv | None = None,
    target_container: str | None = None,
    container: str | None = None,
) -> Rendered:
    """Add a debugging container with an image of your choice to a running pod.

    With `target_container` it sees that container's processes. Without `command` the image's own is run; what it
    prints is read by k8s_logs, and k8s_exec runs more in it. `container` is its name, by default debugger-1 and so on.
    """
    operations.plain(image, "an image")
    if command is not None:
        words.command(command)
    if container is not None:
        check_name(container)
    pod = await target.read(cluster, "Pod", namespace, name)
    if (phase := at(pod.manifest, "status", "phase")) in ("Succeeded", "Failed"):
        raise BadInput(f"Pod {name} has ended ({phase}).", next_step="Choose a pod that runs.")
    known = pods.containers(pod.manifest)
    chosen = container or _free(known)
    if chosen in known:
        raise BadInput(f"Pod {name} has a container named {chosen} already.", next_step="Say another name.")
    if target_container is not None and target_container not in known:
        raise BadInput(
            f"Pod {name} has no container named {target_container[:80]!r}.", next_step=f"It has: {', '.join(known)}."
        )
    added: Json = {"name": chosen, "image": image, "terminationMessagePolicy": "File"}
    added |= {"command": command} if command else {}
    added |= {"targetContainerName": target_container} if target_container else {}
    body = {"spec": {"ephemeralContainers": [added]}}
    flags = [f"--target={target_container}"] if target_container else []
    run = ["--", *command] if command else []
    return Rendered(
        (Request("patch", pod.ref, f"{pod.path}/ephemeralcontainers", body, STRATEGIC_PATCH),),
        title=f"pod/{name}: add the debugging container {chosen} ({image})",
        equivalent=pod.kubectl("debug", f"pod/{name}", f"--image={image}", f"--container={chosen}", *flags, *run),
        irreversible="an ephemeral container stays in its pod until the pod is deleted",
    )


def _free(known: list[str]) -> str:
    return next(name for number in range(1, len(known) + 2) if (name := f"debugger-{number}") not in known)
