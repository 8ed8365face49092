"""What the played kubelets and pods answer over the network.

Each node's kubelet serves logs, to the API server alone, and `/metrics/resource`, to whoever the API server says may
read `nodes/metrics`: as a real kubelet with webhook authentication and authorization does. Each pod answers at its own
address, where this process may make addresses (root); elsewhere a proxied request fails.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice.inside import limited, waiting_reason
from skyflo_runbooks.practice.kubelet import Kubelet
from skyflo_runbooks.practice.kubelet.pod import Pod
from tests.control_plane.gets import Answer, Request, serve

API_SERVER = "kube-apiserver-kubelet-client"


class NodeApi:
    """The HTTPS interface of one node's kubelet."""

    def __init__(self, kubelet: Kubelet, node: str, api: httpx.AsyncClient) -> None:
        self._kubelet = kubelet
        self._node = node
        self._api = api

    async def answer(self, request: Request) -> Answer:
        """Answer a GET."""
        match request.path.strip("/").split("/"):
            case ["containerLogs", namespace, pod, container]:
                if request.peer != API_SERVER:
                    return Answer(403, "Forbidden (only the API server reads logs here)\n")
                return self._logs(namespace, pod, container, request)
            case ["metrics", "resource"]:
                refused = await self._refusal(request)
                return refused or Answer(200, "".join(f"{line}\n" for line in self._figures()))
        return Answer(404, "404 page not found\n")

    def _logs(self, namespace: str, name: str, container: str, request: Request) -> Answer:
        now = datetime.now(UTC)
        pod = self._pod(namespace, name)
        if pod is None:
            return Answer(404, f'pod "{name}" not found in namespace "{namespace}"')
        previous = request.query.get("previous") == "true"
        lines = self._kubelet.logs(pod.object["metadata"]["uid"], container, now, previous=previous)
        if lines is not None:
            return Answer(200, limited(lines, request.query, now))
        if previous:
            return Answer(400, f'previous terminated container "{container}" in pod "{name}" not found')
        why = waiting_reason({"status": pod.status(now)}, container)
        return Answer(400, f'container "{container}" in pod "{name}" is waiting to start: {why}')

    def _pod(self, namespace: str, name: str) -> Pod | None:
        wanted = {"namespace": namespace, "name": name}
        return next((pod for pod in self._mine() if wanted.items() <= pod.object["metadata"].items()), None)

    def _mine(self) -> Iterator[Pod]:
        return (pod for pod in list(self._kubelet.pods.values()) if pod.object["spec"].get("nodeName") == self._node)

    async def _refusal(self, request: Request) -> Answer | None:
        """Ask the API server who this is, and whether they may read the node's figures."""
        review = (
            await self._review("authentication", "TokenReview", {"token": request.bearer}) if request.bearer else {}
        )
        if not at(review, "status", "authenticated", default=False):
            return Answer(401, "Unauthorized")
        user = review["status"]["user"]
        asked = {"verb": "get", "resource": "nodes", "subresource": "metrics", "name": self._node}
        spec = {"user": user["username"], "groups": user.get("groups", []), "resourceAttributes": asked}
        review = await self._review("authorization", "SubjectAccessReview", spec)
        if at(review, "status", "allowed", default=False):
            return None
        refused = f"user={user['username']}, verb=get, resource=nodes, subresource(s)=[metrics]"
        return Answer(403, f"Forbidden ({refused})")

    async def _review(self, group: str, kind: str, spec: Json) -> Json:
        version = f"{group}.k8s.io/v1"
        body = {"apiVersion": version, "kind": kind, "spec": spec}
        answer = await self._api.post(f"/apis/{version}/{kind.lower()}s", json=body)
        return dict(answer.raise_for_status().json())

    def _figures(self) -> Iterator[str]:
        """The kubelet's resource metrics: CPU as a counter and memory as a gauge, with the time in milliseconds."""
        now = datetime.now(UTC)
        stamp = int(now.timestamp() * 1000)
        yield "# TYPE container_cpu_usage_seconds_total counter"
        yield "# TYPE container_memory_working_set_bytes gauge"
        for pod in self._mine():
            meta = pod.object["metadata"]
            for used in self._kubelet.usage(meta["uid"], now) or []:
                labels = f'{{container="{used.container}",namespace="{meta["namespace"]}",pod="{meta["name"]}"}}'
                container = self._kubelet.container(meta["uid"], used.container)
                run = container.run if container else None
                age = (now - run.started).total_seconds() if run else 0.0
                cpu = float(Decimal(parse_quantity(used.cpu))) * age
                yield f"container_cpu_usage_seconds_total{labels} {cpu:.6f} {stamp}"
                yield f"container_memory_working_set_bytes{labels} {used.memory} {stamp}"


class Doors:
    """The pods' own addresses and ports, on one network device of this machine."""

    def __init__(self, kubelet: Kubelet, device: str) -> None:
        self._kubelet = kubelet
        self._device = device
        self._open: dict[str, tuple[str, list[asyncio.Server]]] = {}

    async def update(self) -> None:
        """Open doors for pods that have an address, and close those of pods that are gone."""
        for uid in self._open.keys() - self._kubelet.pods.keys():
            address, servers = self._open.pop(uid)
            for server in servers:
                server.close()
            _address("del", address, self._device)
        for uid, pod in list(self._kubelet.pods.items()):
            if pod.mounted and uid not in self._open:
                _address("add", pod.address, self._device)
                ports = {each.image.port for each in pod.containers if each.spec["image"] in pod.world.registry}
                self._open[uid] = (pod.address, [await self._serve(uid, pod.address, port) for port in ports if port])

    async def _serve(self, uid: str, address: str, port: int) -> asyncio.Server:
        async def answer(request: Request) -> Answer | None:
            given = self._kubelet.answer(uid, port, request.path, datetime.now(UTC))
            return Answer(given.status, given.body) if given else None

        return await serve(answer, address, port)


def _address(verb: str, address: str, device: str) -> None:
    subprocess.run(["ip", "addr", verb, f"{address}/32", "dev", device], check=True, capture_output=True)
