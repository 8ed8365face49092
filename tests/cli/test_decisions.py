"""Decisions from a terminal, over a real gateway: shown, asked, signed, applied once."""

import os
import subprocess
import sys

import pytest

from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.deciding import code_of
from skyflo_runbooks.cli.record import measured
from tests.cli.conftest import Terminal


def test_not_logged_in_is_5(terminal: Terminal, flagship: Bench) -> None:
    """The kernel's token that every command finds cannot decide; the message says how to log in."""
    view = flagship.propose("512Mi", "not-logged-in")
    said = terminal.at(flagship)("approve", view["id"], "--yes")
    assert said.code == 5
    assert "login LINK" in said.err
    assert flagship.limit() == "256Mi"


def test_approvals_lists_what_waits(terminal: Terminal, flagship: Bench) -> None:
    """With --json each proposal has the members of the contract."""
    view = flagship.propose("640Mi", "listed")
    waiting = {one["id"]: one for one in terminal.at(flagship)("approvals", "--json").json}
    said = waiting[view["id"]]
    assert set(said) >= {
        "id", "step", "runbook", "tool", "risk", "state", "diff", "digest", "expires", "requester",
        "title", "parts", "entries", "confirm", "impact", "assessment", "arguments",
    }  # fmt: skip
    assert (said["step"], said["state"], said["tool"]) == ("listed", "proposed", "k8s_set_resources")
    assert view["id"] in terminal("approvals").out


def test_show_is_the_card(terminal: Terminal, flagship: Bench) -> None:
    """Diff, risk, way back and digest are there without a further question."""
    view = flagship.propose("768Mi", "shown")
    said = terminal.at(flagship)("show", view["id"])
    assert said.code == 0
    for text in ("-            memory: 256Mi", "+            memory: 768Mi", "way back", view["digest"], "kubectl"):
        assert text in said.out
    assert terminal("show", view["id"], "--json").json["digest"] == view["digest"]


@pytest.mark.parametrize("id_", ["nonsense", "ap-1", "../status", "AP-ABCDEF"])
def test_an_id_of_another_form_is_bad_input(terminal: Terminal, flagship: Bench, id_: str) -> None:
    """It never reaches the gateway's address line."""
    said = terminal.at(flagship)("show", id_)
    assert said.code == 2
    assert "not the id" in said.err


def test_an_id_that_is_not_there_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """The gateway says so, and the exit code is the table's."""
    assert terminal.at(flagship)("show", "ap-zzzzzz").code == 2


def test_the_answer_no_decides_nothing(terminal: Terminal, flagship: Bench) -> None:
    """Asked and answered with no, or with the end of input: 10, and the proposal waits on."""
    view = flagship.propose("896Mi", "asked")
    terminal.at(flagship, log_in=True)
    for answer in ("n\n", "", "what?\n"):
        done = subprocess.run(
            [sys.executable, "-m", "skyflo_runbooks.cli", "approve", view["id"]],
            env=dict(os.environ), input=answer, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 10
        assert "Nothing was approved" in done.stderr
    assert flagship.kernel.proposal(view["id"])["state"] == "proposed"


def test_the_answer_yes_approves(terminal: Terminal, workshop: Bench) -> None:
    """The card comes before the question, and the receipt after it."""
    view = workshop.propose("520Mi", "yes")
    terminal.at(workshop, log_in=True)
    done = subprocess.run(
        [sys.executable, "-m", "skyflo_runbooks.cli", "approve", view["id"], "--reason", "looked at it"],
        env=dict(os.environ), input="y\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    card, _, receipt = done.stdout.partition("[y/N]")
    assert "memory: 520Mi" in card
    assert f"Approval ID: {view['id']}   Operator: promises" in receipt
    assert "looked at it" in receipt
    assert workshop.limit() == "520Mi"


def test_an_approval_is_used_once(terminal: Terminal, workshop: Bench) -> None:
    """The second one is 13, and nothing is written again."""
    view = workshop.propose("530Mi", "once")
    terminal.at(workshop, log_in=True)
    first = terminal("approve", view["id"], "--yes", "--json")
    assert first.code == 0
    assert [one["state"] for one in first.json] == ["executed"]
    before = workshop.writes()
    second = terminal("approve", view["id"], "--yes")
    assert second.code == 13
    assert workshop.writes() == before


def test_a_moved_object_voids_the_approval(terminal: Terminal, workshop: Bench) -> None:
    """Approved after somebody else changed the object: 13, and not applied."""
    view = workshop.propose("540Mi", "void")
    workshop.foreign_hand(value=str(view["id"]))
    said = terminal.at(workshop, log_in=True)("approve", view["id"], "--yes")
    assert said.code == 13
    assert workshop.limit() != "540Mi"


def test_reject_keeps_its_reason(terminal: Terminal, flagship: Bench) -> None:
    """A rejection is done with 0, and a later approval is refused with 13."""
    view = flagship.propose("1100Mi", "rejected")
    terminal.at(flagship, log_in=True)
    said = terminal("reject", view["id"], "--reason", "too much", "--json")
    assert said.code == 0
    assert said.json[0]["receipt"]["reason"] == "too much"
    assert terminal("approve", view["id"], "--yes").code == 13
    assert terminal("reject", view["id"]).code == 2


def test_modify_replaces_the_proposal(terminal: Terminal, flagship: Bench) -> None:
    """The new one carries the value and waits; the old one is superseded."""
    view = flagship.propose("1200Mi", "modified")
    said = terminal.at(flagship, log_in=True)("modify", view["id"], "--set", "memory=1300Mi", "--json")
    assert said.code == 0
    assert said.json["supersedes"] == view["id"]
    assert said.json["arguments"]["limits"]["memory"] == "1300Mi"
    assert terminal("approve", view["id"], "--yes").code == 13


@pytest.mark.parametrize(
    ("given", "expected"), [("memroy=1Gi", "limits.memory"), ("memory", "NAME=VALUE"), ("memory=lots", "quantity")]
)
def test_a_wrong_value_is_bad_input(terminal: Terminal, flagship: Bench, given: str, expected: str) -> None:
    """A wrong name, a wrong form and a wrong value are 2, and say what was expected."""
    view = flagship.propose("1400Mi", f"wrong-{expected}")
    said = terminal.at(flagship, log_in=True)("modify", view["id"], "--set", given)
    assert said.code == 2
    assert expected in said.err


def test_rollback_waits_for_its_own_approval(terminal: Terminal, workshop: Bench) -> None:
    """Proposing the way back changes nothing; approving it restores the former value."""
    before = workshop.limit()
    view = workshop.propose("550Mi", "back")
    terminal.at(workshop, log_in=True)
    assert terminal("approve", view["id"], "--yes").code == 0
    back = terminal("rollback", view["id"], "--json").json
    assert back["rollback_of"] == view["id"]
    assert workshop.limit() == "550Mi"
    assert terminal("approve", back["id"], "--yes").code == 0
    assert workshop.limit() == before


def test_history_shows_the_last_verdict_of_each_change() -> None:
    """A verdict stands by each change that it judges; a later one replaces it."""
    entries = [
        {"kind": "verdict", "body": {"verdict": "INCONCLUSIVE", "changes": ["ap-a", "ap-b"]}},
        {"kind": "decision", "body": {"proposal": "ap-a"}},
        {"kind": "verdict", "body": {"verdict": "VERIFIED", "changes": ["ap-a"]}},
    ]
    assert measured(entries) == {"ap-a": "VERIFIED", "ap-b": "INCONCLUSIVE"}


def test_the_record_of_decisions(terminal: Terminal, flagship: Bench) -> None:
    """History and ledger show what was decided; the chain verifies; its end, and what came after a place, are shown."""
    view = flagship.propose("1500Mi", "recorded")
    terminal.at(flagship, log_in=True)
    terminal("reject", view["id"], "--reason", "for the record")
    said = terminal("history").out
    assert view["id"] in said
    assert "VERDICT" in said
    assert next(one for one in terminal("history", "--json").json if one["id"] == view["id"])["verdict"] == ""
    entries = terminal("ledger", "show", "--json").json
    assert [one["seq"] for one in entries] == list(range(1, len(entries) + 1))
    assert any(one["body"].get("proposal") == view["id"] for one in entries)
    assert terminal("ledger", "verify", "--json").json["ok"] is True
    latest = terminal("ledger", "show", "--limit", "2", "--json").json
    assert [one["seq"] for one in latest] == [one["seq"] for one in terminal("ledger", "show", "--json").json][-2:]
    after = terminal("ledger", "show", "--since", str(entries[-1]["seq"]), "--json").json
    assert all(one["seq"] > entries[-1]["seq"] for one in after)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("executed", 0),
        ("in_place", 0),
        ("failed", 11),
        ("unknown", 12),
        ("proposed", 10),
        ("rejected", 13),
        ("void", 13),
    ],
)
def test_the_exit_code_of_a_state(state: str, code: int) -> None:
    """The contract of section 8."""
    assert code_of(state) == code
