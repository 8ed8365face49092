"""What belongs to an object of a kind and is not in it: read for `k8s_describe`, one small function a kind.

Each reads with the lists that it needs and answers with members for the description. What may not be read is unknown
there, and nothing else of the description is hurt.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from skyflo_mcp.kubernetes.answers import table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.workload import containers, ready, selector_text
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import format_cpu, format_memory, parse_quantity

Read = Callable[[Cluster, Json], Awaitable[Json]]
_MOST = 200


async def service(cluster: Cluster, manifest: Json) -> Json:
    """The addresses behind a Service, with the pods that they are and whether they are ready."""
    found = await cluster.list(
        "EndpointSlice", _namespace(manifest), label_selector=f"kubernetes.io/service-name={_name(manifest)}"
    )
    rows: list[list[Value]] = [
        [", ".join(one.get("addresses") or []), at(one, "targetRef", "name"), at(one, "conditions", "ready")]
        for piece in found.items
        for one in piece.get("endpoints") or []
    ]
    return {"endpoints": table(("ADDRESS", "POD", "READY"), rows, selector=at(manifest, "spec", "selector"))}


async def ingress(cluster: Cluster, manifest: Json) -> Json:
    """Each path of an Ingress, with whether its Service is there, has the port, and has ready endpoints."""
    namespace = _namespace(manifest)
    services = {_name(one): one for one in (await cluster.list("services", namespace)).items}
    slices = (await cluster.list("EndpointSlice", namespace)).items
    rows: list[list[Value]] = []
    for host, path, backend in _paths(manifest):
        name, port = str(at(backend, "service", "name", default="")), at(backend, "service", "port", default={})
        target = services.get(name)
        ports = at(target, "spec", "ports", default=[])
        has_port = any(port.get("name") == one.get("name") or port.get("number") == one.get("port") for one in ports)
        said = port.get("name") or port.get("number")
        rows.append([host, path, name, said, target is not None, has_port, _ready_behind(slices, name)])
    columns = ("HOST", "PATH", "SERVICE", "PORT", "SERVICE IS THERE", "PORT IS THERE", "READY ENDPOINTS")
    return {"backends": table(columns, rows)}


async def node(cluster: Cluster, manifest: Json) -> Json:
    """What the pods on a node ask for in sum, as the scheduler counts it, and which pods these are."""
    found = await cluster.list("Pod", None, field_selector=f"spec.nodeName={_name(manifest)}")
    live = [pod for pod in found.items if at(pod, "status", "phase") not in ("Succeeded", "Failed")]
    sums = {resource: sum((_asked(pod, resource) for pod in live), Decimal(0)) for resource in ("cpu", "memory")}
    there = at(manifest, "status", "allocatable", default={})
    percent = {
        f"{resource}_percent": round(100 * asked / parse_quantity(there[resource]))
        for resource, asked in sums.items()
        if there.get(resource)
    }
    rows: list[list[Value]] = [
        [_namespace(pod), _name(pod), format_cpu(_asked(pod, "cpu")), format_memory(_asked(pod, "memory")), ready(pod)]
        for pod in live[:_MOST]
    ]
    requested = {"pods": len(live), "cpu": format_cpu(sums["cpu"]), "memory": format_memory(sums["memory"]), **percent}
    columns = ("NAMESPACE", "POD", "CPU REQUEST", "MEMORY REQUEST", "READY")
    return {"requested": requested, "pods": table(columns, rows, more=len(live) > _MOST)}


async def claim(cluster: Cluster, manifest: Json) -> Json:
    """The volume behind a claim, whether its class lets it grow, and the pods that use it."""
    pods = (await cluster.list("Pod", _namespace(manifest))).items
    used_by = [_name(pod) for pod in pods if _name(manifest) in _claims(pod)]
    answer: Json = {"used_by": used_by}
    if volume := at(manifest, "spec", "volumeName"):
        found = await _optional(cluster, ObjectRef("PersistentVolume", volume, "", "v1"))
        answer["volume"] = {
            "name": volume,
            "phase": at(found, "status", "phase"),
            "reclaim_policy": at(found, "spec", "persistentVolumeReclaimPolicy"),
        }
    if name := at(manifest, "spec", "storageClassName"):
        found = await _optional(cluster, ObjectRef("StorageClass", name, "", "storage.k8s.io/v1"))
        grows = None if found is None else bool(found.get("allowVolumeExpansion"))
        answer["storage_class"] = {"name": name, "is_there": found is not None, "can_grow": grows}
    return answer


async def autoscaler(cluster: Cluster, manifest: Json) -> Json:
    """What an autoscaler scales, and each of its metrics beside its target."""
    target = at(manifest, "spec", "scaleTargetRef", default={})
    ref = ObjectRef(
        str(target.get("kind")), str(target.get("name")), _namespace(manifest), str(target.get("apiVersion", ""))
    )
    found = await _optional(cluster, ref)
    wanted = [_metric(one) for one in at(manifest, "spec", "metrics", default=[])]
    now = dict(_metric(one) for one in at(manifest, "status", "currentMetrics", default=[]))
    scaled = {"object": str(ref), "is_there": found is not None, "replicas": at(found, "spec", "replicas")}
    return {"scales": scaled, "metrics": table(("METRIC", "NOW", "TARGET"), [[n, now.get(n), t] for n, t in wanted])}


async def cron_job(cluster: Cluster, manifest: Json) -> Json:
    """The Jobs that a CronJob made."""
    found = await cluster.list("Job", _namespace(manifest))
    uid = at(manifest, "metadata", "uid")
    mine = [
        one for one in found.items if any(o.get("uid") == uid for o in at(one, "metadata", "ownerReferences") or [])
    ]
    rows: list[list[Value]] = [
        [
            _name(one),
            at(one, "status", "succeeded", default=0),
            at(one, "status", "failed", default=0),
            at(one, "status", "active", default=0),
            at(one, "status", "startTime"),
            at(one, "status", "completionTime"),
        ]
        for one in mine
    ]
    return {"jobs": table(("NAME", "SUCCEEDED", "FAILED", "ACTIVE", "STARTED", "COMPLETED"), rows)}


async def selecting(cluster: Cluster, manifest: Json) -> Json:
    """The pods that a PodDisruptionBudget or a NetworkPolicy selects."""
    member = "podSelector" if manifest.get("kind") == "NetworkPolicy" else "selector"
    selector = selector_text({"spec": {"selector": at(manifest, "spec", member, default={})}})
    found = await cluster.list("Pod", _namespace(manifest), label_selector=selector)
    rows: list[list[Value]] = [[_name(pod), ready(pod)] for pod in found.items[:_MOST]]
    return {"selects": table(("POD", "READY"), rows, selector=selector, more=len(found.items) > _MOST)}


async def held(cluster: Cluster, manifest: Json) -> Json:
    """The pods that use a ConfigMap or a Secret."""
    found = await cluster.list("Pod", _namespace(manifest))
    kind, name = str(manifest.get("kind")), _name(manifest)
    return {"used_by": [_name(pod) for pod in found.items if name in _holdings(pod, kind)]}


READS: Mapping[str, Read] = {
    "Service": service,
    "Ingress": ingress,
    "Node": node,
    "PersistentVolumeClaim": claim,
    "HorizontalPodAutoscaler": autoscaler,
    "CronJob": cron_job,
    "PodDisruptionBudget": selecting,
    "NetworkPolicy": selecting,
    "ConfigMap": held,
    "Secret": held,
}


def conditions(manifest: Json) -> Json | None:
    """Return an object's conditions as a table, custom resources' as well; None where it has none."""
    known = at(manifest, "status", "conditions", default=[])
    rows: list[list[Value]] = [
        [
            one.get("type"),
            one.get("status"),
            one.get("reason"),
            one.get("message"),
            one.get("lastTransitionTime") or one.get("lastUpdateTime"),
        ]
        for one in (known if isinstance(known, list) else [])
        if isinstance(one, dict)
    ]
    return table(("TYPE", "STATUS", "REASON", "MESSAGE", "SINCE"), rows) if rows else None


async def _optional(cluster: Cluster, ref: ObjectRef) -> Json | None:
    try:
        return await cluster.get(ref)
    except NotFound:
        return None


def _paths(manifest: Json) -> Iterable[tuple[str, str, Json]]:
    if backend := at(manifest, "spec", "defaultBackend"):
        yield "*", "*", backend
    for rule in at(manifest, "spec", "rules", default=[]):
        for one in at(rule, "http", "paths", default=[]):
            yield str(rule.get("host") or "*"), str(one.get("path") or "/"), one.get("backend") or {}


def _ready_behind(slices: Sequence[Json], name: str) -> int:
    mine = (one for one in slices if at(one, "metadata", "labels", "kubernetes.io/service-name") == name)
    return sum(bool(at(one, "conditions", "ready")) for piece in mine for one in piece.get("endpoints") or [])


def _asked(pod: Json, resource: str) -> Decimal:
    each = at(pod, "spec", "containers", default=[])
    return sum((parse_quantity(at(one, "resources", "requests", resource, default="0")) for one in each), Decimal(0))


def _claims(pod: Json) -> set[str]:
    volumes = at(pod, "spec", "volumes", default=[])
    return {str(at(one, "persistentVolumeClaim", "claimName", default="")) for one in volumes}


def _holdings(pod: Json, kind: str) -> set[str]:
    """Return the names of the ConfigMaps or Secrets that a pod uses, as volumes, variables or to pull images."""
    secret = kind == "Secret"
    volume, everything, key = (
        ("secret", "secretRef", "secretKeyRef") if secret else ("configMap", "configMapRef", "configMapKeyRef")
    )
    names = {at(one, volume, "secretName" if secret else "name") for one in at(pod, "spec", "volumes", default=[])}
    for one in at(pod, "spec", "volumes", default=[]):
        names |= {at(source, volume, "name") for source in at(one, "projected", "sources", default=[])}
    for container in containers(pod):
        names |= {at(one, everything, "name") for one in container.value.get("envFrom") or []}
        names |= {at(one, "valueFrom", key, "name") for one in container.value.get("env") or []}
    if secret:
        names |= {one.get("name") for one in at(pod, "spec", "imagePullSecrets", default=[])}
    return {str(name) for name in names if name}


def _metric(one: Json) -> tuple[str, Value]:
    """Return a metric's name and its figure, of a target or of what is."""
    kind = str(one.get("type", ""))
    detail = one.get(kind[:1].lower() + kind[1:]) or {}
    name = at(detail, "name") or at(detail, "metric", "name") or kind
    figures = detail.get("current") or detail.get("target") or {}
    percent = figures.get("averageUtilization")
    return str(name), f"{percent}%" if percent is not None else figures.get("averageValue") or figures.get("value")


def _name(manifest: Json) -> str:
    return str(at(manifest, "metadata", "name", default=""))


def _namespace(manifest: Json) -> str:
    return str(at(manifest, "metadata", "namespace", default=""))
