"""Promise 3 attacked from a cell: get VERIFIED recorded for a change by other checks than its card showed."""

import msgspec
import pytest

from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model import check
from skyflo_runbooks.model.errors import BadInput
from tests.gateway.world import OPERATOR, Gated
from tests.red_team.house import House
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

NAME = ("Deployment", "payment-service")
WEAK = (check.field_equals(*NAME, namespace="checkout", path="/spec/replicas", value=3),)
STRONG = (check.field_equals(*NAME, namespace="checkout", path="/spec/replicas", value=4),)


async def applied(world: Gated) -> Row:
    """Return a change that was applied and whose card showed a check that does not hold."""
    row = await world.propose(checks=STRONG)
    done = await world.approve(row)
    assert done.state == "executed"
    return done


def task(*changes: str, step: str = "recovered", run: str = "run-1") -> Task:
    """Return what a hostile cell asks to be judged: a check that always holds."""
    return Task(step=step, changes=changes, checks=WEAK, within="5s", runbook="rb-test", run=run)


def verified(world: Gated, id_: str) -> list[str]:
    """Return the steps by which the ledger says that a change is VERIFIED."""
    told = [entry.body for entry in world.gateway.store.entries() if entry.kind == "verdict"]
    return [body["step"] for body in told if body["verdict"] == "VERIFIED" and id_ in body["changes"]]


@against(ATTACKS["own-checks"])
async def test_another_step_with_checks_of_its_own(house: House, gate: Gate) -> None:
    """A cell invents a step with a check that always holds: the card's checks are judged besides."""
    async with house.world() as here:
        row = await applied(here)
        judgement, _ = await here.gateway.verify(task(row.proposal.id, step="also_fine"), (), 20)
        gate.bites(judgement.verdict == "VERIFIED" and verified(here, row.proposal.id) == ["also_fine"])
        if not gate.weakened:
            assert verified(here, row.proposal.id) == []


@against(ATTACKS["own-checks"])
async def test_a_harmless_change_beside_it_that_brings_its_checks(house: House, gate: Gate) -> None:
    """A change that is in place already carries the weak checks, and is named first."""
    async with house.world() as here:
        row = await applied(here)
        scale = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "replicas": 3}
        harmless = await here.propose("k8s_scale", scale, step="nothing", checks=WEAK)
        assert harmless.state == "in_place"
        await here.gateway.verify(task(harmless.proposal.id), (), 5)
        judgement, _ = await here.gateway.verify(task(harmless.proposal.id, row.proposal.id), (), 20)
        gate.bites(judgement.verdict == "VERIFIED" and bool(verified(here, row.proposal.id)))
        if not gate.weakened:
            assert verified(here, row.proposal.id) == []


@against(ATTACKS["verdict-of-another"])
async def test_a_verdict_under_another_ones_key(house: House, gate: Gate) -> None:
    """A step without changes in a run that is called like the proposal is not the proposal's verdict."""
    async with house.world() as here:
        row = await here.propose(checks=STRONG)
        before, final = await here.gateway.verify(task(run=row.proposal.id), (), 20)
        assert (before.verdict, before.changes, final) == ("VERIFIED", (), True)
        await here.approve(row)
        judgement, _ = await here.gateway.verify(task(row.proposal.id), (), 20)
        gate.bites(judgement.verdict == "VERIFIED")
        if not gate.weakened:
            assert (judgement.verdict, verified(here, row.proposal.id)) == ("FAILED", [])


@pytest.mark.parametrize(("one", "other"), [(("a/b", "c"), ("a", "b/c")), (("a", "b"), ("a/b", ""))])
def test_names_with_separators_are_no_other_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Runbook and step come from the cell."""
    keys = [Task(runbook=runbook, step=step, changes=("x",), checks=()).key for runbook, step in (one, other)]
    assert keys[0] != keys[1]


@against(ATTACKS["checks-exchanged"])
async def test_checks_that_come_after_the_decision(house: House, gate: Gate) -> None:
    """They would stand on the receipt as if the card had shown them."""
    async with house.world() as here:
        row = await here.propose()
        await here.approve(row)
        await here.gateway.verify(task(row.proposal.id), ("raise_memory",), 20)
        gate.bites(here.gateway.store.get(row.proposal.id).proposal.verification is not None)


@against(ATTACKS["checks-exchanged"])
async def test_other_checks_once_some_are_attached(house: House, gate: Gate) -> None:
    """The first cell's checks stay; asking again with weaker ones while it waits changes nothing."""
    async with house.world() as here:
        row = await here.propose(checks=STRONG)
        await here.gateway.verify(task(row.proposal.id), ("raise_memory",), 0.1)
        kept = here.gateway.store.get(row.proposal.id).proposal.verification
        assert kept is not None
        gate.bites(kept.checks != STRONG)


@against(ATTACKS["verified-undone"])
async def test_what_was_never_executed(house: House, gate: Gate) -> None:
    """Rejected, or unknown to everybody: whatever the checks say."""
    async with house.world() as here:
        row = await here.propose(checks=WEAK)
        await here.gateway.decide(row.proposal.id, here.ballot(row, "reject", "no"), OPERATOR)
        judgement, final = await here.gateway.verify(task(row.proposal.id), (), 20)
        gate.bites(judgement.verdict == "VERIFIED")
        assert final
        with pytest.raises(BadInput, match="no proposal"):
            await here.gateway.verify(task("ap-zzzzzz"), (), 5)


async def test_a_step_without_checks_is_inconclusive(house: House) -> None:
    """An empty list holds trivially, and proves nothing."""
    async with house.world() as here:
        empty = msgspec.structs.replace(task(), checks=())
        judgement, _ = await here.gateway.verify(empty, (), 20)
        assert judgement.verdict == "INCONCLUSIVE"


@against(ATTACKS["runbook-exchanged"])
async def test_a_runbooks_checks_exchanged_under_its_digest(practice_house: House, gate: Gate) -> None:
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
        gate.bites("rollout_complete" not in names, names)


async def test_a_session_of_resolve_is_not_rewritten(practice_house: House) -> None:
    """What a session found lies under an id that a cell may not register."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        answer = await client.put("/api/v1/runbooks/rb-rs-0123456789", json={"digest": "sha256:x", "steps": []})
        assert answer.status_code == 409
        assert service.desk.gateway.runbook("rb-rs-0123456789") is None
