"""Where a command writes: lines for people, one document for programs, and no question where nobody can answer."""

import json

import pytest

from skyflo_runbooks.cli.card import Line
from skyflo_runbooks.cli.screen import Screen
from tests.cli.conftest import Terminal
from tests.cli.person import person


def test_json_leaves_the_lines_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output holds the document and nothing else; notes go to standard error."""
    screen = Screen(as_json=True)
    screen.line("for people")
    screen.lines([Line("too", "red")])
    screen.heading("and this")
    with screen.progress("and that"):
        screen.json({"a": "ü"})
    screen.note("beside it")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": "ü"}
    assert err == "beside it\n"


def test_without_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """No colour, no escape, no document."""
    screen = Screen()
    screen.lines([Line("red", "bold red"), Line("\x1b[2Jgone")])
    with screen.progress("a while"):
        pass
    screen.json({"not": "shown"})
    assert capsys.readouterr().out == "red\ngone\na while\n"


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    """Standard input of a test is no terminal."""
    assert Screen().ask("Well? ") is None


def test_a_terminal_shows_the_same_words(terminal: Terminal) -> None:
    """On a terminal the lines are rich's, and long ones are not cut."""
    with person("explain", "CON-07") as reader:
        assert reader.ends() == 0
        assert "CON-07" in reader.seen
        assert "Where one is refused, the answer is 'unknown', not 'healthy'." in reader.seen
