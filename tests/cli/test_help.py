"""What `--help` says: every command, argument and option in words, and no sentence that is cut off."""

from collections.abc import Iterator
from typing import Any

import pytest

from skyflo_runbooks.cli.app import COMMANDS, load
from tests.cli.conftest import Terminal


def groups() -> Iterator[str]:
    """Yield the commands that have commands of their own."""
    yield from (name for name in COMMANDS if getattr(load(name), "commands", None))


def leaves() -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its full name."""
    for name in COMMANDS:
        command = load(name)
        inner = getattr(command, "commands", None)
        yield from ((f"{name} {one}", inner[one]) for one in inner) if inner else ((name, command),)


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_argument_and_option_says_what_it_is(name: str, command: Any) -> None:
    """In a sentence; what is hidden is not said."""
    assert command.help
    silent = [one.name for one in command.params if not getattr(one, "hidden", False) and not getattr(one, "help", "")]
    assert silent == [], name


@pytest.mark.parametrize("name", list(groups()))
def test_no_line_of_a_group_is_cut_off(terminal: Terminal, name: str) -> None:
    """Each of its commands has a short line that fits."""
    said = terminal(name, "--help")
    assert said.code == 0
    assert "..." not in said.out.partition("Commands:")[2]


@pytest.mark.parametrize(
    "words",
    [
        "show", "approve", "reject ap-000000", "modify ap-000000", "practice break", "ledger export", "new", "run",
        "serve --prt 1", "serve --port x", "history -n 0", "demo --ending bogus", "tools --bogus", "approvals extra",
        "tokens bogus", "ledger bogus", "practice bogus", "show nonsense", "resolve", "login nonsense",
        "run nowhere.ipynb", "lint nowhere.ipynb", "lab nowhere.ipynb", "explain XXX-99", "ledger verify nowhere",
        "practice start nowhere", "lab --isolation bogus",
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_2_with_something_to_do(terminal: Terminal, words: str) -> None:
    """Unknown flags, values, files and names; each error says what was expected or where to look."""
    said = terminal(*words.split())
    assert said.code == 2
    assert len(said.err.strip().splitlines()) >= 2
    assert "Traceback" not in said.err
