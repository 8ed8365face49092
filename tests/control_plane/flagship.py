"""The second ending told headless, the same for the control plane and the real node."""

from __future__ import annotations

import json
from pathlib import Path

from skyflo_runbooks.model.json import Json, at
from tests.control_plane.headless import Headless
from tests.control_plane.processes import wait_until
from tests.control_plane.stage import Staged

_SETTLE = "12s"  # the window of "no restarts", short for a test; the verdict names it


def diagnosed(terminal: Headless, staged: Staged) -> Path:
    """`new` names the cause on the object that has to change, and plans 512Mi; the runbook that it wrote."""
    answer = _look(terminal, staged, attempts=5)
    found = answer["findings"][0]
    assert (found["fault"], found["object"]) == ("CON-07", "Deployment/checkout/payment-service")
    assert any("OOMKilled" in each["text"] for each in found["evidence"])
    assert any("500" in str(each) for each in found["consequences"])
    changes = [step for step in answer["plan"] if step["kind"] == "change"]
    assert [(step["tool"], step["arguments"]["limits"]) for step in changes] == [
        ("k8s_set_resources", {"memory": "512Mi"}),
    ]
    return Path(answer["path"])


def _look(terminal: Headless, staged: Staged, attempts: int) -> Json:
    """Diagnose while no pod is ready: crashing pods are ready for a second between kills, and show no 500s then."""
    for attempt in range(attempts):
        wait_until("no pod ready", lambda: not _ready(staged))
        written = f"flagship-{attempt}.ipynb"
        answer: Json = terminal.answer("new", staged.scenario.incident, "-n", staged.scenario.namespace, "-o", written)
        if any("500" in str(each) for finding in answer["findings"] for each in finding["consequences"]):
            break
    return answer


def run(terminal: Headless, runbook: Path, *parameters: str) -> tuple[int, Json]:
    """`run --wait` while the operator approves what it proposes: exit code and answer."""
    given = [word for value in (f"settle={_SETTLE}", *parameters) for word in ("-p", value)]
    with terminal.running("run", str(runbook), *given, "--wait", "2m", "--json") as process:
        proposal = terminal.waiting("raise_memory")
        assert terminal.command("approve", proposal, "--yes", "--reason", "needs more").returncode == 0
        out, errors = process.communicate(timeout=200)
    assert out, errors
    return process.returncode, json.loads(out)


def fails_and_goes_back(terminal: Headless, staged: Staged) -> None:
    """Approved at 300Mi: FAILED with the evidence; the way back needs an approval of its own, and restores 256Mi."""
    code, answer = run(terminal, diagnosed(terminal, staged), "memory_limit=300Mi")
    assert (code, answer["status"]) == (11, "failed"), answer
    failed = [each for each in answer["verdicts"][0]["checks"] if each["result"] == "FAIL"]
    assert any("OOMKilled" in json.dumps(each) or "restart" in json.dumps(each) for each in failed)
    assert _limits(staged) == ["300Mi"]
    done = answer["proposals"][0]["id"]
    assert terminal.command("rollback", done).returncode in (0, 10)
    back = terminal.waiting("", within=30)
    assert _limits(staged) == ["300Mi"], "a roll-back that nobody approved was applied"
    assert terminal.command("approve", back, "--yes").returncode == 0
    wait_until("the old limit", lambda: _limits(staged) == ["256Mi"], within=30)
    assert len(applied(staged)) == 2


def _ready(staged: Staged) -> int:
    statuses = (
        each for pod in staged.pods("app=payment-service") for each in pod["status"].get("containerStatuses", [])
    )
    return sum(bool(each["ready"]) for each in statuses)


def _limits(staged: Staged) -> list[str]:
    spec = staged.plane.get(staged.deployment("payment-service"))["spec"]["template"]["spec"]
    return [str(at(each, "resources", "limits", "memory")) for each in spec["containers"]]


def applied(staged: Staged) -> list[str]:
    """The verbs of what the gateway's user really wrote, by the API server's audit log: dry runs are none."""
    return [each.verb for each in staged.plane.writes("operator") if not each.dry_run and each.code < 300]
