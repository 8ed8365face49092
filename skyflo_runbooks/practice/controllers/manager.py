"""Which controller looks at what, and when: a queue of keys, and timers.

Every write to the store queues the controllers that it concerns; `settle` works the queue off until nothing is left.
A controller is level-triggered: it sees the present state of one object and brings it one step further.
"""

import random
from datetime import datetime

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import quota
from skyflo_runbooks.practice.controllers import (
    budget,
    deployment,
    endpoints,
    garbage,
    job,
    replicaset,
    scheduler,
    statefulset,
)
from skyflo_runbooks.practice.controllers.common import controller_of
from skyflo_runbooks.practice.kinds import (
    BUDGET,
    DEPLOYMENT,
    JOB,
    NAMESPACE,
    NODE,
    POD,
    QUOTA,
    REPLICA_SET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from skyflo_runbooks.practice.selectors import labels_of, plain_selects
from skyflo_runbooks.practice.store import Change, Store, key_of

Key = tuple[str, str, str]
_OWNERS: dict[str, Kind] = {kind.kind: kind for kind in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, JOB)}
# More rounds than any cluster of a scenario needs: two controllers that undo each other are our bug.
ROUNDS = 20_000


class Controllers:
    """All controllers of one cluster."""

    def __init__(self, store: Store, names: random.Random) -> None:
        self.store = store
        self.names = names
        self._queue: dict[Key, None] = {}
        self._gone: list[Json] = []
        self._timers: dict[Key, datetime] = {}
        store.listeners.append(self._note)

    def due(self) -> datetime | None:
        """Return when the next timer fires."""
        return min(self._timers.values(), default=None)

    def busy(self) -> bool:
        """Return whether something is queued."""
        return bool(self._queue or self._gone)

    def wake(self, now: datetime) -> None:
        """Queue what timers are due for."""
        for key, moment in list(self._timers.items()):
            if moment <= now:
                del self._timers[key]
                self._queue[key] = None

    def settle(self) -> None:
        """Work until nothing is queued."""
        for _ in range(ROUNDS):
            if self._gone:
                garbage.collect(self.store, self._gone.pop(0))
            elif self._queue:
                key = next(iter(self._queue))
                del self._queue[key]
                self._run(key)
            else:
                return
        raise RuntimeError(
            f"The practice cluster's controllers do not come to rest; last queued: {list(self._queue)[:5]}."
        )

    def _add(self, kind: str, obj: Json) -> None:
        self._queue[(kind, *key_of(obj))] = None

    def _note(self, change: Change) -> None:
        """Queue whoever is concerned by a change."""
        obj, kind = change.object, change.kind
        if change.type == "DELETED":
            self._gone.append(obj)
        elif kind in (DEPLOYMENT, REPLICA_SET, STATEFUL_SET, JOB, SERVICE, NAMESPACE, QUOTA, BUDGET):
            self._add(kind.kind, obj)
        if (owner := controller_of(obj)) and owner["kind"] in _OWNERS:
            self._queue[(owner["kind"], obj["metadata"]["namespace"], owner["name"])] = None
        if kind is POD:
            self._note_pod(change)
        elif kind is NODE and (change.before is None or change.before.get("spec") != obj.get("spec")):
            self._pending()

    def _note_pod(self, change: Change) -> None:
        pod = change.object
        namespace = pod["metadata"]["namespace"]
        if change.type == "ADDED":
            self._add("Pod", pod)
        for item in budget.concerned(self.store, pod):
            self._add("PodDisruptionBudget", item)
        for service in self.store.list(SERVICE, namespace):
            selector = at(service, "spec", "selector", default={})
            before = labels_of(change.before) if change.before else {}
            if plain_selects(selector, labels_of(pod)) or plain_selects(selector, before):
                self._add("Service", service)
        if change.type != "MODIFIED":
            for item in self.store.list(QUOTA, namespace):
                self._add("ResourceQuota", item)
        if change.type == "DELETED":
            # A Deployment that recreates waits for the last pod of its old ReplicaSets.
            for item in self.store.list(DEPLOYMENT, namespace):
                self._add("Deployment", item)
        if change.type == "DELETED" or not quota.alive(pod):
            self._pending()
            if at(self.store.find(NAMESPACE, "", namespace), "metadata", "deletionTimestamp"):
                self._queue[("Namespace", "", namespace)] = None

    def _pending(self) -> None:
        for pod in self.store.list(POD):
            if not at(pod, "spec", "nodeName"):
                self._add("Pod", pod)

    def _run(self, key: Key) -> None:
        kind, namespace, name = key
        found = {
            "Pod": POD,
            "Service": SERVICE,
            "Namespace": NAMESPACE,
            "ResourceQuota": QUOTA,
            **_OWNERS,
            BUDGET.kind: BUDGET,
        }[kind]
        obj = self.store.find(found, namespace, name)
        if obj is None:
            self._timers.pop(key, None)
            return
        again = self._reconcile(kind, obj)
        if again is None:
            self._timers.pop(key, None)
        else:
            self._timers[key] = again

    def _reconcile(self, kind: str, obj: Json) -> datetime | None:
        store = self.store
        match kind:
            case "Deployment":
                return deployment.reconcile(store, obj)
            case "ReplicaSet":
                return replicaset.reconcile(store, self.names, obj)
            case "StatefulSet":
                return statefulset.reconcile(store, self.names, obj)
            case "Job":
                return job.reconcile(store, self.names, obj)
            case "Pod":
                return scheduler.reconcile(store, obj)
            case "Service":
                endpoints.reconcile(store, obj)
            case "Namespace":
                garbage.empty(store, obj)
            case "PodDisruptionBudget":
                budget.reconcile(store, obj)
            case "ResourceQuota":
                quota.refresh(store, obj["metadata"]["namespace"])
        return None
