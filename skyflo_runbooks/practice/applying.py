"""Server-side apply: a manifest merged into what is there, with the fields that its manager owns afterwards.

Rules (https://kubernetes.io/docs/reference/using-api/server-side-apply/):
  1. A manager owns every field of the manifest that it applied last.
  2. A field that another manager owns with another value is a conflict, and nothing is written; with `force` it is
     taken from them. With the same value both own it.
  3. A field that the manager owned by an earlier apply, that is not in this manifest and that nobody else owns, is
     taken out.
"""

from dataclasses import dataclass
from typing import Any

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.mergekeys import MERGE_KEYS
from skyflo_runbooks.practice.ownership import Path, item_step, leaves, paths
from skyflo_runbooks.practice.store import clone

# What a manifest says of an object without owning it.
_NAMING = ("apiVersion", "kind")
_METADATA = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


@dataclass(frozen=True)
class Merged:
    """The object after an apply, the fields its manager owns now, and those it takes from others."""

    object: Json
    owned: frozenset[Path]
    taken: frozenset[Path]


def merge(before: Json, manifest: Json, manager: str, *, force: bool) -> Merged:
    """Return `before` with the manifest applied, or raise the conflict that the API server answers."""
    wanted = _fields(manifest)
    owned = frozenset(path for path, _ in leaves(wanted))
    conflicts = _conflicts(before, wanted, manager)
    if conflicts and not force:
        raise errors.apply_conflict(conflicts)
    merged = _merged(clone(before), wanted)
    others = {path for entry in _entries(before) if not _ours(entry, manager) for path in paths(entry["fieldsV1"])}
    held = {path for entry in _entries(before) if _ours(entry, manager) for path in paths(entry["fieldsV1"])}
    # Whole items first: a path into an item names it by keys that would be gone.
    for path in sorted(held - owned - others, key=lambda path: (path[-1] != ".", -len(path))):
        _take_out(merged, path)
    for name in _METADATA:
        if name in manifest.get("metadata", {}):
            merged.setdefault("metadata", {})[name] = manifest["metadata"][name]
    return Merged(merged, owned, frozenset(path for _, path in conflicts))


def _entries(obj: Json) -> list[Json]:
    found: list[Json] = obj.get("metadata", {}).get("managedFields", [])
    return [entry for entry in found if not entry.get("subresource")]


def _ours(entry: Json, manager: str) -> bool:
    return (entry["manager"], entry["operation"]) == (manager, "Apply")


def _fields(manifest: Json) -> Json:
    """Return the manifest without what only names the object."""
    wanted = {key: value for key, value in manifest.items() if key not in (*_NAMING, "metadata", "status")}
    metadata = {key: value for key, value in manifest.get("metadata", {}).items() if key not in _METADATA}
    return {**wanted, "metadata": metadata} if metadata else wanted


def _conflicts(before: Json, wanted: Json, manager: str) -> list[tuple[Json, Path]]:
    """Return which entries own a field with another value."""
    there = dict(leaves(_fields(before)))
    differ = [path for path, value in leaves(wanted) if path in there and there[path] != value]
    return [
        (entry, path)
        for entry in _entries(before)
        if not _ours(entry, manager)
        for path in differ
        if path in set(paths(entry["fieldsV1"]))
    ]


def _merged(held: Any, wanted: Any, field: str = "") -> Any:
    if isinstance(wanted, dict) and isinstance(held, dict):
        for key, value in wanted.items():
            held[key] = _merged(held[key], value, key) if key in held else clone(value)
        return held
    keyed = field in MERGE_KEYS and isinstance(held, list) and isinstance(wanted, list)
    if not keyed or not all(isinstance(item, dict) for item in [*held, *wanted]):
        return clone(wanted)
    for item in wanted:
        place = next((i for i, old in enumerate(held) if item_step(field, old) == item_step(field, item)), None)
        if place is None:
            held.append(clone(item))
        else:
            held[place] = _merged(held[place], item)
    return held


def _take_out(obj: Any, path: Path, field: str = "") -> None:
    """Remove what lies at a path, where it is there, and the list or object that is empty then."""
    step, *below = path
    if step == ".":
        return
    if isinstance(obj, dict) and step[2:] in obj:
        name = step[2:]
        if below:
            _take_out(obj[name], tuple(below), name)
        if not below or obj[name] in ({}, []):
            obj.pop(name)
    elif isinstance(obj, list):
        for item in [item for item in obj if item_step(field, item) == step]:
            if below == ["."]:
                obj.remove(item)
            else:
                _take_out(item, tuple(below))
