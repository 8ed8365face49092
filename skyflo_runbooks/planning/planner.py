"""`plan`: a diagnosis to the typed steps of a runbook.

Rules:
  1. The steps repair the first finding; the others are named.
  2. Every change of a plan passed a server-side dry run when the plan was made. A way that was refused is left out,
     and the plan says why. What a dry run shows to be in place already is no change either.
  3. The first way that passes is the change; the others that pass are alternatives, for a person to choose.
  4. Every change is followed by a verify step and a way back.
  5. Where somebody else writes the object that is changed, the plan says who will undo it, and where it lasts.
  6. Without a safe change the plan reads and advises. Without a finding there is no plan, unless it is insisted on:
     then it only reads.
"""

import asyncio
import hashlib

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.model.finding import Diagnosis, Finding, since
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import (
    Alternative,
    Parameter,
    Plan,
    ProseStep,
    RecordStep,
    RollbackStep,
    Step,
    Target,
    VerifyStep,
    bind,
)
from skyflo_runbooks.notebook.text import markdown
from skyflo_runbooks.planning.ordered import by_hand, made_anew
from skyflo_runbooks.planning.owned import undone_by
from skyflo_runbooks.planning.reads import evidence_reads, overview_reads
from skyflo_runbooks.planning.rules import REPAIRS
from skyflo_runbooks.planning.way import Case, DryRun, DryRunner, Probe, Repair, Way, advised
from skyflo_runbooks.planning.web import entrance

WITHIN = "10m"
VERIFY = "recovered"
_NO_CHANGE = "No safe change follows from the evidence, so this runbook changes nothing."
_UNTRIED = (
    "This was read from a file: there was no cluster to try a change on, so this runbook changes nothing. "
    "`skyflo-runbooks new` on the cluster itself writes one that does."
)


class Tried(msgspec.Struct, frozen=True):
    """A way, its complete arguments, and what the API server said to it."""

    way: Way
    arguments: Json
    answer: DryRun

    @property
    def usable(self) -> bool:
        """Whether it can stand in a plan."""
        return self.answer.ok and not self.answer.in_place


async def plan(
    diagnosis: Diagnosis,
    incident: Incident,
    snapshot: Snapshot,
    dry_run: DryRunner,
    *,
    target: Target = Target(),  # noqa: B008  (a frozen value)
    probe: Probe | None = None,
    insist: bool = False,
) -> Plan | None:
    """Return the plan for a diagnosis, or None where nothing was found (unless `insist`: then one that only reads).

    `dry_run` tries a change on the API server, `probe` GETs a path of a Service; both are the gateway's.
    """
    if not diagnosis.findings:
        return _reads_only(diagnosis, incident, snapshot, target) if insist else None
    graph = Graph(snapshot)
    finding = diagnosis.findings[0]
    case = Case(finding, graph, incident, await entrance(graph, finding, incident, probe))
    repair = _repair(case)
    tried = await asyncio.gather(*(_try(dry_run, finding, way) for way in repair.ways))
    usable = [item for item in tried if item.usable]
    chosen = usable[0].way if usable else None
    steps: list[Step] = [
        *_changes(diagnosis),
        *_notes(diagnosis),
        *evidence_reads(graph, finding),
        _reasons(case, diagnosis, repair, tried),
        *_change(case, chosen),
        RecordStep("record"),
    ]
    return Plan(
        id=identity(incident, snapshot, target),
        incident=incident,
        steps=tuple(steps),
        parameters=(_namespace(finding.namespace), *(chosen.parameters if chosen else ())),
        findings=diagnosis.findings,
        unknown=diagnosis.unknown,
        alternatives=tuple(_alternative(item) for item in usable[1:]),
        target=msgspec.structs.replace(target, namespaces=(finding.namespace,)),
        created=snapshot.time,
    )


def identity(incident: Incident, snapshot: Snapshot, target: Target) -> str:
    """Return the plan's id: the same for the same words, cluster and time."""
    said = "\n".join((incident.text, *incident.namespaces, snapshot.time, target.cluster))
    return f"rb-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _repair(case: Case) -> Repair:
    rule = REPAIRS.get(case.finding.fault)
    return rule(case) if rule else Repair(advice=advised(case))


def _parameters(finding: Finding, way: Way) -> dict[str, str | int | float | bool]:
    return {item.name: item.default for item in (_namespace(finding.namespace), *way.parameters)}


async def _try(dry_run: DryRunner, finding: Finding, way: Way) -> Tried:
    bound = bind(way.change.arguments, _parameters(finding, way))
    arguments: Json = bound if isinstance(bound, dict) else {}
    return Tried(way, arguments, await dry_run(way.change.tool, arguments))


def _alternative(tried: Tried) -> Alternative:
    return Alternative(tried.way.title, tried.way.change.tool, tried.arguments, tried.way.change.why)


def _namespace(name: str) -> Parameter:
    return Parameter("namespace", "str", name, "namespace that the incident concerns")


def _change(case: Case, way: Way | None) -> tuple[Step, ...]:
    if way is None:
        return ()
    changes = (way.change, *made_anew(case, way))
    verify = VerifyStep(VERIFY, way.checks, after=tuple(change.id for change in changes), within=WITHIN)
    return *changes, verify, RollbackStep(f"roll_back_{way.change.id}", way.change.id)


# Prose ----------------------------------------------------------------------------------------------------------------


def _changes(diagnosis: Diagnosis) -> tuple[Step, ...]:
    """Return the time line as a table, the begin of the symptom among what changed."""
    line = diagnosis.timeline
    if not line.changes:
        return ()
    rows = [(one.at, since(one.before), str(one.object), one.what, one.by) for one in line.changes]
    if line.began:
        ahead = sum(1 for one in line.changes if one.before is not None and one.before >= 0)
        rows.insert(ahead, (line.began, "began", "", line.symptom, ""))
    table = [f"| {' | '.join(markdown(cell) for cell in row)} |" for row in rows]
    head = ["| at | relative | object | what changed | by |", "| --- | --- | --- | --- | --- |"]
    more = [f"\n{line.more} older changes are left out."] if line.more else []
    return (ProseStep("changes", "\n".join(["## What changed around it\n", *head, *table, *more])),)


def _notes(diagnosis: Diagnosis) -> tuple[Step, ...]:
    if not diagnosis.notes:
        return ()
    return (ProseStep("notes", "**Noted:**\n\n" + _bullets(diagnosis.notes) + "\n\n## Evidence"),)


def _bullets(lines: tuple[str, ...] | list[str]) -> str:
    return "\n".join(f"- {markdown(line)}" for line in lines)


def _reasons(case: Case, diagnosis: Diagnosis, repair: Repair, tried: list[Tried]) -> ProseStep:
    usable = [item for item in tried if item.usable]
    parts: list[str] = []
    if usable:
        way = usable[0].way
        parts += ["## What will change, and why", f"**{markdown(way.title)}**", _bullets(way.reasons)]
        parts.append("The API server accepted it in a dry run when this runbook was written; nothing was changed.")
        parts += _listed("It does not last by itself", undone_by(case, way.change))
        parts += _listed("To do after it", list(by_hand(case, way.change)))
    else:
        untried = any(not item.answer.tried for item in tried)
        parts += ["## What to do", _UNTRIED if untried else _NO_CHANGE]
    parts += _listed("Other ways, which a person may choose instead", [item.way.title for item in usable[1:]])
    parts += _listed("Left out", [_left_out(item) for item in tried if not item.usable])
    parts += _listed("Beside it" if usable else "Advice", [text for text in repair.advice if text])
    others = [f"{item.fault}: {item.title}" for item in diagnosis.findings[1:]]
    parts += _listed("Not repaired by this runbook", others)
    return ProseStep("reasons", "\n\n".join(part for part in parts if part))


def _left_out(tried: Tried) -> str:
    if not tried.answer.tried:
        return f"{tried.way.title}: not tried"
    if tried.answer.ok:
        return f"{tried.way.title}: already in place"
    return f"{tried.way.title}: refused in the dry run: {tried.answer.message}"


def _listed(title: str, lines: list[str]) -> list[str]:
    return [f"**{title}:**\n\n{_bullets(lines)}"] if lines else []


def _reads_only(diagnosis: Diagnosis, incident: Incident, snapshot: Snapshot, target: Target) -> Plan:
    namespaces = incident.namespaces or snapshot.namespaces
    said = _listed("Unknown", list(diagnosis.unknown)) + _listed("Well", list(diagnosis.healthy))
    text = "\n\n".join(["## What was found", *(said or ["Nothing is wrong, as far as was looked."])])
    return Plan(
        id=identity(incident, snapshot, target),
        incident=incident,
        steps=(*_notes(diagnosis), *overview_reads(namespaces), ProseStep("found", text), RecordStep("record")),
        parameters=(_namespace(namespaces[0]),) if namespaces else (),
        unknown=diagnosis.unknown,
        target=msgspec.structs.replace(target, namespaces=tuple(namespaces)),
        created=snapshot.time,
    )
