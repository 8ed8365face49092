"""Several decisions from a terminal, values typed unseen, names typed, and what an interruption leaves behind."""

import io
import os
import signal
import subprocess
import sys

import pytest

from skyflo_runbooks.cli import deciding, operator
from skyflo_runbooks.cli.bench import NAME, NAMESPACE, Bench
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused, Unreachable
from skyflo_runbooks.model.json import Json
from tests.cli.answering import answering
from tests.cli.conftest import Terminal
from tests.cli.person import person
from tests.cli.test_operator import WHO

TYPED = "correct horse battery"
VIEW: Json = {"id": "ap-abc123", "digest": "sha256:1", "url": "http://localhost:1/proposals/ap-abc123"}
NONCE: Json = {"nonce": "n", "digest": "sha256:1", "message": ""}


def waits(bench: Bench, step: str) -> Json:
    """A change that waits for a value."""
    place = {"kind": "Deployment", "namespace": NAMESPACE, "name": NAME, "container": NAME}
    body = {"tool": "k8s_set_env", "arguments": {**place, "set": {"SIGNING": ENTRY}}, "step": step}
    view: Json = bench.kernel.post("/api/v1/proposals", body)
    return view


def test_several_end_at_the_first_that_is_not_applied(terminal: Terminal, workshop: Bench) -> None:
    """Each card is shown; the first moves the object, so the second is void, and the third is not even signed."""
    views = [workshop.propose(f"{600 + place}Mi", f"several-{place}") for place in range(3)]
    ids = [str(view["id"]) for view in views]
    terminal.at(workshop, log_in=True)
    said = terminal("approve", *ids, "--yes")
    assert said.code == 13
    assert all(f"memory: {600 + place}Mi" in said.out for place in range(3))
    assert f"Stopped at {ids[1]}: not approved: {ids[2]}." in said.err
    assert [workshop.kernel.proposal(id_)["state"] for id_ in ids] == ["executed", "void", "proposed"]
    assert workshop.limit() == "600Mi"


def test_what_was_applied_is_said_also_when_the_next_is_refused(terminal: Terminal, workshop: Bench) -> None:
    """A gateway that refuses the second by an error: the document holds the first, and the code is the error's."""
    views = [workshop.propose(f"{700 + place}Mi", f"refused-{place}") for place in range(3)]
    terminal.at(workshop, log_in=True)
    terminal("reject", views[1]["id"], "--reason", "no")
    said = terminal("approve", *(str(view["id"]) for view in views), "--yes", "--json")
    assert said.code == 13
    assert [(one["id"], one["state"]) for one in said.json] == [(views[0]["id"], "executed")]
    assert f"not approved: {views[2]['id']}" in said.err


def test_a_value_is_typed_unseen_and_approved_as_a_proposal_of_its_own(terminal: Terminal, workshop: Bench) -> None:
    """From a pipe one value a line; it is in no output, and the old proposal cannot be approved."""
    asked = waits(workshop, "typed")
    terminal.at(workshop, log_in=True)
    assert "a value" in terminal("approvals").out
    done = subprocess.run(
        [sys.executable, "-m", "skyflo_runbooks.cli", "enter", str(asked["id"]), "--json"],
        env=dict(os.environ), input=f"{TYPED}\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, TYPED in done.stdout + done.stderr) == (0, False)
    made = workshop.kernel.proposal(str(asked["id"]))["superseded_by"]
    assert terminal("approve", made, "--yes").code == 0
    assert terminal("enter", made).code == 2
    assert terminal("approve", asked["id"], "--yes").code != 0


def test_a_person_types_it_without_an_echo(terminal: Terminal, workshop: Bench) -> None:
    """On a terminal `approve` asks for the value first; what is typed does not appear, and the new card does."""
    asked = waits(workshop, "unseen")
    terminal.at(workshop, log_in=True)
    with person("approve", str(asked["id"])) as somebody:
        somebody.waits_for("SIGNING: ")
        somebody.types(f"{TYPED} 2")
        shown = somebody.waits_for("[y/N]")
        somebody.types("y")
        code = somebody.ends()
    assert TYPED not in somebody.seen
    assert "takes the place of" in shown
    assert code == 0


def test_an_interruption_while_it_asks_decides_nothing(terminal: Terminal, flagship: Bench) -> None:
    """Ctrl-C at the question: 130, and the proposal waits on."""
    view = flagship.propose("1600Mi", "interrupted")
    terminal.at(flagship, log_in=True)
    with person("approve", str(view["id"])) as somebody:
        somebody.waits_for("[y/N]")
        somebody.process.send_signal(signal.SIGINT)
        assert somebody.ends() == 130
    assert "Nothing more was decided" in somebody.seen
    assert flagship.kernel.proposal(str(view["id"]))["state"] == "proposed"


def test_a_deletion_takes_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Given or typed, exactly; `--yes` alone is refused, and what needs no name is not asked."""
    deletion, other = {"id": "ap-abc123", "confirm": "web"}, {"id": "ap-def456", "confirm": ""}
    assert deciding.names([deletion, other], ["web"], Screen(), ask=False) == {"ap-abc123": "web", "ap-def456": ""}
    with pytest.raises(BadInput) as refused:
        deciding.names([deletion], ["we"], Screen(), ask=False)
    assert refused.value.next_step.endswith("--confirm web")
    monkeypatch.setattr(sys, "stdin", io.StringIO("web\nwep\n"))
    assert deciding.names([deletion], [], Screen(), ask=True) == {"ap-abc123": "web"}
    with pytest.raises(BadInput, match="That is not web"):
        deciding.names([deletion], [], Screen(), ask=True)


def test_a_deletion_is_approved_by_its_name_and_not_by_yes(terminal: Terminal, workshop: Bench) -> None:
    """Over the real gateway: `--yes` is refused with 2, another name too, and the right one is signed and counts."""
    arguments = {"kind": "Service", "namespace": NAMESPACE, "name": "storefront"}
    view = workshop.kernel.post("/api/v1/proposals", {"tool": "k8s_delete", "arguments": arguments, "step": "delete"})
    terminal.at(workshop, log_in=True)
    assert "needs           Whoever approves types the name storefront." in terminal("show", view["id"]).out
    for refused in ([], ["--confirm", "storefron"]):
        said = terminal("approve", view["id"], "--yes", *refused)
        assert (said.code, "--confirm storefront" in said.err) == (2, True)
    assert workshop.kernel.proposal(view["id"])["state"] == "proposed"
    done = terminal("approve", view["id"], "--yes", "--confirm", "storefront", "--json")
    assert (done.code, done.json[0]["state"]) == (0, "executed")
    receipt = done.json[0]["receipt"]
    assert (receipt["approvers"], receipt["requester"]) == (["promises"], "kernel:notebook")
    assert receipt["executor"]


@pytest.mark.parametrize(
    ("requires", "kind", "said"),
    [
        ({"passkey": True}, NotAllowed, "a terminal has none"),
        (
            {"refused": "You asked for it."},
            NotAllowed,
            "You asked for it. Nothing was approved. Look at it: .* show ap-abc",
        ),
        ({"refused": "You asked for it.", "next_step": "Ask bob."}, NotAllowed, "Nothing was approved. Ask bob."),
        ({"typed": "web"}, BadInput, "by typing web"),
        ({"approvals": {"needed": 2, "have": 1}}, Refused, "waits for another approver"),
    ],
)
def test_what_the_policy_asks_for_is_said_before_anything_is_signed(
    requires: Json, kind: type[Exception], said: str
) -> None:
    """Passkeys, refusals, names and an order that would be broken: no decision is sent."""
    with answering(200, {**NONCE, "requires": requires}) as gateway:
        with pytest.raises(kind, match=said):
            operator.decide(Gateway(gateway.url), WHO, view=VIEW, decision="approve", waits=True)
        assert [method for method, *_ in gateway.asked] == ["GET"]


def test_a_decision_without_an_answer_is_not_known_to_have_arrived() -> None:
    """It is said so, nothing is sent twice, and the command that looks is named."""
    with answering(200, NONCE, lost=frozenset({"POST"})) as gateway:
        with pytest.raises(Unreachable, match="Whether the decision on ap-abc123 arrived is not known") as error:
            operator.decide(Gateway(gateway.url), WHO, view=VIEW, decision="approve")
        assert "show ap-abc123" in error.value.next_step
        assert [method for method, *_ in gateway.asked] == ["GET", "POST"]
