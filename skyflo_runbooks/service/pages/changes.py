"""What a proposal would do, part by part: of each request its object, what happens to it, and the diff.

Rules:
  1. One request that changes an object is shown as its diff alone. Several are numbered, in the order in which they
     are sent; sending stops at the first that fails.
  2. What runs in a container is shown as its argv, quoted as a shell would have to be told it, though no shell is
     asked. Nothing can preview it, and the card says so.
  3. What cannot be previewed yet says so in the place of its diff.
  4. Evictions are a line each; the pods as they are stand together under one fold.
"""

import shlex
from typing import NamedTuple

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.pages.diff import MAX_LINES, MAX_WIDTH, Line, Shown, blocks, parse, render
from skyflo_runbooks.service.pages.text import text

_VERBS = {"create": "Create", "patch": "Change", "apply": "Apply", "delete": "Delete", "evict": "Evict", "run": "Run"}
_LATER = "It cannot be previewed before those ahead of it were applied."
_NOTHING = "The dry run changes nothing."


class Part(NamedTuple):
    """One request as it is shown."""

    verb: str
    object: str
    diff: str
    preview: str = "server"
    container: str = ""
    command: tuple[str, ...] = ()


def parts(view: Json) -> list[Part]:
    """Return the parts of a proposal; one whose view tells of none has its diff as its only part."""
    given = [item for item in view.get("parts") or () if isinstance(item, dict)]
    if not given:
        return [Part("patch", "", str(view.get("diff") or ""))]
    return [_part(item) for item in given]


def changes(view: Json) -> Shown:
    """Return everything that the proposal would do as HTML, and whether all of it is there."""
    found = parts(view)
    if len(found) == 1 and found[0].verb not in ("run", "evict"):
        shown = _diff(found[0])
        return Shown(_region(f"<pre>{shown.html}</pre>"), shown.whole)
    rows = [_numbered(part, place, len(found)) for place, part in enumerate(found, 1)]
    inner = "".join(row.html for row in rows) + _folded(found)
    return Shown(_region(inner), all(row.whole for row in rows) and _fits(found))


def previews(view: Json) -> list[str]:
    """Return in words what no dry run could show."""
    found = parts(view)
    runs = sum(part.verb == "run" or part.preview == "none" for part in found)
    later = sum(part.preview == "later" for part in found)
    said = ["Nothing can preview this: what it does is known when it has run."] if runs else []
    if later:
        count = "One request" if later == 1 else f"{later} requests"
        said.append(f"{count} of {len(found)} cannot be previewed before those ahead of it were applied.")
    return said


def _part(item: Json) -> Part:
    return Part(
        verb=str(item.get("verb") or "patch"),
        object=str(item.get("object") or ""),
        diff=str(item.get("diff") or ""),
        preview=str(item.get("preview") or "server"),
        container=str(item.get("container") or ""),
        command=tuple(str(word) for word in item.get("command") or ()),
    )


def _region(inner: str) -> str:
    return f'<div id="diff" class="changes" tabindex="0" role="region" aria-label="What will change">{inner}</div>'


def _numbered(part: Part, place: int, count: int) -> Shown:
    number = f'<span class="soft">{place} of {count}</span> ' if count > 1 else ""
    where = text(part.object, 300)
    if part.verb == "run":
        where = f"in {text(part.container, 80)} of {where}"
    head = f'<h3 class="block">{number}{text(_VERBS.get(part.verb, part.verb), 20)} <b>{where}</b></h3>'
    body = _body(part)
    return Shown(f'<section class="part">{head}{body.html}</section>', body.whole)


def _body(part: Part) -> Shown:
    if part.verb == "run":
        return Shown(f"<pre>{blocks([Line('add', shlex.join(part.command))])}</pre>", _fits([part]))
    if part.verb == "evict":
        return Shown("", True)
    if part.preview == "later" and not part.diff:
        return Shown(f'<p class="soft">{_LATER}</p>', True)
    shown = _diff(part._replace(diff=_without_object(part.diff)))
    return Shown(f"<pre>{shown.html}</pre>", shown.whole)


def _folded(found: list[Part]) -> str:
    pods = "\n".join(part.diff for part in found if part.verb == "evict" and part.diff)
    return f"<details><summary>The pods as they are</summary><pre>{render(pods).html}</pre></details>" if pods else ""


def _without_object(diff: str) -> str:
    """Return the diff of a numbered part: its head names the object already, so that only the place in it is left."""
    first, _, rest = diff.partition("\n")
    if not first.startswith("@@ "):
        return diff
    _, divided, place = first.partition(" · ")
    return f"@@ {place}\n{rest}" if divided else rest


def _diff(part: Part) -> Shown:
    return render(part.diff, empty=_NOTHING if part.verb != "delete" else "The object is deleted.")


def _fits(found: list[Part]) -> bool:
    lines = sum(len(parse(part.diff)) for part in found)
    return lines <= MAX_LINES and all(len(shlex.join(part.command)) <= MAX_WIDTH for part in found)
