"""Text that others wrote, made fit to stand on a page where somebody decides.

Rules:
  1. Everything is escaped; nothing from a view ever becomes markup.
  2. Nothing invisible stays invisible: terminal escapes, control characters, bidi overrides, zero-width characters
     and lone surrogates are taken out, and a marker such as `⟨U+202E⟩` shows where they were. What reads the same
     must be the same.
  3. Everything is bounded. What was cut says so.
"""

import html
import re
import unicodedata
from datetime import datetime

# CSI and OSC sequences, then the two-character escapes (ECMA-48, sections 5.3 to 5.6).
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Letters that are drawn as nothing: Hangul fillers and the blank Braille pattern.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_ESCAPE_MARK = "\x00"


def text(value: object, limit: int = 1000) -> str:
    """Return `value` as HTML: escaped, at most `limit` characters, with visible markers for what is invisible."""
    return "".join(_shown(char) for char in _bounded(value, limit))


def plain(value: object, limit: int = 200) -> str:
    """Return the same as `text` for where no markup may stand, such as a title."""
    return re.sub(r"</?span[^>]*>", "", text(value, limit))


def attr(value: object, limit: int = 1000) -> str:
    """Return `value` for a quoted attribute. Exact: whoever reads it gets what the gateway said, or an empty string.

    What is too long, or holds something that does not show, is left out: an attribute has no place for a marker.
    """
    said = str(value)
    if len(said) > limit or hidden(said):
        return ""
    return html.escape(said, quote=True)


def lines(values: object, limit: int = 12, width: int = 400) -> tuple[str, ...]:
    """Return a list of sentences as HTML, at most `limit` of them."""
    said = [str(item) for item in values] if isinstance(values, list | tuple) else []
    shown = tuple(text(item, width) for item in said[:limit] if item)
    return (*shown, f"… and {len(said) - limit} more") if len(said) > limit else shown


def moment(value: object) -> str:
    """Return a time (RFC 3339) as a `time` element, or the text as it came where it is none."""
    said = str(value or "")
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return text(said, 40)
    zone = "UTC" if not at.utcoffset() else at.strftime("%z")
    return f'<time datetime="{attr(said, 40)}">{at:%Y-%m-%d %H:%M:%S} {zone}</time>'


def hidden(line: str) -> bool:
    """Return whether `line` holds something that a reader would not see."""
    return bool(_ESCAPES.search(line)) or any(_is_hidden(char) for char in line)


def _bounded(value: object, limit: int) -> str:
    said = str(value)
    cut = said[:limit]
    shown = _ESCAPES.sub(_ESCAPE_MARK, cut)
    return f"{shown}… ({len(said) - limit} more characters)" if len(said) > limit else shown


def _is_hidden(char: str) -> bool:
    return char not in "\n\t" and (char in _BLANK or unicodedata.category(char) in _INVISIBLE)


def _shown(char: str) -> str:
    if char == _ESCAPE_MARK:
        return '<span class="mark">⟨escape⟩</span>'
    if _is_hidden(char):
        return f'<span class="mark">⟨U+{ord(char):04X}⟩</span>'
    return html.escape(char, quote=True)
