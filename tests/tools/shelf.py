"""Objects on a shelf: an API server that serves many kinds and a few objects, and takes no write.

What it does not hold is a 404, and a path in `refused` is a 403.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from skyflo_mcp.kubernetes import Cluster, call

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered
from tests.tools.apiserver import Asked, Reply, Scripted, status

# Group, version, kind, plural, whether it lives in a namespace, and its subresources.
KINDS: tuple[tuple[str, str, str, str, bool, tuple[str, ...]], ...] = (
    ("", "v1", "Pod", "pods", True, ("resize", "eviction")),
    ("", "v1", "Node", "nodes", False, ()),
    ("", "v1", "Namespace", "namespaces", False, ()),
    ("", "v1", "Service", "services", True, ()),
    ("", "v1", "ConfigMap", "configmaps", True, ()),
    ("", "v1", "Secret", "secrets", True, ()),
    ("", "v1", "Event", "events", True, ()),
    ("", "v1", "ServiceAccount", "serviceaccounts", True, ()),
    ("", "v1", "ReplicationController", "replicationcontrollers", True, ("scale",)),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", True, ()),
    ("", "v1", "PersistentVolume", "persistentvolumes", False, ()),
    ("apps", "v1", "Deployment", "deployments", True, ("scale",)),
    ("apps", "v1", "ReplicaSet", "replicasets", True, ("scale",)),
    ("apps", "v1", "StatefulSet", "statefulsets", True, ("scale",)),
    ("apps", "v1", "DaemonSet", "daemonsets", True, ()),
    ("batch", "v1", "Job", "jobs", True, ()),
    ("batch", "v1", "CronJob", "cronjobs", True, ()),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ()),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", True, ()),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ()),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ()),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True, ()),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", False, ()),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False, ()),
    ("tests.skyflo.dev", "v1", "Gadget", "gadgets", True, ("scale",)),
)
SPACE: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "uid": "shop"}}


def root(group: str, version: str) -> str:
    """The path below which a group's kinds are."""
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def discovery() -> dict[str, Json]:
    """What the server says of its kinds, by path."""
    pages: dict[str, Json] = {"/api": {"kind": "APIVersions", "versions": ["v1"]}, "/version": {"gitVersion": "v1"}}
    groups = []
    for group, version in dict.fromkeys((group, version) for group, version, *_ in KINDS):
        resources: list[Json] = []
        for of_group, of_version, kind, plural, namespaced, subs in KINDS:
            if (of_group, of_version) == (group, version):
                entry = {"name": plural, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind}
                resources.append({**entry, "verbs": ["get", "list", "patch"]})
                resources += [{"name": f"{plural}/{sub}", "namespaced": namespaced, "kind": kind} for sub in subs]
        name = f"{group}/{version}" if group else version
        pages[root(group, version)] = {"kind": "APIResourceList", "groupVersion": name, "resources": resources}
        if group:
            groups.append({"name": group, "versions": [{"groupVersion": name, "version": version}]})
    return pages | {"/apis": {"kind": "APIGroupList", "groups": groups}}


def paths(manifest: Json) -> tuple[str, str]:
    """An object's own path, and that of its kind."""
    found = next(one for one in KINDS if one[2] == manifest["kind"])
    namespace = at(manifest, "metadata", "namespace", default="")
    base = root(found[0], found[1]) + (f"/namespaces/{namespace}" if namespace else "")
    return f"{base}/{found[3]}/{manifest['metadata']['name']}", found[3]


def server(objects: Iterable[Json], refused: Iterable[str] = ()) -> Scripted:
    """The shelf with these objects."""
    shelf = {paths(one)[0]: one for one in (SPACE, *objects)}
    pages, closed = discovery(), tuple(refused)

    def answer(asked: Asked) -> Reply:
        if asked.method != "GET" or asked.path.endswith(closed or ("!",)):
            return status(403, "no", "Forbidden")
        if asked.path in pages:
            return Reply(body=pages[asked.path])
        if asked.path in shelf:
            return Reply(body=shelf[asked.path])
        if asked.path.rpartition("/")[2] in {one[3] for one in KINDS}:
            return Reply(body={"kind": "List", "items": [one for one in shelf.values() if _listed(asked, one)]})
        return status(404, "not found", "NotFound")

    return Scripted(answer)


def _listed(asked: Asked, manifest: Json) -> bool:
    path, plural = paths(manifest)
    namespace = at(manifest, "metadata", "namespace", default="")
    place = path.rpartition("/")[0]
    node = asked.query.get("fieldSelector", "").removeprefix("spec.nodeName=")
    if node and at(manifest, "spec", "nodeName") != node:
        return False
    return asked.path in (place, place.replace(f"/namespaces/{namespace}/{plural}", f"/{plural}"))


@asynccontextmanager
async def cluster(*objects: Json, refused: Iterable[str] = ()) -> AsyncIterator[Cluster]:
    """The shelf as a cluster."""
    async with server(objects, refused).cluster() as opened:
        yield opened


async def rendered(tool: str, arguments: Json, *objects: Json, refused: Iterable[str] = ()) -> Rendered:
    """Render a change before these objects."""
    async with cluster(*objects, refused=refused) as opened:
        change = await call(opened, tool, arguments)
    assert isinstance(change, Rendered)
    return change


def held(
    kind: str, name: str, *, namespace: str = "shop", uid: str = "", owner: Json | None = None, **more: Any
) -> Json:
    """An object as the server has it; `owner` is one that controls it."""
    group, version = next((group, version) for group, version, one, *_ in KINDS if one == kind)
    metadata: Json = {"name": name, "uid": uid or f"{kind}-{name}"} | ({"namespace": namespace} if namespace else {})
    if owner is not None:
        reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        metadata["ownerReferences"] = [{"apiVersion": owner["apiVersion"], **reference, "controller": True}]
    metadata |= more.pop("metadata", {})
    return {"apiVersion": f"{group}/{version}" if group else version, "kind": kind, "metadata": metadata, **more}
