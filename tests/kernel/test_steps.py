"""The steps in plain Python, against a gateway on a real socket: what is asked, what is shown, what comes back."""

import threading

import pytest
from skyflo_kernel import check, runbook
from skyflo_kernel.steps import Runbook

from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused, Unreachable
from tests.kernel.fake_gateway import FakeGateway

runbook_id: str = "rb-1"
runbook_cluster: str = "uid-1"

READY = check.endpoints_ready("payment-service", namespace="checkout")


def test_a_read_answers_and_shows(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """A read asks the gateway under the step's own name, prints a table, and returns the answer with its time."""
    pods = runbook.read("k8s_get", kind="Pod", namespace="checkout")
    (body,) = gateway.bodies("/api/v1/tools/k8s_get")
    assert body == {
        "runbook": "rb-1",
        "step": "pods",
        "run": runbook.run,
        "arguments": {"kind": "Pod", "namespace": "checkout"},
    }
    assert pods["columns"] == ["name", "ready"]
    assert pods["nothing"] is None
    assert pods.at == "2026-01-01T00:00:00Z"
    shown = capsys.readouterr().out
    assert "NAME    READY" in shown
    assert "pod-a   1/1" in shown


def test_a_read_without_a_name_is_named_after_its_tool(gateway: FakeGateway) -> None:
    """The step's id follows from the call where nothing is assigned."""
    runbook.read("k8s_get")
    assert gateway.bodies("/api/v1/tools/k8s_get")[0]["step"] == "k8s_get"


def test_a_refused_read_is_not_known(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """A read that the cluster refused is shown as not known, never as empty or healthy, and the runbook goes on."""
    gateway.refusals["k8s_top_pods"] = {"code": 4, "message": "pods.metrics.k8s.io is forbidden", "next_step": ""}
    usage = runbook.read("k8s_top_pods")
    assert usage.value is None
    assert "forbidden" in usage.unknown
    assert "NOT KNOWN: pods.metrics.k8s.io is forbidden" in capsys.readouterr().out


def test_bad_arguments_of_a_read_raise(gateway: FakeGateway) -> None:
    """What the tool does not take is an error of its own, in the gateway's words."""
    gateway.refusals["k8s_get"] = {"code": 2, "message": "No kind 'Pood'.", "next_step": "Did you mean Pod?"}
    with pytest.raises(BadInput, match="Did you mean Pod"):
        runbook.read("k8s_get", kind="Pood")


def test_the_reads_of_a_gather_run_side_by_side(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """Three reads meet in the gateway at the same time; each has its own result, also one that is not known."""
    gateway.together = threading.Barrier(3)
    gateway.refusals["k8s_events"] = {"code": 4, "message": "timed out", "next_step": ""}
    state = runbook.gather(
        pods=("k8s_get", {"kind": "Pod"}), events=("k8s_events", {}), nodes=("k8s_get", {"kind": "Node"})
    )
    assert list(state) == ["pods", "events", "nodes"]
    assert state.pods["rows"] == [["pod-a", "1/1"]]
    assert state["events"].unknown == "timed out"
    assert "NOT KNOWN: timed out" in capsys.readouterr().out
    assert {body["step"] for body in gateway.bodies("/api/v1/tools/k8s_get")} == {"state"}


def test_a_gather_takes_pairs(gateway: FakeGateway) -> None:
    """A read of a gather that is not of its form is refused before anything is asked."""
    with pytest.raises(BadInput, match="'pods'"):
        runbook.gather(pods="k8s_get")  # type: ignore[arg-type]  # the mistake that is tested
    assert gateway.asked == []


def test_a_change_is_pending_at_once(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """A change proposes under its step and cluster, prints its diff and how to decide, and does not wait."""
    raise_memory = runbook.change("k8s_set_resources", name="payment-service", why="OOMKilled.")
    (body,) = gateway.bodies("/api/v1/proposals")
    assert (body["step"], body["cluster"], body["runbook"]) == ("raise_memory", "uid-1", "rb-1")
    assert raise_memory.state == "proposed"
    shown = capsys.readouterr().out
    assert "+    memory: 512Mi" in shown
    assert f"skyflo-runbooks approve {raise_memory.id}" in shown
    assert raise_memory.url in shown


def test_a_rerun_while_it_is_open_is_the_same_proposal(gateway: FakeGateway) -> None:
    """Running the cell again does not make a second proposal."""
    raise_memory = runbook.change("k8s_set_resources", why="a")
    first = raise_memory.id
    raise_memory = runbook.change("k8s_set_resources", why="a")
    assert raise_memory.id == first
    assert len(gateway.proposals) == 1


def test_a_change_found_in_place_shows_its_receipt(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty diff has nothing to decide."""
    gateway.in_place = True
    raise_memory = runbook.change("k8s_set_resources", why="a")
    assert not raise_memory.open
    assert "ALREADY IN PLACE" in capsys.readouterr().out


def test_a_verify_on_a_pending_change_is_inconclusive(gateway: FakeGateway) -> None:
    """Nothing is claimed of a change that nobody decided."""
    raise_memory = runbook.change("k8s_set_resources", why="a")
    recovered = runbook.verify(READY, after=[raise_memory], within="1m")
    assert recovered.verdict == "INCONCLUSIVE"
    assert not recovered.verified


def test_a_verify_shows_the_gateways_verdict(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """After the approval the verdict is what the gateway measured, asked again until it is final."""
    raise_memory = runbook.change("k8s_set_resources", why="a")
    gateway.decide(raise_memory.id, "executed")
    gateway.unfinal = 1
    recovered = runbook.verify(READY, after=[raise_memory], within="1m")
    assert recovered.verified
    shown = capsys.readouterr().out
    assert "measuring" in shown
    assert "VERIFIED  recovered" in shown
    body = gateway.bodies("/api/v1/verdicts")[0]
    assert body["changes"] == [raise_memory.id]
    assert body["checks"] == [{"name": "endpoints_ready", "arguments": READY.arguments}]


def test_a_failed_check_fails_without_raising(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """FAILED is a verdict, not an exception."""
    gateway.facts["endpoints_ready"] = False
    failed = runbook.verify(READY, within="1m")
    assert failed.verdict == "FAILED"
    assert "✗ endpoints ready" in capsys.readouterr().out


def test_a_verify_follows_a_modified_proposal(gateway: FakeGateway) -> None:
    """A proposal that was superseded is judged by the one that replaced it."""
    raise_memory = runbook.change("k8s_set_resources", why="a")
    gateway.decide(raise_memory.id, "superseded", superseded_by="ap-000009")
    gateway.proposals["ap-000009"] = {**gateway.proposals[raise_memory.id], "id": "ap-000009", "state": "executed"}
    runbook.verify(READY, after=[raise_memory], within="1m")
    assert gateway.bodies("/api/v1/verdicts")[0]["changes"] == ["ap-000009"]


@pytest.mark.parametrize("within", ["soon", "", "10"])
def test_a_bad_duration_is_refused(gateway: FakeGateway, within: str) -> None:
    """`within` is a duration."""
    with pytest.raises(BadInput, match="duration"):
        runbook.verify(READY, within=within)
    assert gateway.asked == []


def test_verify_takes_checks_and_changes_only(gateway: FakeGateway) -> None:
    """A mistaken argument is named before anything is asked."""
    with pytest.raises(BadInput, match="takes checks"):
        runbook.verify("ready")  # type: ignore[arg-type]  # the mistake that is tested
    with pytest.raises(BadInput, match="change steps"):
        runbook.verify(READY, after=["ap-000001"])  # type: ignore[list-item]
    assert gateway.asked == []


def test_rollback_proposes_nothing(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """The cell says how an operator proposes the way back, and asks the gateway for nothing but the state."""
    raise_memory = runbook.change("k8s_set_resources", why="a")
    runbook.rollback(raise_memory)
    assert [asked for asked in gateway.asked if "rollback" in asked[1]] == []
    assert len(gateway.proposals) == 1
    assert f"skyflo-runbooks rollback {raise_memory.id}" in capsys.readouterr().out


def test_record_shows_this_runs_entries(gateway: FakeGateway, capsys: pytest.CaptureFixture[str]) -> None:
    """The ledger's entries of this run, and of no other."""
    own = Runbook(run="run-own")
    gateway.add("decision", {"run": "run-own", "operator": "k.ops"})
    gateway.add("decision", {"run": "run-other", "operator": "m.other"})
    own.record()
    shown = capsys.readouterr().out
    assert "k.ops" in shown
    assert "m.other" not in shown


def test_a_replay_proposes_nothing(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a replay a change is only rehearsed, and its verify measures nothing."""
    monkeypatch.setenv("SKYFLO_REPLAY", "1")
    raise_memory = runbook.change("k8s_set_resources", why="a")
    assert gateway.proposals == {}
    assert raise_memory.state == "change"
    recovered = runbook.verify(READY, after=[raise_memory], within="1m")
    assert recovered.verdict == "INCONCLUSIVE"
    assert gateway.bodies("/api/v1/verdicts") == []


def test_a_replay_measures_what_is_in_place(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that is in place already leaves something to measure."""
    monkeypatch.setenv("SKYFLO_REPLAY", "1")
    gateway.would = "in_place"
    raise_memory = runbook.change("k8s_set_resources", why="a")
    assert runbook.verify(READY, after=[raise_memory], within="1m").verified


def test_a_refusal_keeps_the_gateways_words(gateway: FakeGateway) -> None:
    """The gateway's error comes back as the same error, with its next step."""
    gateway.refusals["proposal"] = {"code": 13, "message": "Made for cluster uid-2.", "next_step": "Make it anew."}
    with pytest.raises(Refused) as caught:
        runbook.change("k8s_set_resources", why="a")
    assert str(caught.value) == "Made for cluster uid-2. Make it anew."


def test_an_error_shows_two_sentences_in_a_notebook(gateway: FakeGateway) -> None:
    """IPython is given the message and the next step in place of a traceback."""
    gateway.refusals["k8s_get"] = {"code": 2, "message": "No kind 'Pood'.", "next_step": "Did you mean Pod?"}
    with pytest.raises(BadInput) as caught:
        runbook.read("k8s_get")
    render = caught.value._render_traceback_  # type: ignore[attr-defined]  # IPython's hook
    assert render() == ["BadInput: No kind 'Pood'.", "Did you mean Pod?"]


def test_a_wrong_token_is_not_allowed(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway refuses an unknown credential, and the token is in no message."""
    monkeypatch.setenv("SKYFLO_KERNEL_TOKEN", "wrong-token")
    with pytest.raises(NotAllowed) as caught:
        runbook.read("k8s_get")
    assert "wrong-token" not in str(caught.value)


def test_no_gateway_says_how_to_start_one(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing listens the error names the commands, and its exit code is 20."""
    monkeypatch.setenv("SKYFLO_GATEWAY_URL", "http://127.0.0.1:9")
    with pytest.raises(Unreachable, match="skyflo-runbooks serve") as caught:
        runbook.read("k8s_get")
    assert caught.value.exit_code == 20


def test_what_is_no_json_is_refused(gateway: FakeGateway) -> None:
    """An argument that cannot be sent is named before anything is sent."""
    with pytest.raises(BadInput, match="no JSON"):
        runbook.read("k8s_get", kind=object())
    assert gateway.asked == []
