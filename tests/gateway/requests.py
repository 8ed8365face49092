"""Rendered requests of every verb, as tools make them, without a tool: what the tests of the gate propose."""

from collections.abc import Sequence

from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, Rendered, Request
from tests.gateway.world import Rendering

MAPS = "/api/v1/namespaces/checkout/configmaps"
SETTINGS: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "checkout", "labels": {"app": "shop"}},
    "data": {"mode": "slow"},
}


def ref(name: str = "settings", kind: str = "ConfigMap", namespace: str = "checkout") -> ObjectRef:
    """Name an object of the core group."""
    return ObjectRef(kind, name, namespace, "v1")


def settings(name: str = "settings", **data: str) -> Json:
    """Return a ConfigMap."""
    return {**SETTINGS, "metadata": {**SETTINGS["metadata"], "name": name}, "data": data or SETTINGS["data"]}


def create(manifest: Json = SETTINGS, path: str = MAPS) -> Request:
    """Create an object."""
    return Request("create", ObjectRef.of(manifest), path, manifest)


def delete(name: str = "settings", path: str = MAPS, kind: str = "ConfigMap") -> Request:
    """Delete an object."""
    return Request("delete", ref(name, kind), f"{path}/{name}", {"propagationPolicy": "Background"})


def patch(name: str = "settings", mode: str = "fast", was: str = "slow") -> Request:
    """Set a ConfigMap's mode."""
    operations = [
        {"op": "test", "path": "/data/mode", "value": was},
        {"op": "replace", "path": "/data/mode", "value": mode},
    ]
    return Request("patch", ref(name), f"{MAPS}/{name}", operations, JSON_PATCH)


def rendered(requests: Sequence[Request]) -> Rendered:
    """Return the change that these requests are."""
    return Rendered(tuple(requests), title="A change of the tests", equivalent="kubectl …")


def tool(requests: Sequence[Request]) -> dict[str, Rendering]:
    """Return a change tool, `t`, that renders these requests."""

    async def render(_: Cluster, arguments: Json) -> Rendered:
        return rendered(requests)

    return {"t": render}


async def put(cluster: Cluster, manifest: Json = SETTINGS, path: str = MAPS) -> Json:
    """Let somebody else create an object, and return it."""
    return (await cluster.send(create(manifest, path), dry_run=False, field_manager="somebody")).object


def evict(pod: str) -> Request:
    """Evict a pod of the flagship's namespace."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "checkout"}}
    return Request("evict", ref(pod, "Pod"), f"/api/v1/namespaces/checkout/pods/{pod}/eviction", body)


def run(pod: str, *command: str) -> Request:
    """Run a command in a pod of the flagship."""
    path = f"/api/v1/namespaces/checkout/pods/{pod}/exec"
    body = {"container": "payment-service", "command": list(command), "seconds": 5, "limit_bytes": 1024}
    return Request("run", ref(pod, "Pod"), path, body, preview="none")


async def pods(cluster: Cluster) -> list[str]:
    """Return the names of the flagship's pods that are not going."""
    listed = await cluster.list("Pod", "checkout")
    return [item["metadata"]["name"] for item in listed.items if "deletionTimestamp" not in item["metadata"]]
