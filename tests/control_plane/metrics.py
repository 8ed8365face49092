"""A played metrics-server: `metrics.k8s.io/v1beta1` of pods and nodes, from what the played containers use.

The API server asks it as an aggregated API, and has then judged already who may read it. Figures are of the moment,
over a window of a second; a pod is left out unless every one of its containers runs, as by metrics-server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.quantity import format_cpu, parse_quantity
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.kubelet import Kubelet
from skyflo_runbooks.practice.kubelet.pod import Pod
from skyflo_runbooks.practice.selectors import by_labels, labels_of
from tests.control_plane.gets import Answer, Request

VERSION = "metrics.k8s.io/v1beta1"
SERVICE = "metrics-server"
NAMESPACE = "kube-system"
_KINDS = (("pods", "PodMetrics", True), ("nodes", "NodeMetrics", False))


class Metrics:
    """What is answered under `/apis/metrics.k8s.io/v1beta1`."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet

    async def answer(self, request: Request) -> Answer:
        """Answer a GET of the API server."""
        match request.path.removeprefix(f"/apis/{VERSION}").strip("/").split("/"):
            case [""]:
                return _json(_discovery())
            case ["pods"]:
                return _json(_list("PodMetricsList", self._pods("", request)))
            case ["namespaces", namespace, "pods"]:
                return _json(_list("PodMetricsList", self._pods(namespace, request)))
            case ["nodes"]:
                return _json(_list("NodeMetricsList", self._nodes()))
        return Answer(404, "404 page not found\n")

    def _pods(self, namespace: str, request: Request) -> Iterator[Json]:
        fits = by_labels(request.query.get("labelSelector", ""))
        for pod in list(self._kubelet.pods.values()):
            meta = pod.object["metadata"]
            if namespace in ("", meta["namespace"]) and fits(pod.object):
                containers = self._containers(pod)
                if containers:
                    named = {"name": meta["name"], "namespace": meta["namespace"], "labels": labels_of(pod.object)}
                    yield {**_frame("PodMetrics", named), "containers": containers}

    def _containers(self, pod: Pod) -> list[Json]:
        used = self._kubelet.usage(pod.object["metadata"]["uid"], datetime.now(UTC)) or []
        return [{"name": one.container, "usage": {"cpu": one.cpu, "memory": f"{one.memory // 1024}Ki"}} for one in used]

    def _nodes(self) -> Iterator[Json]:
        for name in self._kubelet.nodes:
            mine = [pod for pod in self._kubelet.pods.values() if pod.object["spec"].get("nodeName") == name]
            used = [container["usage"] for pod in mine for container in self._containers(pod)]
            cpu = sum((parse_quantity(one["cpu"]) for one in used), Decimal("0.1"))
            memory = sum((parse_quantity(one["memory"]) for one in used), Decimal(512 * 2**20))
            usage = {"cpu": format_cpu(cpu), "memory": f"{int(memory) // 1024}Ki"}
            yield {**_frame("NodeMetrics", {"name": name}), "usage": usage}


def registered(port: int) -> list[Json]:
    """Return the objects that let the API server ask at this port of its own machine."""
    group, _, number = VERSION.partition("/")
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{number}.{group}"},
            "spec": {
                "group": group,
                "version": number,
                "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def _frame(kind: str, metadata: Json) -> Json:
    return {
        "kind": kind,
        "apiVersion": VERSION,
        "metadata": metadata,
        "timestamp": stamp(datetime.now(UTC)),
        "window": "1s",
    }


def _list(kind: str, items: Iterator[Json]) -> Json:
    return {"kind": kind, "apiVersion": VERSION, "metadata": {}, "items": list(items)}


def _discovery() -> Json:
    kinds: list[Json] = [
        {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}
        for plural, kind, namespaced in _KINDS
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": kinds}


def _json(body: Json) -> Answer:
    return Answer(200, json.dumps(body), "application/json")
