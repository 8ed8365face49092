"""Text that came from a cluster, made safe to show.

Rules: control characters and terminal escape sequences are taken out, bidirectional overrides are shown as marks (they
can turn a name around), and what stands in Markdown or HTML is escaped there. Newlines and tabs stay.
"""

import html
import re

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])|\x9b[0-?]*[ -/]*[@-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_PLAIN = re.compile(r"[^A-Za-z0-9 .,:;/()%+=@-]")


def clean(text: object) -> str:
    """Return `text` without terminal escapes and control characters; carriage returns end lines."""
    said = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return _BIDI.sub("\N{REPLACEMENT CHARACTER}", _CONTROL.sub("", _ESCAPE.sub("", said)))


def escape(text: object) -> str:
    """Return `text` clean and escaped for HTML, in elements and attributes."""
    return html.escape(clean(text), quote=True)


def markdown(text: object) -> str:
    """Return `text` clean, on one line, and so that Markdown shows it as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(clean(text).split())).replace("&", "&amp;")


def label(text: object) -> str:
    """Return `text` as a Mermaid label: what could end the label or begin markup is left out."""
    return _PLAIN.sub(" ", clean(text))


def shorten(text: str, limit: int) -> str:
    """Return `text` with at most `limit` characters, the cut marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
