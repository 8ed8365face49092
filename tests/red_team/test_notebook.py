"""The notebook: a cell, an output or a message that says something else than what a person approved."""

import asyncio
import os

import pytest
from skyflo_kernel.gateway import Gateway

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook import render
from skyflo_runbooks.notebook.cell import Classified
from skyflo_runbooks.replay.course import Course, Options
from tests.gateway.world import OPERATOR, RAISE
from tests.red_team.house import House, at_rest
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS
from tests.service.running import Served

CHANGE = Classified("change", "raise_memory")
VERIFY = Classified("verify", "recovered", ("raise_memory",))
# What other tools take for a yes.
SAYS_YES = (
    "SKYFLO_APPROVE",
    "SKYFLO_AUTO_APPROVE",
    "SKYFLO_APPROVED",
    "SKYFLO_YES",
    "SKYFLO_YOLO",
    "SKYFLO_POLICY",
    "SKYFLO_GATE",
    "AUTO_APPROVE",
    "YOLO",
    "CI",
)


@against(ATTACKS["cell-edited"])
async def test_a_cell_edited_after_its_approval(house: House, gate: Gate) -> None:
    """It said 512Mi when it was approved, and says 2Gi when it is run again, before the change was applied."""
    async with house.world() as here:
        row = await here.propose()
        here.record(row)
        edited = await here.propose(arguments={**RAISE, "limits": {"memory": "2Gi"}})
        gate.bites(edited.state != "proposed")
        await here.gateway._executor.resume(row.proposal.id)
        assert await here.limit() == "512Mi"


def course(service: Served, monkeypatch: pytest.MonkeyPatch) -> Course:
    """Return a run of a saved notebook, as `run` makes it, that reaches a change and a verify step."""
    monkeypatch.setenv("SKYFLO_GATEWAY_URL", service.url)
    monkeypatch.setenv("SKYFLO_KERNEL_TOKEN", service.kernel)
    made = Course(Options("run-1", 0.0, False), Gateway(), lambda line: None)
    made.expect("change", CHANGE)
    made.expect("verify", VERIFY)
    return made


@pytest.mark.parametrize("form", [render.RECEIPT, render.PROPOSAL], ids=["receipt", "card"])
@against(ATTACKS["output-forged"])
async def test_a_message_that_says_it_was_applied(
    house: House, gate: Gate, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a cell's output, its metadata, or a widget's message: under the id of a change that waits."""
    async with house.running() as service:
        view = await service.propose()
        said: Json = {**view, "state": "executed", "receipt": {"operator": "on-call"}, "approvers": ["on-call"]}
        output: Json = {"output_type": "display_data", "data": {form: said}, "metadata": {"skyflo": said}}
        run = course(service, monkeypatch)
        await asyncio.to_thread(run.finish, "change", CHANGE, [output])
        gate.bites(run.cells["change"].status == "passed", run.cells["change"])


@against(ATTACKS["verdict-forged"])
async def test_a_message_that_says_it_is_verified(house: House, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a place in the ledger, where something else stands."""
    async with house.running() as service:
        view = await service.propose()
        first = next(iter(service.desk.gateway.store.entries()))
        place = {"seq": first.seq, "hash": first.hash}
        said: Json = {"verdict": "VERIFIED", "step": "recovered", "changes": [view["id"]], "ledger": place}
        run = course(service, monkeypatch)
        await asyncio.to_thread(run.finish, "verify", VERIFY, [{"data": {render.VERDICT: said}}])
        gate.bites(run.cells["verify"].status == "passed", run.cells["verify"])


@against(ATTACKS["environment-approves"])
async def test_a_variable_that_would_approve(house: House, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under every name that one would try, before the gateway starts and while it runs."""
    for name in SAYS_YES:
        monkeypatch.setitem(os.environ, name, "1")
    async with house.world() as here:
        row = await here.propose()
        await at_rest(here.gateway, row.proposal.id)
        gate.bites(await here.limit() == "512Mi")


@against(ATTACKS["parameters-moved"])
async def test_what_is_stored_is_changed_after_the_approval(house: House, gate: Gate) -> None:
    """The arguments and requests that the card shows are read again at the dispatch, and say something else."""
    async with house.besieged() as (here, _):
        row = await here.propose("k8s_scale", {"kind": "Deployment", "namespace": "checkout",
                                               "name": "payment-service", "replicas": 2})  # fmt: skip
        await here.gateway.decide(row.proposal.id, here.ballot(row), OPERATOR)
        with here.gateway.store.transaction() as db:
            (content,) = db.execute("SELECT content FROM proposals WHERE id = ?", (row.proposal.id,)).fetchone()
            changed = content.replace(b'"value":2', b'"value":0').replace(b'"replicas":2', b'"replicas":0')
            assert changed != content
            db.execute("UPDATE proposals SET content = ? WHERE id = ?", (changed, row.proposal.id))
        await at_rest(here.gateway, row.proposal.id)
        gate.bites(await here.replicas() == 0)
