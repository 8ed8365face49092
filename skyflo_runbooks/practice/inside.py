"""What reaches into pods: logs, and GETs through the pod and service proxies, with the kubelet's refusals."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.clock import parse
from skyflo_runbooks.practice.kinds import ENDPOINTS, POD, SERVICE
from skyflo_runbooks.practice.kubelet import HttpAnswer, LogLine

if TYPE_CHECKING:
    from skyflo_runbooks.practice.cluster import PracticeCluster


def logs(cluster: "PracticeCluster", pod: Json, query: Mapping[str, str]) -> str:
    """Return the text of a pod's log, as the query limits it."""
    name = _container(pod, query.get("container", ""))
    previous = query.get("previous") == "true"
    meta = pod["metadata"]
    lines = cluster.kubelet.logs(meta["uid"], name, cluster.clock.now(), previous=previous)
    if not lines and lines is None:
        if previous:
            raise errors.bad_request(f'previous terminated container "{name}" in pod "{meta["name"]}" not found')
        if not at(pod, "spec", "nodeName"):
            return ""
        raise errors.bad_request(
            f'container "{name}" in pod "{meta["name"]}" is waiting to start: {waiting_reason(pod, name)}'
        )
    return limited(lines or [], query, cluster.clock.now())


def _container(pod: Json, wanted: str) -> str:
    listed = [c["name"] for c in [*at(pod, "spec", "initContainers", default=[]), *pod["spec"]["containers"]]]
    name = pod["metadata"]["name"]
    if wanted:
        if wanted not in listed:
            raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(listed) > 1:
        raise errors.bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(listed)}]"
        )
    return str(listed[0])


def waiting_reason(pod: Json, name: str) -> str:
    for status in at(pod, "status", "containerStatuses", default=[]):
        if status["name"] == name:
            reason = at(status, "state", "waiting", "reason", default="ContainerCreating")
            pulling = reason in {"ErrImagePull", "ImagePullBackOff"}
            return "trying and failing to pull image" if pulling else str(reason)
    return "ContainerCreating"


def limited(lines: list[LogLine], query: Mapping[str, str], now: datetime) -> str:
    since = None
    if query.get("sinceSeconds"):
        since = now - timedelta(seconds=_count(query, "sinceSeconds"))
    elif query.get("sinceTime"):
        since = parse(query["sinceTime"])
    kept = [line for line in lines if since is None or line.when >= since]
    if query.get("tailLines"):
        tail = _count(query, "tailLines")
        kept = kept[-tail:] if tail else []
    stamped = query.get("timestamps") == "true"
    texts = [
        f"{line.when.strftime('%Y-%m-%dT%H:%M:%S.%f')}000Z {line.text}\n" if stamped else f"{line.text}\n"
        for line in kept
    ]
    text = "".join(texts)
    return text[: _count(query, "limitBytes")] if query.get("limitBytes") else text


def _count(query: Mapping[str, str], name: str) -> int:
    try:
        number = int(query[name])
    except ValueError:
        number = -1
    if number < 0:
        raise errors.bad_request(f"{name}: expected a whole number of at least 0, got {query[name]!r}")
    return number


def proxy_pod(cluster: "PracticeCluster", namespace: str, target: str, path: str) -> HttpAnswer:
    """Ask a pod, named `name` or `name:port`, for a path."""
    name, _, port = target.removeprefix("http:").partition(":")
    pod = cluster.store.get(POD, namespace, name)
    first = next((p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", [])), 80)
    return _ask(cluster, pod, int(port) if port.isdigit() else int(first), path)


def proxy_service(cluster: "PracticeCluster", namespace: str, target: str, path: str) -> HttpAnswer:
    """Ask a Service, named `name`, `name:port` or `http:name:port`, for a path."""
    name, _, port = target.removeprefix("http:").partition(":")
    service = cluster.store.get(SERVICE, namespace, name)
    endpoints = cluster.store.find(ENDPOINTS, namespace, name)
    if not any(subset.get("addresses") for subset in at(endpoints, "subsets", default=[])):
        raise errors.unavailable(f'no endpoints available for service "{name}"')
    ports = at(service, "spec", "ports", default=[])
    reached = cluster.backend(namespace, name, port)
    if reached is None or (port and not any(port in {str(item["port"]), item.get("name", "")} for item in ports)):
        raise errors.unavailable(f'no service port "{port}" found for service "{name}"')
    return _ask(cluster, reached[0], reached[1], path)


def _ask(cluster: "PracticeCluster", pod: Json, port: int, path: str) -> HttpAnswer:
    address = at(pod, "status", "podIP", default="")
    answer = cluster.kubelet.answer(pod["metadata"]["uid"], port, path, cluster.clock.now())
    if answer is None:
        why = f"dial tcp {address or '<none>'}:{port}: connect: connection refused"
        raise errors.unavailable(f"error trying to reach service: {why}")
    return answer
