"""What a read answered, as parts that can be shown: from the shapes that tools answer in to tables and texts.

Shapes: `{"columns": […], "rows": […]}` · a list of objects · an object, whose tables, logs and nested objects become
parts of their own · a text. Values are bounded; the full result is in the output's own MIME type.
"""

from collections.abc import Sequence

import msgspec

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.text import clean, shorten

MAX_ROWS = 200
MAX_CELL = 300
MAX_TEXT = 60_000
# Said already beside the result, or of no interest to a reader.
_QUIET = {"at", "count", "kind", "namespace"}


class Part(msgspec.Struct, frozen=True):
    """A table, or a text where there are no columns. `more` rows were left out; `folded` ones are shown on demand."""

    title: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0
    text: str = ""
    folded: bool = False


def tabulate(result: object) -> tuple[Part, ...]:
    """Return a tool's answer as parts, at least one."""
    if isinstance(result, dict):
        return _object(result) or (Part(text="nothing"),)
    if isinstance(result, list | tuple):
        return _records("", list(result))
    return (Part(text=shorten(clean(result), MAX_TEXT) if isinstance(result, str) else cell(result) or "nothing"),)


def plain(parts: Sequence[Part]) -> str:
    """Return parts as text, tables aligned; a folded part on one line."""
    return "\n".join(_plain(part) for part in parts)


def cell(value: object) -> str:
    """Return one value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return shorten(clean(value), MAX_CELL)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        return shorten(clean(", ".join(str(item) for item in value)), MAX_CELL)
    return shorten(clean(_json(value)), MAX_CELL)


def _json(value: object, indent: int = 0) -> str:
    raw = msgspec.json.encode(value, enc_hook=str)
    return msgspec.json.format(raw, indent=indent if indent else -1).decode()


def _plain(part: Part) -> str:
    head = f"{part.title}:\n" if part.title else ""
    if not part.columns:
        return head + (shorten(" ".join(part.text.split()), 200) if part.folded else part.text)
    rows = [tuple(name.upper() for name in part.columns), *(_flat(row) for row in part.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(part.columns))]
    lines = ["   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return head + "\n".join([*lines, *([f"… and {part.more} more"] if part.more else [])])


def _flat(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(shorten(" ".join(text.split()), 80) for text in row)


def _object(result: Json) -> tuple[Part, ...]:
    if isinstance(result.get("columns"), list) and isinstance(result.get("rows"), list):
        said = {key: value for key, value in result.items() if key not in ("columns", "rows")}
        return (_table("", result["columns"], result["rows"]), *_facts(said))
    facts: Json = {}
    parts: list[Part] = []
    for name, value in result.items():
        found = _member(clean(name), value)
        if found:
            parts += found
        else:
            facts[name] = value
    return (*_facts(facts), *parts)


def _member(name: str, value: object) -> tuple[Part, ...]:
    """Return the parts of a member that is more than one value; nothing for a plain value."""
    if isinstance(value, dict) and value:
        if isinstance(value.get("columns"), list) and isinstance(value.get("rows"), list):
            return (_table(name, value["columns"], value["rows"]),)
        return (Part(title=name, text=shorten(clean(_json(value, 2)), MAX_TEXT), folded=True),)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _records(name, value)
    if isinstance(value, str) and "\n" in value:
        return (Part(title=name, text=shorten(clean(value).strip("\n"), MAX_TEXT)),)
    return ()


def _facts(said: Json) -> tuple[Part, ...]:
    shown = {key: value for key, value in said.items() if key not in _QUIET and value not in (None, "", [], {}, False)}
    return (Part(text="; ".join(f"{clean(key)}: {cell(value)}" for key, value in shown.items())),) if shown else ()


def _table(title: str, columns: list[object], rows: list[object]) -> Part:
    names = tuple(clean(name) for name in columns)
    if not rows:
        return Part(title=title, text="none")
    made: list[tuple[str, ...]] = []
    for row in rows[:MAX_ROWS]:
        if isinstance(row, dict):
            values = [cell(row.get(str(name))) for name in columns]
        else:
            values = [cell(value) for value in (row if isinstance(row, list | tuple) else [row])]
        made.append(tuple((values + [""] * len(names))[: len(names)]))
    return Part(title, names, tuple(made), max(0, len(rows) - MAX_ROWS))


def _records(title: str, items: list[object]) -> tuple[Part, ...]:
    if not items:
        return (Part(title=title, text="none"),)
    objects = [item for item in items if isinstance(item, dict)]
    if len(objects) < len(items):
        return (_table(title, ["value"], [[item] for item in items]),)
    if any(isinstance(item.get("text"), str) for item in objects):
        return tuple(_log(item) for item in objects[:MAX_ROWS])
    names = list(dict.fromkeys(str(key) for item in objects[:MAX_ROWS] for key in item))
    return (_table(title, list(names), list(items)),)


def _log(item: Json) -> Part:
    """One container's lines under what names it."""
    flags = [clean(key) for key, value in item.items() if value is True]
    names = [cell(value) for key, value in item.items() if key != "text" and isinstance(value, str) and value]
    return Part(title=" ".join([*names, *flags]), text=shorten(clean(item["text"]).strip("\n") or "nothing", MAX_TEXT))
