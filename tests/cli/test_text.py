"""Text from outside is made fit for a terminal."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.cli.text import clock, columns, indented, listed, safe


@given(st.text())
def test_nothing_invisible_is_left(text: str) -> None:
    """Whatever comes in, only visible characters, line ends and tabs go out."""
    assert all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs") for char in safe(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_visible_text_stays_as_it_is(text: str) -> None:
    """What can be seen is not touched."""
    assert safe(text) == text


def test_escapes_go_and_direction_marks_show() -> None:
    """A colour is dropped, an override of the reading direction is shown."""
    assert safe("\x1b[31mred\x1b[0m \x1b]0;title\x07x\u202ey") == "red x\\u202ey"


def test_columns_are_aligned_and_safe() -> None:
    """A cell with a line end or an escape cannot break the table."""
    assert columns([["a", "one\ntwo"], ["bbb", "\x1b[1mx"]], ("id", "said")) == ["ID   SAID", "a    one two", "bbb  x"]


def test_small_words() -> None:
    """Lists, times of day, and indentation."""
    assert listed([]) == "none"
    assert listed(["a", 2]) == "a, 2"
    assert clock("2026-11-23T02:14:07.123Z") == "02:14:07 UTC"
    assert clock("soon") == "soon"
    assert indented(["x"]) == ["  x"]
