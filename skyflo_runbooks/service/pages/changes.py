"""What a proposal would do as HTML, part by part (`model.part`).

Rules:
  1. One request that changes an object is shown as its diff alone. Several are numbered, in the order in which they
     are sent; sending stops at the first that fails.
  2. What cannot be previewed yet says so in the place of its diff.
  3. Evictions are a line each; the pods as they are stand together under one fold.
"""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.part import LATER, Part, parts
from skyflo_runbooks.service.pages.diff import MAX_LINES, MAX_WIDTH, Line, Shown, blocks, parse, render
from skyflo_runbooks.service.pages.text import text


def changes(view: Json, depth: int = 2) -> Shown:
    """Return everything that the proposal would do as HTML, and whether all of it is there.

    `depth` is the level of the headings of numbered parts.
    """
    found = parts(view)
    if len(found) == 1 and found[0].alone:
        shown = _diff(found[0], found[0].diff)
        return Shown(_region(f"<pre>{shown.html}</pre>"), shown.whole)
    rows = [_numbered(part, place, len(found), depth) for place, part in enumerate(found, 1)]
    inner = "".join(row.html for row in rows) + _folded(found)
    return Shown(_region(inner), all(row.whole for row in rows) and _fits(found))


def _region(inner: str) -> str:
    return f'<div id="diff" class="changes" tabindex="0" role="region" aria-label="What will change">{inner}</div>'


def _numbered(part: Part, place: int, count: int, depth: int) -> Shown:
    number = f'<span class="soft">{place} of {count}</span> ' if count > 1 else ""
    head = f'<h{depth} class="block what">{number}{text(part.does, 20)} <b>{text(part.where, 400)}</b></h{depth}>'
    body = _body(part)
    return Shown(f'<section class="part">{head}{body.html}</section>', body.whole)


def _body(part: Part) -> Shown:
    if part.verb == "run":
        return Shown(f"<pre>{blocks([Line('add', part.line)])}</pre>", _fits([part]))
    if part.verb == "evict":
        return Shown("", True)
    if part.preview == "later" and not part.diff:
        return Shown(f'<p class="soft">{LATER}</p>', True)
    shown = _diff(part, part.change)
    return Shown(f"<pre>{shown.html}</pre>", shown.whole)


def _folded(found: list[Part]) -> str:
    pods = "\n".join(part.diff for part in found if part.verb == "evict" and part.diff)
    return f"<details><summary>The pods as they are</summary><pre>{render(pods).html}</pre></details>" if pods else ""


def _diff(part: Part, diff: str) -> Shown:
    return render(diff, empty="The object is deleted." if part.verb == "delete" else "The dry run changes nothing.")


def _fits(found: list[Part]) -> bool:
    lines = sum(len(parse(part.diff)) for part in found)
    return lines <= MAX_LINES and all(len(part.line) <= MAX_WIDTH for part in found)
