"""Values that an operator types on the gateway's page: where a change waits for one, and how it is put there. Pure.

Rules:
  1. An argument whose whole value is `ENTRY` is an open entry. It is named by its JSON Pointer (RFC 6901), because the
     key of a Secret may hold a dot.
  2. A change with an open entry cannot be approved.
  3. What is put in its place is a reference («masked:…»), never the value itself.
"""

from collections.abc import Iterator, Mapping

from skyflo_runbooks.model.json import Json

ENTRY = "«entry»"


def open_entries(arguments: Json) -> tuple[str, ...]:
    """Return the pointers of the entries that are open, in the order in which they stand."""
    return tuple(_open(arguments, ""))


def filled(arguments: Json, values: Mapping[str, str]) -> Json:
    """Return the arguments with each open entry that `values` names (by its pointer) replaced."""
    made = _filled(arguments, "", values)
    assert isinstance(made, dict)  # a mapping stays one
    return made


def key(pointer: str) -> str:
    """Return the last name in a pointer: for a Secret's value, its key."""
    return pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _open(value: object, pointer: str) -> Iterator[str]:
    if value == ENTRY:
        yield pointer
    for name, item in _members(value):
        yield from _open(item, f"{pointer}/{name}")


def _filled(value: object, pointer: str, values: Mapping[str, str]) -> object:
    if value == ENTRY:
        return values.get(pointer, value)
    if isinstance(value, dict):
        return {name: _filled(item, f"{pointer}/{_escaped(name)}", values) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(item, f"{pointer}/{place}", values) for place, item in enumerate(value)]
    return value


def _members(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((_escaped(name), item) for name, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(place), item) for place, item in enumerate(value))


def _escaped(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
