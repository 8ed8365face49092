"""Events: how a recorder counts repetitions instead of writing new ones.

Source: client-go tools/record: events equal in object, type, reason and message are one event with a count; the
scheduler writes the newer form, with `eventTime` and without a count.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.clock import micro, stamp
from skyflo_runbooks.practice.kinds import EVENT
from skyflo_runbooks.practice.store import Author, Store, clone

SCHEDULER = "default-scheduler"


@dataclass(frozen=True)
class Occurrence:
    """One thing that happened to an object."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    component: str
    host: str = ""
    field_path: str = ""


def reference(obj: Json, field_path: str = "") -> Json:
    """Return `involvedObject` for an object."""
    meta = obj["metadata"]
    ref: Json = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    }
    if meta.get("namespace"):
        ref["namespace"] = meta["namespace"]
    if field_path:
        ref["fieldPath"] = field_path
    return ref


def event_name(obj: Json, what: Occurrence) -> str:
    """Return the event's name: equal occurrences share it, which is how they are counted."""
    seed = "/".join((obj["metadata"]["uid"], what.type, what.reason, what.message, what.field_path))
    return f"{obj['metadata']['name']}.{hashlib.sha256(seed.encode()).hexdigest()[:16]}"


def first(obj: Json, what: Occurrence, now: datetime) -> Json:
    """Return the event of a first occurrence."""
    newer = what.component == SCHEDULER
    source: Json = {"component": what.component}
    if what.host:
        source["host"] = what.host
    event: Json = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event_name(obj, what), "namespace": obj["metadata"].get("namespace") or "default"},
        "involvedObject": reference(obj, what.field_path),
        "reason": what.reason,
        "message": what.message,
        "type": what.type,
        "source": {} if newer else source,
        "reportingComponent": what.component,
        "reportingInstance": what.host or (f"{SCHEDULER}-practice" if newer else ""),
        "firstTimestamp": None if newer else stamp(now),
        "lastTimestamp": None if newer else stamp(now),
        "eventTime": micro(now) if newer else None,
    }
    if newer:
        event["action"] = "Binding" if what.reason == "Scheduled" else "Scheduling"
    else:
        event["count"] = 1
    return event


def again(event: Json, now: datetime) -> Json:
    """Return the event after one more occurrence."""
    repeated = clone(event)
    if event.get("eventTime"):
        count = event.get("series", {}).get("count", 1) + 1
        repeated["series"] = {"count": count, "lastObservedTime": micro(now)}
    else:
        repeated["count"] = event["count"] + 1
        repeated["lastTimestamp"] = stamp(now)
    return repeated


def record(store: Store, obj: Json, what: Occurrence) -> None:
    """Write an occurrence into the store."""
    now = store.clock.now()
    namespace = obj["metadata"].get("namespace") or "default"
    author = Author("kubelet" if what.component == "kubelet" else what.component)
    held = store.find(EVENT, namespace, event_name(obj, what))
    if held is None:
        store.create(EVENT, first(obj, what, now), author)
    else:
        store.update(EVENT, again(held, now), author)
