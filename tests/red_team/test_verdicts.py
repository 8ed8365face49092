"""Promise 3 attacked from a cell: get VERIFIED recorded for a change by other checks than its card showed."""

import msgspec
import pytest

from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model import check
from skyflo_runbooks.model.errors import BadInput
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.house import House

NAME = ("Deployment", "payment-service")
WEAK = (check.field_equals(*NAME, namespace="checkout", path="/spec/replicas", value=3),)
STRONG = (check.field_equals(*NAME, namespace="checkout", path="/spec/replicas", value=4),)


async def applied(gate: Gated) -> Row:
    """Return a change that was applied and whose card showed a check that does not hold."""
    row = await gate.propose(checks=STRONG)
    done = await gate.approve(row)
    assert done.state == "executed"
    return done


def task(*changes: str, step: str = "recovered", run: str = "run-1") -> Task:
    """Return what a hostile cell asks to be judged: a check that always holds."""
    return Task(step=step, changes=changes, checks=WEAK, within="5s", runbook="rb-test", run=run)


def verified(gate: Gated, id_: str) -> list[str]:
    """Return the steps by which the ledger says that a change is VERIFIED."""
    told = [entry.body for entry in gate.gateway.store.entries() if entry.kind == "verdict"]
    return [body["step"] for body in told if body["verdict"] == "VERIFIED" and id_ in body["changes"]]


async def test_another_step_does_not_verify_the_change_by_its_own_checks(house: House) -> None:
    """A cell invents a step with a check that always holds: the card's checks are judged besides."""
    async with house.world() as gate:
        row = await applied(gate)
        judgement, _ = await gate.gateway.verify(task(row.proposal.id, step="also_fine"), (), 20)
        assert judgement.verdict != "VERIFIED"
        assert verified(gate, row.proposal.id) == []


async def test_a_harmless_change_beside_it_does_not_bring_its_checks(house: House) -> None:
    """A change that is in place already carries the weak checks, and is named first."""
    async with house.world() as gate:
        row = await applied(gate)
        scale = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "replicas": 3}
        harmless = await gate.propose("k8s_scale", scale, step="nothing", checks=WEAK)
        assert harmless.state == "in_place"
        await gate.gateway.verify(task(harmless.proposal.id), (), 5)
        judgement, _ = await gate.gateway.verify(task(harmless.proposal.id, row.proposal.id), (), 20)
        assert judgement.verdict != "VERIFIED"
        assert verified(gate, row.proposal.id) == []


async def test_a_verdict_cannot_be_recorded_under_another_ones_key(house: House) -> None:
    """A step without changes in a run that is called like the proposal is not the proposal's verdict."""
    async with house.world() as gate:
        row = await gate.propose(checks=STRONG)
        before, final = await gate.gateway.verify(task(run=row.proposal.id), (), 20)
        assert (before.verdict, before.changes, final) == ("VERIFIED", (), True)
        await gate.approve(row)
        judgement, _ = await gate.gateway.verify(task(row.proposal.id), (), 20)
        assert judgement.verdict == "FAILED"
        assert verified(gate, row.proposal.id) == []


@pytest.mark.parametrize(("one", "other"), [(("a/b", "c"), ("a", "b/c")), (("a", "b"), ("a/b", ""))])
def test_names_with_separators_are_no_other_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Runbook and step come from the cell."""
    keys = [Task(runbook=runbook, step=step, changes=("x",), checks=()).key for runbook, step in (one, other)]
    assert keys[0] != keys[1]


async def test_checks_that_come_after_the_decision_are_not_attached(house: House) -> None:
    """They would stand on the receipt as if the card had shown them."""
    async with house.world() as gate:
        row = await gate.propose()
        await gate.approve(row)
        await gate.gateway.verify(task(row.proposal.id), ("raise_memory",), 20)
        assert gate.gateway.store.get(row.proposal.id).proposal.verification is None


async def test_checks_cannot_be_exchanged_once_attached(house: House) -> None:
    """The first cell's checks stay; asking again with weaker ones while it waits changes nothing."""
    async with house.world() as gate:
        row = await gate.propose(checks=STRONG)
        await gate.gateway.verify(task(row.proposal.id), ("raise_memory",), 0.1)
        kept = gate.gateway.store.get(row.proposal.id).proposal.verification
        assert kept is not None
        assert kept.checks == STRONG


async def test_what_was_never_executed_is_not_verified(house: House) -> None:
    """Rejected, voided or unknown to everybody: whatever the checks say."""
    async with house.world() as gate:
        row = await gate.propose(checks=WEAK)
        await gate.gateway.decide(row.proposal.id, gate.ballot(row, "reject", "no"), OPERATOR)
        judgement, final = await gate.gateway.verify(task(row.proposal.id), (), 20)
        assert (judgement.verdict, final) == ("INCONCLUSIVE", True)
        with pytest.raises(BadInput, match="no proposal"):
            await gate.gateway.verify(task("ap-zzzzzz"), (), 5)


async def test_a_step_without_checks_is_inconclusive(house: House) -> None:
    """An empty list holds trivially, and proves nothing."""
    async with house.world() as gate:
        empty = msgspec.structs.replace(task(), checks=())
        judgement, _ = await gate.gateway.verify(empty, (), 20)
        assert judgement.verdict == "INCONCLUSIVE"


async def test_a_runbooks_checks_are_not_exchanged_under_its_digest(practice_house: House) -> None:
    """A cell registers the runbook that `new` made again, with a check that always holds."""
    async with practice_house.running() as service:
        found = await service.new()
        kept = service.desk.gateway.runbook(found["id"]) or {}
        steps = [{**s, "checks": msgspec.to_builtins(WEAK)} if s["kind"] == "verify" else s for s in kept["steps"]]
        async with service.client(service.kernel) as client:
            body = {"digest": kept["digest"], "steps": steps, "generator": "rules"}
            await client.put(f"/api/v1/runbooks/{found['id']}", json=body)
        values = {p["name"]: p["default"] for p in found["plan"]["parameters"]}
        view = await service.propose(runbook=found["id"], run="run-1", parameters=values)
        names = [one["name"] for one in view["verification"]["checks"]]
        assert "rollout_complete" in names


async def test_a_session_of_resolve_is_not_rewritten(practice_house: House) -> None:
    """What a session found lies under an id that a cell may not register."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        answer = await client.put("/api/v1/runbooks/rb-rs-0123456789", json={"digest": "sha256:x", "steps": []})
        assert answer.status_code == 409
        assert service.desk.gateway.runbook("rb-rs-0123456789") is None
