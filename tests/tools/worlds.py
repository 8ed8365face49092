"""One small world, made alike on the practice cluster and on a real control plane."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.harness import ControlPlane

WEB: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                # No node has this label, so no pod is ever started and nothing moves by itself.
                "nodeSelector": {"tests.skyflo.dev/none": "yes"},
                "containers": [
                    {
                        "name": "web",
                        "image": "storefront:v5.1.0",
                        "env": [{"name": "MODE", "value": "slow"}, {"name": "LEVEL", "value": "info"}],
                        "resources": {"limits": {"memory": "256Mi"}, "requests": {"memory": "128Mi"}},
                    },
                    {"name": "side", "image": "storefront:v5.1.0"},
                ],
            },
        },
    },
}
SETTINGS: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "settings"},
    "data": {"mode": "slow", "size": "3"},
}
SECRET: Json = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "password",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"value":"aHVudGVyMg=="}}'},
    },
    "data": {"value": "aHVudGVyMg=="},
}
SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 3000}]},
}


@dataclass(frozen=True)
class World:
    """A cluster with the objects above in `namespace`. `settle` lets controllers do what is due."""

    cluster: Cluster
    namespace: str
    settle: Callable[[], Awaitable[None]]

    async def create(self, manifest: Json) -> Json:
        """Create one object in the namespace."""
        resource = await self.cluster.resource(manifest["kind"], manifest["apiVersion"])
        placed = {**manifest, "metadata": {**manifest["metadata"]}}
        where = ""
        if resource.namespaced:
            where = placed["metadata"]["namespace"] = self.namespace
        target = ObjectRef(manifest["kind"], manifest["metadata"]["name"], where, manifest["apiVersion"])
        request = Request("create", target, resource.collection(where), placed)
        return (await self.cluster.send(request, dry_run=False, field_manager="tests")).object

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within: float = 20) -> None:
        """Wait until the condition holds; fail after `within` seconds."""
        end = time.monotonic() + within
        while not await holds():
            assert time.monotonic() < end, f"expected within {within} s: {what}"
            await self.settle()

    async def get(self, kind: str, name: str) -> Json:
        """Read an object of the namespace."""
        return await self.cluster.get(ObjectRef(kind, name, self.namespace))


async def on_practice(namespace: str) -> World:
    """The objects on a healthy practice cluster, in memory."""
    practice = PracticeCluster("healthy")
    client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")

    async def settle() -> None:
        await practice.advance(1)

    return await _fill(World(Cluster(client, context="practice"), namespace, settle))


async def on_control_plane(plane: ControlPlane, namespace: str) -> World:
    """The objects on a real control plane."""

    async def settle() -> None:
        await asyncio.sleep(0.05)

    return await _fill(World(Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))), namespace, settle))


async def _fill(world: World) -> World:
    await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.namespace}})
    for manifest in (SETTINGS, SECRET, SERVICE, WEB):
        await world.create(manifest)

    async def pods() -> bool:
        web = await world.get("Deployment", "web")
        made = len((await world.cluster.list("Pod", world.namespace)).items)
        return made == 2 and at(web, "status", "updatedReplicas") == 2

    await world.until("two pods, and the Deployment says so", pods)
    return world
