"""`run`: a runbook headless; what waits, what is wrong, and what is replayed."""

import pytest

from skyflo_runbooks.cli.bench import Bench
from tests.cli.conftest import TEXT, Terminal


@pytest.fixture
def runbook(terminal: Terminal, flagship: Bench) -> str:
    """The flagship's runbook, in the terminal's folder."""
    assert terminal.at(flagship)("new", TEXT, "-o", "r.ipynb").code == 0
    return "r.ipynb"


def test_an_undecided_change_is_10(terminal: Terminal, runbook: str) -> None:
    """It stops there, says which command decides, and writes its record beside, never over the source."""
    before = (terminal.folder / runbook).read_bytes()
    said = terminal("run", runbook, "-p", "settle=5s", "--json")
    assert said.code == 10
    assert set(said.json) == {"output", "status", "verdicts", "proposals"}
    assert said.json["status"] == "waiting"
    (proposal,) = said.json["proposals"]
    assert f"skyflo-runbooks approve {proposal['id']}" in said.err
    assert (terminal.folder / runbook).read_bytes() == before
    assert said.json["output"].startswith(str(terminal.home / "runs"))


def test_a_replay_would_change(terminal: Terminal, runbook: str, flagship: Bench) -> None:
    """14, and no proposal is made."""
    before = {view["id"] for view in flagship.kernel.get("/api/v1/proposals")}
    said = terminal("run", runbook, "--replay", "-o", "out.ipynb", "--json")
    assert said.code == 14
    assert said.json["status"] == "would_change"
    assert {view["id"] for view in flagship.kernel.get("/api/v1/proposals")} == before


@pytest.mark.parametrize("given", ["nope=1", "memory_limit", "=x"])
def test_a_wrong_parameter_is_bad_input(terminal: Terminal, runbook: str, given: str) -> None:
    """Nothing runs."""
    assert terminal("run", runbook, "-p", given).code == 2


def test_bad_input_of_its_own(terminal: Terminal) -> None:
    """A file that is not there, a duration that is none, and a contradiction."""
    assert terminal("run", "missing.ipynb").code == 2
    (terminal.folder / "r.ipynb").write_text('{"cells": []}')
    assert terminal("run", "r.ipynb", "--wait", "soon").code == 2
    assert terminal("run", "r.ipynb", "--wait", "5m", "--replay").code == 2


def test_without_a_gateway_it_is_20(terminal: Terminal) -> None:
    """Before papermill is imported."""
    (terminal.folder / "r.ipynb").write_text('{"cells": []}')
    assert terminal("run", "r.ipynb").code == 20
