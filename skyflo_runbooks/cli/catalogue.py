"""The fault catalogue's words: what `explain` shows beside what the rules say themselves.

They stand in `catalogue.toml`. The repair is not there: the repair rule's docstring says it.
"""

import tomllib
from pathlib import Path

import msgspec


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the catalogue: name, evidence that it is recognised by, invariant after the repair, way back."""

    title: str = ""
    evidence: str = ""
    verify: str = ""
    way_back: str = ""


CATALOGUE: dict[str, Entry] = msgspec.convert(
    tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")), dict[str, Entry]
)
