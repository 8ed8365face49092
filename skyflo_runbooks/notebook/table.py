"""What a read answered, as rows: from the shapes that tools answer in to columns and cells.

Shapes: `{"columns": […], "rows": […]}` · a list of objects · `{"items": [objects]}` · one object (name and value) ·
a text. Nested values stand as compact JSON, bounded; the full result is in the output's own MIME type.
"""

from collections.abc import Sequence

import msgspec

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.text import clean, shorten

MAX_ROWS = 200
MAX_CELL = 300
_TEXT_MEMBERS = ("text", "log", "logs", "lines")


class Table(msgspec.Struct, frozen=True):
    """Columns and rows of text; `more` rows were left out. `text` in place of rows where the answer is a text."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: int = 0
    text: str = ""


def tabulate(result: object) -> Table:
    """Return a tool's answer as a table or as text."""
    if isinstance(result, str):
        return Table(text=clean(result))
    if isinstance(result, dict):
        return _object(result)
    if isinstance(result, list | tuple):
        return _records(list(result))
    return Table(text=cell(result))


def plain(table: Table) -> str:
    """Return a table as aligned text."""
    if not table.columns:
        return table.text
    rows = [tuple(name.upper() for name in table.columns), *(_flat(row) for row in table.rows)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(table.columns))]
    lines = ["   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [*lines, *([f"… and {table.more} more"] if table.more else []), *([table.text] * bool(table.text))]
    )


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
    return shorten(clean(msgspec.json.encode(value, enc_hook=str).decode()), MAX_CELL)


def _flat(row: Sequence[str]) -> tuple[str, ...]:
    return tuple(shorten(" ".join(text.split()), 80) for text in row)


def _object(result: Json) -> Table:
    columns, rows = result.get("columns"), result.get("rows")
    if isinstance(columns, list) and isinstance(rows, list):
        return _table(columns, rows)
    for name in ("items", "events", "pods", "revisions"):
        if isinstance(result.get(name), list) and result[name]:
            found = _records(result[name])
            text = "\n".join(part for part in (_rest(result, name), found.text) if part)
            return msgspec.structs.replace(found, text=text)
    for name in _TEXT_MEMBERS:
        lines = _lines(result.get(name))
        if lines:
            return Table(text="\n".join(part for part in (_rest(result, name), lines) if part))
    return Table(("name", "value"), tuple((clean(key), cell(value)) for key, value in result.items()))


def _lines(said: object) -> str:
    if isinstance(said, list) and all(isinstance(line, str) for line in said):
        return clean("\n".join(said))
    return clean(said) if isinstance(said, str) else ""


def _rest(result: Json, shown: str) -> str:
    """What an answer says beside its main member, on one line."""
    rest = {key: value for key, value in result.items() if key != shown and value not in (None, "", [], {})}
    return "; ".join(f"{clean(key)}: {cell(value)}" for key, value in rest.items())


def _table(columns: list[object], rows: list[object]) -> Table:
    names = tuple(clean(name) for name in columns)
    made: list[tuple[str, ...]] = []
    for row in rows[:MAX_ROWS]:
        if isinstance(row, dict):
            values = [cell(row.get(str(name))) for name in columns]
        else:
            values = [cell(value) for value in (row if isinstance(row, list | tuple) else [row])]
        made.append(tuple((values + [""] * len(names))[: len(names)]))
    return Table(names, tuple(made), max(0, len(rows) - MAX_ROWS))


def _records(items: list[object]) -> Table:
    if not items:
        return Table(text="none")
    if not all(isinstance(item, dict) for item in items):
        return Table(("value",), tuple((cell(item),) for item in items[:MAX_ROWS]), max(0, len(items) - MAX_ROWS))
    names = list(dict.fromkeys(str(key) for item in items[:MAX_ROWS] if isinstance(item, dict) for key in item))
    return _table(list(names), items)
