"""A small client for tests: the practice cluster's API in memory, with answers checked on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass

import httpx

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.scenario import Scenario, parse

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass
class Client:
    """One cluster and its API."""

    cluster: PracticeCluster
    http: httpx.AsyncClient

    async def get(self, path: str, **query: str) -> Json:
        """Return an object or a list that must be there."""
        reply = await self.http.get(path, params=query)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def items(self, path: str, **query: str) -> list[Json]:
        """Return the items of a list."""
        listed: list[Json] = (await self.get(path, **query))["items"]
        return listed

    async def send(
        self, method: str, path: str, body: object = None, content: str = "", **query: str
    ) -> httpx.Response:
        """Send anything; the answer is the test's to judge."""
        headers = {"content-type": content or "application/json"}
        raw = None if body is None else json.dumps(body)
        return await self.http.request(method, path, content=raw, headers=headers, params=query)

    async def patch(self, path: str, body: object, content: str = STRATEGIC, **query: str) -> Json:
        """Patch an object; it must be accepted."""
        reply = await self.send("PATCH", path, body, content, **query)
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    async def create(self, path: str, body: Json, **query: str) -> Json:
        """Create an object; it must be accepted."""
        reply = await self.send("POST", path, body, **query)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    async def refused(self, method: str, path: str, body: object = None, content: str = "", **query: str) -> Json:
        """Send what must be refused; returns the Status."""
        reply = await self.send(method, path, body, content, **query)
        assert reply.status_code >= 400, reply.text
        status = dict(reply.json())
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", reply.status_code)
        return status

    async def advance(self, seconds: float) -> None:
        """Let cluster time pass."""
        await self.cluster.advance(seconds)

    async def shown(self, path: str) -> list[list[object]]:
        """Return the cells that `kubectl get` would print."""
        accept = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
        reply = await self.http.get(path, headers=accept)
        assert reply.status_code == 200, reply.text
        return [row["cells"] for row in reply.json()["rows"]]

    async def pods(self, namespace: str, label: str = "") -> list[Json]:
        """Return the pods of a namespace."""
        return await self.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=label)

    async def events(self, namespace: str, name: str = "") -> list[Json]:
        """Return the events of a namespace, or those about one object."""
        chosen = f"involvedObject.name={name}" if name else ""
        return await self.items(f"/api/v1/namespaces/{namespace}/events", fieldSelector=chosen)


def client_of(cluster: PracticeCluster) -> Client:
    """Return a client of a cluster in memory."""
    transport = httpx.ASGITransport(cluster.app)
    return Client(cluster, httpx.AsyncClient(transport=transport, base_url="http://practice"))


def small(extra: str = "", *, nodes: str = "[{name: node-a}]") -> Scenario:
    """Return a scenario with one well-behaved image (`app:v1`) in the namespace `lab`; `extra` adds images in YAML."""
    return parse(
        f"""
scenario: small
title: a bench
incident: nothing happened
namespace: lab
nodes: {nodes}
images:
  - image: app:v1
    memory: {{start: 20Mi, peak: 40Mi, peak_after: 2s}}
    port: 8080
    listens_after: 1s
    replies: [{{path: /ok, body: fine}}, {{path: /sick, status: 503}}]
    logs: [{{text: hello}}, {{text: again, after: 1s, every: 10s}}]
{extra}
history:
  - ago: 1m
    apply: [{{apiVersion: v1, kind: Namespace, metadata: {{name: lab}}}}]
""",
        "small",
    )


def deployment(
    name: str = "app", *, replicas: int = 1, image: str = "app:v1", container: Json | None = None, **spec: object
) -> Json:
    """Return a Deployment of one container in the namespace `lab`."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "lab"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": image, **(container or {})}]},
            },
            **spec,
        },
    }


def pod(name: str = "one", *, image: str = "app:v1", container: Json | None = None, **spec: object) -> Json:
    """Return a pod of one container in the namespace `lab`."""
    containers = [{"name": "app", "image": image, **(container or {})}]
    meta = {"name": name, "namespace": "lab", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers, **spec}}
