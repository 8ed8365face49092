"""Workloads: where their pod template lies, its containers, the pods that belong to them, and their revisions. Pure.

A pod belongs to a workload by `ownerReferences` (by uid, through ReplicaSets and Jobs), never by its labels alone.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

TemplateKind = Literal[
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"
]
# A running pod's image and amounts can be changed in place, and nothing else of its containers.
PodOrTemplateKind = Literal[
    "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob", "Pod"
]
RolloutKind = Literal["Deployment", "StatefulSet", "DaemonSet"]

REVISION = "deployment.kubernetes.io/revision"
CHANGE_CAUSE = "kubernetes.io/change-cause"
_TEMPLATE = ("spec", "template")
_PATHS: dict[str, tuple[str, ...]] = {"Pod": (), "CronJob": ("spec", "jobTemplate", "spec", "template")}


class Container(msgspec.Struct, frozen=True):
    """One container of a pod template, and its place in the object."""

    path: tuple[str | int, ...]
    value: Json
    init: bool = False

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.value.get("name", ""))


class Revision(msgspec.Struct, frozen=True):
    """One earlier or present state of a workload's pod template."""

    number: int
    source: str
    template: Json
    created: str = ""
    change_cause: str = ""
    replicas: int | None = None


def template_path(manifest: Json) -> tuple[str, ...]:
    """Return where the pod template of a workload lies (a Pod is its own)."""
    return _PATHS.get(str(manifest.get("kind", "")), _TEMPLATE)


def containers(manifest: Json) -> list[Container]:
    """Return the containers of a workload's template, init containers after the others."""
    root = template_path(manifest)
    found = []
    for member in ("containers", "initContainers"):
        for index, value in enumerate(at(manifest, *root, "spec", member, default=[])):
            found.append(Container((*root, "spec", member, index), value, init=member == "initContainers"))
    return found


def find_container(manifest: Json, name: str) -> Container:
    """Return the container of that name, or raise `BadInput` with the names that there are."""
    known = containers(manifest)
    for one in known:
        if one.name == name:
            return one
    raise BadInput(
        f"{label(manifest)} has no container named {name[:80]!r}.",
        next_step=f"Its containers: {', '.join(one.name for one in known) or 'none'}.",
    )


def label(manifest: Json) -> str:
    """Return `Kind/namespace/name` of a raw object."""
    parts = (manifest.get("kind"), at(manifest, "metadata", "namespace"), at(manifest, "metadata", "name"))
    return "/".join(str(part) for part in parts if part)


def uid(manifest: Json) -> str:
    """Return an object's uid."""
    return str(at(manifest, "metadata", "uid", default=""))


def owned(items: Iterable[Json], owners: set[str]) -> list[Json]:
    """Return the objects whose controller's uid is among `owners`."""
    return [
        item
        for item in items
        if any(
            owner.get("uid") in owners and owner.get("controller", False)
            for owner in at(item, "metadata", "ownerReferences", default=[])
        )
    ]


def selector_text(manifest: Json) -> str:
    """Return a workload's selector as a label selector's text; it narrows a list before owners are looked at."""
    selector = at(manifest, "spec", "selector", default={})
    if not isinstance(selector, dict):
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in selector.items())  # ReplicationController
    said = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        key, values = one["key"], ",".join(one.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        said.append(forms.get(one["operator"], f"!{key}"))
    return ",".join(said)


def replica_set_revisions(deployment: Json, replica_sets: Iterable[Json]) -> list[Revision]:
    """Return the revisions of a Deployment, oldest first, from the ReplicaSets it owns."""
    found = []
    for one in owned(replica_sets, {uid(deployment)}):
        number = at(one, "metadata", "annotations", REVISION, default="")
        if str(number).isdigit():
            found.append(
                Revision(
                    number=int(number),
                    source=at(one, "metadata", "name", default=""),
                    template=_without_hash(at(one, "spec", "template", default={})),
                    created=at(one, "metadata", "creationTimestamp", default=""),
                    change_cause=at(one, "metadata", "annotations", CHANGE_CAUSE, default=""),
                    replicas=at(one, "spec", "replicas", default=0),
                )
            )
    return sorted(found, key=lambda revision: revision.number)


def controller_revisions(workload: Json, revisions: Iterable[Json]) -> list[Revision]:
    """Return the revisions of a StatefulSet or DaemonSet, oldest first, from its ControllerRevisions."""
    found = [
        Revision(
            number=int(one.get("revision", 0)),
            source=at(one, "metadata", "name", default=""),
            template={
                key: value for key, value in at(one, "data", "spec", "template", default={}).items() if key[0] != "$"
            },
            created=at(one, "metadata", "creationTimestamp", default=""),
            change_cause=at(one, "metadata", "annotations", CHANGE_CAUSE, default=""),
        )
        for one in owned(revisions, {uid(workload)})
    ]
    return sorted(found, key=lambda revision: revision.number)


def _without_hash(template: Json) -> Json:
    labels = dict(at(template, "metadata", "labels", default={}))
    labels.pop("pod-template-hash", None)
    return {**template, "metadata": {**template.get("metadata", {}), "labels": labels}}


def fingerprint(template: Json) -> str:
    """Return a short digest of a template, to tell whether two are the same."""
    return hashlib.sha256(msgspec.json.encode(template, order="deterministic")).hexdigest()[:12]


def restarts(pod: Json) -> int:
    """Return how often the containers of a pod were started again, as kubectl counts them."""
    return sum(int(one.get("restartCount", 0)) for one in at(pod, "status", "containerStatuses", default=[]))


def ready(pod: Json) -> bool:
    """Return whether the pod's Ready condition is true."""
    return any(
        one.get("type") == "Ready" and one.get("status") == "True"
        for one in at(pod, "status", "conditions", default=[])
    )
