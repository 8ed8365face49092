"""The Deployment controller: revisions as ReplicaSets, rolling from one to the next within surge and availability.

Source: k8s.io/kubernetes/pkg/controller/deployment (rolling.go, sync.go, progress.go) and its revision annotations.
Not played: proportional scaling of several ReplicaSets in the middle of a roll-out.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import parse, stamp
from skyflo_runbooks.practice.controllers.common import (
    MANAGER,
    owned,
    owner_reference,
    set_condition,
    template_hash,
    write_status,
)
from skyflo_runbooks.practice.events import Occurrence, record
from skyflo_runbooks.practice.kinds import DEPLOYMENT, POD, REPLICA_SET, Kind
from skyflo_runbooks.practice.store import Store, clone, key_of

COMPONENT = "deployment-controller"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
HASH = "pod-template-hash"


def reconcile(store: Store, deployment: Json) -> datetime | None:
    """Bring a Deployment one step further; returns when its progress deadline would pass."""
    if deployment["metadata"].get("deletionTimestamp"):
        return None
    sets = owned(store, REPLICA_SET, deployment)
    new = next((item for item in sets if _template(item) == deployment["spec"]["template"]), None)
    old = [item for item in sets if item is not new]
    if not deployment["spec"].get("paused"):
        new = _current(store, deployment, new, old)
        deployment = store.get(DEPLOYMENT, *key_of(deployment))
    if new is not None:
        _roll(store, deployment, new, old)
    _trim(store, deployment, old)
    return _write(store, deployment)


def _template(replica_set: Json) -> Json:
    """Return a ReplicaSet's template without the hash label: what revisions are compared by."""
    template = clone(replica_set["spec"]["template"])
    template.get("metadata", {}).get("labels", {}).pop(HASH, None)
    found: Json = template
    return found


def revision_of(obj: Json) -> int:
    """Return an object's revision, 0 if it has none."""
    return int(at(obj, "metadata", "annotations", REVISION, default=0))


def _current(store: Store, deployment: Json, new: Json | None, old: list[Json]) -> Json:
    """Return the ReplicaSet of the present template, made or brought back to the newest revision."""
    newest = max((revision_of(item) for item in old), default=0)
    if new is None:
        new = _create(store, deployment, newest + 1)
    annotations = dict(at(new, "metadata", "annotations", default={}))
    if revision_of(new) <= newest:
        before = [part for part in (annotations.get(HISTORY, ""), annotations[REVISION]) if part]
        annotations |= {HISTORY: ",".join(before), REVISION: str(newest + 1)}
    replicas = deployment["spec"]["replicas"]
    annotations |= {DESIRED: str(replicas), MOST: str(replicas + _bounds(deployment)[0])}
    new = _annotate(store, REPLICA_SET, new, annotations)
    shown = dict(at(deployment, "metadata", "annotations", default={}))
    shown[REVISION] = annotations[REVISION]
    _annotate(store, DEPLOYMENT, store.get(DEPLOYMENT, *key_of(deployment)), shown)
    return new


def _annotate(store: Store, kind: Kind, obj: Json, annotations: dict[str, str]) -> Json:
    if at(obj, "metadata", "annotations", default={}) == annotations:
        return obj
    changed = clone(obj)
    changed["metadata"]["annotations"] = annotations
    return store.update(kind, changed, MANAGER)


def _create(store: Store, deployment: Json, revision: int) -> Json:
    meta, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"])
    template, selector = clone(spec["template"]), clone(spec["selector"])
    labels = {**template.get("metadata", {}).get("labels", {}), HASH: digest}
    template.setdefault("metadata", {})["labels"] = labels
    selector.setdefault("matchLabels", {})[HASH] = digest
    kept = {
        k: v for k, v in meta.get("annotations", {}).items() if not k.startswith("kubectl.kubernetes.io/last-applied")
    }
    made = {
        "metadata": {
            "name": f"{meta['name']}-{digest}",
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": {**kept, REVISION: str(revision)},
            "ownerReferences": [owner_reference(DEPLOYMENT, deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
        "status": {"replicas": 0},
    }
    return store.create(REPLICA_SET, made, MANAGER)


def _bounds(deployment: Json) -> tuple[int, int]:
    """Return surge (rounded up) and unavailable (rounded down) as numbers of pods."""
    replicas, strategy = deployment["spec"]["replicas"], deployment["spec"]["strategy"]
    if strategy["type"] == "Recreate":
        return 0, replicas
    rolling = strategy.get("rollingUpdate", {})
    surge = _share(rolling.get("maxSurge", "25%"), replicas, math.ceil)
    unavailable = _share(rolling.get("maxUnavailable", "25%"), replicas, math.floor)
    return surge, max(unavailable, 1) if surge == 0 else unavailable


def _share(value: int | str, replicas: int, rounding: Callable[[float], int]) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return int(rounding(int(value[:-1]) * replicas / 100))
    return int(value)


def _roll(store: Store, deployment: Json, new: Json, old: list[Json]) -> None:
    replicas = deployment["spec"]["replicas"]
    running = [item for item in old if item["spec"]["replicas"]]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        for item in running:
            _scale(store, deployment, item, 0)
        if not any(owned(store, POD, item) for item in old):
            _scale(store, deployment, new, replicas)
        return
    surge, unavailable = _bounds(deployment)
    total = new["spec"]["replicas"] + sum(item["spec"]["replicas"] for item in running)
    size = new["spec"]["replicas"]
    if size > replicas:
        new = _scale(store, deployment, new, replicas)
    elif size < replicas and total < replicas + surge:
        new = _scale(store, deployment, new, size + min(replicas + surge - total, replicas - size))
    elif running:
        _scale_old(store, deployment, new, running, replicas - unavailable)


def _scale_old(store: Store, deployment: Json, new: Json, running: list[Json], least: int) -> None:
    """Take old pods away: the unhealthy ones first, then as many as availability allows."""
    total = new["spec"]["replicas"] + sum(item["spec"]["replicas"] for item in running)
    new_missing = new["spec"]["replicas"] - at(new, "status", "availableReplicas", default=0)
    room = total - least - new_missing
    left: list[Json] = []
    for item in running:
        sick = item["spec"]["replicas"] - at(item, "status", "availableReplicas", default=0)
        take = max(0, min(room, sick))
        room -= take
        left.append(_scale(store, deployment, item, item["spec"]["replicas"] - take) if take else item)
    available = sum(at(item, "status", "availableReplicas", default=0) for item in [new, *left])
    spare = available - least
    for item in left:
        take = max(0, min(spare, item["spec"]["replicas"]))
        if take and room > 0:
            take = min(take, room)
            _scale(store, deployment, item, item["spec"]["replicas"] - take)
            spare, room = spare - take, room - take


def _scale(store: Store, deployment: Json, replica_set: Json, size: int) -> Json:
    before = replica_set["spec"]["replicas"]
    if before == size:
        return replica_set
    changed = clone(replica_set)
    changed["spec"]["replicas"] = size
    done = store.update(REPLICA_SET, changed, MANAGER)
    way = "up" if size > before else "down"
    text = f"Scaled {way} replica set {replica_set['metadata']['name']} from {before} to {size}"
    record(store, deployment, Occurrence("Normal", "ScalingReplicaSet", text, COMPONENT))
    return done


def _trim(store: Store, deployment: Json, old: list[Json]) -> None:
    """Drop the oldest empty ReplicaSets beyond the history limit."""
    empty = [item for item in old if not item["spec"]["replicas"] and not at(item, "status", "replicas", default=0)]
    surplus = len(empty) - deployment["spec"]["revisionHistoryLimit"]
    for item in sorted(empty, key=revision_of)[: max(0, surplus)]:
        store.remove(REPLICA_SET, *key_of(item))


def _write(store: Store, deployment: Json) -> datetime | None:
    sets = owned(store, REPLICA_SET, deployment)
    new = next((item for item in sets if _template(item) == deployment["spec"]["template"]), None)
    replicas = sum(at(item, "status", "replicas", default=0) for item in sets)
    available = sum(at(item, "status", "availableReplicas", default=0) for item in sets)
    numbers = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": at(new, "status", "replicas", default=0),
        "readyReplicas": sum(at(item, "status", "readyReplicas", default=0) for item in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, replicas - available),
    }
    before = deployment.get("status", {})
    status: Json = {key: value for key, value in numbers.items() if value}
    conditions, deadline = _conditions(store, deployment, new, numbers, sets)
    status["conditions"] = conditions
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    write_status(store, DEPLOYMENT, deployment, status)
    return deadline


def _conditions(
    store: Store, deployment: Json, new: Json | None, numbers: dict[str, int], sets: list[Json]
) -> tuple[list[Json], datetime | None]:
    now = stamp(store.clock.now())
    conditions: list[Json] = at(deployment, "status", "conditions", default=[])
    wanted = deployment["spec"]["replicas"]
    enough = numbers["availableReplicas"] >= wanted - _bounds(deployment)[1]
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    text = "Deployment has minimum availability." if enough else "Deployment does not have minimum availability."
    conditions = set_condition(conditions, "Available", "True" if enough else "False", reason, text, now)
    failure = next(
        (c for s in sets for c in at(s, "status", "conditions", default=[]) if c["type"] == "ReplicaFailure"), None
    )
    if failure:
        conditions = set_condition(conditions, "ReplicaFailure", "True", failure["reason"], failure["message"], now)
    else:
        conditions = [item for item in conditions if item["type"] != "ReplicaFailure"]
    if new is None:
        return conditions, None
    return _progress(store, deployment, new, numbers, conditions)


def _progress(
    store: Store, deployment: Json, new: Json, numbers: dict[str, int], conditions: list[Json]
) -> tuple[list[Json], datetime | None]:
    """Set the Progressing condition, and say when its deadline passes."""
    now, name, wanted = store.clock.now(), new["metadata"]["name"], deployment["spec"]["replicas"]
    old = next((item for item in conditions if item["type"] == "Progressing"), None)
    before = deployment.get("status", {})
    complete = numbers["updatedReplicas"] == numbers["replicas"] == numbers["availableReplicas"] == wanted
    fresh = old is None or f'"{name}"' not in old["message"]
    moved = any(
        numbers[key] > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    ) or numbers["replicas"] - numbers["updatedReplicas"] < before.get("replicas", 0) - before.get("updatedReplicas", 0)
    if complete:
        args = ("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        return set_condition(conditions, "Progressing", *args, stamp(now)), None
    if old and not fresh and old["reason"] == "NewReplicaSetAvailable":
        # A roll-out that was complete stays complete when its pods fail later, as on a real server.
        return conditions, None
    if fresh or moved:
        why = (
            ("NewReplicaSetCreated", f'Created new replica set "{name}"')
            if fresh and not numbers["updatedReplicas"]
            else ("ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        )
        kept = [item for item in conditions if item["type"] != "Progressing" or item["status"] == "True"]
        conditions = set_condition(
            [{**item, "message": ""} if item["type"] == "Progressing" else item for item in kept],
            "Progressing",
            "True",
            *why,
            stamp(now),
        )
    current = next(item for item in conditions if item["type"] == "Progressing")
    deadline = parse(current["lastUpdateTime"]) + timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"])
    if current["status"] == "True" and now >= deadline:
        args = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
        return set_condition(conditions, "Progressing", *args, stamp(now)), None
    return conditions, deadline if current["status"] == "True" else None
