"""The fields of a card: the arguments that may take another value, and the values that an operator has to type.

Rules:
  1. Only scalars, found through nested objects; their names are joined by dots (`limits.memory`).
     What holds characters that do not show is left out.
  2. What names the object is no field: another object is another proposal.
  3. A value that has to be typed goes into a password field. The page never holds what was there, because there is
     nothing: the proposal waits for it.
"""

from collections.abc import Iterator

from skyflo_runbooks.model.entry import ENTRY, key
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.pages.text import attr, hidden, text

_IDENTITY = frozenset({"kind", "namespace", "name", "container", "api_version", "patch_type"})
_MOST = 24
_LONGEST = 500
Scalar = str | int | float | bool


def changeable(arguments: Json) -> list[tuple[str, Scalar]]:
    """Return the names and values that can be modified."""
    return [(name, value) for name, value in _flat(arguments) if name not in _IDENTITY][:_MOST]


def fields(view: Json) -> str:
    """Return the form, hidden until it is asked for; an empty string where nothing can be modified."""
    arguments = view.get("arguments")
    found = changeable(arguments) if isinstance(arguments, dict) else []
    if not found:
        return ""
    rows = "".join(_field(index, name, value) for index, (name, value) in enumerate(found))
    return (
        f'<form id="other" class="fields" hidden>{rows}<footer><button>Propose this instead</button>'
        '<button type="button" class="cancel">Cancel</button>'
        '<span class="left">a new proposal takes the place of this one</span></footer></form>'
    )


def entries(view: Json) -> str:
    """Return the form in which an operator types what the proposal waits for."""
    rows = "".join(_entry(index, str(pointer)) for index, pointer in enumerate(view.get("entries") or ()))
    return (
        '<form id="entry" class="fields" autocomplete="off"><p class="note">It waits for a value. What you type goes '
        f"to the gateway and from there to the cluster; no notebook, record or model sees it.</p>{rows}"
        '<footer><button class="go">Make the proposal with it</button>'
        '<span class="left">a new proposal, with its own approval, takes the place of this one</span></footer></form>'
    )


def _entry(index: int, pointer: str) -> str:
    id_ = f"entry-{index}"
    return (
        f'<label for="{id_}">{text(key(pointer), 260)}</label>'
        f'<input id="{id_}" type="password" data-pointer="{attr(pointer)}" required '
        'autocomplete="new-password" autocapitalize="off" spellcheck="false">'
    )


def _flat(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, (*path, str(key)))
    elif (
        isinstance(value, str | int | float)
        and value != ENTRY
        and len(str(value)) <= _LONGEST
        and not any(map(hidden, (*path, str(value))))
    ):
        yield ".".join(path), value


def _field(index: int, name: str, value: Scalar) -> str:
    id_ = f"set-{index}"
    label = f'<label for="{id_}">{text(name, 200)}</label>'
    common = f'id="{id_}" data-name="{attr(name)}"'
    if isinstance(value, bool):
        options = "".join(
            f'<option value="{word}"{" selected" if said is value else ""}>{word}</option>'
            for word, said in (("true", True), ("false", False))
        )
        was = "true" if value else "false"
        return f'{label}<select {common} data-type="bool" data-was="{was}">{options}</select>'
    kind = "str" if isinstance(value, str) else "number"
    said = attr(value)
    return f'{label}<input {common} data-type="{kind}" data-was="{said}" value="{said}" autocomplete="off">'
