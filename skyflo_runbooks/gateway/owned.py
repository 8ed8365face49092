"""What known controllers write into objects by themselves: neither drift, nor part of what a person approves.

`model.digest` leaves out what they write into every object of a kind; here is what depends on the change.

Rules:
  1. `replicas` of a workload that an autoscaler targets.
  2. Of a claim the volume that the binder chose, and the annotations in which binder, scheduler and provisioner say so.
  3. Of a node the taints that its controller derives from conditions and `unschedulable`: it takes one away a moment
     after somebody uncordons the node.
  4. Each only where the change leaves it alone: the dry run shows what the object has. Where none does (a
     deletion), nothing is left out: a claim that was bound meanwhile is no longer the empty one of the card.
  5. After a change of a volume, of the claim that it is kept for, the uid and the resourceVersion: the binder writes
     them when it binds that claim. Namespace and name say which claim that is, and count; and all of it does before.
"""

from skyflo_runbooks.gateway.impact import Scene
from skyflo_runbooks.gateway.impact.ownership import FOLLOWING
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import JSON_PATCH, LEAVING, Request

Path = tuple[str, ...]
_BINDING = (
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
)
_OF_KIND: dict[str, tuple[Path, ...]] = {
    "Node": tuple(("spec", "taints", key) for key in FOLLOWING),
    "PersistentVolumeClaim": (("spec", "volumeName"), *(("metadata", "annotations", name) for name in _BINDING)),
}
# https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reserving-a-persistentvolume
_AFTER: dict[str, tuple[Path, ...]] = {
    "PersistentVolume": (("spec", "claimRef", "uid"), ("spec", "claimRef", "resourceVersion")),
}


def by_controllers(request: Request, now: Json | None, left: Json | None, scene: Scene) -> tuple[Path, ...]:
    """Return the paths that a controller owns and this request leaves alone. `left` is what the dry run leaves."""
    if now is None:
        return ()
    scaled = (("spec", "replicas"),) if _scaled(request, scene) and not _touches_replicas(request) else ()
    own = _OF_KIND.get(request.target.kind, ())
    if left is None:
        return scaled
    return (*scaled, *(path for path in own if _there(now, path) == _there(left, path)))


def in_its_wake(request: Request) -> tuple[Path, ...]:
    """Return the paths that a controller fills in once this request is applied, by rule 5."""
    return _AFTER.get(request.target.kind, ())


def _there(manifest: Json, path: Path) -> object:
    """Return what is at a path; of a list, the items with that key."""
    held = at(manifest, *path[:-1])
    return [item for item in held if at(item, "key") == path[-1]] if isinstance(held, list) else at(manifest, *path)


def _scaled(request: Request, scene: Scene) -> bool:
    ref = request.target
    return any(
        at(item, "spec", "scaleTargetRef", "kind") == ref.kind
        and at(item, "spec", "scaleTargetRef", "name") == ref.name
        for item in scene.of("HorizontalPodAutoscaler", ref.namespace)
    )


def _touches_replicas(request: Request) -> bool:
    if request.verb not in LEAVING:
        return False
    if request.verb != "patch" or request.content_type != JSON_PATCH or request.subresource == "scale":
        return True
    places = [str(op[member]) for op in request.body for member in ("path", "from") if member in op]
    return any(meets("/spec/replicas", place) for place in places)


def meets(path: str, other: str) -> bool:
    """Return whether one of two JSON Pointers is the other, or leads to it."""
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")
