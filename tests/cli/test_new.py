"""`new`: a diagnosis and a runbook, or a clear word why there is none."""

import json

import pytest

from skyflo_runbooks.cli.bench import Bench
from tests.cli.conftest import TEXT, Terminal


def test_the_flagship_in_one_command(terminal: Terminal, flagship: Bench) -> None:
    """The cause first, the change that repairs it, and a notebook that lints."""
    said = terminal.at(flagship)("new", TEXT, "-n", "checkout", "--no-model", "-o", "out.ipynb", "--json")
    assert said.code == 0
    assert said.json["findings"][0]["fault"] == "CON-07"
    assert said.json["findings"][0]["object"] == "Deployment/checkout/payment-service"
    change = next(step for step in said.json["plan"] if step["kind"] == "change")
    assert change["arguments"]["limits"] == {"memory": "512Mi"}
    assert said.json["path"] == "out.ipynb"
    assert json.loads((terminal.folder / "out.ipynb").read_text())["nbformat"] == 4
    assert terminal("lint", "out.ipynb").code == 0


def test_it_names_its_file_itself(terminal: Terminal, flagship: Bench) -> None:
    """Beside where one stands, after what has to change; the next steps are said."""
    said = terminal.at(flagship)("new", TEXT)
    assert said.code == 0
    (made,) = terminal.folder.glob("payment-service-rb-*.ipynb")
    assert f"Runbook: {made}" in said.out
    assert "skyflo-runbooks run" in said.out


def test_nothing_is_overwritten(terminal: Terminal, flagship: Bench) -> None:
    """A file that is there is bad input, before the cluster is read."""
    (terminal.folder / "mine.ipynb").write_text("mine")
    said = terminal.at(flagship)("new", TEXT, "-o", "mine.ipynb")
    assert said.code == 2
    assert (terminal.folder / "mine.ipynb").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "   ", "?!…", "123 456"])
def test_words_that_say_nothing_are_bad_input(terminal: Terminal, flagship: Bench, text: str) -> None:
    """An example shows what to say."""
    said = terminal.at(flagship)("new", text)
    assert said.code == 2
    assert "crash-looping" in said.err


def test_a_namespace_that_does_not_exist_names_the_nearest(terminal: Terminal, flagship: Bench) -> None:
    """`-n chekout` is bad input; the gateway knows the names."""
    said = terminal.at(flagship)("new", TEXT, "-n", "chekout")
    assert said.code == 2
    assert "checkout" in said.err


@pytest.mark.parametrize("name", ["Checkout", "a b", "../x", "-x", "x" * 64])
def test_what_can_be_no_namespace_is_bad_input(terminal: Terminal, flagship: Bench, name: str) -> None:
    """It is refused here, without a gateway's help."""
    assert terminal.at(flagship)("new", TEXT, f"--namespace={name}").code == 2


def test_models_exclude_each_other(terminal: Terminal) -> None:
    """--model with --no-model is usage."""
    assert terminal("new", TEXT, "--model", "x", "--no-model").code == 2


def test_a_place_that_cannot_be_written_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """A file where a folder is needed, as one sentence."""
    (terminal.folder / "file").touch()
    said = terminal.at(flagship)("new", TEXT, "-o", "file/out.ipynb")
    assert said.code == 2
    assert "Traceback" not in said.err
