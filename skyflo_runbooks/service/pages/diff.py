"""A unified diff as lines with their meaning.

Rules:
  1. Inside a hunk the first character alone decides: a removed line that reads `-- x` is red, never a file header.
  2. What does not fit is not shown in part and approved in whole: `Shown.whole` says whether everything is there.
"""

import re
from typing import Literal, NamedTuple

from skyflo_runbooks.service.pages.text import text

Mark = Literal["add", "del", "at", "same"]
MAX_LINES = 4000
MAX_WIDTH = 4000
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_CLASS: dict[Mark, str] = {"add": ' class="a"', "del": ' class="d"', "at": ' class="at"', "same": ""}
_SPOKEN: dict[Mark, str] = {"add": "added: ", "del": "removed: ", "at": "", "same": ""}


class Line(NamedTuple):
    """One line of a diff and what it means."""

    mark: Mark
    text: str


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


def render(diff: str) -> Shown:
    """Return the diff as HTML lines."""
    parsed = parse(diff)
    whole = len(parsed) <= MAX_LINES and all(len(line.text) <= MAX_WIDTH for line in parsed)
    shown = [_line(line) for line in parsed[:MAX_LINES]]
    if len(parsed) > MAX_LINES:
        shown.append(f'<span class="at">… and {len(parsed) - MAX_LINES} more lines</span>')
    return Shown("".join(shown) or '<span class="at">The dry run changes nothing.</span>', whole)


def _mark(line: str, *, inside: bool) -> Mark:
    if not inside and line.startswith(("--- ", "+++ ", "@@")):
        return "at"
    if line.startswith("\\"):
        return "at"
    return {"+": "add", "-": "del"}.get(line[:1], "same")  # type: ignore[return-value]  # the values are marks


def _line(line: Line) -> str:
    # The words are for screen readers, where a colour and a minus sign say nothing.
    spoken = f'<i class="spoken">{_SPOKEN[line.mark]}</i>' if _SPOKEN[line.mark] else ""
    return f"<span{_CLASS[line.mark]}>{spoken}{text(line.text, MAX_WIDTH)}</span>"
