"""A diff's lines and what they mean."""

import difflib
import re

from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.service.pages.diff import MAX_LINES, MAX_WIDTH, parse, render

_LINES = st.lists(st.sampled_from(["a", "b", "-- x", "++ y", "@@ -1 +1 @@", "", " c"]), max_size=8)


def test_a_removed_line_that_looks_like_a_header_is_red() -> None:
    """`--- x` inside a hunk is the removal of `-- x`."""
    marks = [line.mark for line in parse("--- a\n+++ b\n@@ -1,2 +1,1 @@\n same\n--- x\n")]
    assert marks == ["at", "at", "at", "same", "del"]


def test_a_diff_without_hunks_is_read_by_its_first_characters() -> None:
    """A short form with nothing but signs is coloured all the same."""
    assert [line.mark for line in parse("-old\n+new\n same")] == ["del", "add", "same"]


@given(old=_LINES, new=_LINES)
def test_every_added_and_removed_line_is_marked(old: list[str], new: list[str]) -> None:
    """The marked lines give back both sides, whatever the lines look like."""
    parsed = parse("\n".join(difflib.unified_diff(old, new, "live", "after", lineterm="", n=99)) + "\n")
    body = parsed[3:]
    if old == new:
        assert parsed == []
    else:
        assert [line.text[1:] for line in body if line.mark in ("del", "same")] == old
        assert [line.text[1:] for line in body if line.mark in ("add", "same")] == new


def test_a_line_too_long_to_show_is_not_whole() -> None:
    """What is cut is said and cannot be approved."""
    assert not render("+" + "x" * MAX_WIDTH).whole
    assert render("+x").whole


def test_an_empty_diff_says_so() -> None:
    """Nothing changes, in words."""
    assert "changes nothing" in render("").html


@given(lines=st.lists(st.sampled_from(["+a", "-b", " c", "+" + "x" * 500, "@@ d"]), max_size=120))
def test_blocks_hold_every_line_and_fit_a_screen(lines: list[str]) -> None:
    """No line is lost between two blocks, and none of them is higher than a phone."""
    shown = render("\n".join(lines)).html
    texts = [re.sub(r"<[^>]+>", "", re.sub(r"<i .*?</i>", "", block)) for block in shown.split('<span class="block">')]
    assert "".join(texts) == ("".join(lines) or "The dry run changes nothing.")
    assert all(len(re.findall("<span", block)) <= 17 for block in shown.split('<span class="block">'))


def test_a_long_line_goes_on_in_further_rows() -> None:
    """So that each row can be on a phone's screen whole; only the first says what it is."""
    shown = render("+" + "x" * (MAX_WIDTH - 1)).html
    assert shown.count('<span class="a">') > 5
    assert shown.count("added: ") == 1


def test_a_diff_that_is_too_long_says_how_much_is_left() -> None:
    """The rest is counted and not hidden."""
    shown = render("+a\n" * (MAX_LINES + 3))
    assert "and 3 more lines" in shown.html
    assert not shown.whole
