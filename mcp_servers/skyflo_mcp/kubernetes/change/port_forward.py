"""k8s_port_forward: one text to a port of a pod, and what comes back.

A tunnel that stays open would be a door that no approval covers: whoever reached its end could say anything through it.
So the forwarding is one connection, what is said through it is part of what is approved, and it is closed when the
answer has come. That answers what a tunnel is opened for in an incident (does it speak, what does it say to a PING, a
HELO, a GET), and a GET alone is the read tool `k8s_http_get`.
"""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.pods import Place
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.running import Bytes, Port, Seconds
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered

Send = Annotated[
    str, Meta(max_length=16 * 1024, description=r"What is sent, as in PING\r\n or GET / HTTP/1.0\r\n\r\n.")
]


async def k8s_port_forward(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    port: Port,
    send: Send,
    kind: Literal["Pod", "Service"] = "Pod",
    seconds: Seconds = 10.0,
    limit_bytes: Bytes = 64 * 1024,
) -> Rendered:
    """Open one connection to a port of a pod (or of a ready pod behind a Service), send a text, and keep the answer.

    It ends when the other side closes, falls silent after its answer, or after `seconds`. The answer stands in the
    receipt.
    """
    pod_name, pod_port = (name, port) if kind == "Pod" else await _behind(cluster, namespace, name, port)
    pod = await target.read(cluster, "Pod", namespace, pod_name)
    if at(pod.manifest, "status", "phase") != "Running":
        raise BadInput(f"Pod {pod_name} is not running.", next_step="k8s_describe shows its state.")
    via = f" (behind service/{name})" if kind == "Service" else ""
    return Place(pod, "").run(
        "portforward",
        {"port": pod_port, "send": send, "seconds": seconds, "limit_bytes": limit_bytes},
        title=f"pod/{pod_name}{via}: send {len(send.encode())} bytes to port {pod_port}",
        equivalent=pod.kubectl("port-forward", pod.kubectl_name, f":{pod_port}"),
        irreversible="what a program does with what it is sent is not known beforehand and cannot be undone",
    )


async def _behind(cluster: Cluster, namespace: str, name: str, port: int) -> tuple[str, int]:
    """Return a ready pod behind a Service's port, and the pod's own port."""
    service = await target.read(cluster, "Service", namespace, name)
    ports = at(service.manifest, "spec", "ports", default=[])
    wanted = next((one for one in ports if one.get("port") == port), None)
    if wanted is None:
        known = ", ".join(str(one.get("port")) for one in ports) or "none"
        raise BadInput(f"Service {name} has no port {port}.", next_step=f"Its ports: {known}.")
    slices = await cluster.list("EndpointSlice", namespace, label_selector=f"kubernetes.io/service-name={name}")
    for piece in slices.items:
        for one in piece.get("ports") or []:
            if (one.get("name") or "") == (wanted.get("name") or "") and (pod := _ready_pod(piece)):
                return pod, int(one["port"])
    raise BadInput(f"No ready pod is behind port {port} of service {name}.", next_step="k8s_describe shows why.")


def _ready_pod(piece: Json) -> str:
    for endpoint in piece.get("endpoints") or []:
        if at(endpoint, "conditions", "ready") and at(endpoint, "targetRef", "kind") == "Pod":
            return str(at(endpoint, "targetRef", "name"))
    return ""
