"""SIGKILL of the gateway and of the command at the gate: the story is still there, and goes on there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.person import person
from tests.story.home import Home, home
from tests.story.rungs import Rung, practice
from tests.story.telling import diagnose, outputs

pytestmark = pytest.mark.timeout(280)


def _session_at_the_gate(mine: Home, rung: Rung) -> tuple[str, str]:
    """Bring `resolve` to its card on a terminal, and kill it there; session and proposal."""
    words = ["resolve", rung.scenario.incident, "-n", rung.scenario.namespace, "-p", f"settle={rung.settle}"]
    with person(*words, "-o", str(mine.folder / "resolved.ipynb")) as operator:
        shown = operator.waits_for("[l]ater? ")
        operator.process.kill()
        operator.process.wait(10)
    session, id_ = re.search(r"rs-[0-9a-f]+", shown), re.search(r"ap-[0-9a-z]{6}", shown)
    assert session is not None, shown
    assert id_ is not None, shown
    return session.group(), id_.group()


def test_resolve_goes_on_after_both_were_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the card, approved in between by another command, resumed: one attempt, VERIFIED."""
    with practice(tmp_path / "rung") as rung, home(tmp_path) as mine:
        mine.open(rung.kubeconfig)
        monkeypatch.setenv("SKYFLO_HOME", str(mine.path))
        session, id_ = _session_at_the_gate(mine, rung)
        mine.kill()
        assert rung.attempts() == []

        mine.serve(rung.kubeconfig)
        approved = mine.command("approve", id_, "--yes")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        told = mine.json("resolve", "--resume", session)
        assert [(each["id"], each["state"]) for each in told["proposals"]] == [(id_, "executed")]
        assert [each["verdict"] for each in told["verdicts"]] == ["VERIFIED"]
        assert len(rung.attempts()) == 1
        assert mine.command("ledger", "verify").returncode == 0


def test_a_run_whose_gateway_is_killed_claims_nothing(flagship: Rung, tmp_path: Path) -> None:
    """It ends without a verdict; the next gateway still has the proposal, and the next run takes that one."""
    with home(tmp_path) as mine:
        path = diagnose(mine.open(flagship.kubeconfig), flagship).path
        with mine.beside("run", path, "--wait", "2m", "--json") as process:
            id_ = mine.waiting(process)
            mine.kill()
            out, errors = process.communicate(timeout=90)
        assert process.returncode == 12, out + errors
        assert "Traceback" not in errors
        answer = json.loads(out)
        assert answer["status"] == "inconclusive"
        assert "VERIFIED" not in json.dumps(outputs(Path(answer["output"]), "text/plain"))

        mine.serve(flagship.kubeconfig)
        again = mine.json("run", path, code=10)
        assert [each["id"] for each in again["proposals"]] == [id_]
        assert flagship.attempts() == []
