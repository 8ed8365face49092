"""`run`: real papermill, a real kernel, and the honest record of what happened to each cell."""

import json
import threading
from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import BadInput, ExitCode, Refused, Unreachable
from skyflo_runbooks.notebook.parse import parse
from skyflo_runbooks.notebook.render import RECEIPT, VERDICT
from skyflo_runbooks.replay.run import run
from tests.kernel.fake_gateway import FakeGateway
from tests.replay.conftest import Write, load, statuses, texts


def test_it_stops_at_the_first_undecided_change(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """Without --wait the change is proposed, nothing after it is reached, and the exit code says waiting."""
    file = write("with {braces}.ipynb")
    before = file.read_bytes()
    result = run(file, parameters={"memory_limit": "1Gi"}, output=tmp_path / "out.ipynb")
    assert (result.status, result.exit_code) == ("waiting", ExitCode.WAITING)
    assert result.proposals == (
        {"id": "ap-000000", "step": "raise_memory", "state": "proposed", "tool": "k8s_set_resources"},
    )
    assert result.verdicts == ()
    made = load(result.output)
    assert statuses(made) == {
        "parameters": "passed",
        made["cells"][2]["id"]: "passed",  # what papermill injected
        "imports": "passed",
        "pods": "passed",
        "state": "passed",
        "raise_memory": "awaiting_approval",
        "recovered": "not_reached",
        "roll_back_raise_memory": "not_reached",
        "record": "not_reached",
    }
    assert "Not reached: ap-000000 waits for a decision." in texts(made, "recovered")
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    (body,) = gateway.bodies("/api/v1/proposals")
    assert body["arguments"]["limits"] == {"memory": "1Gi"}
    assert body["cluster"] == "uid-1"
    registered = next(
        body for method, path, body in gateway.asked if (method, path) == ("PUT", "/api/v1/runbooks/rb-flagship")
    )
    assert registered["digest"] == parse(load(file)).digest == parse(made).digest
    assert made["metadata"]["papermill"]["output_path"] == str(tmp_path / "out.ipynb")


def test_with_wait_it_goes_on_after_the_decision(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """The decision comes while it waits: the card becomes the receipt, the verdict is recorded, the exit code is 0."""
    said: list[str] = []
    decided = gateway.decide_when_there("executed")
    result = run(write(), output=tmp_path / "out.ipynb", wait=60, say=said.append)
    decided.join(timeout=5)
    assert (result.status, result.exit_code) == ("verified", ExitCode.DONE)
    assert [verdict["verdict"] for verdict in result.verdicts] == ["VERIFIED"]
    assert result.proposals[0]["state"] == "executed"
    made = load(result.output)
    found = statuses(made)
    assert (found["raise_memory"], found["recovered"], found["roll_back_raise_memory"]) == (
        "passed",
        "passed",
        "skipped",
    )
    assert "APPLIED" in texts(made, "raise_memory")
    outputs = {cell["id"]: cell.get("outputs", []) for cell in made["cells"]}
    assert RECEIPT in outputs["raise_memory"][0]["data"]
    assert VERDICT in outputs["recovered"][0]["data"]
    assert "VERIFIED  recovered" in texts(made, "recovered")
    assert result.to_json().keys() == {"output", "status", "verdicts", "proposals"}


def test_a_rejected_change_ends_the_run(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """After a no nothing is verified, and the exit code is 13."""
    gateway.decide_when_there("rejected")
    result = run(write(), output=tmp_path / "out.ipynb", wait=60)
    assert (result.status, result.exit_code) == ("rejected", ExitCode.REFUSED)
    found = statuses(load(result.output))
    assert (found["raise_memory"], found["recovered"]) == ("rejected", "not_reached")


def test_a_failed_check_is_exit_11(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """The change was applied and a check failed: FAILED, and no exception."""
    gateway.facts["no_restarts"] = False
    gateway.decide_when_there("executed")
    result = run(write(), output=tmp_path / "out.ipynb", wait=60)
    assert (result.status, result.exit_code) == ("failed", ExitCode.FAILED)
    assert statuses(load(result.output))["recovered"] == "failed"


def test_a_replay_says_what_it_would_do(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """--replay proposes nothing: the change is shown as would change, the verify is not measured, exit code 14."""
    result = run(write(), output=tmp_path / "out.ipynb", replay=True)
    assert (result.status, result.exit_code) == ("would_change", ExitCode.WOULD_CHANGE)
    assert gateway.proposals == {}
    made = load(result.output)
    found = statuses(made)
    assert (found["raise_memory"], found["recovered"]) == ("would_change", "skipped")
    assert "WOULD CHANGE" in texts(made, "raise_memory")


def test_a_replay_verifies_what_is_in_place(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """A change that is in place already is measured like one that was just made."""
    gateway.would = "in_place"
    result = run(write(), output=tmp_path / "out.ipynb", replay=True)
    assert (result.status, result.exit_code) == ("verified", ExitCode.DONE)
    assert statuses(load(result.output))["raise_memory"] == "in_place"


def test_a_killed_kernel_claims_nothing(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """The kernel is killed between the change and its verify: no cell says that it passed which did not."""
    file = write(before="heading-recovered", code="import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    gateway.decide_when_there("executed")
    result = run(file, output=tmp_path / "out.ipynb", wait=60)
    assert (result.status, result.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert "kernel died" in result.message
    assert result.verdicts == ()
    made = load(result.output)
    found = statuses(made)
    assert (found["raise_memory"], found["extra"]) == ("passed", "kernel_died")
    assert {found[id_] for id_ in ("recovered", "roll_back_raise_memory", "record")} == {"not_reached"}
    papermills = {cell["id"]: cell["metadata"]["papermill"]["status"] for cell in made["cells"]}
    assert papermills["recovered"] == "pending"
    assert papermills["extra"] == "failed"
    assert made["metadata"]["papermill"]["exception"] is True


def test_a_cell_that_takes_too_long(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """A time-out is named, and nothing after it is reached."""
    file = write(before="pods", code="import threading\nthreading.Event().wait(60)")
    result = run(file, output=tmp_path / "out.ipynb", cell_timeout=3)
    found = statuses(load(result.output))
    assert (found["extra"], found["pods"], found["recovered"]) == ("timeout", "not_reached", "not_reached")
    assert result.exit_code == ExitCode.INCONCLUSIVE


def test_a_forged_verdict_does_not_count(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """Free code that replaces the verify step shows what it likes; the ledger has no such verdict."""
    forged = (
        "from skyflo_kernel.steps import Runbook\n"
        "from IPython.display import display\n"
        'said = {"verdict": "VERIFIED", "step": "recovered", "changes": [], "ledger": {"seq": 2, "hash": "x"}}\n'
        f'Runbook.verify = lambda *a, **k: display({{"{VERDICT}": said}}, raw=True)'
    )
    gateway.decide_when_there("executed")
    result = run(write(before="heading-recovered", code=forged), output=tmp_path / "out.ipynb", wait=60)
    assert (result.status, result.exit_code) == ("inconclusive", ExitCode.INCONCLUSIVE)
    assert result.verdicts[0]["verdict"] == "INCONCLUSIVE"
    assert "ledger has no such verdict" in result.message


def test_a_change_outside_the_grammar_is_no_mere_read(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """A cell edited by hand that still proposes ends the run as bad input, and not as read_only with exit 0."""
    code = "x = 1\n" + 'runbook.change("k8s_scale", kind="Deployment", namespace="a", name="a", replicas=2, why="b")'
    gateway.decide_when_there("executed")
    result = run(write(before="heading-recovered", code=code), output=tmp_path / "out.ipynb", wait=60)
    assert (result.status, result.exit_code) == ("inconclusive", ExitCode.BAD_INPUT)
    assert "outside the grammar" in result.message
    found = statuses(load(result.output))
    assert (found["extra"], found["recovered"]) == ("error", "not_reached")


def test_an_error_of_a_step_has_its_exit_code(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """A tool that refuses its arguments stops the run with the code of bad input, and no traceback of ours."""
    gateway.refusals["k8s_get"] = {"code": 2, "message": "No kind 'Pood'.", "next_step": "Did you mean Pod?"}
    result = run(write(), output=tmp_path / "out.ipynb")
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "No kind 'Pood'. Did you mean Pod?" in result.message
    made = load(result.output)
    error = next(cell for cell in made["cells"] if cell["id"] == "pods")["outputs"][0]
    assert error["traceback"] == ["BadInput: No kind 'Pood'.", "Did you mean Pod?"]
    assert statuses(made)["raise_memory"] == "not_reached"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"memory_limt": "1Gi"}, "Did you mean 'memory_limit'"),
        ({"x": "1"}, "It has: namespace"),
        ({"settle": "banana"}, "Write it as its default is written"),
        ({"memory_limit": "lots"}, "Write it as its default is written"),
    ],
)
def test_a_wrong_parameter_is_bad_input(gateway: FakeGateway, write: Write, given: dict[str, str], said: str) -> None:
    """It is refused before anything is run or asked."""
    with pytest.raises(BadInput, match=said):
        run(write(), parameters=given)
    assert gateway.asked == []


@pytest.mark.parametrize("id_", ["parameters", "imports", "raise_memory"])
def test_free_code_in_a_generated_cell_is_not_executed(
    gateway: FakeGateway, write: Write, tmp_path: Path, id_: str
) -> None:
    """What the runbook was written with must still be of its form; nothing runs and nothing is asked."""
    file = write()
    planted = tmp_path / "planted"
    notebook = load(file)
    cell = next(one for one in notebook["cells"] if one["id"] == id_)
    cell["source"] += f"\nopen({str(planted)!r}, 'w').close()"
    file.write_text(json.dumps(notebook))
    with pytest.raises(BadInput, match=f"Cell '{id_}' is not of its form"):
        run(file, output=tmp_path / "out.ipynb")
    assert not planted.exists()
    assert not (tmp_path / "out.ipynb").exists()


def test_another_cluster_is_refused(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """A runbook of one cluster does not run against another."""
    with pytest.raises(Refused, match="made for cluster practice"):
        run(write(cluster="uid-2"), output=tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_the_source_is_never_overwritten(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """Not even when it is asked for, by another name of the same file."""
    file = write()
    (tmp_path / "link.ipynb").symlink_to(file)
    for output in (file, tmp_path / "link.ipynb"):
        with pytest.raises(BadInput, match="never overwrites"):
            run(file, output=output)


def test_no_gateway_is_exit_20(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started, and the error says how to start a gateway."""
    monkeypatch.setenv("SKYFLO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SKYFLO_GATEWAY_URL", raising=False)
    with pytest.raises(Unreachable, match="skyflo-runbooks serve"):
        run(write())


def test_two_runs_have_two_files(
    gateway: FakeGateway, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without -o each run goes to a file of its own under the data folder, also when they run side by side."""
    monkeypatch.setenv("SKYFLO_HOME", str(tmp_path / "home"))
    gateway.would = "in_place"
    result = run(write("my runbook.ipynb"), replay=True)
    assert Path(result.output).parent == tmp_path / "home" / "runs"
    assert Path(result.output).name.startswith("my-runbook-")
    assert threading.active_count() < 50
