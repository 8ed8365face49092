"""The flagship through the gate: proposed, approved, applied once, measured; and its second ending."""

from pathlib import Path

import pytest

from skyflo_runbooks.gateway import ledger
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.verdict import Judgement
from tests.gateway.world import OPERATOR, World, checks, world


async def judged(gate: World, id_: str) -> Judgement:
    """Wait for the recorded verdict over one proposal."""
    task = Task(step="recovered", changes=(id_,), checks=(), runbook="rb-test", run="run-1")
    for _ in range(60):
        judgement, final = await gate.gateway.verify(task, ("raise_memory",), 1.0)
        if final:
            return judgement
    pytest.fail("no verdict came within its time: look at what the verifier observes")


async def test_an_approved_change_is_applied_once_and_verified(tmp_path: Path) -> None:
    """512Mi is enough: applied once, VERIFIED, and the record names operator, approval and verdict in order."""
    async with world(tmp_path) as gate:
        row = await gate.propose(checks=checks())
        assert row.state == "proposed"
        assert "-            memory: 256Mi\n+            memory: 512Mi" in row.proposal.diff
        assert await gate.limit() == "256Mi"
        done = await gate.approve(row)
        assert (done.state, await gate.limit(), gate.writes()) == ("executed", "512Mi", 1)
        verdict = await judged(gate, row.proposal.id)
        assert verdict.verdict == "VERIFIED", verdict
        assert any("340Mi of 512Mi" in outcome.observed for outcome in verdict.checks)
        kinds = [entry.kind for entry in gate.gateway.store.entries()]
        told = [kind for kind in kinds if kind in ("proposed", "approve", "dispatch", "sending", "succeed", "verdict")]
        assert told == ["proposed", "approve", "dispatch", "sending", "succeed", "verdict"]
        assert ledger.verify(gate.gateway.store.entries()) == len(kinds)


async def test_a_value_that_is_too_small_fails_with_evidence_and_leads_back(tmp_path: Path) -> None:
    """300Mi is not enough: FAILED with the kill as evidence; the way back restores 256Mi after its own approval."""
    async with world(tmp_path) as gate:
        first = await gate.propose(checks=checks())
        row = await gate.gateway.modify(first.proposal.id, {"limits.memory": "300Mi"}, OPERATOR)
        assert gate.gateway.store.get(first.proposal.id).state == "superseded"
        assert (await gate.approve(row)).state == "executed"
        verdict = await judged(gate, row.proposal.id)
        assert verdict.verdict == "FAILED", verdict
        assert any("OOMKilled" in line for outcome in verdict.checks for line in outcome.evidence)
        back = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert (back.state, await gate.limit()) == ("proposed", "300Mi")
        assert (await gate.approve(back)).state == "executed"
        assert await gate.limit() == "256Mi"
        assert gate.gateway.store.get(row.proposal.id).state == "rolled_back"
