"""A unified diff as lines with their meaning.

Rules:
  1. Inside a hunk the first character alone decides: a removed line that reads `-- x` is red, never a file header.
  2. What does not fit is not shown in part and approved in whole: `Shown.whole` says whether everything is there.
  3. The lines stand in blocks that fit a phone's screen, so that `visible.js` can tell of each whether it was seen. A
     block ends between two lines that have no colour, where there are such lines; a very long line is several rows.
"""

import re
from typing import Literal, NamedTuple

from skyflo_runbooks.service.pages.text import text

Mark = Literal["add", "del", "at", "same"]
MAX_LINES = 4000
MAX_WIDTH = 4000
_ROW = 600
# A block has at least the first and at most about the second number of lines of a phone's width.
_SMALLEST, _LARGEST, _PHONE = 8, 16, 45
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_CLASS: dict[Mark, str] = {"add": ' class="a"', "del": ' class="d"', "at": ' class="at"', "same": ""}
_SPOKEN: dict[Mark, str] = {"add": "added: ", "del": "removed: ", "at": "", "same": ""}


class Line(NamedTuple):
    """One line of a diff and what it means."""

    mark: Mark
    text: str


class Row(NamedTuple):
    """One row of a block: a line, or a piece of a long one; `first` says which."""

    mark: Mark
    text: str
    first: bool


class Shown(NamedTuple):
    """A diff as HTML, and whether all of it is there."""

    html: str
    whole: bool


def parse(diff: str) -> list[Line]:
    """Return the lines of a unified diff; a diff without hunks is read by its first characters alone."""
    found: list[Line] = []
    old = new = 0
    for line in diff.split("\n"):
        hunk = _HUNK.match(line) if old <= 0 and new <= 0 else None
        if hunk:
            old, new = (int(count) if count is not None else 1 for count in hunk.groups())
            found.append(Line("at", line))
            continue
        mark = _mark(line, inside=old > 0 or new > 0)
        old -= mark in ("del", "same")
        new -= mark in ("add", "same")
        found.append(Line(mark, line))
    while found and not found[-1].text:
        found.pop()
    return found


def render(diff: str, *, empty: str = "The dry run changes nothing.") -> Shown:
    """Return the diff as HTML blocks of lines; `empty` is said where there is none."""
    parsed = parse(diff)
    whole = len(parsed) <= MAX_LINES and all(len(line.text) <= MAX_WIDTH for line in parsed)
    shown = parsed[:MAX_LINES]
    if len(parsed) > MAX_LINES:
        shown.append(Line("at", f"… and {len(parsed) - MAX_LINES} more lines"))
    return Shown(blocks(shown or [Line("at", empty)]), whole)


def blocks(shown: list[Line]) -> str:
    """Return lines as HTML, in blocks by rule 3."""
    made: list[str] = []
    block: list[Row] = []
    height = 0
    for row in (row for line in shown for row in _rows(line)):
        plain = row.first and not _colour(row) and bool(block) and not _colour(block[-1])
        if height >= _LARGEST or (height >= _SMALLEST and plain):
            made.append(_block(block))
            block, height = [], 0
        block.append(row)
        height += max(1, -(-len(row.text) // _PHONE))
    return "".join([*made, _block(block)]) if block else "".join(made)


def _rows(line: Line) -> list[Row]:
    said = line.text[:MAX_WIDTH]
    pieces = [said[at : at + _ROW] for at in range(0, len(said), _ROW)] or [""]
    if len(line.text) > MAX_WIDTH:
        pieces.append(f"… ({len(line.text) - MAX_WIDTH} more characters)")
    return [Row(line.mark, piece, place == 0) for place, piece in enumerate(pieces)]


def _colour(row: Row) -> bool:
    return row.mark in ("add", "del")


def _block(rows: list[Row]) -> str:
    return f'<span class="block">{"".join(map(_row, rows))}</span>'


def _mark(line: str, *, inside: bool) -> Mark:
    if not inside and line.startswith(("--- ", "+++ ", "@@")):
        return "at"
    if line.startswith("\\"):
        return "at"
    return {"+": "add", "-": "del"}.get(line[:1], "same")  # type: ignore[return-value]  # the values are marks


def _row(row: Row) -> str:
    # The words are for screen readers, where a colour and a minus sign say nothing.
    spoken = f'<i class="spoken">{_SPOKEN[row.mark]}</i>' if row.first and _SPOKEN[row.mark] else ""
    return f"<span{_CLASS[row.mark]}>{spoken}{text(row.text, MAX_WIDTH)}</span>"
