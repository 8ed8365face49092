"""`resolve`: the whole story in one terminal, over the same gate."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyflo_runbooks.cli.bench import Bench
from tests.cli.conftest import TEXT, Terminal
from tests.cli.person import person

WORDS = [TEXT, "-n", "checkout", "-p", "settle=10s"]


@pytest.fixture
def incident(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A flagship of the test's own: it will be repaired, or made worse."""
    with Bench(tmp_path_factory.mktemp("incident")) as bench:
        yield bench


def test_a_person_asks_why_and_approves(terminal: Terminal, incident: Bench) -> None:
    """Finding, plan, card, why, approval, verdict; the notebook is written all the same."""
    terminal.at(incident, log_in=True)
    with person("resolve", *WORDS, "-o", "story.ipynb") as operator:
        card = operator.waits_for("[l]ater? ")
        assert "Cause:" in card
        assert "+            memory: 512Mi" in card
        operator.types("w")
        assert "OOMKilled" in operator.waits_for("[l]ater? ")
        operator.types("a")
        assert operator.ends() == 0
        assert "Result: VERIFIED" in operator.seen
        assert "Approval ID: ap-" in operator.seen
    assert incident.limit() == "512Mi"
    assert (terminal.folder / "story.ipynb").exists()


def test_too_little_fails_and_is_rolled_back(terminal: Terminal, incident: Bench) -> None:
    """Modified to too little: FAILED with evidence; the way back is offered, and waits for its own approval."""
    terminal.at(incident, log_in=True)
    with person("resolve", *WORDS) as operator:
        operator.waits_for("[l]ater? ")
        operator.types("m")
        operator.waits_for("NAME=VALUE: ")
        operator.types("memory=300Mi")
        assert "+            memory: 300Mi" in operator.waits_for("[l]ater? ")
        operator.types("a")
        said = operator.waits_for("stop? ")
        assert "Result: FAILED" in said
        assert "OOMKilled since the change" in said
        operator.types("rollback")
        assert "+            memory: 256Mi" in operator.waits_for("[l]ater? ")
        assert incident.limit() == "300Mi"
        operator.types("a")
        assert operator.ends() == 11
    assert incident.limit() == "256Mi"


def test_killed_at_the_gate_it_resumes_there(terminal: Terminal, incident: Bench) -> None:
    """The terminal and the gateway are killed; the session waits at the same card, and is approved there."""
    terminal.at(incident, log_in=True)
    with person("resolve", *WORDS) as operator:
        shown = operator.waits_for("[l]ater? ")
        operator.process.kill()
        operator.process.wait(10)
    session = _found(r"rs-[0-9a-f]+", shown)
    incident.kill_and_restart()
    terminal.at(incident, log_in=True)
    with person("resolve", "--resume", session) as operator:
        again = operator.waits_for("[l]ater? ")
        assert _found(r"ap-[0-9a-z]{6}", again) == _found(r"ap-[0-9a-z]{6}", shown)
        operator.types("a")
        assert operator.ends() == 0
    assert incident.limit() == "512Mi"


def test_a_rejection_ends_it_with_13(terminal: Terminal, incident: Bench) -> None:
    """With the reason in the record, and the cluster as it was."""
    terminal.at(incident, log_in=True)
    with person("resolve", *WORDS) as operator:
        operator.waits_for("[l]ater? ")
        operator.types("r")
        operator.waits_for("Why not? ")
        operator.types("not in business hours")
        assert operator.ends() == 13
    assert "not in business hours" in terminal("ledger", "show", "--json").out
    assert incident.limit() == "256Mi"


def test_an_interrupt_at_the_card_decides_nothing(terminal: Terminal, flagship: Bench) -> None:
    """Ctrl-C at the question is 130, says so, and the proposal waits on."""
    terminal.at(flagship, log_in=True)
    with person("resolve", *WORDS) as operator:
        shown = operator.waits_for("[l]ater? ")
        operator.process.send_signal(signal.SIGINT)
        assert operator.ends() == 130
        assert "Interrupted." in operator.seen
        assert "Traceback" not in operator.seen
    assert flagship.kernel.proposal(_found(r"ap-[0-9a-z]{6}", shown))["state"] == "proposed"


def test_without_a_terminal_nothing_is_decided(terminal: Terminal, flagship: Bench) -> None:
    """It says which commands decide and go on, and the exit code is 10."""
    said = terminal.at(flagship, log_in=True)("resolve", *WORDS)
    assert said.code == 10
    id_, session = _found(r"ap-[0-9a-z]{6}", said.out), _found(r"rs-[0-9a-f]+", said.out)
    assert f"skyflo-runbooks approve {id_}" in said.err
    assert f"skyflo-runbooks resolve --resume {session}" in said.err
    again = terminal("resolve", "--resume", session, "--json")
    assert again.code == 10
    assert again.json["proposals"][0]["state"] == "proposed"


def test_one_who_is_not_logged_in_cannot_decide(terminal: Terminal, flagship: Bench) -> None:
    """The story is told up to the gate; the answer is 5 with how to log in and go on."""
    terminal.at(flagship)
    with person("resolve", *WORDS) as operator:
        operator.waits_for("[l]ater? ")
        operator.types("a")
        assert operator.ends() == 5
        assert "login LINK" in operator.seen
        assert "--resume rs-" in operator.seen


@pytest.mark.parametrize("arguments", [[], ["words", "--resume", "rs-1"]])
def test_text_or_session(terminal: Terminal, arguments: list[str]) -> None:
    """One of both, not none and not two."""
    assert terminal("resolve", *arguments).code == 2


def test_a_session_that_is_not_there_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """The gateway says so."""
    assert terminal.at(flagship)("resolve", "--resume", "rs-nope").code == 2


def test_a_wrong_parameter_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """Unknown names do not pass in silence."""
    said = terminal.at(flagship)("resolve", TEXT, "-p", "setle=10s")
    assert said.code == 2
    assert "settle" in said.err


def test_a_namespace_that_does_not_exist_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """As with `new`, the nearest name is said."""
    said = terminal.at(flagship)("resolve", TEXT, "-n", "chekout")
    assert said.code == 2
    assert "checkout" in said.err


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match.group()


def test_the_notebook_is_beside_where_one_stands(terminal: Terminal, flagship: Bench) -> None:
    """Also when the story is left at the gate."""
    terminal.at(flagship)("resolve", TEXT)
    assert len(list(Path(terminal.folder).glob("payment-service-*.ipynb"))) == 1
