"""`metadata.managedFields`: which manager last set which field.

The rule of server-side apply for updates: a field belongs to the manager that changed it last, per operation and
subresource. Lists are owned item by item where they have a merge key, else whole. Source:
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

import json
from collections.abc import Iterator
from typing import Any

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.mergekeys import MERGE_KEYS

Path = tuple[str, ...]
_NEVER_OWNED = {"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "namespace", "name"}
_TOP_IGNORED = {"apiVersion", "kind"}


def record_apply(after: Json, manager: str, owned: frozenset[Path], taken: frozenset[Path], when: str) -> None:
    """Note in `after` that `manager` applied it: `owned` are its fields now, `taken` those that others lose."""
    entries: list[Json] = []
    for entry in after["metadata"].pop("managedFields", []):
        if (entry["manager"], entry["operation"]) == (manager, "Apply"):
            continue
        kept = set(paths(entry["fieldsV1"])) - (set() if entry.get("subresource") else taken)
        if kept:
            entries.append({**entry, "fieldsV1": _tree(kept)})
    mine = {**_entry(manager, "", set(owned), after["apiVersion"], when), "operation": "Apply"}
    after["metadata"]["managedFields"] = [*entries, mine]


def applied_fields(obj: Json, manager: str) -> frozenset[Path]:
    """Return the fields that a manager owns by its last apply."""
    entries = obj["metadata"].get("managedFields", [])
    mine = (entry for entry in entries if (entry["manager"], entry["operation"]) == (manager, "Apply"))
    return frozenset(path for entry in mine for path in paths(entry["fieldsV1"]))


def record_fields(before: Json, after: Json, manager: str, subresource: str, when: str) -> None:
    """Note in `after` that `manager` made the difference from `before`."""
    fields = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    now, then = _owned(after, fields), _owned(before, fields)
    moved = {path for path, _ in now - then}
    gone = {path for path, _ in then} - {path for path, _ in now}
    if not moved and not gone:
        return
    entries: list[Json] = []
    mine: Json | None = None
    for entry in after["metadata"].pop("managedFields", []):
        same = (entry["manager"], entry.get("subresource", "")) == (manager, subresource)
        kept = set(paths(entry["fieldsV1"])) - gone - (set() if same else moved)
        if same:
            mine = _entry(entry["manager"], subresource, kept | moved, after["apiVersion"], when)
        elif kept:
            entries.append({**entry, "fieldsV1": _tree(kept)})
    if mine is None and moved:
        mine = _entry(manager, subresource, moved, after["apiVersion"], when)
    if mine is not None:
        entries.append(mine)
    if entries:
        after["metadata"]["managedFields"] = entries


def _owned(obj: Json, fields: list[str]) -> set[tuple[Path, str]]:
    return {leaf for key in fields if key in obj for leaf in leaves({key: obj[key]}, "", ())}


def _entry(manager: str, subresource: str, paths: set[Path], api_version: str, when: str) -> Json:
    entry: Json = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": api_version,
        "time": when,
        "fieldsType": "FieldsV1",
        "fieldsV1": _tree(paths),
    }
    if subresource:
        entry["subresource"] = subresource
    return entry


def leaves(value: Any, field: str = "", path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield each owned path with a hashable form of its value."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if (not path and key in _TOP_IGNORED) or (path == ("f:metadata",) and key in _NEVER_OWNED):
                continue
            yield from leaves(item, key, (*path, f"f:{key}"))
    elif isinstance(value, list) and field in MERGE_KEYS and all(isinstance(item, dict) for item in value):
        for item in value:
            step = item_step(field, item)
            yield (*path, step, "."), ""
            yield from leaves(item, "", (*path, step))
    else:
        yield path, repr(value)


def item_step(field: str, item: Json) -> str:
    """Return how a path names one item of a list with merge keys."""
    named = {key: item[key] for key in MERGE_KEYS[field] if key in item}
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True)


def _tree(paths: set[Path]) -> Json:
    tree: Json = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def paths(tree: Json, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of a `fieldsV1`."""
    if not tree:
        yield path
    for step, below in tree.items():
        yield from paths(below, (*path, step))
