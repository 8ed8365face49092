"""What the controllers share: ownership, template hashes, generated names, deleting pods."""

import hashlib
import json
import random
from datetime import timedelta

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.kinds import POD, Kind
from skyflo_runbooks.practice.store import Author, Store, clone, key_of

# Kubernetes' alphabet for generated names: no vowels and nothing that looks alike.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
MANAGER = Author("kube-controller-manager")
STATUS = Author("kube-controller-manager", "status")


def owner_reference(kind: Kind, owner: Json) -> Json:
    """Return the controller reference that a dependent of `owner` carries."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Json) -> Json | None:
    """Return the controller reference of `obj`, if it has one."""
    references: list[Json] = obj["metadata"].get("ownerReferences", [])
    return next((ref for ref in references if ref.get("controller")), None)


def owned(store: Store, kind: Kind, owner: Json) -> list[Json]:
    """Return the objects of `kind` that `owner` controls, in order of creation."""
    uid = owner["metadata"]["uid"]
    found = [
        obj
        for obj in store.list(kind, owner["metadata"].get("namespace", ""))
        if (ref := controller_of(obj)) and ref["uid"] == uid
    ]
    return sorted(
        found, key=lambda obj: (obj["metadata"]["creationTimestamp"], int(obj["metadata"]["resourceVersion"]))
    )


def template_hash(template: Json, collisions: int = 0) -> str:
    """Return the `pod-template-hash` of a template; stable, but not the number a real controller computes."""
    seed = json.dumps([template, collisions], sort_keys=True)
    digest = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    letters = []
    for _ in range(10):
        digest, place = divmod(digest, len(ALPHABET))
        letters.append(ALPHABET[place])
    return "".join(letters)


def suffix(names: random.Random) -> str:
    """Return five characters for a generated name."""
    return "".join(names.choice(ALPHABET) for _ in range(5))


def active(pod: Json) -> bool:
    """Return whether a pod counts for its controller."""
    return at(pod, "status", "phase") not in {"Succeeded", "Failed"} and "deletionTimestamp" not in pod["metadata"]


def is_ready(pod: Json) -> bool:
    """Return whether a pod's Ready condition is true."""
    conditions = at(pod, "status", "conditions", default=[])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def restarts(pod: Json) -> int:
    """Return the restarts of a pod's containers, summed."""
    return sum(item.get("restartCount", 0) for item in at(pod, "status", "containerStatuses", default=[]))


def delete_pod(store: Store, pod: Json, grace: int | None = None, author: Author = MANAGER) -> Json:
    """Begin a pod's deletion: with a grace period where a kubelet has it, at once where none does."""
    if grace is None:
        grace = at(pod, "spec", "terminationGracePeriodSeconds", default=30)
    if not at(pod, "spec", "nodeName") or grace == 0 or at(pod, "status", "phase") in {"Succeeded", "Failed"}:
        return store.remove(POD, *key_of(pod))
    if pod["metadata"].get("deletionTimestamp"):
        return pod
    marked = clone(pod)
    marked["metadata"]["deletionTimestamp"] = stamp(store.clock.now() + timedelta(seconds=grace))
    marked["metadata"]["deletionGracePeriodSeconds"] = grace
    return store.update(POD, marked, author)


def set_condition(conditions: list[Json], kind: str, status: str, reason: str, message: str, now: str) -> list[Json]:
    """Return `conditions` with one set; its transition time moves only with its status."""
    old = next((item for item in conditions if item["type"] == kind), None)
    if old and (old["status"], old["reason"], old["message"]) == (status, reason, message):
        return conditions
    since = old["lastTransitionTime"] if old and old["status"] == status else now
    made = {
        "type": kind,
        "status": status,
        "lastUpdateTime": now,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message,
    }
    return [item for item in conditions if item["type"] != kind] + [made]


def write_status(store: Store, kind: Kind, obj: Json, status: Json) -> Json:
    """Write `status` if it differs."""
    if obj.get("status") == status:
        return obj
    changed = clone(obj)
    changed["status"] = status
    return store.update(kind, changed, STATUS)
