"""What tests do with the real node: ask its kubelet, and deploy something small."""

from __future__ import annotations

import re

import httpx

from skyflo_runbooks.model.json import Json
from tests.control_plane.harness import ControlPlane

_WORKING_SET = re.compile(
    r'^container_memory_working_set_bytes\{container="[^"]+",namespace="(?P<namespace>[^"]+)",pod="(?P<pod>[^"]+)"\} '
    r"(?P<bytes>[0-9.e+]+)",
    re.MULTILINE,
)


def metrics(plane: ControlPlane, token: str | None = None) -> str:
    """The `/metrics/resource` of the first node's kubelet, over TLS that the cluster's authority vouches for.

    Args:
        token: the bearer token; the reader's where it is not given.
    """
    bearer = {"Authorization": f"Bearer {token or plane.token('reader')}"}
    answer = httpx.get(f"{kubelet(plane)}/metrics/resource", headers=bearer, verify=plane.tls, trust_env=False)
    return answer.raise_for_status().text


def kubelet(plane: ControlPlane) -> str:
    """The address of the first node's kubelet, as its Node object says it."""
    status: Json = plane.get("/api/v1/nodes")["items"][0]["status"]
    address = next(each["address"] for each in status["addresses"] if each["type"] == "InternalIP")
    return f"https://{address}:{status['daemonEndpoints']['kubeletEndpoint']['Port']}"


def memory(plane: ControlPlane, namespace: str) -> dict[str, int]:
    """Bytes in use by pod, by the kubelet's own figures."""
    found = (each for each in _WORKING_SET.finditer(metrics(plane)) if each["namespace"] == namespace)
    return {each["pod"]: int(float(each["bytes"])) for each in found}


def deploy(plane: ControlPlane, namespace: str, name: str, image: str) -> None:
    """A Deployment of one pod in a namespace of its own."""
    labels = {"app": name}
    pod = {"containers": [{"name": name, "image": image}], "terminationGracePeriodSeconds": 2}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    plane.apply([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    ])  # fmt: skip


def containers(plane: ControlPlane, namespace: str) -> list[Json]:
    """The container statuses of a namespace's pods."""
    pods = plane.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return [each for pod in pods for each in pod["status"].get("containerStatuses", [])]
