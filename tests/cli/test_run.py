"""`run`: a runbook headless; what waits, what is wrong, and what is replayed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from skyflo_runbooks.cli.app import INTERRUPTED
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.run import onward
from skyflo_runbooks.replay.run import RunResult
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


def interrupted(process: "subprocess.Popen[str]") -> None:
    """Send Ctrl-C, and see that our line is all that comes of it."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert err.splitlines() == [
        "Interrupted.",
        INTERRUPTED,
    ]
    assert "Traceback" not in out
    assert process.returncode == 130


def start(*arguments: str) -> "subprocess.Popen[str]":
    """`run` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "skyflo_runbooks.cli", "run", *arguments, "-o", "cut.ipynb"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_ctrl_c_while_it_waits_says_our_line_alone(terminal: Terminal, runbook: str) -> None:
    """130, and the record is kept."""
    process = start(runbook, "--wait", "5m")
    assert process.stderr is not None
    assert any("waits for a decision" in line for line in process.stderr)
    interrupted(process)
    assert (terminal.folder / "cut.ipynb").exists()


def test_ctrl_c_in_a_cell_says_our_line_alone(terminal: Terminal, flagship: Bench) -> None:
    """The kernel's sockets close under the tasks that listen to them, and nobody hears of that."""
    terminal.at(flagship)
    os.mkfifo(terminal.folder / "here")
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]  # nbformat declares no types
        cells=[nbformat.v4.new_code_cell("open('here', 'w').close()\nimport time\ntime.sleep(60)")],  # type: ignore[no-untyped-call]
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}},
    )
    (terminal.folder / "r.ipynb").write_text(nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    process = start("r.ipynb")
    (terminal.folder / "here").read_text()  # until the cell opens its end
    interrupted(process)


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


@pytest.mark.parametrize("verdict", ["FAILED", "INCONCLUSIVE"])
def test_after_a_bad_verdict_it_says_how_to_go_on(verdict: str) -> None:
    """Another value, the way back of what was executed (and of nothing else), and the record for somebody else."""
    made = ({"id": "ap-aaaaaa", "state": "executed"}, {"id": "ap-bbbbbb", "state": "rejected"})
    said = "\n".join(
        onward(Path("my book.ipynb"), RunResult("o", "failed", ({"verdict": verdict},), made, run="run-1"))
    )
    assert "skyflo-runbooks run 'my book.ipynb' -p NAME=VALUE" in said
    assert "skyflo-runbooks rollback ap-aaaaaa" in said
    assert "ap-bbbbbb" not in said
    assert "ledger export -o record.json --run run-1" in said


def test_after_a_good_verdict_nothing_is_left_to_do() -> None:
    """Neither after VERIFIED nor where nothing was judged."""
    assert onward(Path("r"), RunResult("o", "verified", ({"verdict": "VERIFIED"},), ())) == []
    assert onward(Path("r"), RunResult("o", "waiting", (), ())) == []
