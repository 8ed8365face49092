"""What raw pods, templates and workloads say, read with care: any part may be missing.

Source of the fields: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/ (PodSpec, PodStatus).
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
# Workloads whose pod template may be edited in place.
EDITABLE = ("Deployment", "StatefulSet", "DaemonSet")
PULL_ERRORS = ("ErrImagePull", "ImagePullBackOff")
Resource = Literal["cpu", "memory"]


class Container(msgspec.Struct, frozen=True):
    """One container of a pod: its specification and its status, which may be empty."""

    name: str
    index: int
    init: bool
    spec: Json
    status: Json

    @property
    def restarts(self) -> int:
        """How often the kubelet started it again."""
        return whole(self.status, "restartCount")

    @property
    def ready(self) -> bool:
        """Whether the kubelet says that it is ready."""
        return bool(at(self.status, "ready", default=False))

    @property
    def waiting(self) -> tuple[str, str]:
        """Reason and message of a waiting container, else empty."""
        said = texts(self.status, "state", "waiting")
        return said.get("reason", ""), said.get("message", "")

    @property
    def runs(self) -> bool:
        """Whether its process runs at the moment."""
        return at(self.status, "state", "running") is not None

    @property
    def terminations(self) -> tuple[Json, ...]:
        """The terminations that the status remembers, the newest first."""
        places = (("state", "terminated"), ("lastState", "terminated"))
        return tuple(found for place in places if isinstance(found := at(self.status, *place), dict))


def each(value: object, *path: str | int) -> list[Json]:
    """Return the objects in the list at `path`; what is missing, null or no object is left out."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def whole(value: object, *path: str | int, default: int = 0) -> int:
    """Return the whole number at `path`, or `default` where there is none."""
    found = at(value, *path)
    return found if isinstance(found, int) else default


def name_of(manifest: Json) -> str:
    """Return the object's name."""
    return _called(manifest, "name")


def namespace_of(manifest: Json) -> str:
    """Return the object's namespace, or nothing."""
    return _called(manifest, "namespace")


def _called(manifest: Json, part: str) -> str:
    """Return a name out of the metadata: without `at`, because every rule asks it of every object."""
    metadata = manifest.get("metadata")
    found = metadata.get(part) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else "" if found is None else str(found)


def labels_of(manifest: Json) -> dict[str, str]:
    """Return the object's labels."""
    return texts(manifest, "metadata", "labels")


def texts(value: object, *path: str | int) -> dict[str, str]:
    """Return the members of the object at `path` that are texts."""
    found = at(value, *path, default={})
    return {key: item for key, item in found.items() if isinstance(item, str)} if isinstance(found, dict) else {}


def created(manifest: Json) -> str:
    """Return when the object was created (RFC 3339)."""
    return str(at(manifest, "metadata", "creationTimestamp", default=""))


def containers(pod: Json) -> Iterator[Container]:
    """Yield each container with its status, init containers first."""
    for spec_key, status_key, init in (
        ("initContainers", "initContainerStatuses", True),
        ("containers", "containerStatuses", False),
    ):
        statuses = {str(item.get("name")): item for item in each(pod, "status", status_key)}
        for index, spec in enumerate(each(pod, "spec", spec_key)):
            name = str(spec.get("name", ""))
            yield Container(name=name, index=index, init=init, spec=spec, status=statuses.get(name, {}))


def template(workload: Json) -> Json:
    """Return the pod template of a workload, or an empty one."""
    found = at(workload, "spec", "template", default={})
    return found if isinstance(found, dict) else {}


def pod_spec(workload: Json) -> Json:
    """Return the specification of the pods that a workload makes, or an empty one."""
    found = at(template(workload), "spec", default={})
    return found if isinstance(found, dict) else {}


def template_container(workload: Json, name: str) -> tuple[str, int, Json] | None:
    """Return list name, index and specification of a template's container, or None where it has no such one."""
    for listed in ("containers", "initContainers"):
        for index, spec in enumerate(each(template(workload), "spec", listed)):
            if spec.get("name") == name:
                return listed, index, spec
    return None


def amount(spec: Json, kind: Literal["limits", "requests"], resource: Resource) -> Decimal | None:
    """Return a container's limit or request in its base unit, or None where there is none that can be read."""
    written = at(spec, "resources", kind, resource)
    return None if written is None else quantity(written)


def quantity(written: object) -> Decimal | None:
    """Return a quantity in its base unit, or None where it is none."""
    try:
        return parse_quantity(str(written))
    except BadInput:
        return None


def request(spec: Json, resource: Resource) -> Decimal:
    """Return what the scheduler counts for a container: its request, else its limit, else nothing."""
    return amount(spec, "requests", resource) or amount(spec, "limits", resource) or Decimal(0)


def pod_request(pod_spec: Json, resource: Resource) -> Decimal:
    """Return what the scheduler counts for a pod.

    The sum over its containers, or the greatest init container where that is more; init containers that keep running
    (sidecars) count with the sum. Source: k8s.io/component-helpers/resource/helpers.go.
    """
    inits = each(pod_spec, "initContainers")
    sidecars = [spec for spec in inits if spec.get("restartPolicy") == "Always"]
    running = sum((request(spec, resource) for spec in [*each(pod_spec, "containers"), *sidecars]), Decimal(0))
    first = max((request(spec, resource) for spec in inits if spec not in sidecars), default=Decimal(0))
    return max(running, first) + (quantity(at(pod_spec, "overhead", resource, default="0")) or Decimal(0))


def finished(pod: Json) -> bool:
    """Return whether the pod runs no more, so that it holds neither resources nor a place behind a Service."""
    return at(pod, "status", "phase") in ("Succeeded", "Failed")


def leaving(pod: Json) -> bool:
    """Return whether the pod is being deleted."""
    return at(pod, "metadata", "deletionTimestamp") is not None


def condition(manifest: Json, kind: str) -> Json:
    """Return the status condition of this type, or an empty one."""
    listed = at(manifest, "status", "conditions")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict) and item.get("type") == kind:
            return item
    return {}


def ready(pod: Json) -> bool:
    """Return whether the pod serves: its condition Ready is True."""
    return condition(pod, "Ready").get("status") == "True"


def replicas(workload: Json) -> int:
    """Return how many pods are wanted; a DaemonSet's number is its status's."""
    if workload.get("kind") == "DaemonSet":
        return whole(workload, "status", "desiredNumberScheduled")
    return whole(workload, "spec", "replicas", default=1)


def surge(workload: Json) -> int:
    """Return how many pods above `replicas` a rolling update may start.

    Percentages are rounded up, the default is 25 %. Source: k8s.io/kubernetes/pkg/controller/deployment/util.
    """
    if workload.get("kind") != "Deployment" or at(workload, "spec", "strategy", "type") == "Recreate":
        return 0
    written = str(at(workload, "spec", "strategy", "rollingUpdate", "maxSurge", default="25%"))
    if written.endswith("%") and written[:-1].isdigit():
        return -(-replicas(workload) * int(written[:-1]) // 100)
    return int(written) if written.isdigit() else 1
