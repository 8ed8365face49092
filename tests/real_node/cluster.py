"""What tests look at on the real node: pods, their containers, and the kubelet's own figures."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from skyflo_runbooks.model.json import Json, at
from tests.control_plane.processes import wait_until
from tests.control_plane.stage import rolled_out
from tests.real_node.node import RealNode

_WORKING_SET = re.compile(
    r'^container_memory_working_set_bytes\{container="(?P<container>[^"]+)",namespace="(?P<namespace>[^"]+)",'
    r'pod="(?P<pod>[^"]+)"\} (?P<bytes>[0-9.e+]+)',
    re.MULTILINE,
)


@dataclass(frozen=True)
class Workload:
    """One Deployment on the real node, and what the API server says of its pods."""

    node: RealNode
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """The Deployment's own address."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"

    def pods(self) -> list[Json]:
        """Its pods that are not being deleted."""
        listed = self.node.plane.get(f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app={self.name}")["items"]
        return [pod for pod in listed if "deletionTimestamp" not in pod["metadata"]]

    def containers(self) -> list[Json]:
        """The container statuses of its pods."""
        return [each for pod in self.pods() for each in at(pod, "status", "containerStatuses", default=[])]

    def set_limit(self, memory: str) -> None:
        """Patch the memory limit of its first container, as an operator."""
        path = "/spec/template/spec/containers/0/resources/limits/memory"
        with self.node.plane.http("operator") as client:
            patch = [{"op": "replace", "path": path, "value": memory}]
            answer = client.patch(self.path, json=patch, headers={"Content-Type": "application/json-patch+json"})
            answer.raise_for_status()

    def wait_killed(self, within: float = 60) -> Json:
        """Wait until the kernel killed one of its containers and the kubelet backs off; that container's status."""
        wait_until("a container OOMKilled and in back-off", lambda: bool(self._killed()), within)
        return self._killed()[0]

    def wait_rolled_out(self, within: float = 90) -> None:
        """Wait until all its pods are new and available."""
        wait_until(f"{self.name} rolled out", lambda: rolled_out(self.node.plane, self.path), within)

    def ask(self, path: str) -> httpx.Response:
        """An HTTP answer of its Service of the same name, through the API server's proxy, as the reader."""
        with self.node.plane.http("reader") as client:
            return client.get(f"/api/v1/namespaces/{self.namespace}/services/{self.name}:80/proxy{path}")

    def memory(self) -> dict[str, int]:
        """Bytes in use by pod, read from the kubelet itself as the reader."""
        figures = metrics(self.node)
        found = [each for each in _WORKING_SET.finditer(figures) if each["namespace"] == self.namespace]
        return {each["pod"]: int(float(each["bytes"])) for each in found}

    def _killed(self) -> list[Json]:
        return [
            each
            for each in self.containers()
            if at(each, "state", "waiting", "reason") == "CrashLoopBackOff"
            and at(each, "lastState", "terminated", "reason") == "OOMKilled"
        ]


def metrics(node: RealNode, token: str | None = None) -> str:
    """The kubelet's `/metrics/resource`, over TLS that the cluster's authority vouches for."""
    bearer = {"Authorization": f"Bearer {token or node.plane.token('reader')}"}
    answer = httpx.get(f"{node.kubelet}/metrics/resource", headers=bearer, verify=node.plane.tls, trust_env=False)
    return answer.raise_for_status().text


def deploy(node: RealNode, namespace: str, name: str, image: str, memory: str, replicas: int = 1) -> Workload:
    """A Deployment and its Service in a namespace of their own."""
    labels = {"app": name}
    container = {
        "name": name,
        "image": image,
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"memory": "32Mi", "cpu": "20m"}, "limits": {"memory": memory}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2},
    }
    pods = {"containers": [container], "terminationGracePeriodSeconds": 2}
    metadata = {"name": name, "namespace": namespace}
    template = {"metadata": {"labels": labels}, "spec": pods}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    ports = [{"port": 80, "targetPort": 8080}]
    node.plane.apply([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
    ])  # fmt: skip
    return Workload(node, namespace, name)
