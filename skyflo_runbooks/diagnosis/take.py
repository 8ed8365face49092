"""Taking a snapshot: lists in parallel, then what only a failing container or an unplaced pod makes worth reading.

Rules:
  1. One list per kind and namespace, all at once; no call per object where a list serves.
  2. Then, side by side: usage, the logs of failing containers (at most `LOGS`, `TAIL` lines each), and, where a pod
     was killed for memory or found no node, what the pods of the other namespaces reserve.
  3. Every read ends by the deadline. What was refused, failed or late is a `Gap`; it is never an empty list.
  4. Secrets are not read.
  5. A cluster that does not answer at all, or does not know us, is an error and no snapshot.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from skyflo_runbooks.diagnosis.graph import reserved
from skyflo_runbooks.diagnosis.pods import (
    Container,
    condition,
    containers,
    each,
    finished,
    name_of,
    namespace_of,
)
from skyflo_runbooks.diagnosis.reader import Reader
from skyflo_runbooks.diagnosis.snapshot import Gap, Load, Log, Snapshot, Usage
from skyflo_runbooks.model.errors import BadInput, NotAllowed, SkyfloError, Unreachable
from skyflo_runbooks.model.json import Json, at

NAMESPACED = (
    "Pod",
    "Event",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "Service",
    "EndpointSlice",
    "ConfigMap",
    "ResourceQuota",
    "LimitRange",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Ingress",
    "PersistentVolumeClaim",
    "NetworkPolicy",
    "CronJob",
    "ServiceAccount",
    "Role",
    "RoleBinding",
)
CLUSTER = (
    "Namespace",
    "Node",
    "PersistentVolume",
    "StorageClass",
    "IngressClass",
    "PriorityClass",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "APIService",
)
# Kinds that a cluster may do without: where they are not served there are none.
OPTIONAL = frozenset((*CLUSTER[2:], "Role", "RoleBinding"))
# What is read of a namespace that a failing webhook's Service lives in.
_BEHIND = ("Service", "EndpointSlice", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod")
DEADLINE = 20.0
LOGS = 20
LOGS_PER_WORKLOAD = 2
TAIL = 60
EVENTS = 5000

Answer = TypeVar("Answer")


class Taker(msgspec.Struct):
    """The reads under way: who answers, until when (seconds for each phase), and what gave no answer so far."""

    reader: Reader
    deadline: float
    gaps: list[Gap]

    async def ask(
        self, kind: str, namespace: str, read: Callable[[], Awaitable[Answer]], *, quiet: bool = False
    ) -> Answer | None:
        """Return what `read` answers, or None with a gap; `quiet` takes "no such thing" for an answer."""
        try:
            async with asyncio.timeout(self.deadline):
                return await read()
        except TimeoutError:
            self.gaps.append(Gap(kind, namespace, f"no answer within {self.deadline:g} s"))
        except BadInput as error:
            if not quiet:
                self.gaps.append(Gap(kind, namespace, error.message))
        except SkyfloError as error:
            self.gaps.append(Gap(kind, namespace, error.message))
        return None


async def take(reader: Reader, namespaces: Sequence[str] = (), *, deadline: float = DEADLINE) -> Snapshot:
    """Read `namespaces` (none: all of them) and return the snapshot.

    `deadline` bounds each of its two phases, in seconds. Raises `Unreachable` or `NotAllowed` where the cluster does
    not answer or does not accept the credential.
    """
    taker = Taker(reader, deadline, [])
    async with asyncio.timeout(deadline):
        started = await reader.now()
    objects = await _lists(taker, tuple(namespaces))
    await _behind_webhooks(taker, objects, namespaces)
    pods = objects.get("Pod", [])
    logs, usage, elsewhere = await asyncio.gather(
        _logs(taker, pods),
        _usage(taker, pods),
        _elsewhere(taker, pods, frozenset(namespaces)),
    )
    return Snapshot(
        time=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        namespaces=tuple(namespaces),
        objects=objects,
        logs=logs,
        usage=usage,
        elsewhere=elsewhere,
        gaps=tuple(sorted(taker.gaps)),
    )


async def _lists(taker: Taker, namespaces: tuple[str, ...]) -> dict[str, list[Json]]:
    wanted = [(kind, namespace) for kind in NAMESPACED for namespace in namespaces or ("",)]
    wanted += [(kind, "") for kind in CLUSTER]
    answers = await asyncio.gather(*(_list(taker, kind, namespace) for kind, namespace in wanted))
    objects: dict[str, list[Json]] = defaultdict(list)
    for (kind, _), answer in zip(wanted, answers, strict=True):
        objects[kind] += answer or []
    return dict(objects)


async def _list(taker: Taker, kind: str, namespace: str) -> list[Json] | None:
    limit = EVENTS if kind == "Event" else None
    listing = await taker.ask(
        kind, namespace, lambda: taker.reader.list(kind, namespace or None, limit=limit), quiet=kind in OPTIONAL
    )
    if listing is None:
        return None
    if listing.more:
        taker.gaps.append(Gap(kind, namespace, f"only the first {limit} were read"))
    return list(listing.items)


async def _behind_webhooks(taker: Taker, objects: dict[str, list[Json]], read: Sequence[str]) -> None:
    """Read also where the webhooks live that refuse pods here: their trouble is this incident's cause."""
    said = " ".join(
        str(event.get("message", "")) for event in objects["Event"] if event.get("reason") == "FailedCreate"
    )
    if not read or "failed calling webhook" not in said:
        return
    homes = {
        str(at(hook, "clientConfig", "service", "namespace", default=""))
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
        for held in objects.get(kind, [])
        for hook in each(held, "webhooks")
        if f'"{hook.get("name")}"' in said
    }
    wanted = [(kind, home) for home in sorted(homes - {"", *read}) for kind in _BEHIND]
    answers = await asyncio.gather(*(_list(taker, kind, home) for kind, home in wanted))
    for (kind, _), answer in zip(wanted, answers, strict=True):
        objects[kind] = [*objects.get(kind, []), *(answer or [])]


# Logs -----------------------------------------------------------------------------------------------------------------


def failing(pods: Iterable[Json]) -> list[tuple[Json, Container]]:
    """Return the containers whose log can tell why they fail, a few of each workload, the most restarted first."""
    found = [
        (pod, container) for pod in pods if not finished(pod) for container in containers(pod) if _fails(container)
    ]
    found.sort(key=lambda item: item[1].restarts, reverse=True)
    taken: dict[tuple[str, str, str], int] = defaultdict(int)
    chosen: list[tuple[Json, Container]] = []
    for pod, container in found:
        owner = str(at(pod, "metadata", "ownerReferences", 0, "uid", default=name_of(pod)))
        key = (namespace_of(pod), owner, container.name)
        taken[key] += 1
        if taken[key] <= LOGS_PER_WORKLOAD:
            chosen.append((pod, container))
    return chosen[:LOGS]


def _fails(container: Container) -> bool:
    return any(termination.get("exitCode") != 0 for termination in container.terminations) or (
        not container.ready and container.restarts > 0
    )


async def _logs(taker: Taker, pods: list[Json]) -> tuple[Log, ...]:
    wanted = [
        (pod, container, previous)
        for pod, container in failing(pods)
        for previous in ((True, False) if container.restarts else (False,))
    ]
    answers = await asyncio.gather(*(_log(taker, pod, container, previous) for pod, container, previous in wanted))
    return tuple(log for log in answers if log is not None)


async def _log(taker: Taker, pod: Json, container: Container, previous: bool) -> Log | None:
    namespace, name = namespace_of(pod), name_of(pod)
    answer = await taker.ask(
        "Log",
        namespace,
        lambda: taker.reader.logs(namespace, name, container=container.name, previous=previous, tail=TAIL),
        # The kubelet may have removed the earlier container already; then the present one's log is what there is.
        quiet=True,
    )
    return Log(namespace, name, container.name, previous, answer.text) if answer is not None else None


# Usage and headroom ---------------------------------------------------------------------------------------------------


async def _usage(taker: Taker, pods: list[Json]) -> tuple[Usage, ...]:
    running = [pod for pod in pods if at(pod, "status", "phase") == "Running"]
    if not running:
        return ()
    answer = await taker.ask("Usage", "", lambda: taker.reader.usage(running))
    if answer is None:
        return ()
    taker.gaps += [Gap("Usage", "", reason) for reason in answer.gaps]
    return tuple(
        Usage(
            namespace=one.namespace,
            pod=one.pod,
            container=one.container,
            memory=one.memory,
            cpu=one.cpu,
            at=one.at,
            source=one.source,
        )
        for one in answer.samples
    )


def short_of_room(pods: Iterable[Json]) -> bool:
    """Return whether a pod was killed for memory or found no node: then the nodes' headroom matters."""
    return any(
        condition(pod, "PodScheduled").get("status") == "False"
        or any(end.get("reason") == "OOMKilled" for container in containers(pod) for end in container.terminations)
        for pod in pods
    )


async def _elsewhere(taker: Taker, pods: list[Json], namespaces: frozenset[str]) -> tuple[Load, ...] | None:
    if not namespaces:
        return ()
    if not short_of_room(pods):
        return None
    listing = await taker.ask("Pod", "", lambda: taker.reader.list("Pod", None))
    if listing is None:
        return None
    return loads(pod for pod in listing.items if namespace_of(pod) not in namespaces)


def loads(pods: Iterable[Json]) -> tuple[Load, ...]:
    """Return what these pods reserve on each node."""
    return tuple(
        Load(node, int(sums.memory), float(sums.cpu), sums.pods) for node, sums in sorted(reserved(pods).items())
    )


__all__ = ["DEADLINE", "NotAllowed", "Unreachable", "failing", "loads", "short_of_room", "take"]
