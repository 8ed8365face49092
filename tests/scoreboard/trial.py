"""One trial: the diagnosis of a staged case, its plan, the plan's change through the gateway, and what came of it.

Rules:
  1. The change goes the way that every change goes: proposed, signed by an operator, executed, judged. The verdict is
     the gateway's own.
  2. Before it is approved the plan's checks are judged once: a check that passes on what is broken proves nothing.
  3. What the approval changed in the cluster is compared with everything that there is; the oracle then looks until
     what it wants has held for a while, or its time is over.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import httpx
import msgspec
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, bind, bind_check, defaults
from skyflo_runbooks.model.proposal import Origin, Verification
from skyflo_runbooks.planning import plan
from tests.faults.staging import Case, until
from tests.gateway.world import KERNEL, Gated
from tests.planning.staged import dry_run_on
from tests.planning.tries import prose_of
from tests.scoreboard import mutate, oracles, state
from tests.scoreboard.result import Said, Trial
from tests.scoreboard.vary import Varied

SETTLE = "8s"  # the window in which nothing may go wrong; a plan's own is minutes
WITHIN = "200s"
_ORACLE = 210.0
_BEFORE = "4s"


@dataclass(frozen=True)
class Bench:
    """What all trials of one control plane share."""

    cluster: Cluster
    gated: Gated
    client: httpx.Client
    paths: list[str]
    one_at_a_time: asyncio.Lock


@dataclass(frozen=True)
class Looked:
    """A case's trial so far, with what its diagnosis saw."""

    case: Case
    trial: Trial
    snapshot: Snapshot
    diagnosis: Diagnosis
    noise: frozenset[str]


def incident(case: Case) -> Incident:
    """Return what the operator says."""
    return Incident(case.words, (case.namespace,))


async def look(cluster: Cluster, varied: Varied, expected: tuple[str, ...], within: float = 100) -> Looked:
    """Diagnose until what is expected is all that is found, or the time is over; the last look counts."""
    case = varied.case
    wanted = set(expected)

    def right(found: Diagnosis) -> bool:
        return {f"{one.fault} {one.object}" for one in found.findings} == wanted and not found.unknown

    seen: list[Snapshot] = []

    async def once() -> Diagnosis:
        seen.append(await take(cluster, [case.namespace]))
        return diagnose(seen[-1], incident(case))

    found = await until(once, right, within)
    said = tuple(
        Said(one.fault, str(one.object), one.confidence, f"{one.fault} {one.object}" in wanted)
        for one in found.findings
    )
    looked_at = msgspec.structs.replace(broken(varied, expected, ""), said=said, unknown=found.unknown)
    return Looked(case, looked_at, seen[-1], found, varied.noise)


def broken(varied: Varied, expected: tuple[str, ...], why: str) -> Trial:
    """Return the trial of a case of which nothing was said yet, or never because it broke."""
    case = varied.case
    return Trial(
        fault=case.fault, case=case.namespace, drawn=varied.drawn, expected=expected, wanted=case.repair, broke=why
    )


async def timed(bench: Bench, looked: Looked) -> None:
    """Measure one warm diagnosis with its plan, seconds of wall clock."""
    began = time.perf_counter()
    snapshot = await take(bench.cluster, [looked.case.namespace])
    said = incident(looked.case)
    await plan(diagnose(snapshot, said), said, snapshot, dry_run_on(bench.cluster))
    looked.trial.seconds = time.perf_counter() - began


def shake(looked: Looked) -> None:
    """Take the evidence away, and add noise; pure, over the snapshot that was diagnosed."""
    said, trial = incident(looked.case), looked.trial
    if looked.diagnosis.findings:
        first = looked.diagnosis.findings[0]
        trial.grounded = mutate.rests_on_its_evidence(looked.snapshot, said, first)
    trial.unmoved = mutate.unmoved_by_noise(looked.snapshot, said)


async def repair(bench: Bench, looked: Looked) -> None:
    """Plan, and where the plan holds a change see it through to its verdict and the oracle's."""
    case, trial = looked.case, looked.trial
    snapshot = await take(bench.cluster, [case.namespace])
    found = diagnose(snapshot, incident(case))
    made = await plan(found, incident(case), snapshot, dry_run_on(bench.cluster)) if found.findings else None
    changes = [step for step in made.steps if isinstance(step, ChangeStep)] if made else []
    if made is None or not changes:
        trial.planned = "advice" if made is not None and "Advice" in prose_of(made) else "none"
        return
    trial.planned, trial.tool = "change", changes[0].tool
    if case.repair == "planned":
        return
    checks = checks_of(made)
    trial.bites = await bites(bench, case, checks)
    changed, ids = await approved(bench, case, changes, made, checks)
    if len(ids) < len(changes):
        trial.durable, trial.why_not = False, "the gateway did not execute it"
        return
    asked = asyncio.create_task(judged(bench, case, ids, checks))
    look, oracle = oracles.Look(bench.client, case), oracles.oracle(case.fault)
    why = await asyncio.to_thread(steadily, look)
    trial.verdict, trial.reasons = await asked
    trial.strange = tuple(oracle.strange(case, changed))
    trial.why_not = why
    trial.durable = not why and not trial.strange
    trial.honest = trial.verdict == await asyncio.to_thread(oracle.honest, look, why)


def checks_of(made: Plan) -> tuple[Check, ...]:
    """Return the plan's checks with its values, the window shortened."""
    values = {**defaults(made), "settle": SETTLE}
    steps = [step for step in made.steps if isinstance(step, VerifyStep)]
    return tuple(bind_check(check, values) for step in steps for check in step.checks)


async def bites(bench: Bench, case: Case, checks: tuple[Check, ...]) -> bool:
    """Return whether the checks do not pass while nothing is repaired yet."""
    task = Task("before", (), checks, _BEFORE, f"rb-{case.namespace}", "before")
    judgement = await bench.gated.gateway.verifier.start(task)
    return judgement.verdict != "VERIFIED"


async def approved(
    bench: Bench, case: Case, changes: list[ChangeStep], made: Plan, checks: tuple[Check, ...]
) -> tuple[list[str], tuple[str, ...]]:
    """Propose, sign and execute the changes; return what they changed in the whole cluster, and whose were executed."""
    gated, ids = bench.gated, []
    verification = Verification("recovered", checks, within=WITHIN, after=tuple(change.id for change in changes))
    async with bench.one_at_a_time:
        before = await asyncio.to_thread(state.read, bench.client, bench.paths)
        try:
            for change in changes:
                arguments = bind(change.arguments, {**defaults(made), "settle": SETTLE})
                assert isinstance(arguments, dict)  # the arguments of a tool are an object
                origin = Origin(requester=str(KERNEL), runbook=f"rb-{case.namespace}", step=change.id, run="run-1")
                row = await gated.gateway.propose(Wish(change.tool, dict(arguments), origin, change.why, verification))
                done = await gated.approve(row)
                ids += [row.proposal.id] if done.state == "executed" else []
        except SkyfloError as error:
            return [error.message], tuple(ids)
        after = await asyncio.to_thread(state.read, bench.client, bench.paths)
    return state.differences(before, after), tuple(ids)


async def judged(
    bench: Bench, case: Case, ids: tuple[str, ...], checks: tuple[Check, ...]
) -> tuple[str, tuple[str, ...]]:
    """Return the gateway's own verdict on the executed changes, and what kept it from VERIFIED."""
    task = Task("recovered", ids, checks, WITHIN, f"rb-{case.namespace}", "run-1")
    judgement, final = await bench.gated.gateway.verify(task, (), 300)
    return (judgement.verdict, judgement.reasons) if final else ("none in time", ())


def steadily(look: oracles.Look) -> str:
    """Return why the oracle's conditions did not hold for a while within the time; empty where they did."""
    oracle, until_ = oracles.oracle(look.case.fault), time.monotonic() + _ORACLE
    since, restarts, why = None, 0, "not looked yet"
    while time.monotonic() < until_:
        why = oracle.why_not(look)
        now, seen = time.monotonic(), oracles.restarts(look)
        if why or seen != restarts:
            since, restarts = None if why else now, seen
            why = why or "something restarted"
        elif since is None:
            since = now
        elif now - since >= oracles.STEADY:
            return ""
        time.sleep(1.0)
    return why


__all__ = ["Bench", "Looked", "look", "repair", "shake", "timed"]
