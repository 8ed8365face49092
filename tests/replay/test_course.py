"""What a cell came to follows from the gateway, not from the cell: each way a change can end, without a kernel."""

import itertools

import pytest
from skyflo_kernel.gateway import Gateway

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook import render
from skyflo_runbooks.notebook.cell import Classified
from skyflo_runbooks.replay.course import GRACE, Course, Options, how_far
from tests.kernel.fake_gateway import FakeGateway

CHANGE = Classified("change", "raise_memory")
VERIFY = Classified("verify", "recovered", ("raise_memory",))
OTHER = Classified("change", "other")


def course(
    *, wait: float = 0.0, said: list[str] | None = None, replay: bool = False, tick: float = GRACE - 0.1
) -> Course:
    """A course whose clock moves by `tick` each time that it is read; by default it asks again once, and briefly."""
    ticks = itertools.count(step=tick)
    lines = said if said is not None else []
    made = Course(Options("run-1", wait, replay), Gateway(), lines.append, clock=lambda: float(next(ticks)))
    made.expect("c", CHANGE)
    made.expect("v", VERIFY)
    return made


def propose(gateway: FakeGateway, step: str = "raise_memory") -> list[Json]:
    """Make a proposal as the kernel does, and return the outputs of its cell."""
    view = Gateway().propose({"tool": "k8s_set_resources", "step": step, "why": "", "run": "run-1"})
    return [{"output_type": "display_data", "data": dict(render.change_bundle(view)), "metadata": {}}]


@pytest.mark.parametrize(
    ("state", "status", "reached"),
    [
        ("proposed", "awaiting_approval", False),
        ("rejected", "rejected", False),
        ("expired", "expired", False),
        ("void", "rejected", False),
        ("superseded", "rejected", False),
        ("executed", "passed", True),
        ("in_place", "in_place", True),
        ("failed", "failed", True),
        ("unknown", "inconclusive", True),
        ("rolled_back", "inconclusive", True),
    ],
)
def test_each_state_of_a_proposal(gateway: FakeGateway, state: str, status: str, reached: bool) -> None:
    """The status by the proposal's state, and whether its verify step is still reached."""
    outputs = propose(gateway)
    gateway.proposals["ap-000000"]["state"] = state
    made = course()
    made.finish("c", CHANGE, outputs)
    assert made.cells["c"].status == status
    assert made.reaches(VERIFY) is reached
    assert made.reaches(OTHER) is (status in ("passed", "in_place"))
    assert made.proposals[0].state == state


def test_a_modified_proposal_is_followed(gateway: FakeGateway) -> None:
    """The run ends with the proposal that replaced the first one."""
    outputs = propose(gateway)
    gateway.decide("ap-000000", "superseded", superseded_by="ap-000009")
    gateway.proposals["ap-000009"] = {**gateway.proposals["ap-000000"], "id": "ap-000009", "state": "executed"}
    made = course()
    made.finish("c", CHANGE, outputs)
    assert (made.proposals[0].id, made.cells["c"].status) == ("ap-000009", "passed")


def test_an_approved_change_is_waited_for_even_without_wait(gateway: FakeGateway) -> None:
    """It is applied within seconds; a run does not call that waiting for a decision. The wait has a bound."""
    outputs = propose(gateway)
    gateway.decide("ap-000000", "approved")
    made = course()
    made.finish("c", CHANGE, outputs)
    asked = [path for method, path, _ in gateway.asked if method == "GET" and path.endswith("ap-000000")]
    assert len(asked) == 2
    assert made.cells["c"].status == "awaiting_approval"


def test_who_waits_says_where_to_decide_once(gateway: FakeGateway) -> None:
    """One line with the page and the command, not one per round."""
    outputs = propose(gateway)
    said: list[str] = []
    made = course(wait=0.32, said=said, tick=0.1)
    made.finish("c", CHANGE, outputs)
    assert len([path for method, path, _ in gateway.asked if method == "GET"]) == 4
    assert len(said) == 1
    assert "skyflo-runbooks approve ap-000000" in said[0]
    assert "/proposals/ap-000000" in said[0]


def test_who_waits_hears_how_far_a_drain_is(gateway: FakeGateway) -> None:
    """What is done, and what the next one waits for, each once however often is asked."""
    outputs = propose(gateway)
    gateway.decide("ap-000000", "executing")
    waits = {"since": "now", "said": "Cannot evict pod", "left": 9}
    gateway.proposals["ap-000000"]["progress"] = {"done": 2, "of": 5, "waits": waits}
    said: list[str] = []
    made = course(wait=GRACE + 3, said=said, tick=GRACE / 3)
    made.finish("c", CHANGE, outputs)
    assert said == ["ap-000000: 2 of 5 requests are done", "ap-000000: the next one waits: Cannot evict pod"]


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (None, []),
        ({"done": 0, "of": 1, "waits": None}, []),
        ({"done": 0, "of": 3, "waits": None}, []),
        ({"done": 1, "of": 3, "waits": None}, ["ap-1: 1 of 3 requests are done"]),
        ({"done": 0, "of": 3, "waits": {"said": "a budget"}}, ["ap-1: the next one waits: a budget"]),
    ],
)
def test_how_far_a_change_is(progress: Json | None, said: list[str]) -> None:
    """Of one request there is nothing to tell, and of several that begin neither."""
    assert how_far({"id": "ap-1", "progress": progress}) == said


def test_the_decided_cards_output_is_the_receipt(gateway: FakeGateway) -> None:
    """What the file keeps is static, whether or not the kernel lived to replace it."""
    outputs = propose(gateway)
    assert "<iframe" in str(outputs[0]["data"]["text/html"])
    gateway.decide("ap-000000", "executed")
    course().finish("c", CHANGE, outputs)
    assert "<iframe" not in str(outputs[0]["data"]["text/html"])
    assert render.RECEIPT in outputs[0]["data"]


def test_a_change_that_names_no_proposal_stops_the_run(gateway: FakeGateway) -> None:
    """A cell whose output was taken away is an error, and nothing after it runs."""
    made = course()
    made.finish("c", CHANGE, [])
    assert made.cells["c"].status == "error"
    assert not made.reaches(VERIFY)


def test_a_gateway_that_went_away_leaves_it_unknown(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can say how the change ended it is inconclusive, and nothing after it runs."""
    outputs = propose(gateway)
    monkeypatch.setenv("SKYFLO_GATEWAY_URL", "http://127.0.0.1:9")
    made = course()
    made.finish("c", CHANGE, outputs)
    assert made.cells["c"].status == "inconclusive"
    assert not made.reaches(VERIFY)


@pytest.mark.parametrize("moved", ["verdict", "step", "changes", "hash", "seq"])
def test_a_verdict_counts_as_the_ledger_has_it(gateway: FakeGateway, moved: str) -> None:
    """VERIFIED with another step, other changes, hash or place than the ledger's is inconclusive."""
    body: Json = {"run": "run-9", "verdict": "VERIFIED", "step": "recovered", "changes": ["ap-000000"]}
    entry = gateway.add("verdict", {**body, "verdict": "FAILED"} if moved == "verdict" else body)
    judgement = {**body, "ledger": {"seq": entry["seq"], "hash": entry["hash"]}}
    true, forged = course(), course()
    if moved in ("step", "changes"):
        forged_judgement = {**judgement, moved: "other"}
    elif moved == "verdict":
        forged_judgement = judgement
    else:
        forged_judgement = {**judgement, "ledger": {**judgement["ledger"], moved: 7}}
    forged.finish("v", VERIFY, [{"data": {render.VERDICT: forged_judgement}}])
    assert forged.cells["v"].status == "inconclusive"
    assert forged.verdicts[0]["verdict"] == "INCONCLUSIVE"
    if moved != "verdict":
        true.finish("v", VERIFY, [{"data": {render.VERDICT: judgement}}])
        assert true.cells["v"].status == "passed"


def test_a_verify_without_a_verdict_is_not_passed(gateway: FakeGateway) -> None:
    """No verdict is inconclusive; in a replay it was not measured."""
    made, rehearsed = course(), course(replay=True)
    made.finish("v", VERIFY, [])
    rehearsed.finish("v", VERIFY, [])
    assert (made.cells["v"].status, rehearsed.cells["v"].status) == ("inconclusive", "skipped")


def test_a_read_that_is_not_known_is_recorded(gateway: FakeGateway) -> None:
    """One read of a gather that failed makes the cell inconclusive, with its reason."""
    made = course()
    read = Classified("read", "state", (), True)
    made.expect("r", read)
    outputs = [
        {"data": render.gather_bundle("state", {"a": ("t", "forbidden", ""), "b": ("t", {}, "")}, unknown={"a"})}
    ]
    made.finish("r", read, outputs)
    assert (made.cells["r"].status, made.cells["r"].reason) == ("inconclusive", "forbidden")


def test_the_record_begins_by_claiming_nothing() -> None:
    """Before anything runs every cell is not reached, and the run is not read_only or verified."""
    record = course().record()
    assert {cell["status"] for cell in record["cells"].values()} == {"not_reached"}
    assert record["status"] == "inconclusive"
