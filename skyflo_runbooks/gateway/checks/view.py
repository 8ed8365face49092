"""What one round of observations reads, each thing once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Literal

import msgspec
from skyflo_mcp.kubernetes import rollout
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.proxying import ProxyAnswer
from skyflo_mcp.kubernetes.usage import Usage
from skyflo_mcp.kubernetes.workload import owned, uid

from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

Holds = Literal["yes", "no", "unknown"]
# What one look at a check shows: whether it holds, in words, and the evidence.
Seen = tuple[Holds, str, tuple[str, ...]]
# What has templates one after the other, and the kind that tells which one a pod is of; a StatefulSet's status says it.
_SETS = {"Deployment": "ReplicaSet", "DaemonSet": "ControllerRevision", "StatefulSet": ""}


class Observation(msgspec.Struct, frozen=True):
    """What one look at a check showed, and when (the cluster's time)."""

    holds: Holds
    observed: str
    at: datetime
    evidence: tuple[str, ...] = ()


class View:
    """Reads of one round, shared by its checks. `since` is when the judged change was applied (the cluster's time)."""

    def __init__(self, cluster: Cluster, *, now: datetime, since: datetime) -> None:
        self.cluster = cluster
        self.now = now
        self.since = since
        self._reads: dict[tuple[str, ...], asyncio.Task[Any]] = {}

    async def get(self, kind: str, name: str, namespace: str) -> Json:
        """Return one object."""
        ref = ObjectRef(kind, name, namespace)
        found: Json = await self._once(("get", str(ref)), lambda: self.cluster.get(ref))
        return found

    async def list(self, kind: str, namespace: str) -> tuple[Json, ...]:
        """Return the objects of a kind."""
        listing = await self._once(("list", kind, namespace), lambda: self.cluster.list(kind, namespace))
        items: tuple[Json, ...] = listing.items
        return items

    async def pods(self, kind: str, name: str, namespace: str) -> "Pods":
        """Return the pods of a workload, those of its current template apart from older ones.

        Until the controller has seen the latest change, each pod there is of an older one.
        """
        workload = await self.get(kind, name, namespace)
        pods = await self.list("Pod", namespace)
        if kind not in _SETS:
            return Pods(workload, tuple(owned(pods, {uid(workload)})), ())
        sets = await self.list(_SETS[kind], namespace) if _SETS[kind] else ()
        new, old = rollout.split(workload, pods, sets)
        if at(workload, "status", "observedGeneration", default=0) < at(workload, "metadata", "generation", default=0):
            return Pods(workload, (), (*new, *old))
        return Pods(workload, tuple(new), tuple(old))

    async def usage(self, pods: tuple[Json, ...]) -> Usage:
        """Return what the containers use now."""
        key = ("usage", *sorted(str(at(pod, "metadata", "uid")) for pod in pods))
        found: Usage = await self._once(key, lambda: self.cluster.usage(pods))
        return found

    async def http(self, namespace: str, service: str, path: str, port: int | None) -> ProxyAnswer:
        """GET a Service's path."""
        return await self.cluster.proxy_get(namespace, service, path, port)

    async def close(self) -> None:
        """Let no read of this round outlive it."""
        for task in self._reads.values():
            task.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    async def _once(self, key: tuple[str, ...], read: Callable[[], Awaitable[Any]]) -> Any:
        task = self._reads.get(key)
        if task is None:
            coroutine = read()
            if not isinstance(coroutine, Coroutine):
                raise Unknown("a read that cannot be awaited")
            task = self._reads[key] = asyncio.create_task(coroutine)
        return await asyncio.shield(task)


class Pods(msgspec.Struct, frozen=True):
    """A workload with its pods: `new` of the current template, `old` of earlier ones."""

    workload: Json
    new: tuple[Json, ...]
    old: tuple[Json, ...]

    @property
    def desired(self) -> int:
        """How many pods are wanted."""
        if self.workload.get("kind") == "DaemonSet":
            return int(at(self.workload, "status", "desiredNumberScheduled", default=0))
        return int(at(self.workload, "spec", "replicas", default=1))


def containers(pod: Json) -> list[Json]:
    """Return the container statuses of a pod."""
    found: list[Json] = at(pod, "status", "containerStatuses", default=[])
    return found


def is_ready(pod: Json) -> bool:
    """Return whether the pod is Running and its Ready condition holds, and it is not being deleted."""
    ready = any(
        c.get("type") == "Ready" and c.get("status") == "True" for c in at(pod, "status", "conditions", default=[])
    )
    return ready and at(pod, "status", "phase") == "Running" and not at(pod, "metadata", "deletionTimestamp")


def seen(ok: bool, observed: str, *evidence: str) -> Seen:
    """Return what was seen where everything could be read."""
    return ("yes" if ok else "no"), observed, evidence


def name_of(manifest: Json) -> str:
    """Return the object's name."""
    return str(at(manifest, "metadata", "name", default="?"))
