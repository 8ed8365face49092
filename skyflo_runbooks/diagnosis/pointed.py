"""What only some incidents need, read where something in the lists points to it.

secrets     names and times of change of Secrets and ConfigMaps, where a running container reads one as it starts;
            of Secrets also where a pod waits that mounts one or pulls with one, which may be missing or misspelt, and
            where Helm made something here or the incident's words are about it, because its releases are Secrets; where
            a pull is refused which Secrets are of the type that pulls;
            types and public certificates of those that an Ingress or a Gateway serves, and of others that could
            serve in their place
stale       the running containers that started before what they read as they start was changed: their logs tell
undone      the containers that ended badly in the last pod of a Job that failed for good: their logs tell why
unheard     the running containers of each workload, where nothing fails and the words complain: what they ask may
            not answer, be refused or not be found, and only their logs tell
throttled   how often containers wait for CPU, where one uses nearly all of its limit
templates   the earlier templates of StatefulSets and DaemonSets, where one of a namespace is not well
resolver    the cluster's DNS, where a failing container says that it finds no host
"""

import asyncio
from collections.abc import Iterator, Sequence

from skyflo_runbooks.diagnosis.graph import REVISION
from skyflo_runbooks.diagnosis.lines import finds_no_host, refuses_pull
from skyflo_runbooks.diagnosis.pods import (
    PULL_ERRORS,
    Container,
    amount,
    condition,
    containers,
    created,
    each,
    finished,
    labels_of,
    leaving,
    name_of,
    namespace_of,
    replicas,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.snapshot import Gap, Log, Throttle, Usage, seconds_between
from skyflo_runbooks.diagnosis.taker import Taker, listed
from skyflo_runbooks.diagnosis.words import only_asks
from skyflo_runbooks.model.json import Json, at

SYSTEM = "kube-system"
_DNS = ("Service", "EndpointSlice", "Deployment", "DaemonSet", "ReplicaSet", "Pod", "ConfigMap", "Event")
_BY_HELM = "app.kubernetes.io/managed-by"
_TLS = "type=kubernetes.io/tls"
# The type of a Secret that a kubelet pulls images with.
PULLING = "kubernetes.io/dockerconfigjson"
# Certificates and failed Jobs that are read for one diagnosis, nodes whose kubelets are asked, and above which share of
# a CPU limit.
CERTIFICATES = 40
FAILED_JOBS = 5
ASKED_NODES = 3
NEARLY = 0.8
# Above so many namespaces one list of the whole cluster is less than one of each.
SINGLE = 5

Source = tuple[str, str, str]
_DATA = ("f:data", "f:binaryData", "f:stringData")
# The type of a Secret cannot be changed; `kubectl apply` notes what was applied with every change of it.
_TYPE = "f:type"
_APPLIED: Json = {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/last-applied-configuration": {}}}}


# What a container reads as it starts ----------------------------------------------------------------------------------


def sources(pod: Json, container: Container) -> Iterator[tuple[Source, str]]:
    """Yield what a container reads when it starts and never again: kind, namespace and name, and the key or nothing.

    Variables, and files mounted by `subPath`; a whole volume is brought up to date while the container runs.
    """
    here = namespace_of(pod)
    for source in each(container.spec, "envFrom"):
        yield from _named(here, source, "configMapRef", "secretRef", key="")
    for variable in each(container.spec, "env"):
        held = variable.get("valueFrom")
        if not isinstance(held, dict):
            continue  # said outright, as most are
        for ref in ("configMapKeyRef", "secretKeyRef"):
            key = str(at(held, ref, "key", default=""))
            yield from _named(here, held, *((ref, "") if ref.startswith("config") else ("", ref)), key=key)
    volumes = {str(volume.get("name")): volume for volume in each(pod, "spec", "volumes")}
    for mount in each(container.spec, "volumeMounts"):
        volume = volumes.get(str(mount.get("name")), {})
        if mount.get("subPath"):
            for kind, path in (("ConfigMap", ("configMap", "name")), ("Secret", ("secret", "secretName"))):
                if at(volume, *path):
                    yield (kind, here, str(at(volume, *path))), ""


def _named(here: str, held: Json, config_map: str, secret: str, *, key: str) -> Iterator[tuple[Source, str]]:
    for kind, member in (("ConfigMap", config_map), ("Secret", secret)):
        name = at(held, member, "name") if member else None
        if name:
            yield (kind, here, str(name)), key


def changed(held: Json, key: str) -> str:
    """Return when the data of an object (or one key of it) was last changed, by its managedFields; empty: not known.

    An entry has one time for all that its manager owns. It tells of the data only where that is nothing but data (and
    of a key, where it is that key alone): else a label, or another key, may be what moved.
    """
    times = [str(one.get("time", "")) for one in each(held, "metadata", "managedFields") if _only(one, key)]
    return max(times, default="")


def _only(entry: Json, key: str) -> bool:
    """Return whether an entry of managedFields owns data alone, of a key that key alone."""
    owned = at(entry, "fieldsV1", default={})
    if not isinstance(owned, dict):
        return False
    held_keys = (at(owned, data, default={}) for data in _DATA)
    keys = {name for found in held_keys if isinstance(found, dict) for name in found if name != "."}
    other = {name: held for name, held in owned.items() if name not in (*_DATA, _TYPE)}
    return bool(keys) and other in ({}, _APPLIED) and (not key or keys == {f"f:{key}"})


def outrun(pod: Json, container: Container, held: dict[Source, Json]) -> Iterator[tuple[Json, str, str]]:
    """Yield what was changed after a running container read it: the object, the key or nothing, and when."""
    started = str(at(container.status, "state", "running", "startedAt", default=""))
    for source, key in sources(pod, container) if started else ():
        found = held.get(source)
        when = changed(found, key) if found is not None else ""
        passed = seconds_between(started, when)
        if found is not None and passed is not None and passed > 0:
            yield found, key, when


def by_source(objects: dict[str, list[Json]]) -> dict[Source, Json]:
    """Return the ConfigMaps and Secrets by what names them."""
    return {
        (kind, namespace_of(item), name_of(item)): item
        for kind in ("ConfigMap", "Secret")
        for item in objects.get(kind, [])
    }


def stale(objects: dict[str, list[Json]]) -> list[tuple[Json, Container]]:
    """Return running containers that started before what they read was changed, one of each workload."""
    held, found = by_source(objects), dict[tuple[str, str, str], tuple[Json, Container]]()
    for pod in objects.get("Pod", []):
        for container in containers(pod) if not leaving(pod) else ():
            if any(True for _ in outrun(pod, container, held)):
                owner = str(at(pod, "metadata", "ownerReferences", 0, "name", default=name_of(pod)))
                found.setdefault((namespace_of(pod), owner, container.name), (pod, container))
    return list(found.values())


def unheard(
    objects: dict[str, list[Json]], known: Sequence[tuple[Json, Container]], words: str
) -> list[tuple[Json, Container]]:
    """Return the running containers of one pod of each workload, but those that are `known`, if the words complain."""
    if not words or only_asks(words):
        return []
    heard = {(namespace_of(pod), name_of(pod), container.name) for pod, container in known}
    found = dict[tuple[str, str, str], tuple[Json, Container]]()
    for pod in objects.get("Pod", []):
        for container in containers(pod) if not leaving(pod) and not finished(pod) else ():
            owner = str(at(pod, "metadata", "ownerReferences", 0, "name", default=name_of(pod)))
            runs = at(container.status, "state", "running") is not None
            if runs and (namespace_of(pod), name_of(pod), container.name) not in heard:
                found.setdefault((namespace_of(pod), owner, container.name), (pod, container))
    return list(found.values())


def undone(objects: dict[str, list[Json]]) -> list[tuple[Json, Container]]:
    """Return the containers that ended badly in the newest pod of each Job that failed, the newest Jobs first."""
    failed = {
        (namespace_of(job), name_of(job))
        for job in objects.get("Job", [])
        if condition(job, "Failed").get("status") == "True"
    }
    last: dict[tuple[str, str], Json] = {}
    for pod in sorted(objects.get("Pod", []) if failed else (), key=created):
        owner = texts(pod, "metadata", "ownerReferences", 0)
        job = (namespace_of(pod), owner.get("name", ""))
        if owner.get("kind") == "Job" and job in failed:
            last[job] = pod
    newest = sorted(last.values(), key=created, reverse=True)[:FAILED_JOBS]
    return [
        (pod, one) for pod in newest for one in containers(pod) if any(end.get("exitCode") for end in one.terminations)
    ]


# Secrets --------------------------------------------------------------------------------------------------------------


async def secrets(taker: Taker, objects: dict[str, list[Json]], told: Sequence[str]) -> None:
    """Read names, times and certificates, by the rules above, into `objects`.

    `told` are the namespaces that words about Helm were said of, all of them where one is empty.
    """
    wanted = {
        source[:2]
        for pod in objects.get("Pod", [])
        if not finished(pod)
        for container in containers(pod)
        for source, _ in sources(pod, container)
    }
    wanted |= {("Secret", space) for space in {*told} | _made_by_helm(objects) | _waited_for(objects)}
    served = serves(objects)
    # Whatever its type is, it exists: not everybody who makes a certificate says that it is one.
    needed = wanted | {("Secret", space) for space, _ in served}
    lists = [
        (kind, space) for kind in ("ConfigMap", "Secret") for space in _spaces({s for k, s in needed if k == kind})
    ]
    asked = _spaces({space for kind, space in wanted if kind == "Secret"})
    names, typed, pulling = await asyncio.gather(
        asyncio.gather(*(_metadata(taker, kind, space) for kind, space in lists)),
        _typed(taker, served),
        _pulling(taker, refused_pulls(objects)),
    )
    held = {(item["kind"], namespace_of(item), name_of(item)): item for found in names for item in found}
    for item in objects.get("ConfigMap", []):
        known = held.pop(("ConfigMap", namespace_of(item), name_of(item)), None)
        if known is not None:
            item["metadata"]["managedFields"] = known["metadata"]["managedFields"]
    there = {key[1:]: item for key, item in held.items() if key[0] == "Secret"}
    certificates = await _certificates(taker, served & (there.keys() | typed), typed)
    seen = {(namespace_of(item), name_of(item)) for item in certificates}
    others = [
        item for key, item in there.items() if key not in seen and (key in served or key[0] in asked or "" in asked)
    ]
    told_of = {(namespace_of(item), name_of(item)) for item in pulling}
    others = [*pulling, *(item for item in others if (namespace_of(item), name_of(item)) not in told_of)]
    if others or certificates:
        objects["Secret"] = [*certificates, *others]


def _spaces(names: set[str]) -> list[str]:
    return sorted(names) if len(names) <= SINGLE and "" not in names else [""]


def _made_by_helm(objects: dict[str, list[Json]]) -> set[str]:
    return {
        namespace_of(item)
        for kind in ("Deployment", "StatefulSet", "DaemonSet", "Service", "ConfigMap")
        for item in objects.get(kind, [])
        if labels_of(item).get(_BY_HELM) == "Helm"
    }


def _waited_for(objects: dict[str, list[Json]]) -> set[str]:
    """Return the namespaces in which a pod waits that names a Secret outside of its containers."""
    return {
        namespace_of(pod)
        for pod in objects.get("Pod", [])
        if any(container.waiting[0] for container in containers(pod)) and not finished(pod)
        if each(pod, "spec", "imagePullSecrets") or any(at(one, "secret") for one in each(pod, "spec", "volumes"))
    }


def refused_pulls(objects: dict[str, list[Json]]) -> set[str]:
    """Return the namespaces in which a registry refuses a pull."""
    return {
        namespace_of(pod)
        for pod in objects.get("Pod", [])
        for container in containers(pod)
        if container.waiting[0] in PULL_ERRORS and refuses_pull(container.waiting[1])
    }


async def _pulling(taker: Taker, spaces: set[str]) -> list[Json]:
    """Return the Secrets that hold credentials of registries, with their type, which is all that is asked of them."""
    selected = f"type={PULLING}"
    lists = await asyncio.gather(
        *(_metadata(taker, "Secret", space, field_selector=selected) for space in _spaces(spaces))
    )
    return [item | {"type": PULLING} for found in lists for item in found if namespace_of(item) in spaces]


def serves(objects: dict[str, list[Json]]) -> set[tuple[str, str]]:
    """Return the Secrets (namespace and name) whose certificates an Ingress or a Gateway serves."""
    found = {
        (namespace_of(item), str(tls["secretName"]))
        for item in objects.get("Ingress", [])
        for tls in each(item, "spec", "tls")
        if tls.get("secretName")
    }
    for item in objects.get("Gateway", []):
        for listener in each(item, "spec", "listeners"):
            for held in each(listener, "tls", "certificateRefs"):
                if held.get("kind", "Secret") == "Secret" and held.get("name"):
                    found.add((str(held.get("namespace") or namespace_of(item)), str(held["name"])))
    return found


async def _metadata(taker: Taker, kind: str, namespace: str, *, field_selector: str = "") -> list[Json]:
    listing = await taker.ask(
        kind, namespace, lambda: taker.reader.metadata(kind, namespace or None, field_selector=field_selector)
    )
    return list(listing.items) if listing is not None else []


async def _typed(taker: Taker, served: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the Secrets that say that they hold a certificate, where one is served."""
    concerned = {space for space, _ in served}
    lists = await asyncio.gather(
        *(_metadata(taker, "Secret", space, field_selector=_TLS) for space in _spaces(concerned))
    )
    there = {(namespace_of(item), name_of(item)) for found in lists for item in found}
    return {item for item in there if item[0] in concerned}


async def _certificates(taker: Taker, served: set[tuple[str, str]], typed: set[tuple[str, str]]) -> list[Json]:
    """Return what is served, and the other certificates of those namespaces, which could serve instead."""
    chosen = [*sorted(served), *sorted(typed - served)]
    if len(chosen) > CERTIFICATES:
        taker.gaps.append(Gap("Secret", "", f"only {CERTIFICATES} certificates were read"))
    answers = await asyncio.gather(
        *(
            taker.ask("Secret", space, lambda s=space, n=name: taker.reader.certificate(s, n), quiet=True)  # type: ignore[misc]
            for space, name in chosen[:CERTIFICATES]
        )
    )
    return [answer for answer in answers if answer is not None]


# Earlier templates ----------------------------------------------------------------------------------------------------


async def templates(taker: Taker, objects: dict[str, list[Json]], failing: Sequence[Json]) -> None:
    """Read the ControllerRevisions into `objects` of the namespaces where a StatefulSet or DaemonSet is not well.

    In the form of a ReplicaSet, so that whoever reads a template, masks or anonymises it knows where it stands: the
    number in the annotation that Deployments use, the template at `spec.template`.
    """
    unwell = {
        namespace_of(held) for kind in ("StatefulSet", "DaemonSet") for held in objects.get(kind, []) if _lags(held)
    }
    unwell |= {
        namespace_of(pod)
        for pod in failing
        if texts(pod, "metadata", "ownerReferences", 0).get("kind") in ("StatefulSet", "DaemonSet")
    }
    answers = await asyncio.gather(*(listed(taker, "ControllerRevision", space) for space in _spaces(unwell)))
    found = [_as_template(item) for answer in answers for item in answer or [] if namespace_of(item) in unwell]
    if found:
        objects["ControllerRevision"] = found


def _lags(held: Json) -> bool:
    """Return whether fewer pods are ready, or of the present template, than there should be."""
    status: Json = held.get("status") or {}
    if held.get("kind") == "DaemonSet":
        wanted = whole(status, "desiredNumberScheduled")
        return min(whole(status, "numberReady"), whole(status, "updatedNumberScheduled")) < wanted
    moved = status.get("currentRevision") != status.get("updateRevision")
    return moved or whole(status, "readyReplicas") < replicas(held)


def _as_template(held: Json) -> Json:
    template = {key: value for key, value in at(held, "data", "spec", "template", default={}).items() if key[:1] != "$"}
    metadata: Json = dict(held.get("metadata") or {})
    metadata["annotations"] = {**texts(metadata, "annotations"), REVISION: str(held.get("revision", 0))}
    return {"kind": "ControllerRevision", "metadata": metadata, "spec": {"template": template}}


# Throttling, and the cluster's DNS ------------------------------------------------------------------------------------


async def throttled(taker: Taker, pods: list[Json], usage: Sequence[Usage]) -> tuple[Throttle, ...]:
    """Return how often containers wait for CPU, of the pods of which one uses nearly all of its CPU limit."""
    used = {(one.namespace, one.pod, one.container): one.cpu for one in usage}
    near, unknown = [], 0
    for pod in pods:
        for container in containers(pod):
            limit, key = amount(container.spec, "limits", "cpu"), (namespace_of(pod), name_of(pod), container.name)
            cpu = used.get(key)
            unknown += bool(limit and cpu is None and key in used)
            if limit and cpu is not None and cpu >= NEARLY * float(limit) and pod not in near:
                near.append(pod)
    if unknown:
        taker.gaps.append(Gap("Throttling", "", f"how much CPU {unknown} containers with a limit use is not known yet"))
    nodes = sorted({str(at(pod, "spec", "nodeName", default="")) for pod in near})[:ASKED_NODES]
    asked = [pod for pod in near if at(pod, "spec", "nodeName") in nodes]
    if not asked:
        return ()
    answer = await taker.ask("Throttling", "", lambda: taker.reader.throttling(asked))
    if answer is None:
        return ()
    taker.gaps += [Gap("Throttling", "", reason) for reason in answer[1]]
    return tuple(Throttle(o.namespace, o.pod, o.container, o.periods, o.throttled) for o in answer[0])


async def resolver(
    taker: Taker, objects: dict[str, list[Json]], logs: Sequence[Log], namespaces: Sequence[str]
) -> list[Json]:
    """Read the cluster's DNS into `objects` where it was not read and a log says that a host is not found.

    Its pods are returned.
    """
    if not namespaces or SYSTEM in namespaces or not any(finds_no_host(log.text) for log in logs):
        return []
    answers = await asyncio.gather(*(listed(taker, kind, SYSTEM) for kind in _DNS))
    for kind, answer in zip(_DNS, answers, strict=True):
        objects[kind] = [*objects.get(kind, []), *(item for item in answer or [] if kind != "Pod" or _of_dns(item))]
    return [pod for pod in objects["Pod"] if namespace_of(pod) == SYSTEM]


def _of_dns(pod: Json) -> bool:
    return labels_of(pod).get("k8s-app") == "kube-dns"
