"""What a proposal would do, or did, in a cell's output: each request with its object and its diff (`model.part`)."""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.part import LATER, Part, outputs, parts
from skyflo_runbooks.notebook import html
from skyflo_runbooks.notebook.html import Markup
from skyflo_runbooks.notebook.text import clean

_HEAD = f"margin:0;padding:6px 18px;border-top:{html.LINE};{html.SANS};font-size:13px"


def markup(view: Json) -> Markup:
    """Return the changes as HTML."""
    found = parts(view)
    if len(found) == 1 and found[0].alone:
        return html.diff(clean(found[0].diff))
    return html.join(_markup(part, place, len(found)) for place, part in enumerate(found, 1))


def text(view: Json) -> str:
    """Return the changes as text."""
    found = parts(view)
    if len(found) == 1 and found[0].alone:
        return clean(found[0].diff).rstrip()
    return "\n".join(_text(part, place, len(found)) for place, part in enumerate(found, 1))


def written(view: Json) -> Markup:
    """Return what commands wrote as HTML; nothing where they wrote nothing."""
    said = clean(outputs(view))
    return html.join([html.tag("p", _HEAD, html.said("It wrote")), html.code(said)]) if said else Markup("")


def _head(part: Part, place: int, count: int) -> str:
    number = f"{place} of {count}  " if count > 1 else ""
    return clean(f"{number}{part.does} {part.where}")


def _said(part: Part) -> str:
    if part.verb == "run":
        return f"+{part.line}"
    if part.verb == "evict":
        return ""
    return LATER if part.preview == "later" and not part.diff else part.change


def _markup(part: Part, place: int, count: int) -> Markup:
    said = clean(_said(part))
    head = html.tag("p", _HEAD, html.said(_head(part, place, count)))
    return html.join([head, html.diff(said)]) if said else head


def _text(part: Part, place: int, count: int) -> str:
    said = clean(_said(part)).rstrip()
    head = _head(part, place, count)
    return f"{head}\n{said}" if said else head
