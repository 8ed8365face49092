"""With whom an object is deleted from now on: owners that a change gives it, or takes from it. Pure.

Rules:
  1. An object of which no owner is there is deleted by the garbage collector, whoever wrote the reference and however
     long the owner has been gone; one owner that is there keeps it
     (https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents).
  2. An owner is meant by its uid, in the object's own namespace or in none. A manifest that was read from a cluster and
     is applied again names owners that may be gone.
  3. Whether an owner is there is looked up by a list of its kind, never of Secrets. What could not be read is not said
     to be gone, nor is anything said of the owners of an object that lives in no namespace.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, medium, plural, some, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact


def needs(change: Change) -> Iterable[Need]:
    """The lists in which owners are that it did not have before."""
    return [_list(change, one) for one in _added(change) if not _is_secret(one)]


def said(change: Change, scene: Scene) -> Impact:
    """Say with whom it is deleted, and whether that is at once."""
    gone = [one for one in _added(change) if _is_gone(change, one, scene)]
    impact = touched(_lines(change, gone))
    if not gone or change.creates or len(gone) < len(_owners(change.will)):
        return impact
    lost = f"the garbage collector deletes {change.ref}, of which no owner is there"
    return Impact(also_touched=impact.also_touched, risks=impact.risks, irreversible=(lost,))


def _lines(change: Change, gone: list[Json]) -> Lines:
    with_whom = some(_named(one) for one in _added(change) if one not in gone)
    if with_whom and change.creates:
        yield Line(f"It is deleted with {with_whom}")
    elif with_whom:
        yield medium(f"From now on it is deleted with {with_whom}", "another object's deletion will delete it")
    if gone and len(gone) == len(_owners(change.will)):
        yield high(
            f"No {some(map(_named, gone))} of that uid was found: what has no owner left is DELETED "
            "by the garbage collector at once",
            "the garbage collector deletes it",
        )
    elif gone:
        yield Line(f"{plural(len(gone), 'owner')} that it names {'is' if len(gone) == 1 else 'are'} not there")
    left = [_named(one) for one in _owners(change.was) if str(one["uid"]) not in _uids(change.will)]
    if left and change.will:
        yield Line(f"It is no longer deleted with {some(left)}")


def _owners(manifest: Json) -> list[Json]:
    return [one for one in each(manifest, "metadata", "ownerReferences") if one.get("uid")]


def _uids(manifest: Json) -> set[str]:
    return {str(one["uid"]) for one in _owners(manifest)}


def _added(change: Change) -> list[Json]:
    if change.deletes:
        return []
    known = _uids(change.was)
    return [one for one in _owners(change.will) if str(one["uid"]) not in known]


def _list(change: Change, owner: Json) -> Need:
    group = str(owner.get("apiVersion") or "").rpartition("/")[0]
    added = "." in group and not group.endswith(".k8s.io")
    return Need(f"{owner.get('kind')}.{group}" if added else str(owner.get("kind")), change.namespace)


def _is_gone(change: Change, owner: Json, scene: Scene) -> bool:
    """Return whether it is known that this owner is not there, by rules 2 and 3."""
    place = _list(change, owner)
    if not change.namespace or _is_secret(owner) or not scene.knows(place.kind, place.namespace):
        return False
    there = scene.of(place.kind, place.namespace)
    return str(owner["uid"]) not in {str(at(one, "metadata", "uid", default="")) for one in there}


def _is_secret(owner: Json) -> bool:
    return str(owner.get("kind")).lower().startswith("secret")


def _named(owner: Json) -> str:
    return f"{owner.get('kind')} {owner.get('name')}"
