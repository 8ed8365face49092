"""Small pieces of HTML for outputs. Styles are inline, because JupyterLab drops `<style>` from untrusted notebooks.

Colours are tints over whatever lies beneath and `inherit`, so the same markup reads well on light and dark pages.
Every function escapes its text; a piece is a `Markup`, so that a text cannot be taken for markup by mistake.
"""

from collections.abc import Iterable, Sequence
from typing import NewType

from skyflo_runbooks.notebook.text import escape

Markup = NewType("Markup", str)

SANS = "font:14px/1.5 system-ui,sans-serif"
MONO = "font:12.5px/1.55 ui-monospace,monospace"
LINE = "1px solid rgba(128,128,128,.35)"
GREEN, RED, AMBER, GREY = "#1f8a4c", "#d0453a", "#b87400", "#80868e"
_ADDED, _REMOVED, _TINT = "rgba(46,160,90,.16)", "rgba(220,70,60,.16)", "rgba(128,128,128,.08)"


def join(parts: Iterable[Markup]) -> Markup:
    """Return pieces one after the other."""
    return Markup("".join(parts))


def said(text: object) -> Markup:
    """Return a text, escaped."""
    return Markup(escape(text))


def tag(name: str, style: str, content: Markup, **attributes: str) -> Markup:
    """Return an element; attribute names may end in `_`, and `_` within them stands for `-`."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f'<{name} style="{style}"{given}>{content}</{name}>')


def article(head: Markup, *parts: Markup) -> Markup:
    """Return a framed card."""
    frame = f"max-width:760px;border:{LINE};border-radius:10px;overflow:hidden;{SANS};color:inherit"
    return tag("div", frame, join([head, *parts]), class_="skyflo")


def header(word: str, colour: str, title: str, id_: str, note: str = "") -> Markup:
    """Return a card's head: a coloured word, the title, the id, and a note at the right."""
    parts = [
        tag("span", f"color:{colour};font-weight:650", said(word)),
        tag("span", "font-weight:650", said(title)),
        tag("span", "opacity:.65", said(id_)),
        tag("span", f"margin-left:auto;font-weight:600;color:{AMBER}", said(note)),
    ]
    style = "display:flex;gap:12px;align-items:baseline;flex-wrap:wrap;padding:12px 18px 8px;font-size:15px"
    return tag("div", style, join(parts))


def paragraph(text: str) -> Markup:
    """Return a paragraph of a card; nothing for no text."""
    return tag("p", "margin:0;padding:0 18px 10px;max-width:64ch", said(text)) if text else Markup("")


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Return named facts, those without a value left out."""
    rows = [
        Markup(
            # JupyterLab floats both and gives each a share of the width.
            tag("dt", "opacity:.65;margin:0;font-weight:400;float:none;width:auto", said(name))
            + tag("dd", "margin:0;overflow-wrap:anywhere;float:none;width:auto", said(value))
        )
        for name, value in pairs
        if value
    ]
    style = "display:grid;grid-template-columns:minmax(6em,9.5em) 1fr;gap:4px 12px;margin:0;padding:10px 18px"
    return tag("dl", style, join(rows)) if rows else Markup("")


def diff(text: str) -> Markup:
    """Return a unified diff, its lines tinted."""
    colours = {"+": f"background:{_ADDED}", "-": f"background:{_REMOVED}", "@": "opacity:.65"}
    rows = [
        tag(
            "span",
            f"display:block;padding:0 18px;white-space:pre-wrap;overflow-wrap:anywhere;{colours.get(row[:1], '')}",
            said(row),
        )
        for row in text.splitlines()
    ]
    style = f"margin:0;padding:8px 0;background:{_TINT};border-top:{LINE};border-bottom:{LINE};{MONO};overflow-x:auto"
    return tag("pre", style, join(rows)) if rows else Markup("")


def code(text: str) -> Markup:
    """Return preformatted text that scrolls."""
    style = f"margin:0;padding:8px 12px;{MONO};white-space:pre;overflow:auto;max-height:28em;background:{_TINT}"
    return tag("pre", style, said(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[Markup]]) -> Markup:
    """Return a table; its cells are pieces already."""
    cell = f"text-align:left;padding:3px 12px 3px 0;vertical-align:top;overflow-wrap:anywhere;border-bottom:{LINE}"
    head = join(tag("th", f"{cell};opacity:.65;font-weight:500", said(name)) for name in columns)
    body = [tag("tr", "background:none", join(tag("td", cell, item) for item in row)) for row in rows]
    whole = tag("thead", "", tag("tr", "background:none", head)) + tag("tbody", "", join(body))
    style = f"border-collapse:collapse;{SANS};font-size:13px;color:inherit;margin:0"
    return tag("div", "overflow-x:auto;padding:2px 0", tag("table", style, Markup(whole)))


def soft(text: str) -> Markup:
    """Return a quiet line."""
    return tag("p", f"margin:4px 0;opacity:.65;{SANS};font-size:12.5px", said(text))


def link(url: str, text: str) -> Markup:
    """Return a link that opens in its own window; anything but http(s) is shown as text."""
    if not url.startswith(("http://", "https://")):
        return said(text)
    return tag("a", "color:inherit", said(text), href=url, target="_blank", rel="noopener noreferrer")


def folded(title: str, content: Markup) -> Markup:
    """Return something that is shown on demand."""
    summary = tag("summary", "cursor:pointer", said(title))
    return tag("details", f"margin:4px 0;{SANS};font-size:13px", join([summary, content]))
