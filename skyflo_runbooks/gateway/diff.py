"""The diff that a person reads, and the inverse of a change. Pure.

Rules:
  1. What is compared is the desired state: live against the dry run, as far as it is shown (`shown`).
     Members stand in the order of their names, as kubectl diff shows them, so that one change reads the same wherever
     an API server keeps them.
  2. A text of several lines is shown line by line, so that one changed line of a file is one changed line here.
  3. An inverse patch tests, before each operation, that the value there is still the one that the change left; so a
     roll-back never undoes what somebody else did since.
"""

import copy
import difflib

import jsonpatch
import yaml

from skyflo_runbooks.gateway.shown import MASKED, sides
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

Operation = Json
# Line breaks to YAML and to terminals that are none to us.
_BREAKS = {"\r", "\x85", "\u2028", "\u2029"}


# libyaml's emitter where it is there: more than ten times as fast, and every proposal is shown as YAML twice.
class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # which of the two: at run time
    """Writes a text of several lines as a block; one that a block cannot hold (controls, trailing blanks) is quoted."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", value, style="|" if "\n" in value and not _BREAKS & set(value) else None
    )


_Dumper.add_representer(str, _text)


def unified(ref: ObjectRef, before: Json | None, after: Json | None, written: object = None) -> str:
    """Return the lines that differ, with two lines around them, headed by the object and the place in it.

    `before` and `after` are raw objects, `written` is the request's body, which tells what somebody wrote from what the
    server filled in.
    """
    shown_before, shown_after = sides(before, after, written)
    old, new = _lines(shown_before), _lines(shown_after)
    lines = list(difflib.unified_diff(old, new, n=2, lineterm=""))[2:]
    if not lines:
        return ""
    where = _place(shown_before, shown_after)
    head = f"@@ {ref.kind} {'/'.join(part for part in (ref.namespace, ref.name) if part)}{where}"
    first = True
    body = []
    for line in lines:
        if line.startswith("@@"):
            body.append(head if first else "@@ …")
            first = False
        else:
            body.append(line)
    return "\n".join(body)


def asked(ref: ObjectRef, how: str, body: Json | list[Json] | None) -> str:
    """Return what is asked for, line by line, where there is no object to compare; Secret values masked."""
    shown = _masked_body(body) if ref.kind == "Secret" else body
    head = f"@@ {ref.kind} {'/'.join(part for part in (ref.namespace, ref.name) if part)} ({how})"
    return "\n".join([head, *(f"+{line}" for line in _lines(shown))])


def operations(before: Json, after: Json) -> list[Operation]:
    """Return the JSON Patch (RFC 6902) that turns `before` into `after`."""
    made: list[Operation] = jsonpatch.make_patch(before, after).patch
    return made


def inverse(before: Json, after: Json) -> list[Operation]:
    """Return the guarded JSON Patch that turns `after` back into `before`, by rule 3."""
    guarded: list[Operation] = []
    current = copy.deepcopy(after)
    for operation in operations(after, before):
        if operation["op"] in ("replace", "remove"):
            guarded.append({"op": "test", "path": operation["path"], "value": _value_at(current, operation["path"])})
        elif operation["op"] == "move":
            guarded.append({"op": "test", "path": operation["from"], "value": _value_at(current, operation["from"])})
        guarded.append(operation)
        current = jsonpatch.apply_patch(current, [operation])
    return guarded


def _value_at(manifest: Json, pointer: str) -> object:
    value: object = manifest
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        value = value[int(part)] if isinstance(value, list) else value[part]  # type: ignore[index]  # JSON all the way
    return copy.deepcopy(value)


def _masked_body(body: Json | list[Json] | None) -> object:
    """Return a request's body on a Secret with every value in it masked."""
    if isinstance(body, list):
        return [{**one, "value": MASKED} if "value" in one else one for one in body]
    return {
        name: dict.fromkeys(held, MASKED) if name in ("data", "stringData") and isinstance(held, dict) else held
        for name, held in (body or {}).items()
    }


def _lines(manifest: object) -> list[str]:
    if manifest is None:
        return []
    text: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=100_000)
    return text.rstrip("\n").split("\n")


def _place(before: Json | None, after: Json | None) -> str:
    """Return the deepest place that holds all differences, in words: `containers[payment-service] · resources`."""
    if before is None or after is None:
        return " (new)" if before is None else " (deleted)"
    parts = [operation["path"].split("/")[1:-1] for operation in operations(before, after)]
    shared: list[str] = []
    for column in zip(*parts, strict=False):
        if len(set(column)) != 1:
            break
        shared.append(column[0])
    words: list[str] = []
    value: object = after
    for part in shared:
        value = value[int(part)] if isinstance(value, list) else at(value, part.replace("~1", "/").replace("~0", "~"))
        if part.isdigit() and words:
            words[-1] += f"[{at(value, 'name', default=part)}]"
        else:
            words.append(part.replace("~1", "/").replace("~0", "~"))
    return f" · {'.'.join(words)}" if words else ""
