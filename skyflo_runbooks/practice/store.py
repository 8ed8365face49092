"""The objects of the cluster, their versions, and the history that watches are served from.

Rules, as in etcd behind the real API server: every write takes the next number of one counter as its
`resourceVersion`; a write that changes nothing is none; an update with a stale `resourceVersion` is a conflict;
`generation` counts changes of `spec` only. Objects handed out are shared: read them, `clone` before changing.
"""

import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.clock import Clock, stamp
from skyflo_runbooks.practice.kinds import EVENT, Kind
from skyflo_runbooks.practice.ownership import Path, applied_fields, record_apply, record_fields

_Value = TypeVar("_Value")
# Enough for a watch that comes back after minutes; each entry keeps a whole object alive.
HISTORY = 2_000


@dataclass(frozen=True)
class Change:
    """One entry of the watch history; `before` is None for an addition."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    kind: Kind
    object: Json
    before: Json | None
    version: int


@dataclass(frozen=True)
class Author:
    """Who writes: the field manager, and the subresource it writes through.

    By an apply, `applied` are the fields that it owns then, and `taken` those that others lose to it.
    """

    manager: str
    subresource: str = ""
    applied: frozenset[Path] | None = None
    taken: frozenset[Path] = frozenset()


def clone(value: _Value) -> _Value:
    """Return a deep copy of JSON; several times faster than `copy.deepcopy`.

    `metadata.managedFields`, half of most objects, is shared: it is replaced whole and never changed in place.
    """
    if isinstance(value, dict) and isinstance(value.get("metadata"), dict) and "managedFields" in value["metadata"]:
        meta = {key: item for key, item in value["metadata"].items() if key != "managedFields"}
        copy = _clone({**value, "metadata": meta})
        copy["metadata"]["managedFields"] = value["metadata"]["managedFields"]
        return copy  # type: ignore[no-any-return]
    return _clone(value)  # type: ignore[no-any-return]


def _clone(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clone(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clone(item) for item in value]
    return value


def key_of(obj: Json) -> tuple[str, str]:
    """Return namespace and name."""
    meta = obj["metadata"]
    return (meta.get("namespace", ""), meta["name"])


def _let_go(obj: Json) -> bool:
    """Return whether a deleted object waits for nothing any more: no finalizer, no grace."""
    meta = obj["metadata"]
    waits = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds", 0)
    return bool(meta.get("deletionTimestamp")) and not waits


def _record(before: Json, after: Json, author: Author, when: str) -> None:
    if author.applied is None:
        record_fields(before, after, author.manager, author.subresource, when)
    else:
        record_apply(after, author.manager, author.applied, author.taken, when)


class Store:
    """All objects of one cluster, in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.version = 100
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[Kind, dict[tuple[str, str], Json]] = {}

    def clear(self) -> None:
        """Forget every object; versions go on, and watchers are told of each deletion."""
        for kind, held in list(self._objects.items()):
            for namespace, name in sorted(held):
                self.remove(kind, namespace, name)

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        found = self.find(kind, namespace, name)
        if found is None:
            raise errors.not_found(kind, name)
        return found

    def list(self, kind: Kind, namespace: str = "") -> list[Json]:
        """Return the objects of a kind in etcd's order: by namespace, then by name."""
        held = self._objects.get(kind, {})
        return [held[key] for key in sorted(held) if not namespace or key[0] == namespace]

    def create(self, kind: Kind, obj: Json, author: Author) -> Json:
        """Add an object; its name must be complete and its content valid."""
        made = self.prepare(kind, obj, author)
        key = key_of(made)
        if key in self._objects.get(kind, {}):
            raise errors.already_exists(kind, key[1])
        self._commit("ADDED", kind, made, None)
        return made

    def prepare(self, kind: Kind, obj: Json, author: Author) -> Json:
        """Return what `create` would store, without the resourceVersion: a dry run ends here."""
        made = clone(obj)
        made["apiVersion"], made["kind"] = kind.api_version, kind.kind
        meta = made.setdefault("metadata", {})
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = stamp(self.clock.now())
        for server_set in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            meta.pop(server_set, None)
        if kind.counted:
            meta["generation"] = 1
        _record({}, made, author, meta["creationTimestamp"])
        return made

    def update(self, kind: Kind, obj: Json, author: Author) -> Json:
        """Replace an object; with a `resourceVersion` in it only if it is still that version."""
        before = self.get(kind, *key_of(obj))
        after = self.revise(kind, before, obj, author)
        if after is before:
            return before
        if _let_go(after):
            return self.remove(kind, *key_of(before))
        self._commit("MODIFIED", kind, after, before)
        return after

    def revise(self, kind: Kind, before: Json, obj: Json, author: Author) -> Json:
        """Return what `update` would store, `before` itself if nothing changes: a dry run ends here."""
        name = before["metadata"]["name"]
        wanted = at(obj, "metadata", "resourceVersion", default="")
        if wanted and wanted != before["metadata"]["resourceVersion"]:
            raise errors.conflict(kind, name)
        uid = at(obj, "metadata", "uid", default="")
        if uid and uid != before["metadata"]["uid"]:
            raise errors.precondition(kind, name, "UID", uid, before["metadata"]["uid"])
        after = clone(obj)
        meta, old = after["metadata"], before["metadata"]
        after["apiVersion"], after["kind"] = kind.api_version, kind.kind
        for fixed in ("uid", "creationTimestamp", "resourceVersion", "generation", "managedFields"):
            meta.pop(fixed, None)
            if fixed in old:
                meta[fixed] = old[fixed]
        owns_alike = author.applied is None or author.applied == applied_fields(before, author.manager)
        if after == before and owns_alike:
            return before
        if kind.counted and after.get("spec") != before.get("spec"):
            meta["generation"] = old.get("generation", 1) + 1
        _record(before, after, author, stamp(self.clock.now()))
        return after

    def remove(self, kind: Kind, namespace: str, name: str) -> Json:
        """Take an object away and return its last state."""
        before = self.get(kind, namespace, name)
        self._commit("DELETED", kind, clone(before), before)
        return before

    def expire_events(self, cutoff: str) -> None:
        """Drop events last seen before `cutoff`, as the API server's one-hour lease does."""
        for event in self.list(EVENT):
            seen = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
            if seen < cutoff:
                self.remove(EVENT, *key_of(event))

    def _commit(
        self, what: Literal["ADDED", "MODIFIED", "DELETED"], kind: Kind, obj: Json, before: Json | None
    ) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        held = self._objects.setdefault(kind, {})
        if what == "DELETED":
            held.pop(key_of(obj), None)
        else:
            held[key_of(obj)] = obj
        change = Change(what, kind, obj, before, self.version)
        self.history.append(change)
        for listener in list(self.listeners):
            listener(change)
