"""The practice cluster: store, controllers, kubelets and clock put together, and its history played.

Nothing happens by itself in here: `settle` works off what is due now, `advance` moves the clock from one due moment
to the next. A server calls `settle` when a request wrote something or a moment comes due (`run`), so it is idle
in between. History is played the same way, with the clock set back, so that revisions, restarts, back-offs, events
and their times are what the rules of the cluster make of it, and nothing is written by hand.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from starlette.types import ASGIApp

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import Clock, stamp
from skyflo_runbooks.practice.controllers.common import controller_of
from skyflo_runbooks.practice.controllers.endpoints import target_port
from skyflo_runbooks.practice.controllers.manager import Controllers
from skyflo_runbooks.practice.events import Occurrence, record
from skyflo_runbooks.practice.kinds import CONFIG_MAP, ENDPOINTS, NAMESPACE, NODE, POD, SECRET, SERVICE
from skyflo_runbooks.practice.kubelet import Action, Kubelet, Remove, Report, SetStatus, World, node_object
from skyflo_runbooks.practice.kubelet.names import SYSTEM, Names
from skyflo_runbooks.practice.scenario import Scenario, Step, load
from skyflo_runbooks.practice.store import Author, Change, Store, clone

KUBELET = Author("kubelet", "status")
HEARTBEAT = timedelta(minutes=5)
EVENT_LIFE = timedelta(hours=1)
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


class PracticeCluster:
    """A simulated cluster staged with one scenario.

    `app` is its API server as an ASGI application; `token_required` is for servers, in memory a request without a
    token is the administrator's.
    """

    def __init__(
        self,
        scenario: Scenario | str = "oomkilled-payment",
        *,
        speed: float = 1.0,
        leap: float = float("inf"),
        start: datetime | None = None,
        token_required: bool = False,
    ) -> None:
        from skyflo_runbooks.practice.access import Access
        from skyflo_runbooks.practice.api import Api

        self.scenario = load(scenario) if isinstance(scenario, str) else scenario
        self.clock = Clock(start or datetime.now(UTC), speed, leap)
        self.present = self.clock.now()
        self.access = Access(token_required=token_required)
        self.store = Store(self.clock)
        self._wake: asyncio.Event | None = None
        self._build()
        self.stage(self.scenario)
        self.app: ASGIApp = Api(self).app

    def _build(self) -> None:
        self._changed: dict[str, Json] = {}
        self._heartbeat = self.clock.now()
        self.world = World({}, self._lookup)
        self.kubelet = Kubelet((), self.world)
        self.controllers = Controllers(self.store, random.Random(self.scenario.scenario))
        self.store.listeners.append(self._note)

    def _lookup(self, kind: str, namespace: str, name: str) -> Json | None:
        return self.store.find(SECRET if kind == "Secret" else CONFIG_MAP, namespace, name)

    def _note(self, change: Change) -> None:
        if change.kind is not POD:
            return
        uid = change.object["metadata"]["uid"]
        if change.type == "DELETED":
            self._changed.pop(uid, None)
            self.kubelet.forget(uid)
        else:
            self._changed[uid] = change.object

    # Staging

    def stage(self, scenario: Scenario) -> None:
        """Replace everything by another scenario, with its history played up to now."""
        present = self.clock.live()
        running = self.clock.running
        self.clock.stop()
        self.scenario, self.present = scenario, present
        before = self.store.find(NAMESPACE, "", "kube-system")
        self.store.clear()
        names = Names(
            lambda: self.store.list(SERVICE), lambda name: self.store.find(CONFIG_MAP, SYSTEM, name), self._served
        )
        self.world = World(scenario.registry, self._lookup, names.found)
        self.kubelet = Kubelet(scenario.nodes, self.world)
        self.kubelet.calls_succeed = self._call_succeeds
        oldest = max((step.ago for step in scenario.history), default=0.0)
        self.clock.move(present - timedelta(seconds=float(oldest) + 60))
        self._found()
        if before is not None:
            # Another scenario in the same cluster: its uid, which is that of kube-system, stays.
            self.store.get(NAMESPACE, "", "kube-system")["metadata"]["uid"] = before["metadata"]["uid"]
        for step in scenario.history:
            self._play_until(present - timedelta(seconds=float(step.ago)))
            self._apply(step)
        self._play_until(present)
        self.world.history_peak = lambda _pod: None
        self.store.expire_events(stamp(present - EVENT_LIFE))
        self._heartbeat = present
        self._beat()
        if running:
            self.clock.run()

    def _found(self) -> None:
        """Make what every cluster has: namespaces and nodes."""
        author = Author("kube-apiserver")
        for name in NAMESPACES:
            self._create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, author)
        for node in self.scenario.nodes:
            made = node_object(node, self.kubelet.host(node.name), stamp(self.clock.now()), {})
            self.store.create(NODE, made, Author("kubelet"))
        # Days of heartbeats would be most of the work of staging, and leave no trace: they start at the present.
        self._heartbeat = self.present

    def _create(self, manifest: Json, author: Author) -> None:
        from skyflo_runbooks.practice.writing import apply_manifest

        apply_manifest(self.store, manifest, author)

    def _apply(self, step: Step) -> None:
        peaks = {name: [float(time) for time in times] for name, times in step.peak_after.items()}
        if peaks:
            self.world.history_peak = lambda pod: self._history_peak(pod, peaks)
        for manifest in step.apply:
            self._create(manifest, Author(step.by))
        self.settle()

    def _history_peak(self, pod: Json, peaks: dict[str, list[float]]) -> float | None:
        """Return the history's own time to the peak, by the workload's name and the pod's place in it."""
        owner = controller_of(pod)
        if owner is None:
            return None
        siblings = [
            uid
            for uid, other in self.kubelet.pods.items()
            if (ref := controller_of(other.object)) and ref["uid"] == owner["uid"]
        ]
        place = siblings.index(pod["metadata"]["uid"])
        for name, times in peaks.items():
            if name in {owner["name"], owner["name"].rpartition("-")[0]}:
                return times[min(place, len(times) - 1)]
        return None

    # Time

    def due(self) -> datetime | None:
        """Return the next moment at which something happens by itself."""
        now = self.clock.now()
        if self._changed or self.controllers.busy():
            return now
        moments = [self.controllers.due(), self.kubelet.due(now), self._heartbeat + HEARTBEAT]
        return min(moment for moment in moments if moment is not None)

    def settle(self) -> None:
        """Work off everything that is due at the clock's present moment."""
        now = self.clock.now()
        with self.clock.hold(now):
            self._settle(now)

    def _settle(self, now: datetime) -> None:
        self.controllers.wake(now)
        while True:
            self.controllers.settle()
            actions: list[Action] = []
            changed, self._changed = self._changed, {}
            for obj in changed.values():
                actions += self.kubelet.observe(obj, now)
            due = self.kubelet.due(now)
            if due is not None and due <= now:
                actions += self.kubelet.step(now)
            if not actions and not self._changed and not self.controllers.busy():
                break
            for action in actions:
                self._act(action)
        if now >= self._heartbeat + HEARTBEAT:
            self._beat()

    def _play_until(self, target: datetime) -> None:
        """Take every due moment up to `target` in order; the clock stands at `target` afterwards."""
        while (due := self.due()) is not None and due <= target:
            with self.clock.hold(max(due, self.clock.now())):
                self._settle(self.clock.now())
        with self.clock.hold(max(target, self.clock.now())):
            self._settle(self.clock.now())

    async def advance(self, seconds: float) -> None:
        """Let `seconds` of cluster time pass at once, for callers in async code."""
        self.play(seconds)

    def play(self, seconds: float) -> None:
        """Let `seconds` of cluster time pass at once."""
        if self.clock.running:
            raise RuntimeError("Expected a standing clock: a running cluster moves on by itself.")
        self._play_until(self.clock.now() + timedelta(seconds=seconds))

    def catch_up(self) -> None:
        """Bring a running cluster to this very moment, before it answers."""
        if self.clock.running:
            self._play_until(self.clock.live())

    def wake(self) -> None:
        """Tell a running cluster that something was written."""
        if self._wake is not None:
            self._wake.set()

    async def run(self) -> None:
        """Follow the clock until cancelled; asleep while nothing is due."""
        self._wake = asyncio.Event()
        self.clock.run()
        try:
            while True:
                self._play_until(self.clock.live())
                due = self.due()
                wait = None if due is None else self.clock.real_seconds(due) + 0.001
                try:
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                self._wake.clear()
        finally:
            self.clock.stop()
            self._wake = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["PracticeCluster"]:
        """Run in the background while the block lasts."""
        task = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # The kubelet's hands

    def _act(self, action: Action) -> None:
        meta = action.pod["metadata"]
        current = self.store.find(POD, meta["namespace"], meta["name"])
        if current is None or current["metadata"]["uid"] != meta["uid"]:
            return
        match action:
            case SetStatus(status=status):
                changed = clone(current)
                kept = [c for c in at(current, "status", "conditions", default=[]) if c["type"] == "PodScheduled"]
                own = [c for c in status["conditions"] if c["type"] != "PodScheduled"]
                changed["status"] = {**status, "conditions": own + kept}
                self.store.update(POD, changed, KUBELET)
            case Report():
                node = at(current, "spec", "nodeName", default="")
                what = Occurrence(action.type, action.reason, action.message, "kubelet", node, action.field_path)
                record(self.store, current, what)
                if action.reason == "Pulled":
                    self._note_images(node)
            case Remove():
                self.store.remove(POD, meta["namespace"], meta["name"])

    def _note_images(self, name: str) -> None:
        """Show a node's pulled images in its status."""
        node = self.store.find(NODE, "", name)
        pulled = sorted(self.world.pulled.get(name, set()))
        if node is None or len(at(node, "status", "images", default=[])) == len(pulled):
            return
        changed = clone(node)
        changed["status"]["images"] = [
            {"names": [image], "sizeBytes": int(self.world.registry[image].size)} for image in pulled
        ]
        self.store.update(NODE, changed, KUBELET)

    def _beat(self) -> None:
        """Renew the nodes' conditions, and drop events past their life."""
        now = self.clock.now()
        self._heartbeat = now
        for node in self.store.list(NODE):
            if node["metadata"]["name"] not in self.kubelet.nodes:
                continue
            changed = clone(node)
            for condition in changed["status"]["conditions"]:
                condition["lastHeartbeatTime"] = stamp(now)
            self.store.update(NODE, changed, KUBELET)
        self.store.expire_events(stamp(now - EVENT_LIFE))

    # What pods see of each other

    def backend(self, namespace: str, service: str, port: str) -> tuple[Json, int] | None:
        """Return a ready pod behind a Service's port (by number or name) and the port to ask there."""
        found = self.store.find(SERVICE, namespace, service)
        ports = at(found, "spec", "ports", default=[])
        chosen = next((p for p in ports if port in {str(p["port"]), p.get("name", "")}), None)
        if not port and len(ports) == 1:
            chosen = ports[0]
        endpoints = self.store.find(ENDPOINTS, namespace, service)
        addresses = [a for subset in at(endpoints, "subsets", default=[]) for a in subset.get("addresses", [])]
        if chosen is None or not addresses:
            return None
        pod = self.store.find(POD, namespace, addresses[self.store.version % len(addresses)]["targetRef"]["name"])
        number = target_port(chosen, pod) if pod else None
        return (pod, number) if pod is not None and number is not None else None

    def _served(self, service: Json) -> bool:
        """Return whether a Service has a ready endpoint."""
        endpoints = self.store.find(ENDPOINTS, service["metadata"]["namespace"], service["metadata"]["name"])
        return any(subset.get("addresses") for subset in at(endpoints, "subsets", default=[]))

    def _call_succeeds(self, namespace: str, target: str, now: datetime) -> bool:
        """Return whether a GET of `name:port/path` inside the cluster gives a 2xx or 3xx."""
        where, _, path = target.partition("/")
        name, _, port = where.partition(":")
        reached = self.backend(namespace, name, port)
        if reached is None:
            return False
        answer = self.kubelet.answer(reached[0]["metadata"]["uid"], reached[1], f"/{path}", now)
        return answer is not None and answer.status < 400

    @property
    def uid(self) -> str:
        """Return the cluster's uid: that of kube-system."""
        return str(self.store.get(NAMESPACE, "", "kube-system")["metadata"]["uid"])
