"""`runbooks`, `run NAME`, and what `new` offers: the curated runbooks at a terminal."""

import shlex

import pytest

from skyflo_runbooks.cli import incident
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.planning.curated import BOOKS
from tests.cli.conftest import TEXT, Terminal

OOM = ("-p", "namespace=checkout", "-p", "name=payment-service", "-p", "container=payment-service")


def test_they_are_listed_without_a_gateway(terminal: Terminal) -> None:
    """Each with what it is for; as JSON with its parameters, of which a required one has no default."""
    said = terminal("runbooks")
    assert said.code == 0
    assert all(f"\n{name} " in said.out and book.title in said.out for name, book in BOOKS.items())
    listed = {one["name"]: one for one in terminal("runbooks", "--json").json}
    assert set(listed) == set(BOOKS)
    limit = next(one for one in listed["oom"]["parameters"] if one["name"] == "memory_limit")
    assert (limit["default"], limit["required"], limit["type"]) == (None, True, "str")
    assert listed["certificate"]["changes"] == []


def test_one_says_what_is_in_it(terminal: Terminal) -> None:
    """When to use it, its parameters, and the line that runs it."""
    said = terminal("runbooks", "oom")
    assert "use it: " in said.out
    assert "memory_limit" in said.out
    assert "skyflo-runbooks run oom -p namespace=…" in said.out
    assert terminal("runbooks", "oom", "--json").json["faults"] == ["CON-07"]


def test_one_is_copied(terminal: Terminal) -> None:
    """The copy lints and can be run; it never takes the place of a file that is there."""
    assert terminal("runbooks", "oom", "-o", "my.ipynb").code == 0
    assert terminal("lint", "--strict", "my.ipynb").code == 0
    again = terminal("runbooks", "oom", "-o", "my.ipynb")
    assert (again.code, "there already" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runbooks", "oooom"), "oom"),
        (("runbooks", "-o", "x.ipynb"), "Which runbook"),
        (("run", "oomm"), "Did you mean oom"),
        (("run", "nothing.ipynb"), "no runbook at nothing.ipynb"),
        (("run", "folder/oom"), "no runbook at folder/oom"),
    ],
)
def test_a_name_that_is_none_is_bad_input(terminal: Terminal, words: tuple[str, ...], said: str) -> None:
    """The nearest is named."""
    found = terminal(*words)
    assert found.code == 2
    assert said in found.err


def test_one_is_checked_by_its_name(terminal: Terminal) -> None:
    """All of them are well-formed; a name that is none says the near ones."""
    assert terminal("lint", *BOOKS).code == 0
    wrong = terminal("lint", "oomm")
    assert (wrong.code, "Did you mean oom" in wrong.err) == (2, True)


def test_a_file_of_that_name_is_the_users_own(terminal: Terminal) -> None:
    """A curated runbook never hides it."""
    (terminal.folder / "oom").write_text("mine")
    assert "not a notebook" in terminal("run", "oom").err or "gateway" in terminal("run", "oom").err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((), "no value for: memory_limit"),
        (("-p", "memory_limit="), "no value for: memory_limit"),
        (("-p", "memory_limit=lots"), "'memory_limit' cannot be 'lots'"),
        (("-p", "memory_limt=1Gi"), "Did you mean 'memory_limit'"),
        (("-p", "memory_limit=1Gi", "-p", "settle=soon"), "'settle' cannot be 'soon'"),
    ],
)
def test_what_is_missing_or_wrong_is_said_before_anything_runs(
    terminal: Terminal, flagship: Bench, more: tuple[str, ...], said: str
) -> None:
    """Exit 2, and no record of a run."""
    found = terminal.at(flagship)("run", "oom", *OOM, *more)
    assert found.code == 2
    assert said in found.err
    assert not (terminal.home / "runs").exists()


def test_new_offers_the_book_that_fits(terminal: Terminal, flagship: Bench) -> None:
    """With every parameter that is known, as a line that runs as it stands."""
    said = terminal.at(flagship)("new", TEXT, "-n", "checkout", "-o", "out.ipynb", "--json")
    (offer,) = said.json["runbooks"]
    assert (offer["runbook"], offer["missing"]) == ("oom", [])
    assert offer["parameters"]["memory_limit"] == "512Mi"
    program, *words = shlex.split(offer["command"])
    assert program == "skyflo-runbooks"
    rehearsed = terminal(*words, "--replay", "--json")
    assert (rehearsed.code, rehearsed.json["status"]) == (14, "would_change")
    told = terminal("new", TEXT, "-n", "checkout", "-o", "again.ipynb")
    assert offer["command"] in told.out


def test_a_healthy_answer_offers_what_is_worth_reading(terminal: Terminal, flagship: Bench) -> None:
    """Nothing is wrong with the storefront; the words spoke of DNS."""
    said = terminal.at(flagship)("new", "does the storefront resolve names? dns", "-n", "checkout", "--json")
    offered = [offer["runbook"] for offer in said.json["runbooks"]]
    assert offered == (["dns"] if not said.json["findings"] else ["oom"])


def test_the_line_of_an_offer_is_a_shells() -> None:
    """Values are quoted; what a person has to choose stands as …"""
    offer = {"runbook": "oom", "parameters": {"name": "a b", "x": "$(y)"}, "missing": ["memory_limit"]}
    line = incident.command(offer)
    assert shlex.split(line)[:6] == ["skyflo-runbooks", "run", "oom", "-p", "name=a b", "-p"]
    assert "'x=$(y)'" in line
    assert line.endswith("-p memory_limit=…")
