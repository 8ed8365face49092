"""`NAME=VALUE` on the command line, typed by what it replaces.

Rules:
  1. `NAME` is one of the names that are offered, or the unique end of one (`memory` for `limits.memory`).
  2. The value takes the type of the value that it replaces; `true` and `false` are the only booleans.
  3. Everything else is `BadInput` and says which names and which type were expected.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from skyflo_runbooks.model.errors import BadInput

Scalar: TypeAlias = str | int | float | bool


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return `NAME=VALUE` texts as a mapping."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise BadInput(f"Expected NAME=VALUE, got {text[:80]!r}.", next_step="For example: memory_limit=1Gi.")
        if name.strip() in found:
            raise BadInput(f"{name.strip()!r} is given twice.", next_step="Give each name once.")
        found[name.strip()] = value
    return found


def typed(given: Mapping[str, str], present: Mapping[str, Scalar], *, what: str = "parameter") -> dict[str, Scalar]:
    """Return the given values under their full names, with the types of the present ones."""
    return {(name := full_name(key, present, what=what)): value_like(present[name], text, name=name)
            for key, text in given.items()}  # fmt: skip


def full_name(name: str, present: Mapping[str, object], *, what: str) -> str:
    """Return which of the present names `name` means, by rule 1."""
    if name in present:
        return name
    ends = [full for full in present if full.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise BadInput(f"{name!r} could mean {' or '.join(sorted(ends))}.", next_step="Write the whole name.")
    near = get_close_matches(name, list(present), n=3)
    known = ", ".join(sorted(near or present)) or "none"
    raise BadInput(f"There is no {what} named {name[:80]!r}.", next_step=f"There is: {known}.")


def value_like(present: Scalar, text: str, *, name: str) -> Scalar:
    """Return `text` in the type of `present`."""
    try:
        if isinstance(present, bool):
            return {"true": True, "false": False}[text.strip().lower()]
        if isinstance(present, int):
            return int(text)
        if isinstance(present, float):
            return float(text)
    except (KeyError, ValueError):
        wanted = "true or false" if isinstance(present, bool) else f"a value of type {type(present).__name__}"
        raise BadInput(
            f"{name} expects {wanted}, got {text[:80]!r}.", next_step=f"Now it is {present!r}; write it like that."
        ) from None
    return text


def flatten(arguments: Mapping[str, object], prefix: str = "") -> dict[str, Scalar]:
    """Return the scalars of nested arguments by dotted name: `{"limits": {"memory": …}}` is `limits.memory`."""
    flat: dict[str, Scalar] = {}
    for key, value in arguments.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, str | int | float | bool):
            flat[name] = value
    return flat
