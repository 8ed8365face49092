"""What a configuration may say at the place where it says something else. Pure.

Rules:
  1. The place is taken from msgspec's own message, and what is allowed there from the type that the file is read into.
     So whatever can be written there is said, and nothing else.
  2. An unknown name gets the nearest known one, and all that are known there; a value gets the values or the form.
"""

import re
from difflib import get_close_matches
from typing import Any

import msgspec.inspect as kinds

from skyflo_runbooks.gateway.policy.file import DAYS, LEVELS, RANKS

_PLACE = re.compile(r" - at (?P<key>`key` in )?`\$\.?(?P<path>[^`]*)`$")
_STEP = re.compile(r"\[[^\]]*\]|[^.\[\]]+")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_INVALID = re.compile(r"Invalid enum value '([^']*)'")
_NATURAL = (*RANKS, *LEVELS, *DAYS)


def next_step(said: str, kind: type) -> str:
    """Return what may stand at the place that msgspec's message `said` complains of, in a file read into `kind`."""
    found = _PLACE.search(said)
    path = found["path"] if found else ""
    here = _walk([kinds.type_info(kind)], path)
    if found and found["key"]:
        here = [one.key_type for one in here if isinstance(one, kinds.DictType)]
    return f"{_near(said, here)}{_place(path)} {_allowed(here)}."


def _walk(options: list[kinds.Type], path: str) -> list[kinds.Type]:
    """Return the types that may stand at a path such as `policy.bindings[0].role`."""
    options = _plain(options)
    for step in _STEP.findall(path):
        options = _plain([inner for one in options for inner in _inside(one, step)])
    return options


def _inside(kind: kinds.Type, step: str) -> list[kinds.Type]:
    if isinstance(kind, kinds.StructType):
        return [field.type for field in kind.fields if field.encode_name == step]
    if isinstance(kind, kinds.DictType):
        return [kind.value_type]
    return [kind.item_type] if isinstance(kind, kinds.VarTupleType) else []


def _plain(options: list[kinds.Type]) -> list[kinds.Type]:
    """Take unions apart; to leave something out is always possible, and is not said."""
    found: list[kinds.Type] = []
    for one in options:
        found += _plain(list(one.types)) if isinstance(one, kinds.UnionType) else [one]
    return [one for one in found if not isinstance(one, kinds.NoneType)]


def _near(said: str, here: list[kinds.Type]) -> str:
    wrong = _UNKNOWN.search(said) or _INVALID.search(said)
    near = get_close_matches(wrong[1], _names(here), n=1, cutoff=0.5) if wrong else []
    return f"Did you mean {near[0]}? " if near else ""


def _names(here: list[kinds.Type]) -> list[str]:
    names: list[str] = []
    for one in here:
        if isinstance(one, kinds.StructType):
            names += [field.encode_name for field in one.fields]
        elif isinstance(one, kinds.LiteralType):
            names += sorted(map(str, one.values), key=_NATURAL.index)
    return names


def _place(path: str) -> str:
    return f"{path} may say" if path else "It may say"


def _allowed(here: list[kinds.Type]) -> str:
    return " or ".join(_words(one) for one in here) or "nothing"


def _words(kind: Any) -> str:
    match kind:
        case kinds.Metadata():
            return str((kind.extra_json_schema or {}).get("description") or _words(kind.type))
        case kinds.StructType() | kinds.LiteralType():
            return ", ".join(_names([kind]))
        case kinds.BoolType():
            return "true or false"
        case kinds.IntType():
            return f"a whole number{_bounds(kind.ge, kind.le)}"
        case kinds.StrType():
            return f"a text in quotes{_bounds(kind.min_length, kind.max_length)}{' characters' * bool(kind.max_length)}"
        case kinds.VarTupleType():
            return f"a list{' of at least one' * bool(kind.min_length)}: {_allowed(_plain([kind.item_type]))}"
        case kinds.DictType():
            return f"a table of {_allowed(_plain([kind.key_type]))}, each {_allowed(_plain([kind.value_type]))}"
        case _:
            return "what docs/policy.md says"


def _bounds(least: int | None, most: int | None) -> str:
    if most is not None:
        return f" of {least or 0} to {most}"
    return "" if least is None else f", at least {least}"
