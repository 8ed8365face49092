"""The kubelets of all nodes: which pods they hold, what happens next, and what they answer about them.

`Kubelet` does no I/O and reads no clock. `observe` and `forget` show it the pods, `step(now)` returns the actions that
are due, `due()` says when to come again; `logs`, `usage` and `answer` are what a kubelet and the pods would reply.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.quantity import format_cpu, parse_quantity
from skyflo_runbooks.practice.kubelet.container import Container
from skyflo_runbooks.practice.kubelet.pod import Pod
from skyflo_runbooks.practice.kubelet.run import Run, memory_at, memory_limit
from skyflo_runbooks.practice.kubelet.world import Action, World
from skyflo_runbooks.practice.scenario import Image, NodeSpec, Reply

# (namespace, "name:port/path", now) → did the call succeed?
CallSucceeds: TypeAlias = Callable[[str, str, datetime], bool]


@dataclass(frozen=True)
class LogLine:
    """One line and when it was written."""

    when: datetime
    text: str


@dataclass(frozen=True)
class Usage:
    """What one running container uses: bytes of working set, and CPU as a quantity."""

    container: str
    memory: int
    cpu: str


@dataclass(frozen=True)
class HttpAnswer:
    """What a pod replies to a GET."""

    status: int
    body: str


class Kubelet:
    """The workload part of the practice cluster, for every node of a scenario."""

    def __init__(self, nodes: tuple[NodeSpec, ...], world: World, network: str = "10.244") -> None:
        self.nodes = {node.name: place for place, node in enumerate(nodes)}
        self.world = world
        self.network = network
        self.pods: dict[str, Pod] = {}
        self._dirty: set[str] = set()
        self._addresses: dict[str, int] = {}
        # Whether a call to a Service succeeds: set by whoever knows the Services; without, none does.
        self.calls_succeed: CallSucceeds = lambda _namespace, _target, _now: False

    def host(self, node: str) -> str:
        """Return the node's address."""
        return f"192.168.49.{self.nodes[node] + 10}"

    def _address(self, node: str) -> str:
        self._addresses[node] = self._addresses.get(node, 1) + 1
        high, low = divmod(self._addresses[node], 250)
        return f"{self.network}.{self.nodes[node] + high * len(self.nodes)}.{low + 2}"

    def observe(self, obj: Json, now: datetime) -> list[Action]:
        """Take note of a pod's current object; pods of other nodes are ignored."""
        uid, node = obj["metadata"]["uid"], obj["spec"].get("nodeName", "")
        if node not in self.nodes:
            return []
        pod = self.pods.get(uid)
        if pod is None:
            pod = Pod.admit(obj, self.world, self._address(node), self.host(node), now)
            self.pods[uid] = pod
            self._dirty.add(uid)
        stopped = pod.gone_at is None and bool(obj["metadata"].get("deletionTimestamp"))
        pod.show(obj, now)
        if not stopped:
            return []
        self._dirty.add(uid)
        return list(pod.stopping())

    def forget(self, uid: str) -> None:
        """The pod's object is gone."""
        self.pods.pop(uid, None)
        self._dirty.discard(uid)

    def due(self, now: datetime) -> datetime | None:
        """Return when `step` has something to do: `now` if there is something already."""
        if self._dirty:
            return now
        return min((moment for pod in self.pods.values() if (moment := pod.due())), default=None)

    def step(self, now: datetime) -> Iterator[Action]:
        """Return what the kubelets do at `now`."""
        dirty, self._dirty = self._dirty, set()
        for uid, pod in list(self.pods.items()):
            due = pod.due()
            if uid in dirty or (due is not None and due <= now):
                yield from pod.step(now)

    # What the kubelet and the pods answer

    def container(self, uid: str, name: str) -> Container | None:
        """Return a container of a pod held here."""
        pod = self.pods.get(uid)
        return next((c for c in [*pod.inits, *pod.containers] if c.name == name), None) if pod else None

    def logs(self, uid: str, name: str, now: datetime, *, previous: bool = False) -> list[LogLine] | None:
        """Return a run's lines up to `now`; None where there is no such run."""
        container = self.container(uid, name)
        if container is None:
            return None
        runs = container.history
        if previous and container.stage != "backoff":
            # While a container waits in back-off its latest run is both "the logs" and "the previous ones".
            runs = runs[:-1]
        return lines_of(runs[-1], container.image, now) if runs else None

    def usage(self, uid: str, now: datetime) -> list[Usage] | None:
        """Return the pod's usage; None unless every container runs, as metrics-server leaves such pods out."""
        pod = self.pods.get(uid)
        if pod is None or not pod.containers or any(c.run is None for c in pod.containers):
            return None
        return [self._usage(c, now) for c in pod.containers]

    def _usage(self, container: Container, now: datetime) -> Usage:
        run = container.run
        assert run is not None  # the caller looked
        age = (now - run.started).total_seconds()
        memory = memory_at(container.image.memory, run.peak_after, age)
        limit = memory_limit(container.spec)
        cpu = container.image.cpu
        if container.image.shared:
            among = max(1, self.ready_siblings(container.image, container.pod, now))
            cpu = format_cpu(parse_quantity(cpu) / among)
        return Usage(container.name, min(memory, limit) if limit else memory, cpu)

    def answer(self, uid: str, port: int, path: str, now: datetime) -> HttpAnswer | None:
        """Return what the pod replies at `port`; None where nothing listens there."""
        pod = self.pods.get(uid)
        for container in pod.containers if pod else []:
            run = container.run
            if run and run.listens_at and run.listens_at <= now and container.image.port == port:
                return self._reply(container, path, now)
        return None

    def _reply(self, container: Container, path: str, now: datetime) -> HttpAnswer:
        wanted = path.partition("?")[0]
        for reply in container.image.replies:
            if reply.path == wanted and self._fits(reply, container, now):
                return HttpAnswer(reply.status, reply.body)
        return HttpAnswer(404, "404 page not found\n")

    def _fits(self, reply: Reply, container: Container, now: datetime) -> bool:
        if reply.ready_below and self.ready_siblings(container.image, container.pod, now) >= reply.ready_below:
            return False
        return not reply.calls or not self.calls_succeed(container.pod["metadata"]["namespace"], reply.calls, now)

    def ready_siblings(self, image: Image, obj: Json, now: datetime) -> int:
        """Return how many pods of this image's repository are ready in the namespace."""
        repository = image.image.rpartition(":")[0]
        return sum(
            pod.ready(now)
            for pod in self.pods.values()
            if pod.object["metadata"]["namespace"] == obj["metadata"]["namespace"]
            and any(c.spec["image"].rpartition(":")[0] == repository for c in pod.containers)
        )


def lines_of(run: Run, image: Image, now: datetime) -> list[LogLine]:
    """Return what a run has logged by `now`, oldest first."""
    end = min(now, run.ends) if run.ends else now
    out: list[LogLine] = []
    for line in image.logs:
        when = run.started + timedelta(seconds=line.after)
        while when <= end:
            out.append(LogLine(when, line.text))
            if not line.every:
                break
            when += timedelta(seconds=line.every)
    if run.last_words and run.ends and run.ends <= now:
        out.append(LogLine(run.ends, run.last_words))
    return sorted(out, key=lambda item: item.when)


def node_object(node: NodeSpec, address: str, when: str, images: Mapping[str, Image]) -> Json:
    """Return the Node object that a kubelet would register."""
    amounts = {"cpu": node.cpu, "memory": node.memory, "pods": str(node.pods), "ephemeral-storage": "100Gi"}
    machine = hashlib.sha256(node.name.encode()).hexdigest()[:32]
    healthy = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    spec: Json = {"podCIDR": "10.244.0.0/24"}
    if node.taints:
        spec["taints"] = [dict(taint) for taint in node.taints]
    if node.unschedulable:
        spec["unschedulable"] = True
    labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {**labels, **node.labels}},
        "spec": spec,
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": node.name}],
            "capacity": amounts,
            "allocatable": dict(amounts),
            "conditions": [
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": when,
                    "lastTransitionTime": when,
                }
                for kind, status, reason, message in healthy
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [{"names": [name], "sizeBytes": int(image.size)} for name, image in sorted(images.items())],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": machine,
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.12.0-practice",
                "kubeProxyVersion": "",
                "kubeletVersion": "v1.36.3",
                "machineID": machine,
                "operatingSystem": "linux",
                "osImage": "Skyflo practice node (simulated)",
                "systemUUID": machine,
            },
        },
    }
