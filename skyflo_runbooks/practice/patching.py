"""The three kinds of patch: JSON Patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.

Server-side apply has a module of its own (`applying`). Rules of strategic merge: objects merge, lists with a merge key
merge item by item, other lists are replaced; `$patch: delete|replace`, `$deleteFromPrimitiveList` and
`$setElementOrder` directives as in k8s.io/apimachinery/pkg/util/strategicpatch.
"""

import json
from typing import Any

import jsonpatch

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.mergekeys import MERGED_SETS, patch_key
from skyflo_runbooks.practice.store import clone

JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
ACCEPTED = [JSON_PATCH, MERGE, STRATEGIC, APPLY]


def patched(obj: Json, content_type: str, body: bytes) -> Json:
    """Return `obj` with the patch applied; the original is left alone."""
    if content_type not in ACCEPTED:
        raise errors.media_type(content_type, ACCEPTED)
    try:
        patch = json.loads(body)
    except ValueError as wrong:
        raise errors.bad_request(f"error decoding patch: {wrong}") from wrong
    if content_type == JSON_PATCH:
        return _json_patch(obj, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request(f"error decoding patch: expected a JSON object, got {type(patch).__name__}")
    if content_type == MERGE:
        merged: Json = _merge(clone(obj), patch)
        return merged
    return _strategic_object(clone(obj), patch)


def _json_patch(obj: Json, patch: Any) -> Json:
    try:
        result = jsonpatch.apply_patch(obj, patch)
    except (jsonpatch.JsonPatchTestFailed, jsonpatch.JsonPatchConflict) as refused:
        raise errors.patch_refused() from refused
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as refused:
        raise errors.patch_refused() from refused
    except (TypeError, AttributeError, KeyError) as wrong:
        raise errors.bad_request(f"error decoding patch: expected a list of operations: {wrong}") from wrong
    if not isinstance(result, dict):
        raise errors.patch_refused()
    return result


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _merge(out.get(key), value)
    return out


def _strategic_object(target: Json, patch: Json) -> Json:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            target[name] = [item for item in target.get(name, []) if item not in value]
        elif key.startswith("$retainKeys"):
            target = {name: item for name, item in target.items() if name in value}
        elif not key.startswith("$"):
            _strategic_field(target, key, value, patch.get(f"$setElementOrder/{key}", []))
    return target


def _strategic_field(target: Json, key: str, value: Any, order: list[Any]) -> None:
    if value is None:
        target.pop(key, None)
    elif isinstance(value, dict):
        held = target.get(key)
        target[key] = _strategic_object(held if isinstance(held, dict) else {}, value)
    elif isinstance(value, list):
        held = target.get(key)
        target[key] = _strategic_list(held if isinstance(held, list) else [], value, key, order)
    else:
        target[key] = value


def _strategic_list(target: list[Any], patch: list[Any], field: str, order: list[Any]) -> list[Any]:
    if field in MERGED_SETS:
        return target + [item for item in patch if item not in target]
    key = patch_key(field, target + patch)
    if not key or not all(isinstance(item, dict) for item in target + patch):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    merged = list(target)
    for item in patch:
        if key not in item:
            raise errors.bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((i for i, old in enumerate(merged) if old.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            merged = [old for old in merged if old.get(key) != item[key]]
        elif place is None:
            merged.append(_strategic_object({}, item))
        else:
            merged[place] = _strategic_object(merged[place], item)
    return _ordered(merged, order or patch, target, key)


def _ordered(merged: list[Any], patch: list[Any], target: list[Any], key: str) -> list[Any]:
    """Return the items as the real server orders them: the patch's in the patch's order, new ones first.

    Source: normalizeElementOrder and mergeSortedSlice in strategicpatch/patch.go.
    """
    wanted = [item.get(key) for item in patch]
    there = [item.get(key) for item in target]
    left = [item for item in merged if item.get(key) not in wanted]
    right = sorted((item for item in merged if item.get(key) in wanted), key=lambda item: wanted.index(item.get(key)))
    out: list[Any] = []
    while left and right:
        first, second = left[0].get(key), right[0].get(key)
        ahead = first in there and second in there and there.index(first) < there.index(second)
        out.append((left if ahead else right).pop(0))
    return out + left + right
