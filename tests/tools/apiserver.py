"""A tiny API server for what a real one rarely does: it answers as a function says, and keeps what it was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

import httpx
from skyflo_mcp.kubernetes import Cluster
from starlette.types import Message, Receive, Scope, Send

from skyflo_runbooks.model.json import Json

DATE = "Mon, 05 Jan 2026 10:00:00 GMT"


@dataclass(frozen=True)
class Asked:
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """What to answer; a dictionary as `body` goes out as JSON."""

    status: int = 200
    body: Json | bytes = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


Answer: TypeAlias = Callable[[Asked], Reply]


class Scripted:
    """An ASGI application that answers by a function."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = b""
        message: Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        asked = Asked(
            method=scope["method"],
            path=scope["raw_path"].decode(),
            query=dict(parse_qsl(scope["query_string"].decode())),
            headers={name.decode(): value.decode() for name, value in scope["headers"]},
            body=body,
        )
        self.asked.append(asked)
        reply = self.answer(asked)
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json", "date": DATE, **reply.headers}
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
            }
        )
        await send({"type": "http.response.body", "body": content})

    def client(self) -> httpx.AsyncClient:
        """A client of this server."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self), base_url="http://scripted")

    def cluster(self, *, timeout: float = 5.0) -> Cluster:
        """This server as a cluster."""
        return Cluster(self.client(), timeout=timeout)


def status(code: int, message: str = "", reason: str = "", **details: str) -> Reply:
    """A Status object, as the API server refuses things."""
    body: Json = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Reply(code, body | ({"details": details} if details else {}))


CORE: Json = {
    "kind": "APIResourceList",
    "groupVersion": "v1",
    "resources": [
        {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "Pod",
            "shortNames": ["po"],
            "verbs": ["get"],
        },
        {"name": "pods/log", "namespaced": True, "kind": "Pod", "verbs": ["get"]},
        {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "verbs": ["get"]},
        {"name": "services", "singularName": "service", "namespaced": True, "kind": "Service", "shortNames": ["svc"]},
        {"name": "namespaces", "singularName": "namespace", "namespaced": False, "kind": "Namespace"},
        {"name": "events", "singularName": "event", "namespaced": True, "kind": "Event"},
        {"name": "secrets", "singularName": "secret", "namespaced": True, "kind": "Secret"},
        {"name": "configmaps", "singularName": "configmap", "namespaced": True, "kind": "ConfigMap"},
    ],
}
SLICES: Json = {
    "kind": "APIResourceList",
    "groupVersion": "discovery.k8s.io/v1",
    "resources": [{"name": "endpointslices", "singularName": "", "namespaced": True, "kind": "EndpointSlice"}],
}
APPS: Json = {
    "kind": "APIResourceList",
    "groupVersion": "apps/v1",
    "resources": [
        {
            "name": "deployments",
            "singularName": "deployment",
            "namespaced": True,
            "kind": "Deployment",
            "shortNames": ["deploy"],
            "verbs": ["get", "list", "patch"],
        },
        {"name": "replicasets", "singularName": "replicaset", "namespaced": True, "kind": "ReplicaSet"},
        {"name": "deployments/scale", "namespaced": True, "kind": "Scale", "group": "autoscaling", "version": "v1"},
    ],
}
DISCOVERY: dict[str, Json] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "apps",
                "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
            },
            {"name": "discovery.k8s.io", "versions": [{"groupVersion": "discovery.k8s.io/v1", "version": "v1"}]},
        ],
    },
    "/api/v1": CORE,
    "/apis/apps/v1": APPS,
    "/apis/discovery.k8s.io/v1": SLICES,
    "/version": {"gitVersion": "v1.36.3"},
}


def with_discovery(answer: Answer) -> Scripted:
    """A server that knows Pods, Nodes, Services, Namespaces, Events and Deployments, and answers the rest so."""
    return Scripted(lambda asked: Reply(body=DISCOVERY[asked.path]) if asked.path in DISCOVERY else answer(asked))
