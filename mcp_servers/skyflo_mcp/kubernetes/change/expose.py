"""k8s_expose: a Service before a workload's pods, with the workload's own selector.

`headless` makes the governing Service of a StatefulSet, under the name that it waits for.
"""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import containers
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name
from skyflo_runbooks.model.request import Rendered, Request

ExposeKind = Literal["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController"]
Port = Annotated[int, Meta(ge=1, le=65_535)]
TargetPort = Port | Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$")]


async def k8s_expose(
    cluster: Cluster,
    *,
    kind: ExposeKind,
    namespace: str,
    name: str,
    port: Port,
    target_port: TargetPort | None = None,
    service: str | None = None,
    headless: bool = False,
) -> Rendered:
    """Make a Service for a workload's pods; without target_port it is the one port that they declare."""
    if service is not None:
        check_name(service)
    found = await target.read(cluster, kind, namespace, name)
    governing = str(at(found.manifest, "spec", "serviceName", default=""))
    called = service or (governing if headless and governing else name)
    to = target_port if target_port is not None else _declared(found, port)
    resource = await cluster.resource("Service", "v1")
    ref = ObjectRef("Service", called, found.ref.namespace, resource.api_version)
    spec: Json = {"selector": _selector(found), "ports": [{"port": port, "targetPort": to, "protocol": "TCP"}]}
    if headless:
        spec["clusterIP"] = "None"
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": called, "namespace": ref.namespace},
        "spec": spec,
    }
    flags = [f"--name={called}", f"--port={port}", f"--target-port={to}", *(["--cluster-ip=None"] * headless)]
    return Rendered(
        (Request("create", ref, resource.collection(ref.namespace), manifest),),
        title=f"service/{called}: port {port} to {to} of {found.kubectl_name}",
        equivalent=found.kubectl("expose", found.kubectl_name, *flags),
    )


def _declared(found: Target, port: int) -> int:
    ports = [
        one.get("containerPort")
        for container in containers(found.manifest)
        if not container.init
        for one in container.value.get("ports") or []
    ]
    if not ports or port in ports:
        return port
    if len(ports) == 1:
        return int(ports[0])
    raise BadInput(
        f"The pods of {found.ref} declare several ports.",
        next_step=f"Say target_port=…, one of {', '.join(map(str, ports))}.",
    )


def _selector(found: Target) -> Json:
    selector: Json = at(found.manifest, "spec", "selector", default={})
    if found.ref.kind == "ReplicationController":
        return selector
    labels: Json = selector.get("matchLabels") or {}
    if selector.get("matchExpressions") or not labels:
        raise BadInput(
            f"{found.ref} selects its pods by expressions, which a Service cannot.",
            next_step="Make the Service with k8s_create.",
        )
    return labels
