"""k8s_patch: any field of any object, as JSON Patch, merge patch or strategic merge patch.

Rules:
  1. What names the object and what the server keeps (name, namespace, uid, resourceVersion, generation, managedFields)
     and `status` cannot be patched.
  2. A Secret's values are not written down in a patch: a patch is an argument, and arguments are recorded. Nor are they
     copied or moved to where they can be read: into a label or an annotation, as they are, or by kubectl's copy of the
     whole object. Keys may be taken out, and renamed.
  3. A JSON Patch gets a `test` in front for each value that it replaces or removes, as it was read; those given stay
     where they are. For a Secret none is added, because the test would hold its value.
  4. The other two forms carry uid and resourceVersion when they are sent.
"""

from typing import Literal

import msgspec

from skyflo_mcp.kubernetes.change import target
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.cleaning import MASKED
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Rendered, Request

PatchType = Literal["json", "merge", "strategic"]
_TYPES = {"json": JSON_PATCH, "merge": MERGE_PATCH, "strategic": STRATEGIC_PATCH}
_OPERATIONS = {
    "add": {"value"},
    "replace": {"value"},
    "test": {"value"},
    "remove": set(),
    "move": {"from"},
    "copy": {"from"},
}
_KEPT = ("name", "namespace", "uid", "resourceVersion", "generation", "managedFields", "creationTimestamp", "selfLink")
_SERVER = ("status", "kind", "apiVersion")
_INSTEAD = "Patch a field of the object's desired state."
_VALUES = (["data"], ["stringData"])
_COPY = ["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]
_LARGEST = 256 * 1024
_MISSING = object()


async def k8s_patch(
    cluster: Cluster,
    *,
    kind: str,
    name: str,
    patch: list[Json] | Json,
    namespace: str | None = None,
    patch_type: PatchType = "strategic",
) -> Rendered:
    """Patch any object: `patch` is a list of operations for patch_type json, else an object."""
    if len(msgspec.json.encode(patch)) > _LARGEST:
        raise BadInput(f"The patch is larger than {_LARGEST // 1024} KiB.", next_step="Split it.")
    if not patch:
        raise BadInput("The patch is empty.")
    if isinstance(patch, list) != (patch_type == "json"):
        form = "a list of operations" if patch_type == "json" else "an object"
        raise BadInput(f"A patch of type {patch_type} is {form}.", next_step="Change patch or patch_type.")
    found = await target.read(cluster, kind, namespace or "", name)
    if found.ref.kind == "Secret":
        _no_values(patch)
    if isinstance(patch, list):
        checked = [_operation(one) for one in patch]
        body: list[Operation] | Json = [*_relied_on(found, checked), *checked]
    else:
        _check_object(patch)
        body = patch
    request = Request("patch", found.ref, found.path, body, _TYPES[patch_type])
    # The line is shown and recorded; a Secret's new values are not to be read there.
    text = MASKED if found.ref.kind == "Secret" else msgspec.json.encode(patch).decode()
    return Rendered(
        (request,),
        title=f"{found.kubectl_name}: patch {', '.join(_touched(patch))}",
        equivalent=found.kubectl("patch", found.kubectl_name, f"--type={patch_type}", "-p", text),
    )


def _operation(one: Json) -> Operation:
    needed = _OPERATIONS.get(str(one.get("op")))
    if needed is None or not needed | {"op", "path"} <= one.keys() or one.keys() - needed - {"op", "path"}:
        raise BadInput(
            f"{str(one)[:120]} is no JSON Patch operation.",
            next_step='Write it like {"op": "replace", "path": "/spec/replicas", "value": 3}.',
        )
    if one["op"] == "test":
        return one
    for place in (str(one[member]) for member in ("path", "from") if member in one):
        parts = _parts(place)
        if not place.startswith("/") or not parts[0]:
            raise BadInput(f"A path such as /spec/replicas was expected, got {place[:80]!r}.")
        if parts == ["metadata"] or parts[0] in _SERVER or (parts[0] == "metadata" and parts[1] in _KEPT):
            raise BadInput(f"{place[:80]} cannot be patched.", next_step=_INSTEAD)
    return one


def _shows(source: list[str], to: list[str]) -> bool:
    """Return whether what lies at `source` in a Secret holds a value that could be read at `to`."""
    holds = source[:1] in _VALUES or source == _COPY[: len(source)]
    return holds and to[:1] not in _VALUES


def _check_object(patch: Json) -> None:
    metadata = patch.get("metadata", {})
    refused: list[str] = [member for member in _SERVER if member in patch]
    if isinstance(metadata, dict):
        refused += [f"metadata.{member}" for member in _KEPT if member in metadata]
    else:
        refused.append("metadata")
    if refused:
        raise BadInput(f"{refused[0]} cannot be patched.", next_step=_INSTEAD)


def _no_values(patch: list[Json] | Json) -> None:
    """Raise `BadInput` where the patch of a Secret holds a value, or takes one to where it can be read, by rule 2."""
    if isinstance(patch, list):
        if any(_shows(_parts(str(one["from"])), _parts(str(one.get("path")))) for one in patch if "from" in one):
            raise BadInput(
                "A Secret's value is not copied or moved out of its data: whoever may read the object could read it.",
                next_step="Within data a key may be moved or copied to another key.",
            )
        written = any("value" in one and _parts(str(one.get("path")))[:1] in _VALUES for one in patch)
        written |= any(one.get("path") == "" for one in patch)
    else:
        held = [patch.get(member) for (member,) in _VALUES]
        written = any(one is not None and (not isinstance(one, dict) or any(one.values())) for one in held)
    if written:
        raise BadInput("The values of a Secret are not written down in a patch.", next_step="Use k8s_set_secret.")


def _relied_on(found: Target, patch: list[Operation]) -> list[Operation]:
    if found.ref.kind == "Secret":
        return []
    tests: list[Operation] = []
    for one in patch:
        if one["op"] in ("replace", "remove"):
            value = _resolve(found.manifest, _parts(one["path"]))
            test = {"op": "test", "path": one["path"], "value": value}
            if value is not _MISSING and test not in (*tests, *patch):
                tests.append(test)
    return tests


def _resolve(manifest: Json, parts: list[str]) -> object:
    value: object = manifest
    for part in parts:
        key: str | int = int(part) if isinstance(value, list) and part.isdigit() else part
        value = at(value, key, default=_MISSING)
        if value is _MISSING:
            return _MISSING
    return value


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _touched(patch: list[Json] | Json) -> list[str]:
    if isinstance(patch, list):
        return [f"{one['op']} {one['path'][:80]}" for one in patch if one["op"] != "test"][:5]
    return [".".join(path)[:80] for path in _leaves(patch, ())][:5]


def _leaves(value: Json, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, inner in value.items():
        found += _leaves(inner, (*path, key)) if isinstance(inner, dict) and inner else [(*path, key)]
    return found
