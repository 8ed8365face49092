"""What a person may get wrong, or find gone: a message with the next step, the exit code of the table, no traceback."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.control_plane.processes import free_ports
from tests.story.home import Done, Home, home
from tests.story.rungs import Rung, practice
from tests.story.telling import diagnose

pytestmark = pytest.mark.timeout(200)
WORDS = "payment-service pods are crash-looping"


def _told(done: Done, code: int, *words: str) -> None:
    """It ended with this code, said these words to stderr, and showed no traceback."""
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    for each in words:
        assert each in done.stderr, said


@pytest.mark.parametrize(
    "command",
    [("new", WORDS), ("resolve", WORDS), ("approvals",), ("run", "there.ipynb"), ("ledger", "verify")],
    ids=lambda command: command[0],
)
def test_without_a_gateway_it_says_how_to_start_one(command: tuple[str, ...], tmp_path: Path) -> None:
    """Exit 20; none starts one by itself."""
    (tmp_path / "there.ipynb").write_text("{}")
    with home(tmp_path) as mine:
        _told(mine.command(*command), 20, "skyflo-runbooks serve")
        assert mine.processes() == set()


def test_a_gateway_that_was_killed_is_away(tmp_path: Path, flagship: Rung) -> None:
    """Its address file is still there; that misleads nobody."""
    with home(tmp_path) as mine:
        mine.serve(flagship.kubeconfig)
        mine.kill()
        _told(mine.command("new", WORDS), 20, "does not answer", "skyflo-runbooks serve")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("new", ""), ()),
        (("new", "  \n "), ()),
        (("new", WORDS, "-n", "chekout"), ("checkout",)),
        (("new", WORDS, "-n", "Not_A_Name"), ("Not_A_Name",)),
        (("run", "nowhere.ipynb"), ("nowhere.ipynb",)),
        (("approve", "ap-0"), ("approvals",)),
        (("aprove", "ap-000000"), ("approve",)),
    ],
)
def test_what_was_typed_wrong_is_said(arguments: tuple[str, ...], words: tuple[str, ...], logged_in: Home) -> None:
    """Exit 2, with what was expected."""
    _told(logged_in.command(*arguments), 2, *words)


def test_words_that_say_nothing_are_no_error(logged_in: Home) -> None:
    """Nonsense is still an incident: the cluster is read, and what is wrong is found without its help."""
    done = logged_in.command("new", "asdf qwer zxcv", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_runbook_and_its_parameters_are_checked_before_anything_runs(logged_in: Home, flagship: Rung) -> None:
    """A misspelt parameter, and a file that is no notebook: exit 2, and no proposal."""
    path = diagnose(logged_in, flagship, "checked.ipynb").path
    before = logged_in.open_ids()
    _told(logged_in.command("run", path, "-p", "memory_limt=1Gi"), 2, "memory_limit")
    broken = logged_in.folder / "broken.ipynb"
    broken.write_text("not a notebook")
    _told(logged_in.command("run", broken), 2, "broken.ipynb")
    assert logged_in.open_ids() == before


def test_a_cell_outside_the_grammar_is_free_code_and_lint_names_it(logged_in: Home, flagship: Rung) -> None:
    """Edited by hand: it may still run, and it still applies nothing."""
    path = diagnose(logged_in, flagship, "edited.ipynb").path
    notebook = json.loads(path.read_text())
    change = next(cell for cell in notebook["cells"] if "runbook.change(" in "".join(cell["source"]))
    change["source"] = "".join(change["source"]) + "\nprint('by hand')\n"
    path.write_text(json.dumps(notebook))
    linted = logged_in.command("lint", path)
    assert linted.returncode == 2, linted.stdout + linted.stderr
    assert change["id"] in linted.stdout + linted.stderr
    logged_in.command("run", path)
    assert flagship.attempts() == []


def test_a_port_in_use_and_a_data_folder_in_use(logged_in: Home, flagship: Rung, tmp_path: Path) -> None:
    """Exit 2 each, and the gateway that was there first is not disturbed."""
    with socket.create_server(("127.0.0.1", 0)) as taken, home(tmp_path) as mine:
        port = str(taken.getsockname()[1])
        serve = ("serve", "--kubeconfig", flagship.kubeconfig, "--port")
        _told(mine.command(*serve, port), 2, port, "--port")
        other = str(free_ports(1)[0])
        _told(mine.command(*serve, other, "--data-dir", logged_in.path / "data"), 2, str(logged_in.path / "data"))
    assert logged_in.command("approvals").returncode == 0


def test_without_a_login_nobody_approves(flagship: Rung, tmp_path: Path) -> None:
    """Exit 5 with how to log in; and a one-time link serves once."""
    with home(tmp_path) as mine:
        said = mine.serve(flagship.kubeconfig)
        _told(mine.command("approve", "ap-000000", "--yes"), 5, "login")
        assert mine.command("login", said.login).returncode == 0
        (mine.path / "operator.json").unlink()
        _told(mine.command("login", said.login), 5)


def test_a_reader_gets_findings_and_no_change(flagship: Rung, tmp_path: Path) -> None:
    """A credential that may not write: the cause is named; what it may not do is said, and is not planned."""
    reader = flagship.kubeconfig.with_name("kubeconfig-reader")
    with home(tmp_path) as mine:
        mine.open(reader)
        answer = mine.json("new", flagship.scenario.incident, "-n", "checkout", "-o", "read.ipynb")
        assert answer["findings"][0]["fault"] == "CON-07"
        assert [step for step in answer["plan"] if step["kind"] == "change"] == []
        assert "refused in the dry run" in (mine.folder / "read.ipynb").read_text()
        assert "No safe change is known. The runbook says" in mine.command("new", WORDS).stdout


def test_a_reader_that_runs_a_change_is_told_what_is_missing(logged_in: Home, flagship: Rung, tmp_path: Path) -> None:
    """The runbook is another operator's, on the same cluster: no proposal, and the API server's own words."""
    path = diagnose(logged_in, flagship, "another.ipynb").path
    with home(tmp_path) as mine:
        mine.serve(flagship.kubeconfig.with_name("kubeconfig-reader"))
        done = mine.command("run", path)
        said = done.stdout + done.stderr
        assert done.returncode == 4, said
        assert "cannot patch" in said
        assert "Traceback" not in said
        assert mine.open_ids() == []


def test_a_refused_credential_is_never_healthy(flagship: Rung, tmp_path: Path) -> None:
    """A token that expired: exit 5, what was refused, and how to get on."""
    config = tmp_path / "expired"
    text = flagship.kubeconfig.read_text()
    token = next(line.split(":")[1].strip() for line in text.splitlines() if "token:" in line)
    config.write_text(text.replace(token, "expired"))
    config.chmod(0o600)
    with home(tmp_path) as mine:
        mine.serve(config)
        done = mine.command("new", WORDS)
        assert done.returncode == 5, done.stdout + done.stderr
        said = done.stdout + done.stderr
        assert "Unauthorized" in said or "401" in said
        assert "Traceback" not in said
        assert token not in said


def test_an_api_server_that_went_away_gets_nothing_and_is_not_healthy(tmp_path: Path) -> None:
    """After the proposal, before the approval: nothing is approved, nothing claims it, and the change waits on."""
    with practice(tmp_path / "rung") as rung, home(tmp_path) as mine:
        path = diagnose(mine.open(rung.kubeconfig), rung).path
        assert mine.command("run", path).returncode == 10
        (id_,) = mine.open_ids()
        assert rung.process is not None
        rung.process.process.kill()
        rung.process.process.wait(10)
        _told(mine.command("new", WORDS), 20)
        approved = mine.command("approve", id_, "--yes")
        assert approved.returncode == 20, approved.stdout + approved.stderr
        assert "Traceback" not in approved.stdout + approved.stderr
        assert "the change waits on" in approved.stderr
        assert mine.json("show", id_)["state"] == "proposed"
