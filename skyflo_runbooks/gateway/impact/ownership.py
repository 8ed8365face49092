"""Who else manages the object: who will undo a change by hand, and where it lasts. Pure.

Rules:
  1. Marks say it: Helm's release annotations, Argo CD's tracking, Flux's labels, an owner that controls the object.
  2. managedFields says it of the very fields: a manager that wrote what the change changes. Managers that people use
     (kubectl, this gateway), controllers of Kubernetes itself, and status do not count.
  3. Where the change lasts is said: the values of the release, the application's git, the owner's own fields.
  4. Some taints of a node follow from `unschedulable` and from its conditions: where the change leaves one that does
     not follow, or takes one away that does, the node controller undoes it a moment later.
"""

import json
from collections.abc import Iterable, Iterator

from skyflo_runbooks.diagnosis.owners import TOOLS, marks
from skyflo_runbooks.diagnosis.pods import each, name_of
from skyflo_runbooks.gateway.impact.change import UNMANAGED, Change, some
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_BY_HAND = ("kubectl", "skyflo", "before-first-apply", "node-fetch", "dashboard", "k9s", "OpenLens", "Lens", "rancher")
_KUBERNETES = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-apiserver", "cloud-controller-manager")
_LONGEST_CHAIN = 4
# Each taint with the condition of the node, and its status, that it follows from; `unschedulable` is no condition.
# https://kubernetes.io/docs/reference/labels-annotations-taints/: set and taken away by the node controller.
FOLLOWING = {
    "node.kubernetes.io/unschedulable": ("", ""),
    "node.kubernetes.io/not-ready": ("Ready", "False"),
    "node.kubernetes.io/unreachable": ("Ready", "Unknown"),
    "node.kubernetes.io/memory-pressure": ("MemoryPressure", "True"),
    "node.kubernetes.io/disk-pressure": ("DiskPressure", "True"),
    "node.kubernetes.io/pid-pressure": ("PIDPressure", "True"),
    "node.kubernetes.io/network-unavailable": ("NetworkUnavailable", "True"),
}


def needs(change: Change) -> Iterable[Need]:
    """The ReplicaSets, for the Deployment behind a pod."""
    owners = {str(owner.get("kind")) for owner in each(change.live, "metadata", "ownerReferences")}
    if change.kind == "Pod" and "ReplicaSet" in owners and change.request.verb != "evict":
        yield Need("ReplicaSet", change.namespace)


def said(change: Change, scene: Scene) -> Impact:
    """Say who will undo the change, and where it lasts."""
    if change.request.verb in ("evict", "run"):
        return Impact()
    marked = [*marks(change.live), *_controllers(change, scene), *_following(change)]
    written = [] if change.deletes else list(_written(change, marked))
    if not (marked or written):
        return Impact(ownership=(UNMANAGED,))
    return Impact(ownership=(*marked, *written), risks=(("medium", "something else manages the object"),))


def _controllers(change: Change, scene: Scene) -> Iterator[str]:
    """Say which object makes this one, and which makes that."""
    chain: list[str] = []
    this: Json | None = change.live
    while this is not None and len(chain) < _LONGEST_CHAIN:
        owner = next((one for one in each(this, "metadata", "ownerReferences") if one.get("controller") is True), None)
        if owner is None:
            break
        chain.append(f"{owner.get('kind')} {owner.get('name')}")
        this = scene.one(str(owner.get("kind")), str(owner.get("name")), change.namespace)
    if not chain:
        return
    through = f" (of {' of '.join(chain[1:])})" if chain[1:] else ""
    if change.deletes:
        yield f"{chain[0]}{through} controls it and will make another"
    else:
        yield f"{chain[0]}{through} controls it: will be reverted by it; change the {chain[-1]} to make it last"


def _following(change: Change) -> Iterator[str]:
    """Say which taints the node controller sets, or takes away, again, by rule 4."""
    if change.kind != "Node" or change.before is None or change.after is None:
        return
    was, will = _scheduling(change.before), _scheduling(change.after)
    for key in sorted(was ^ will):
        condition, status = FOLLOWING[key]
        conditions = {one.get("type"): one.get("status") for one in each(change.live, "status", "conditions")}
        follows = (
            conditions.get(condition) == status if condition else at(change.after, "spec", "unschedulable") is True
        )
        if follows is not (key in will):
            lasting = f"mend what its condition {condition} tells" if condition else "cordon or uncordon the node"
            yield f"The node controller writes the taint {key}: will be reverted by it; {lasting} to make it last"


def _scheduling(node: Json) -> set[str]:
    """Return the keys of the taints NoSchedule that the node controller writes."""
    taints = each(node, "spec", "taints")
    return {str(one.get("key")) for one in taints if one.get("effect") == "NoSchedule" and one.get("key") in FOLLOWING}


def _written(change: Change, marked: list[str]) -> Iterator[str]:
    """Say which manager wrote the fields that change, by rule 2."""
    if change.before is None or change.after is None:
        return
    for entry in each(change.before, "metadata", "managedFields"):
        name = str(entry.get("manager") or "")
        if entry.get("subresource") == "status" or not name or name.startswith((*_BY_HAND, *_KUBERNETES)):
            continue
        fields = [".".join(path) for path in changed_fields(entry.get("fieldsV1"), change.before, change.after)]
        if fields:
            tool, place = next(
                (known for word, known in TOOLS.items() if word in name.lower()), (f"its manager {name}", "there")
            )
            if any(tool in mark for mark in marked):
                yield f"{name} wrote {some(fields, 3)}"
            else:
                yield f"{name} wrote {some(fields, 3)}: will be reverted by {tool}; change it {place} to make it last"


def changed_fields(fields: object, before: object, after: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the fields of a manager (fieldsV1) whose values differ between two objects.

    Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management; `f:` is a member, `k:`
    the element of a list by its keys, `v:` an element of a set.
    """
    if before == after:
        return []
    inner = [key for key in fields if key != "."] if isinstance(fields, dict) else []
    if not inner:
        return [path]
    found: list[tuple[str, ...]] = []
    for key in inner:
        name, was = _step(key, before)
        _, will = _step(key, after)
        found += changed_fields(fields[key], was, will, (*path, name))  # type: ignore[index]  # a dict, or inner is empty
    return found


def _step(key: object, value: object) -> tuple[str, object]:
    """Return the name of a field path's part, and what lies there."""
    kind, _, rest = str(key).partition(":")
    if kind == "f":
        return rest, value.get(rest) if isinstance(value, dict) else None
    try:
        wanted = json.loads(rest)
    except ValueError:
        return rest, None
    items = value if isinstance(value, list) else []
    if kind == "v":
        return str(wanted), wanted in items
    if not isinstance(wanted, dict):
        return rest, None
    label = str(next(iter(wanted.values()), ""))
    return label, next((one for one in items if isinstance(one, dict) and wanted.items() <= one.items()), None)


def owners_of(manifest: Json) -> tuple[str, ...]:
    """Return the uids of the objects that a manifest belongs to."""
    return tuple(str(owner.get("uid")) for owner in each(manifest, "metadata", "ownerReferences") if owner.get("uid"))


def named(manifest: Json) -> str:
    """Return kind and name in words."""
    return f"{at(manifest, 'kind', default='')} {name_of(manifest)}".strip()
