"""Text from outside, made fit for a terminal, and small words in plain lines.

What a cluster says (logs, names, annotations) may hold escape sequences that move the cursor, recolour the screen or
turn the reading direction. `safe` shows what was meant to be invisible.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def safe(text: object) -> str:
    """Return `text` without terminal escapes; other control and direction characters are shown as `\\u….`."""
    plain = _ESCAPE.sub("", str(text)).replace("\r\n", "\n")
    return "".join(char if char in "\n\t" or _visible(char) else f"\\u{ord(char):04x}" for char in plain)


def _visible(char: str) -> bool:
    # Cc control, Cf format (bidi overrides, zero width), Cs surrogates
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs")


def columns(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> list[str]:
    """Return the rows as lines with aligned columns, the heads in capitals as kubectl writes them."""
    table = [[head.upper() for head in heads], *[[safe(cell).replace("\n", " ") for cell in row] for row in rows]]
    widths = [max(len(row[index]) for row in table) for index in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def listed(words: Iterable[object], none: str = "none") -> str:
    """Return words with commas, or `none`."""
    return ", ".join(str(word) for word in words) or none


def clock(at: str) -> str:
    """Return the time of day of an RFC 3339 time, `02:14:07 UTC`; what is not such a time stays as it is."""
    match = re.match(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)$", at)
    return f"{match.group(1)} UTC" if match else at


def indented(lines: Iterable[str], by: str = "  ") -> list[str]:
    """Return the lines moved to the right."""
    return [by + line for line in lines]
