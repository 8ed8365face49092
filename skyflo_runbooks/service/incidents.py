"""From an incident's words to a runbook: investigate, plan, read the evidence, compile.

Nothing here decides or changes anything; every change of a plan is rehearsed on the server before it stands in it.
"""

import asyncio
import time

import msgspec

from skyflo_runbooks.diagnosis.diagnose import located
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.investigate import investigate
from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.store import rfc3339
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident, read_text
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import check_namespace
from skyflo_runbooks.model.plan import (
    GatherStep,
    Plan,
    ProseStep,
    ReadCall,
    ReadStep,
    Target,
    bind,
    defaults,
)
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.notebook.compile import Observed, compile_plan
from skyflo_runbooks.planning.curated.offer import Offer, offers
from skyflo_runbooks.planning.drawing import drawing
from skyflo_runbooks.planning.planner import plan as make_plan
from skyflo_runbooks.planning.way import DryRun
from skyflo_runbooks.service.desk import Desk


class Case(msgspec.Struct, frozen=True):
    """What came of an incident: the diagnosis, the plan, the notebook where there is one, curated ones that fit."""

    diagnosis: Diagnosis
    plan: Plan | None
    notebook: Json | None
    elapsed_ms: float
    offers: tuple[Offer, ...] = ()


async def open_case(desk: Desk, *, text: str, namespaces: tuple[str, ...], who: Identity, always: bool) -> Case:
    """Diagnose an incident and write its runbook."""
    started = time.monotonic()
    words = read_text(text)
    incident = Incident(words, tuple(check_namespace(name) for name in namespaces), rfc3339(desk.gateway.store.now()))
    snapshot, found = await investigate(desk.reader, incident)
    target = Target(cluster=await desk.reader.uid(), context=desk.reader.context)
    plan = await make_plan(
        found, incident, snapshot, DryRunOn(desk, who), target=target, probe=ProbeOn(desk), insist=always
    )
    plan = None if plan is None else _masked(desk, plan)
    graph = desk.gateway.redactor.text(drawing(snapshot, found.findings[0])) if found.findings else ""
    notebook = None if plan is None else await _compile(desk, plan, graph, who)
    elapsed = round((time.monotonic() - started) * 1000, 1)
    masked = msgspec.convert(desk.gateway.redactor.mask(msgspec.to_builtins(found)), Diagnosis)
    fits = offers(masked, incident, plan, located(Graph(snapshot), incident).objects)
    case = Case(masked, plan, notebook, elapsed, fits)
    if plan is not None and notebook is not None:
        desk.gateway.register(plan.id, registration(plan, notebook))
    desk.gateway.store.record("incident", desk.gateway.redactor.mask(_told(incident, case, who)))
    return case


async def take_snapshot(desk: Desk, *, text: str, namespaces: tuple[str, ...], who: Identity) -> Snapshot:
    """Return what the diagnosis of an incident reads, with every secret in it masked."""
    incident = Incident(read_text(text), tuple(check_namespace(name) for name in namespaces))
    snapshot, _ = await investigate(desk.reader, incident)
    masked = desk.gateway.redactor.mask(msgspec.to_builtins(snapshot))
    desk.gateway.store.record("snapshot", {"requester": str(who), "namespaces": list(snapshot.namespaces)})
    return msgspec.convert(masked, Snapshot)


def registration(plan: Plan, notebook: Json) -> Json:
    """Return what the gateway keeps of a runbook: its digest and its steps."""
    steps = [msgspec.to_builtins(step) for step in plan.steps if not isinstance(step, ProseStep)]
    return {"digest": notebook["metadata"]["skyflo"]["digest"], "generator": plan.generator, "steps": steps}


class DryRunOn:
    """Rehearses a change for the planner."""

    def __init__(self, desk: Desk, who: Identity) -> None:
        self._desk = desk
        self._who = who

    async def __call__(self, tool: str, arguments: Json) -> DryRun:
        """Return what the server says to it."""
        try:
            said = await self._desk.gateway.proposer.rehearse(Wish(tool, arguments, Origin(requester=str(self._who))))
        except SkyfloError as error:
            return DryRun(ok=False, message=error.message)
        return DryRun(ok=said.would != "not_applicable", message=said.message, in_place=said.would == "in_place")


class ProbeOn:
    """GETs a path of a Service for the planner."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, namespace: str, service: str, path: str) -> int | None:
        """Return the status that the service answered, or None where that is not known."""
        try:
            answer = await self._desk.reader.proxy_get(namespace, service, path, timeout=3.0)
        except SkyfloError:
            return None
        return answer.status if answer.by == "service" else None


def _masked(desk: Desk, plan: Plan) -> Plan:
    """Return the plan with secrets in what it quotes masked; a marked value is resolved by the gateway alone."""
    return msgspec.convert(desk.gateway.redactor.mask(msgspec.to_builtins(plan)), Plan)


async def _compile(desk: Desk, plan: Plan, graph: str, who: Identity) -> Json:
    reads = [step for step in plan.steps if isinstance(step, ReadStep | GatherStep)]
    answers = await asyncio.gather(*(_observe(desk, step, plan, who) for step in reads))
    observed = {step.id: seen for step, seen in zip(reads, answers, strict=True) if seen is not None}
    return compile_plan(plan, observed=observed, graph=graph)


async def _observe(desk: Desk, step: ReadStep | GatherStep, plan: Plan, who: Identity) -> Observed | None:
    """Return what a step reads now; None where the read is refused, so that no output pretends to be one."""
    calls = {step.id: ReadCall(step.tool, step.arguments)} if isinstance(step, ReadStep) else step.reads
    values = defaults(plan)
    try:
        answers = await asyncio.gather(
            *(desk.gate.read(call.tool, _bound(call.arguments, values), who) for call in calls.values())
        )
    except SkyfloError:
        return None
    if isinstance(step, ReadStep):
        return Observed(answers[0].at, answers[0].result)
    return Observed(answers[0].at, {name: answer.result for name, answer in zip(calls, answers, strict=True)})


def _bound(arguments: Json, values: dict[str, str | int | float | bool]) -> Json:
    bound = bind(arguments, values)
    return bound if isinstance(bound, dict) else {}


def _told(incident: Incident, case: Case, who: Identity) -> Json:
    return {
        "text": incident.text,
        "namespaces": list(incident.namespaces),
        "requester": str(who),
        "runbook": case.plan.id if case.plan else "",
        "findings": [f"{finding.fault} {finding.object}" for finding in case.diagnosis.findings],
        "unknown": list(case.diagnosis.unknown),
    }
