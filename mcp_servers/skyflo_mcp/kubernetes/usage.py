"""What containers use: from metrics.k8s.io, else from each kubelet itself.

Rules:
  1. metrics.k8s.io is asked first. Where it is not installed or refused, each node's kubelet is asked for
     /metrics/resource at its InternalIP and kubeletEndpoint port.
  2. The kubelet is asked over TLS verified against the cluster's CA, with our own credential. Where its certificate
     cannot be verified it is not asked, and nothing is sent to it. Never through nodes/proxy: that permission is
     execution on every pod of the node.
  3. What could not be read is a gap with its reason. A container without a sample is unknown, never zero.

The kubelet gives CPU as a counter, so one reading says nothing about the rate. Where a container with a CPU limit has
no second reading yet, the rate is the kubelet's own (/stats/summary, which takes the right to nodes/stats); of any
other, and where that is refused, `cpu` is None until a second reading exists.
"""

import functools
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity

_SAMPLE = re.compile(
    r"^(container_memory_working_set_bytes|container_cpu_usage_seconds_total)\{(.*)\}\s+(\S+)(?:\s+(\d+))?$"
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SHORTEST_RATE = 2.0

Key = tuple[str, str, str]


class Sample(msgspec.Struct, frozen=True):
    """One container's use: working set in bytes, CPU in cores (None: not known), and when and by whom measured."""

    namespace: str
    pod: str
    container: str
    memory: int | None
    cpu: float | None
    at: str
    source: str


class Usage(msgspec.Struct, frozen=True, dict=True):
    """The samples that could be had, and for what could not, why (`gaps`: sentences)."""

    samples: tuple[Sample, ...]
    gaps: tuple[str, ...] = ()

    def of(self, namespace: str, pod: str, container: str) -> Sample | None:
        """Return the sample of one container, or None: not known."""
        return self._by_name.get((namespace, pod, container))

    @functools.cached_property
    def _by_name(self) -> dict[Key, Sample]:
        return {(one.namespace, one.pod, one.container): one for one in self.samples}


class Counter(msgspec.Struct, frozen=True):
    """One reading of a kubelet's CPU counter: seconds of CPU, at a time in seconds."""

    seconds: float
    at: float


def from_metrics(items: Iterable[Json]) -> tuple[Sample, ...]:
    """Return the samples of PodMetrics objects."""
    return tuple(
        Sample(
            namespace=at(item, "metadata", "namespace", default=""),
            pod=at(item, "metadata", "name", default=""),
            container=container.get("name", ""),
            memory=_whole(at(container, "usage", "memory")),
            cpu=_number(at(container, "usage", "cpu")),
            at=str(item.get("timestamp", "")),
            source="metrics.k8s.io",
        )
        for item in items
        for container in item.get("containers") or []
    )


def from_kubelet(
    text: str, *, node: str, read_at: datetime, counters: dict[Key, Counter], only: set[tuple[str, str]]
) -> tuple[Sample, ...]:
    """Return the samples of a kubelet's /metrics/resource page, for the pods (namespace, name) in `only`.

    `counters` holds the last reading of each container's CPU and is brought up to date.
    """
    memory: dict[Key, tuple[int, float]] = {}
    cpu: dict[Key, Counter] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if not match:
            continue
        metric, labels, value, stamp = match.groups()
        said = dict(_LABEL.findall(labels))
        key = (said.get("namespace", ""), said.get("pod", ""), said.get("container", ""))
        if key[:2] not in only:
            continue
        when = int(stamp) / 1000 if stamp else read_at.timestamp()
        if metric == "container_memory_working_set_bytes":
            memory[key] = (int(float(value)), when)
        else:
            cpu[key] = Counter(float(value), when)
    rates = {key: _rate(counters.get(key), now) for key, now in cpu.items()}
    counters.update(cpu)
    return tuple(
        Sample(*key, memory=size, cpu=rates.get(key), at=_stamp(when), source=f"kubelet of {node}")
        for key, (size, when) in memory.items()
    )


def limited(pods: Iterable[Json]) -> set[Key]:
    """Return the containers that have a CPU limit, so that their rate matters at the first reading."""
    return {
        (str(at(pod, "metadata", "namespace")), str(at(pod, "metadata", "name")), str(container.get("name")))
        for pod in pods
        for container in at(pod, "spec", "containers", default=[])
        if at(container, "resources", "limits", "cpu")
    }


def with_rates(samples: Iterable[Sample], summary: Json) -> tuple[Sample, ...]:
    """Return the samples, each without a rate with the one that a kubelet's /stats/summary gives it."""
    rates: dict[Key, float] = {}
    for pod in at(summary, "pods", default=[]):
        name = at(pod, "podRef", default={})
        for container in pod.get("containers") or []:
            rate = at(container, "cpu", "usageNanoCores")
            if isinstance(rate, int):
                rates[str(name.get("namespace")), str(name.get("name")), str(container.get("name"))] = rate / 1e9
    return tuple(
        one
        if one.cpu is not None
        else msgspec.structs.replace(one, cpu=rates.get((one.namespace, one.pod, one.container)))
        for one in samples
    )


def _rate(before: Counter | None, now: Counter) -> float | None:
    if before is None or now.at - before.at < _SHORTEST_RATE or now.seconds < before.seconds:
        return None
    return (now.seconds - before.seconds) / (now.at - before.at)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(quantity: str | None) -> int | None:
    return None if quantity is None else int(parse_quantity(quantity))


def _number(quantity: str | None) -> float | None:
    return None if quantity is None else float(Decimal(parse_quantity(quantity)))


def kubelet_address(node: Json) -> str | None:
    """Return `https://IP:port` of a node's kubelet, or None where the node does not say it."""
    port = at(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port")
    addresses = at(node, "status", "addresses", default=[])
    ip = next((one.get("address") for one in addresses if one.get("type") == "InternalIP"), None)
    if not ip or not port:
        return None
    return f"https://[{ip}]:{port}" if ":" in ip else f"https://{ip}:{port}"
