"""The workload part on a real API server: nodes that are objects, and pods whose life is played.

`Player` registers a scenario's nodes, keeps their leases, watches pods, ConfigMaps and Secrets, shows them to the
kubelet (`practice.kubelet`), and carries out over HTTP what it decides: statuses, events, removals. Controllers and
scheduler are the real ones. It runs until it is cancelled, and outlives a restart of the API server.

Logs, figures and HTTP answers are the caller's to serve, from `Player.kubelet`; `Player.after_step` is awaited whenever
the pods may have changed.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import micro, stamp
from skyflo_runbooks.practice.events import Occurrence, again, event_name, first
from skyflo_runbooks.practice.kubelet import Action, Kubelet, Remove, Report, SetStatus, World, node_object
from skyflo_runbooks.practice.kubelet.names import SYSTEM, Names
from skyflo_runbooks.practice.scenario import NodeSpec, Scenario

MERGE = {"Content-Type": "application/merge-patch+json"}
LEASE_SECONDS = 40  # a real kubelet's
RENEW_EVERY = 10.0
PAUSE = 0.5  # before the API server is tried again
WATCH_SECONDS = 300

Change: TypeAlias = tuple[Literal["ADDED", "MODIFIED", "DELETED"], Json]


@dataclass(frozen=True)
class Endpoint:
    """Where a node's kubelet is asked: its InternalIP and port."""

    address: str
    port: int


class PlayedKubelet(Kubelet):
    """The kubelets of nodes that are reached at given endpoints."""

    def __init__(
        self, nodes: tuple[NodeSpec, ...], world: World, endpoints: Mapping[str, Endpoint], network: str
    ) -> None:
        super().__init__(nodes, world, network)
        self.endpoints = endpoints

    def host(self, node: str) -> str:
        """Return the node's address."""
        return self.endpoints[node].address


@dataclass
class Held:
    """Objects of one kind as last seen, by namespace and name."""

    objects: dict[tuple[str, str], Json] = field(default_factory=dict)

    def take(self, change: Change) -> None:
        """Take note of a change."""
        verb, obj = change
        key = (at(obj, "metadata", "namespace", default=""), obj["metadata"]["name"])
        if verb == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = obj


class Player:
    """Plays the nodes of one scenario on one API server."""

    def __init__(
        self, api: httpx.AsyncClient, scenario: Scenario, endpoints: Mapping[str, Endpoint], network: str = "10.244"
    ) -> None:
        self.api = api
        self.scenario = scenario
        self.held = {"ConfigMap": Held(), "Secret": Held(), "Service": Held()}
        names = Names(
            lambda: self.held["Service"].objects.values(),
            lambda name: self.held["ConfigMap"].objects.get((SYSTEM, name)),
            self._served,
        )
        self.world = World(scenario.registry, self._lookup, names.found)
        self.kubelet = PlayedKubelet(scenario.nodes, self.world, endpoints, network)
        self.kubelet.calls_succeed = self._call_succeeds
        self.changed = asyncio.Event()
        self.after_step: Callable[[], Awaitable[None]] | None = None
        self._events: dict[tuple[str, str], Json] = {}
        self._early: list[Action] = []

    async def run(self) -> None:
        """Play until cancelled."""
        await self._register()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew())
            tasks.create_task(self._follow("/api/v1/configmaps", self.held["ConfigMap"].take))
            tasks.create_task(self._follow("/api/v1/secrets", self.held["Secret"].take))
            tasks.create_task(self._follow("/api/v1/services", self.held["Service"].take))
            tasks.create_task(self._follow("/api/v1/pods", self._observe))
            tasks.create_task(self._play())

    async def _play(self) -> None:
        while True:
            self.changed.clear()
            now = datetime.now(UTC)
            early, self._early = self._early, []
            for action in [*early, *self.kubelet.step(now)]:
                await self._act(action, now)
            if self.after_step:
                await self.after_step()
            due = self.kubelet.due(datetime.now(UTC))
            wait = max(0.0, (due - datetime.now(UTC)).total_seconds()) if due else None
            try:
                await asyncio.wait_for(self.changed.wait(), wait)
            except TimeoutError:
                continue

    def _observe(self, change: Change) -> None:
        verb, pod = change
        if verb == "DELETED":
            self.kubelet.forget(pod["metadata"]["uid"])
        else:
            self._early += self.kubelet.observe(pod, datetime.now(UTC))
        self.changed.set()

    def _call_succeeds(self, namespace: str, target: str, now: datetime) -> bool:
        """Return whether some ready pod behind `name:port/path` answers well."""
        where, _, path = target.partition("/")
        name, _, port = where.partition(":")
        service = self.held["Service"].objects.get((namespace, name), {})
        selector: dict[str, str] = at(service, "spec", "selector", default={})
        wanted = [each["targetPort"] for each in at(service, "spec", "ports", default=[]) if str(each["port"]) == port]
        for uid, pod in self.kubelet.pods.items():
            labels = pod.object["metadata"].get("labels", {})
            behind = bool(selector) and selector.items() <= labels.items() and pod.ready(now)
            if behind and pod.object["metadata"]["namespace"] == namespace and wanted and isinstance(wanted[0], int):
                answer = self.kubelet.answer(uid, wanted[0], f"/{path}", now)
                return answer is not None and answer.status < 400
        return False

    def _lookup(self, kind: str, namespace: str, name: str) -> Json | None:
        return self.held[kind].objects.get((namespace, name))

    def _served(self, service: Json) -> bool:
        """Return whether a ready pod is behind a Service."""
        selector: dict[str, str] = at(service, "spec", "selector", default={})
        space, now = service["metadata"]["namespace"], datetime.now(UTC)
        return bool(selector) and any(
            pod.object["metadata"]["namespace"] == space
            and selector.items() <= pod.object["metadata"].get("labels", {}).items()
            and pod.ready(now)
            for pod in self.kubelet.pods.values()
        )

    # What the kubelet decided

    async def _act(self, action: Action, now: datetime) -> None:
        meta = action.pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        match action:
            case SetStatus():
                status = {"metadata": {"uid": meta["uid"]}, "status": action.status}
                await self._send("PATCH", f"{path}/status", status, MERGE)
            case Report():
                await self._report(action, now)
            case Remove():
                body: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
                await self._send("DELETE", path, {**body, "preconditions": {"uid": meta["uid"]}})

    async def _report(self, report: Report, now: datetime) -> None:
        node = report.pod["spec"]["nodeName"]
        what = Occurrence(report.type, report.reason, report.message, "kubelet", node, report.field_path)
        namespace = report.pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/events"
        key = (namespace, event_name(report.pod, what))
        if key in self._events:
            self._events[key] = again(self._events[key], now)
            part = {name: self._events[key][name] for name in ("count", "lastTimestamp")}
            await self._send("PATCH", f"{path}/{key[1]}", part, MERGE)
        else:
            self._events[key] = first(report.pod, what, now)
            await self._send("POST", path, self._events[key])

    async def _send(self, method: str, path: str, body: Json, headers: Mapping[str, str] | None = None) -> None:
        """Write; an object that is gone or new meanwhile is no error, and an API server that is away is waited for."""
        while True:
            try:
                answer = await self.api.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(PAUSE)
                continue
            if answer.is_success or answer.status_code in (404, 409):
                return
            if answer.status_code == 403 and "being terminated" in answer.text:
                return  # events of a namespace that is going
            raise RuntimeError(f"{method} {path} was refused with {answer.status_code}: {answer.text[:300]}")

    # Nodes

    async def _register(self) -> None:
        for node in self.scenario.nodes:
            registered = self._node(node)
            await self._send("POST", "/api/v1/nodes", registered)
            await self._send("PATCH", f"/api/v1/nodes/{node.name}/status", {"status": registered["status"]}, MERGE)
            spec = {"holderIdentity": node.name, "leaseDurationSeconds": LEASE_SECONDS}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node.name}}
            renewed = {**spec, "renewTime": micro(datetime.now(UTC))}
            await self._send("POST", _LEASES, {**lease, "spec": renewed})

    def answering(self) -> Iterable[NodeSpec]:
        """Return the nodes whose kubelets renew their leases now."""
        return self.scenario.nodes

    async def _renew(self) -> None:
        """Renew the leases, and say in each node's status which images it has."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            for node in self.answering():
                renewed = {"spec": {"renewTime": micro(datetime.now(UTC))}}
                await self._send("PATCH", f"{_LEASES}/{node.name}", renewed, MERGE)
                images = {"status": {"images": self._node(node)["status"]["images"]}}
                await self._send("PATCH", f"/api/v1/nodes/{node.name}/status", images, MERGE)

    def _node(self, node: NodeSpec) -> Json:
        endpoint = self.kubelet.endpoints[node.name]
        pulled = {name: self.world.registry[name] for name in self.world.pulled.get(node.name, set())}
        made = node_object(node, endpoint.address, stamp(datetime.now(UTC)), pulled)
        made["spec"].pop("podCIDR", None)  # addresses are given by the player, not from ranges of the nodes
        made["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] = endpoint.port
        return made

    # Watching

    async def _follow(self, path: str, take: Callable[[Change], None]) -> None:
        """Take every change of a list, for ever; after an interruption what is gone is taken as deleted."""
        known: dict[str, Json] = {}
        while True:
            try:
                async for change in _changes(self.api, path, known):
                    take(change)
                    self.changed.set()
            except (httpx.TransportError, httpx.HTTPStatusError):
                await asyncio.sleep(PAUSE)


_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


async def _changes(api: httpx.AsyncClient, path: str, known: dict[str, Json]) -> AsyncIterator[Change]:
    listed = await _json(api.get(path))
    kind = str(listed["kind"]).removesuffix("List")
    # Lists leave the kind of their items out; events need it.
    present = {item["metadata"]["uid"]: {"apiVersion": "v1", "kind": kind, **item} for item in listed["items"]}
    for uid in known.keys() - present.keys():
        yield "DELETED", known.pop(uid)
    for uid, item in present.items():
        known[uid] = item
        yield "MODIFIED", item
    wanted = {
        "watch": "true",
        "resourceVersion": listed["metadata"]["resourceVersion"],
        "timeoutSeconds": str(WATCH_SECONDS),
    }
    async with api.stream("GET", path, params=wanted, timeout=httpx.Timeout(30, read=None)) as stream:
        stream.raise_for_status()
        async for line in stream.aiter_lines():
            event: Json = json.loads(line)
            if event["type"] in ("ERROR", "BOOKMARK"):
                return  # too old: listed again
            obj: Json = event["object"]
            if event["type"] == "DELETED":
                known.pop(obj["metadata"]["uid"], None)
            else:
                known[obj["metadata"]["uid"]] = obj
            yield event["type"], obj


async def _json(sent: Awaitable[httpx.Response]) -> Json:
    answer = await sent
    return dict(answer.raise_for_status().json())
