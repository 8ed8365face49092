"""`metrics.k8s.io`: what metrics-server would say about pods and nodes.

A pod appears only while all of its containers run, as with metrics-server; figures are of the moment, there is no
scrape interval.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_cpu, parse_quantity
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.kinds import NODE, POD
from skyflo_runbooks.practice.selectors import by_labels, labels_of

if TYPE_CHECKING:
    from skyflo_runbooks.practice.cluster import PracticeCluster

API = "metrics.k8s.io/v1beta1"
# What the system itself takes on a node.
_NODE_MEMORY = 512 * 2**20
_NODE_CPU = Decimal("0.12")


def pod_metrics(cluster: "PracticeCluster", pod: Json) -> Json | None:
    """Return one PodMetrics, or None while there is nothing to measure."""
    usage = cluster.kubelet.usage(pod["metadata"]["uid"], cluster.clock.now())
    if usage is None:
        return None
    containers = [
        {"name": item.container, "usage": {"cpu": item.cpu, "memory": f"{item.memory // 1024}Ki"}} for item in usage
    ]
    meta = pod["metadata"]
    return {**_frame("PodMetrics", cluster, meta["name"], labels_of(pod), meta["namespace"]), "containers": containers}


def node_metrics(cluster: "PracticeCluster", node: Json) -> Json:
    """Return one NodeMetrics."""
    name = node["metadata"]["name"]
    memory, cpu = _NODE_MEMORY, _NODE_CPU
    for pod in cluster.store.list(POD):
        if at(pod, "spec", "nodeName") == name:
            for item in cluster.kubelet.usage(pod["metadata"]["uid"], cluster.clock.now()) or []:
                memory, cpu = memory + item.memory, cpu + parse_quantity(item.cpu)
    usage = {"cpu": format_cpu(cpu), "memory": f"{memory // 1024}Ki"}
    return {**_frame("NodeMetrics", cluster, name, labels_of(node)), "usage": usage}


def _frame(kind: str, cluster: "PracticeCluster", name: str, labels: dict[str, str], namespace: str = "") -> Json:
    now = stamp(cluster.clock.now())
    meta: Json = {"name": name, "creationTimestamp": now, "labels": labels}
    if namespace:
        meta["namespace"] = namespace
    return {"kind": kind, "apiVersion": API, "metadata": meta, "timestamp": now, "window": "15s"}


def metrics_list(cluster: "PracticeCluster", plural: str, namespace: str, labels: str) -> Json:
    """Return a list of either kind."""
    fits = by_labels(labels)
    if plural == "pods":
        pods = [pod for pod in cluster.store.list(POD, namespace) if fits(pod)]
        items = [item for pod in pods if (item := pod_metrics(cluster, pod)) is not None]
    else:
        items = [node_metrics(cluster, node) for node in cluster.store.list(NODE) if fits(node)]
    kind = "PodMetricsList" if plural == "pods" else "NodeMetricsList"
    return {"kind": kind, "apiVersion": API, "metadata": {}, "items": items}
