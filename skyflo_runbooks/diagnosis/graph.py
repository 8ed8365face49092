"""The objects of a snapshot and the references between them.

Relations:
  owns        a controller and what it made (ownerReferences with controller: true)
  selects     a Service (by labels) and the pods behind it
  routes      an Ingress and the Service it sends to
  mounts      a pod and a ConfigMap or Secret it mounts as a volume
  env-from    a pod and a ConfigMap or Secret its environment comes from
  runs-on     a pod and its Node
  scales      a HorizontalPodAutoscaler and its target

Everything is indexed once, so that the cost of a diagnosis grows linearly with the number of objects.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import msgspec

from skyflo_runbooks.diagnosis.pods import (
    created,
    each,
    finished,
    labels_of,
    leaving,
    name_of,
    namespace_of,
    pod_request,
    ready,
    texts,
)
from skyflo_runbooks.diagnosis.snapshot import Snapshot, Usage
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

Relation = Literal["owns", "selects", "routes", "mounts", "env-from", "runs-on", "scales"]
# Pod → ReplicaSet → Deployment → an operator's object; ownership is not cyclic, but be sure.
_ABOVE = 5
REVISION = "deployment.kubernetes.io/revision"
_HASH = "controller-revision-hash"


class Edge(msgspec.Struct, frozen=True, order=True):
    """One reference; `source` needs, makes or chooses `target`."""

    source: ObjectRef
    relation: Relation
    target: ObjectRef


class Reserved(msgspec.Struct, frozen=True):
    """What pods reserve on a node: memory in bytes, CPU in cores, how many pods."""

    memory: Decimal = Decimal(0)
    cpu: Decimal = Decimal(0)
    pods: int = 0


def ref(manifest: Json) -> ObjectRef:
    """Return the name of an object without its API version, as references write it."""
    return ObjectRef(kind=str(manifest.get("kind", "")), name=name_of(manifest), namespace=namespace_of(manifest))


class Graph:
    """A snapshot, indexed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        # What several rules compute from the same graph, once.
        self.notes: dict[str, Any] = {}
        # By identity: the snapshot keeps every object alive as long as its graph.
        self._tops: dict[int, Json] = {}
        self._unread: dict[ObjectRef, Json] = {}
        self._selected: dict[tuple[str, tuple[tuple[str, str], ...]], list[Json]] = {}
        self._objects: dict[ObjectRef, Json] = {}
        self._owned: dict[ObjectRef, list[Json]] = defaultdict(list)
        self._labelled: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
        self._services: dict[tuple[str, str, str], list[Json]] = defaultdict(list)
        self._events: dict[ObjectRef, list[Json]] = defaultdict(list)
        self._reasons: dict[str, list[Json]] = defaultdict(list)
        self._slices: dict[tuple[str, str], list[Json]] = defaultdict(list)
        self._templates: dict[ObjectRef, list[Json]] = defaultdict(list)
        for kind, manifests in snapshot.objects.items():
            for manifest in manifests:
                self._add(kind, manifest)
        self._logs = {(log.namespace, log.pod, log.container, log.previous): log.text for log in snapshot.logs}
        self._usage: dict[tuple[str, str], list[Usage]] = defaultdict(list)
        for usage in snapshot.usage:
            self._usage[usage.namespace, usage.pod].append(usage)
        if snapshot.gaps:
            for kind in ("ReplicaSet", "Job", "Pod"):
                for made in self.all(kind):
                    self.workload(made)

    def _add(self, kind: str, manifest: Json) -> None:
        if kind == "Event":
            self._events[_named(texts(manifest, "involvedObject"))].append(manifest)
            self._reasons[str(manifest.get("reason"))].append(manifest)
            return
        this, owner = ref(manifest), controller(manifest)
        if kind == "ControllerRevision":  # a note of a template, and no part of what runs
            self._templates[owner or this].append(manifest)
            return
        self._objects[this] = manifest
        if owner:
            self._owned[owner].append(manifest)
        if kind == "Pod":
            for key, value in labels_of(manifest).items():
                self._labelled[this.namespace, key, value].append(manifest)
        elif kind == "EndpointSlice":
            service = labels_of(manifest).get("kubernetes.io/service-name", "")
            self._slices[this.namespace, service].append(manifest)
        elif kind == "Service" and selector(manifest):
            key, value = next(iter(sorted(selector(manifest).items())))
            self._services[this.namespace, key, value].append(manifest)

    @cached_property
    def ailing(self) -> list[Json]:
        """The pods that do not serve and are not leaving: few, where all is well.

        One that ended serves nothing, whatever its condition Ready still says: what marks a pod Failed from outside
        (the garbage collector of pods, an eviction through the API) may leave the condition as it was.
        """
        return [pod for pod in self.all("Pod") if (finished(pod) or not ready(pod)) and not leaving(pod)]

    @cached_property
    def suffering(self) -> set[int]:
        """Everything that has an ailing pod which did not finish, by identity: each controller above one."""
        found = set()
        for pod in self.ailing:
            current: Json | None = None if finished(pod) else pod
            for _ in range(_ABOVE):
                if current is None:
                    break
                found.add(id(current))
                current = self.owner(current)
        return found

    @cached_property
    def unplaced(self) -> list[Json]:
        """The pods that no scheduler has put on a node, and that neither finished nor leave."""
        return [
            pod for pod in self.all("Pod") if not at(pod, "spec", "nodeName") and not finished(pod) and not leaving(pod)
        ]

    @cached_property
    def ended(self) -> list[Json]:
        """The pods whose status remembers that a container ended, those that leave left out."""
        return [pod for pod in self.all("Pod") if _ended(pod) and not leaving(pod)]

    @cached_property
    def heard(self) -> list[Json]:
        """The pods of which a log was read."""
        names = {(namespace, pod) for namespace, pod, _, _ in self._logs}
        return [pod for pod in self.all("Pod") if (namespace_of(pod), name_of(pod)) in names]

    def all(self, kind: str) -> list[Json]:
        """Return the objects of a kind, in the order they were read."""
        return self.snapshot.objects.get(kind, [])

    def get(self, wanted: ObjectRef) -> Json | None:
        """Return an object, or None where the snapshot has none of this name."""
        this = ObjectRef(kind=wanted.kind, name=wanted.name, namespace=wanted.namespace)
        return self._objects.get(this) or self._unread.get(this)

    def unread(self, wanted: ObjectRef) -> bool:
        """Return whether an object is known by what it made alone, because its kind could not be read."""
        return ObjectRef(kind=wanted.kind, name=wanted.name, namespace=wanted.namespace) in self._unread

    def owner(self, manifest: Json) -> Json | None:
        """Return the controller that made this object, where it was read."""
        above = controller(manifest)
        return self._objects.get(above) if above else None

    def workload(self, pod: Json) -> Json:
        """Return the topmost controller of a pod, or the pod itself where it has none.

        Of one that could not be read there are its name and its template: what it made tells both.
        """
        known = self._tops.get(id(pod))
        if known is None:
            known = self._tops[id(pod)] = self._top(pod)
        return known

    def _top(self, pod: Json) -> Json:
        current = pod
        for _ in range(_ABOVE):
            above = self.owner(current) or self._unread_owner(current)
            if above is None:
                return current
            current = above
        return current

    def _unread_owner(self, manifest: Json) -> Json | None:
        """Return what is known of a controller whose kind could not be read there: its name, and what it made last.

        A ReplicaSet that was not read is passed by where its pod says of which Deployment it is: a Deployment calls its
        ReplicaSets by its own name and the hash that is their pods' label.
        """
        above = controller(manifest)
        if above is None or not self.snapshot.unread(above.namespace, above.kind):
            return None
        tail = f"-{labels_of(manifest).get('pod-template-hash')}"
        if above.kind == "ReplicaSet" and above.name.endswith(tail):
            deployment = ObjectRef("Deployment", above.name.removesuffix(tail), above.namespace)
            if deployment in self._objects or self.snapshot.unread(above.namespace, "Deployment"):
                return self._objects.get(deployment) or self._named(deployment, self._owned[above])
        return self._named(above, self._owned[above])

    def _named(self, unread: ObjectRef, made: list[Json]) -> Json:
        if unread not in self._unread:
            last = max(made, key=lambda item: (revision(item), created(item), name_of(item)))
            metadata = {"name": unread.name} | ({"namespace": unread.namespace} if unread.namespace else {})
            template = at(last, "spec", "template") or {key: last.get(key) for key in ("metadata", "spec")}
            spec = {"template": template, "replicas": at(last, "spec", "replicas", default=len(made))}
            self._unread[unread] = {"kind": unread.kind, "metadata": metadata, "spec": spec}
        return self._unread[unread]

    def owned(self, manifest: Json) -> list[Json]:
        """Return what this object controls directly."""
        return self._owned.get(ref(manifest), [])

    def pods(self, workload: Json) -> list[Json]:
        """Return the pods of a workload that have not finished."""
        if workload.get("kind") == "Pod":
            return [workload]
        found: list[Json] = []
        for child in self.owned(workload):
            found += [child] if child.get("kind") == "Pod" else self.pods(child)
        return [pod for pod in found if not finished(pod)]

    def revisions(self, workload: Json) -> list[Json]:
        """Return what has the templates of a workload, the newest revision first.

        The ReplicaSets of a Deployment; of a StatefulSet or DaemonSet its ControllerRevisions, where they were read
        (`pointed.templates`).
        """
        if workload.get("kind") != "Deployment":
            return sorted(self._templates.get(ref(workload), ()), key=revision, reverse=True)
        sets = [child for child in self.owned(workload) if child.get("kind") == "ReplicaSet"]
        return sorted(sets, key=revision, reverse=True)

    def previous(self, workload: Json) -> Json | None:
        """Return the revision that ran before the present one, or None; it has the template at `spec.template`.

        Of several it is the newest that still has ready pods: one that was deployed in between may never have run.
        """
        earlier = self.revisions(workload)[1:]
        return next((item for item in earlier if self._serves(workload, item)), earlier[0] if earlier else None)

    def _serves(self, workload: Json, held: Json) -> bool:
        if held.get("kind") == "ReplicaSet" and at(held, "status", "readyReplicas", default=0):
            return True
        above = held if held.get("kind") == "ReplicaSet" else workload
        return any(made_from(held, pod) and ready(pod) for pod in self.owned(above) if pod.get("kind") == "Pod")

    def selected(self, namespace: str, wanted: dict[str, str]) -> list[Json]:
        """Return the pods of a namespace that carry all these labels."""
        if not wanted:
            return []
        asked = namespace, tuple(sorted(wanted.items()))
        if asked not in self._selected:
            self._selected[asked] = self._select(namespace, wanted)
        return self._selected[asked]

    def _select(self, namespace: str, wanted: dict[str, str]) -> list[Json]:
        lists = [self._labelled.get((namespace, key, value), []) for key, value in wanted.items()]
        shortest = min(lists, key=len)
        return [pod for pod in shortest if carries(labels_of(pod), wanted) and not finished(pod)]

    def services(self, namespace: str, labels: dict[str, str]) -> list[Json]:
        """Return the Services of a namespace that select pods with these labels."""
        found: list[Json] = []
        for key, value in labels.items():
            candidates = self._services.get((namespace, key, value), [])
            found += [service for service in candidates if carries(labels, selector(service))]
        return found

    def endpoints(self, service: Json) -> list[Json]:
        """Return the endpoints in the Service's EndpointSlices, ready or not, whoever wrote them."""
        pieces = self._slices.get((namespace_of(service), name_of(service)), [])
        return [endpoint for piece in pieces for endpoint in each(piece, "endpoints")]

    def events(self, manifest: Json) -> list[Json]:
        """Return the events about an object."""
        return self._events.get(ref(manifest), [])

    def told(self, kind: str, reason: str) -> Iterator[tuple[Json, Json]]:
        """Yield each event with this reason about an object of this kind that is there: object and event."""
        for event in self._reasons.get(reason, ()):
            about = self._objects.get(_named(texts(event, "involvedObject")))
            if about is not None and about.get("kind") == kind:
                yield about, event

    def log(self, pod: Json, container: str) -> str:
        """Return the last lines of a container: of the run that ended, else of the present one."""
        for previous in (True, False):
            text = self._logs.get((namespace_of(pod), name_of(pod), container, previous))
            if text:
                return text
        return ""

    def usage(self, pod: Json) -> list[Usage]:
        """Return what the pod's containers were measured to use."""
        return self._usage.get((namespace_of(pod), name_of(pod)), [])

    @cached_property
    def reserved(self) -> dict[str, Reserved]:
        """What all pods reserve on each node, those of namespaces that were only summed included."""
        sums = reserved(self.all("Pod"))
        for load in self.snapshot.elsewhere or ():
            here = sums.get(load.node, Reserved())
            sums[load.node] = Reserved(
                here.memory + load.memory, here.cpu + Decimal(str(load.cpu)), here.pods + load.pods
            )
        return sums

    def edges(self) -> Iterator[Edge]:
        """Yield every reference whose two ends were read."""
        for this, manifest in self._objects.items():
            for edge in self._edges_of(this, manifest):
                if edge.source in self._objects and edge.target in self._objects:
                    yield edge

    def _edges_of(self, this: ObjectRef, manifest: Json) -> Iterator[Edge]:
        owner = controller(manifest)
        if owner:
            yield Edge(owner, "owns", this)
        if this.kind == "Pod":
            yield from pod_edges(this, manifest)
        elif this.kind == "Service":
            for pod in self.selected(this.namespace, selector(manifest)):
                yield Edge(this, "selects", ref(pod))
        elif this.kind == "Ingress":
            for name in backends(manifest):
                yield Edge(this, "routes", ObjectRef(kind="Service", name=name, namespace=this.namespace))
        elif this.kind == "HorizontalPodAutoscaler":
            target = at(manifest, "spec", "scaleTargetRef", default={})
            yield Edge(this, "scales", ObjectRef(str(target.get("kind")), str(target.get("name")), this.namespace))


def reserved(pods: Iterable[Json]) -> dict[str, Reserved]:
    """Return what these pods reserve on each node."""
    sums: dict[str, Reserved] = {}
    for pod in pods:
        node = str(at(pod, "spec", "nodeName", default=""))
        if not node or finished(pod):
            continue
        spec, here = at(pod, "spec", default={}), sums.get(node, Reserved())
        sums[node] = Reserved(
            here.memory + pod_request(spec, "memory"), here.cpu + pod_request(spec, "cpu"), here.pods + 1
        )
    return sums


def controller(manifest: Json) -> ObjectRef | None:
    """Return the name of the object that controls this one, or None."""
    listed = at(manifest, "metadata", "ownerReferences")
    for owner in listed if isinstance(listed, list) else ():
        if isinstance(owner, dict) and owner.get("controller"):
            namespace = namespace_of(manifest) if owner.get("kind") != "Node" else ""
            return ObjectRef(kind=str(owner.get("kind")), name=str(owner.get("name")), namespace=namespace)
    return None


def _ended(pod: Json) -> bool:
    return any(
        at(status, place, "terminated") is not None
        for listed in ("containerStatuses", "initContainerStatuses")
        for status in each(pod, "status", listed)
        for place in ("state", "lastState")
    )


def selector(service: Json) -> dict[str, str]:
    """Return the labels by which a Service chooses pods; without any it chooses none by itself."""
    return texts(service, "spec", "selector") if at(service, "spec", "type") != "ExternalName" else {}


def carries(labels: dict[str, str], wanted: dict[str, str]) -> bool:
    """Return whether `labels` hold everything that is wanted."""
    return all(labels.get(key) == value for key, value in wanted.items())


def made_from(held: Json, pod: Json) -> bool:
    """Return whether a pod of the workload was made from a revision: it is the ReplicaSet's, or says whose it is.

    A DaemonSet's pods carry the hash of their ControllerRevision, those of a StatefulSet its name.
    """
    if held.get("kind") == "ReplicaSet":
        return controller(pod) == ref(held)
    said = labels_of(pod).get(_HASH)
    return said is not None and said in (name_of(held), labels_of(held).get(_HASH))


def revision(held: Json) -> int:
    """Return the revision that a ReplicaSet or a ControllerRevision stands for; 0 where it does not say."""
    written = str(at(held, "metadata", "annotations", REVISION, default="0"))
    return int(written) if written.isdigit() else 0


def backends(ingress: Json) -> Iterator[str]:
    """Yield the names of the Services that an Ingress sends to."""
    default = at(ingress, "spec", "defaultBackend", "service", "name")
    if default:
        yield str(default)
    for rule in each(ingress, "spec", "rules"):
        for path in each(rule, "http", "paths"):
            name = at(path, "backend", "service", "name")
            if name:
                yield str(name)


def _named(about: dict[str, str]) -> ObjectRef:
    kind = about.get("kind", "")
    namespace = "" if kind in ("Node", "Namespace") else about.get("namespace", "")
    return ObjectRef(kind=kind, name=about.get("name", ""), namespace=namespace)


def pod_edges(this: ObjectRef, pod: Json) -> Iterator[Edge]:
    """Yield what a pod names: its node, and the ConfigMaps and Secrets that it mounts or takes its environment from."""
    node = at(pod, "spec", "nodeName")
    if node:
        yield Edge(this, "runs-on", ObjectRef(kind="Node", name=str(node)))
    for volume in each(pod, "spec", "volumes"):
        for kind, path in (("ConfigMap", ("configMap", "name")), ("Secret", ("secret", "secretName"))):
            name = at(volume, *path)
            if name:
                yield Edge(this, "mounts", ObjectRef(kind=kind, name=str(name), namespace=this.namespace))
    for name_kind in sorted(set(_env_sources(pod))):
        yield Edge(this, "env-from", ObjectRef(kind=name_kind[0], name=name_kind[1], namespace=this.namespace))


def _env_sources(pod: Json) -> Iterator[tuple[str, str]]:
    for listed in ("initContainers", "containers"):
        for container in each(pod, "spec", listed):
            references = [
                *((source, "configMapRef", "secretRef") for source in each(container, "envFrom")),
                *(
                    (at(item, "valueFrom", default={}), "configMapKeyRef", "secretKeyRef")
                    for item in each(container, "env")
                ),
            ]
            for source, config_map, secret in references:
                for kind, key in (("ConfigMap", config_map), ("Secret", secret)):
                    name = at(source, key, "name")
                    if name:
                        yield kind, str(name)
