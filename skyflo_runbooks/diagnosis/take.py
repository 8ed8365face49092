"""Taking a snapshot: lists in parallel, then what only a failing container or an unplaced pod makes worth reading.

Rules:
  1. One list per kind and namespace, all at once; no call per object where a list serves.
  2. Then, side by side: usage, the logs of failing containers (at most `LOGS`, `TAIL` lines each; one that runs and
     is not ready after `LATE` fails too), and, where a pod was killed for memory or found no node, what the pods of the
     other namespaces reserve. What a kubelet writes in the place of a log that it lost is no log.
  3. What only some incidents need is read where something points to it (`pointed`): the cluster's DNS, webhooks'
     homes, times of change, certificates, earlier templates, throttling.
     Where nobody fails in the namespaces that were named and the words complain all the same, what those that run said
     lately is read: one of each workload (`unheard`).
  4. Where a workload asks a Service of another namespace that is not well, that namespace is read as well
     (`dependencies`).
  5. Every read ends by the deadline. What was refused, failed or late is a `Gap`; it is never an empty list.
  6. Of Secrets no value is read: their names, times of change, types and public certificates (`Reader.metadata`,
     `Reader.certificate`).
  7. A cluster that does not answer at all, or does not know us, is an error and no snapshot.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from skyflo_runbooks.diagnosis import dependencies, pointed
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
from skyflo_runbooks.diagnosis.snapshot import Gap, Load, Log, Snapshot, Usage, seconds_between
from skyflo_runbooks.diagnosis.taker import Taker, listed
from skyflo_runbooks.model.errors import NotAllowed, Unreachable
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
# Kinds that a cluster has where somebody added them, and what to ask for: other groups have kinds of the same names.
ADDED = {
    "Gateway": "gateways.gateway.networking.k8s.io",
    "GatewayClass": "gatewayclasses.gateway.networking.k8s.io",
    "HTTPRoute": "httproutes.gateway.networking.k8s.io",
    "Rollout": "rollouts.argoproj.io",
    "AnalysisRun": "analysisruns.argoproj.io",
    "PeerAuthentication": "peerauthentications.security.istio.io",
    "AuthorizationPolicy": "authorizationpolicies.security.istio.io",
    "VirtualService": "virtualservices.networking.istio.io",
    "DestinationRule": "destinationrules.networking.istio.io",
    "Certificate": "certificates.cert-manager.io",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
}
# Those of them that are of the whole cluster.
_WIDE = ("GatewayClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
# What is read of a namespace that a failing webhook's Service lives in.
_BEHIND = ("Service", "EndpointSlice", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod")
# Words of incidents that are about a release of Helm.
_OF_HELM = re.compile(r"(?i)\bhelm\b|\bcharts?\b|pending-(?:install|upgrade|rollback)|another operation \(install")
DEADLINE = 20.0
LOGS = 20
LOGS_PER_WORKLOAD = 2
# Seconds after which a container that runs and is not ready has something to say.
LATE = 20.0
TAIL = 60
# Seconds: what somebody who runs well said before that says nothing of now.
LATELY = 300


async def take(
    reader: Reader, namespaces: Sequence[str] = (), *, deadline: float = DEADLINE, words: str = ""
) -> Snapshot:
    """Read `namespaces` (none: all of them) and return the snapshot; `words` are the incident's.

    `deadline` bounds each of its two phases, in seconds. Raises `Unreachable` or `NotAllowed` where the cluster does
    not answer or does not accept the credential.
    """
    taker = Taker(reader, deadline, [])
    async with asyncio.timeout(deadline):
        started = await reader.now()
    time = started.strftime("%Y-%m-%dT%H:%M:%SZ")
    objects = await _lists(taker, tuple(namespaces))
    told = (tuple(namespaces) or ("",)) if _OF_HELM.search(words) else ()
    homes, _ = await asyncio.gather(_behind_webhooks(taker, objects, namespaces), pointed.secrets(taker, objects, told))
    # After the webhooks' homes: a namespace is read once.
    asked = await dependencies.read_what_is_asked(taker, objects, namespaces, NAMESPACED, besides=homes)
    pods = objects.get("Pod", [])
    failed = failing(pods, time)
    telling = [*pointed.stale(objects), *pointed.undone(objects)]
    unheard = pointed.unheard(objects, telling, words) if namespaces and not failed else []
    logs, lately, usage, elsewhere, _ = await asyncio.gather(
        _logs(taker, failed, telling),
        _logs(taker, unheard[:LOGS], since=LATELY),
        _usage(taker, pods),
        _elsewhere(taker, pods, frozenset(namespaces) | homes | asked if namespaces else frozenset()),
        pointed.templates(taker, objects, [pod for pod, _ in failed]),
    )
    logs += lately
    throttled, resolver = await asyncio.gather(
        pointed.throttled(taker, pods, usage), pointed.resolver(taker, objects, logs, namespaces)
    )
    logs += await _logs(taker, failing(resolver, time))
    return Snapshot(
        time=time,
        namespaces=tuple(namespaces),
        objects=objects,
        logs=logs,
        usage=usage,
        throttled=throttled,
        elsewhere=elsewhere,
        gaps=tuple(sorted(set(taker.gaps))),
    )


async def _lists(taker: Taker, namespaces: tuple[str, ...]) -> dict[str, list[Json]]:
    wanted = [(kind, namespace) for kind in NAMESPACED for namespace in namespaces or ("",)]
    wanted += [(kind, "") for kind in CLUSTER]
    answers, added = await asyncio.gather(
        asyncio.gather(*(listed(taker, kind, namespace) for kind, namespace in wanted)),
        asyncio.gather(*(_added(taker, kind, namespaces) for kind in ADDED)),
    )
    objects: dict[str, list[Json]] = defaultdict(list)
    for (kind, _), answer in zip(wanted, answers, strict=True):
        objects[kind] += answer or []
    return {**objects, **{kind: found for kind, found in zip(ADDED, added, strict=True) if found}}


async def _added(taker: Taker, kind: str, namespaces: tuple[str, ...]) -> list[Json]:
    """Return the objects of a kind that somebody added to the cluster; none where it is not served."""
    if not await taker.ask(kind, "", lambda: taker.reader.serves(ADDED[kind])):
        return []
    where = ("",) if kind in _WIDE else namespaces or ("",)
    answers = await asyncio.gather(*(listed(taker, kind, space, of=ADDED[kind]) for space in where))
    return [item for answer in answers for item in answer or []]


async def _behind_webhooks(taker: Taker, objects: dict[str, list[Json]], read: Sequence[str]) -> frozenset[str]:
    """Read also where the webhooks live that refuse pods here: their trouble is this incident's cause. Return where."""
    said = " ".join(
        str(event.get("message", "")) for event in objects["Event"] if event.get("reason") == "FailedCreate"
    )
    if not read or "failed calling webhook" not in said:
        return frozenset()
    homes = {
        str(at(hook, "clientConfig", "service", "namespace", default=""))
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
        for held in objects.get(kind, [])
        for hook in each(held, "webhooks")
        if f'"{hook.get("name")}"' in said
    }
    others = homes - {"", *read}
    wanted = [(kind, home) for home in sorted(others) for kind in _BEHIND]
    answers = await asyncio.gather(*(listed(taker, kind, home) for kind, home in wanted))
    for (kind, _), answer in zip(wanted, answers, strict=True):
        objects[kind] = [*objects.get(kind, []), *(answer or [])]
    return frozenset(others)


# Logs -----------------------------------------------------------------------------------------------------------------


def failing(pods: Iterable[Json], time: str) -> list[tuple[Json, Container]]:
    """Return the containers whose log can tell why they fail, a few of each workload, the most restarted first."""
    found = [
        (pod, container)
        for pod in pods
        if not finished(pod)
        for container in containers(pod)
        if _fails(container) or _late(container, time)
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


def _late(container: Container, time: str) -> bool:
    """Return whether a container runs so long that it should be ready, or, before the others, done."""
    age = seconds_between(str(at(container.status, "state", "running", "startedAt", default="")), time)
    return not container.ready and age is not None and age >= LATE


async def _logs(
    taker: Taker,
    chosen: list[tuple[Json, Container]],
    more: Sequence[tuple[Json, Container]] = (),
    since: int | None = None,
) -> tuple[Log, ...]:
    known = {(namespace_of(pod), name_of(pod), container.name) for pod, container in chosen}
    chosen = [
        *chosen,
        *(item for item in more if (namespace_of(item[0]), name_of(item[0]), item[1].name) not in known),
    ]
    wanted = [
        (pod, container, previous)
        for pod, container in chosen
        for previous in ((True, False) if container.restarts and since is None else (False,))
    ]
    answers = await asyncio.gather(*(_log(taker, pod, one, previous, since) for pod, one, previous in wanted))
    return tuple(log for log in answers if log is not None)


async def _log(taker: Taker, pod: Json, container: Container, previous: bool, since: int | None = None) -> Log | None:
    namespace, name, of = namespace_of(pod), name_of(pod), container.name
    answer = await taker.ask(
        "Log",
        namespace,
        lambda: taker.reader.logs(namespace, name, container=of, previous=previous, tail=TAIL, since_seconds=since),
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
