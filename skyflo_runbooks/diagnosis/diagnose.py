"""`diagnose`: a snapshot and an incident to findings. Pure: no cluster, no clock.

Rules:
  1. Every rule runs; its findings stand where the incident's words and namespaces point, ordered by effect on it.
  2. Symptoms are attached to the cause that explains them; those that nothing explains are `unknown`.
  3. A refused or failed read of a kind that a rule or a symptom needs is `unknown`, never healthy; so is one of a kind
     that only incidents of these words are about (`Rule.wants`). Other reads that failed are notes.
  4. `healthy` says what was looked at and is well. Nothing wrong was found exactly if there are neither findings nor
     unknowns.
     A finding that such a read could have changed is less sure (`certainty`).
  5. Each piece of evidence has an id, e1, e2 … in the order of the findings.
  6. What somebody set on purpose (a CronJob that is suspended, a canary's partition) and nothing suffers from comes
     after faults, or is a note (`meant`). So does what waits for a controller that lets it go in its turn.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from skyflo_runbooks.diagnosis import dependencies
from skyflo_runbooks.diagnosis.certainty import weighed
from skyflo_runbooks.diagnosis.collapse import collapse, told_by_who_waits
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.meant import as_meant
from skyflo_runbooks.diagnosis.pods import containers, name_of, ready, replicas
from skyflo_runbooks.diagnosis.rules import RULES, Rule
from skyflo_runbooks.diagnosis.rules.base import HELD, INTENT
from skyflo_runbooks.diagnosis.snapshot import Gap, Snapshot, seconds_between
from skyflo_runbooks.diagnosis.symptoms import NEEDS, Symptom, available, symptoms
from skyflo_runbooks.diagnosis.timeline import timeline, with_changes
from skyflo_runbooks.diagnosis.words import Place, guesses, name_like, nearest, place, unusual
from skyflo_runbooks.model.finding import Diagnosis, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef

NAMED = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Service")
LISTED = 10
# Seconds; twice the longest back-off of a kubelet, after which a container that crashes would have done so again.
RECENT = 600.0
# How alike (0 to 100) a plain word and a name must be, to ask whether it was meant: less than to take it for it.
_LIKE = 72.0


def diagnose(snapshot: Snapshot, incident: Incident, *, rules: Sequence[Rule] = RULES) -> Diagnosis:
    """Return what the snapshot shows about the incident, by the rules above."""
    graph = Graph(snapshot)
    where = located(graph, incident)
    causes, unexplained = collapse([found for rule in rules for found in rule.find(graph)], list(symptoms(graph)))
    causes = dependencies.felt(graph, weighed(graph, rules, causes))
    felt = [cause for cause in causes if _felt_here(where, cause)]
    felt = [one for one in felt if _concerns(where, one.object) or not told_by_who_waits(one, felt)]
    faulty = {cause.object for cause in felt if INTENT not in cause.facts}
    faulty |= {item for symptom in unexplained if _concerns(where, symptom.object) for item in symptom.touches}
    meant = [cause for cause in felt if as_meant(where, incident, cause, faulty=faulty)]
    here = [cause for cause in felt if cause not in meant]
    ordered = sorted(here, key=lambda cause: _effect(where, cause), reverse=True)
    line = timeline(graph, ordered)
    told = [_reported(graph, cause, where) for cause in ordered]
    findings = numbered([with_changes(one, line, snapshot.time) if one is told[0] else one for one in told])
    open_questions, asides = _unexplained(where, unexplained)
    refused, not_read = _gaps(snapshot, rules, incident.text)
    return Diagnosis(
        findings=findings,
        unknown=(*refused, *open_questions),
        healthy=_healthy(graph, where, findings, unexplained) if not refused else (),
        notes=(
            *where.notes,
            *_choice(snapshot, where, findings),
            *_well_all_the_same(graph, where, findings),
            *_guessed(incident, findings),
            *_still_serving(graph, where, findings),
            *_strangers(graph, incident, where),
            *_nothing_there(graph, where, findings),
            *asides,
            *(_noted(cause) for cause in meant),
            *not_read,
        ),
        timeline=line,
    )


def located(graph: Graph, incident: Incident) -> Place:
    """Return where the incident's words point in this snapshot."""
    return place(
        incident.text,
        given=incident.namespaces,
        namespaces=[name_of(item) for item in graph.all("Namespace")],
        objects=[ref(item) for kind in NAMED for item in graph.all(kind)],
    )


def numbered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings with ids for their evidence: e1, e2 … through all of them."""
    count = 0
    complete: list[Finding] = []
    for finding in findings:
        pieces = []
        for piece in finding.evidence:
            count += 1
            pieces.append(msgspec.structs.replace(piece, id=f"e{count}"))
        complete.append(msgspec.structs.replace(finding, evidence=tuple(pieces)))
    return tuple(complete)


def _concerns(where: Place, subject: ObjectRef) -> bool:
    name = subject.name if subject.kind == "Namespace" else subject.namespace
    return not where.namespaces or not name or name in where.namespaces


def _felt_here(where: Place, cause: Finding) -> bool:
    """Return whether a cause concerns the place: one of the whole cluster does by what suffers from it."""
    felt = [item for item in (cause.object, *cause.explains) if item.namespace or item.kind == "Namespace"]
    return any(_concerns(where, item) for item in felt) if felt else not where.namespaces


def _noted(cause: Finding) -> str:
    """Return what somebody set on purpose as a note."""
    if HELD in cause.facts:
        return f"This waits for its turn: {cause.title}."
    return f"Somebody set this, and nothing suffers from it that can be seen: {cause.title}."


def _effect(where: Place, cause: Finding) -> tuple[bool, bool, bool, bool, float, int]:
    """Order causes: faults before what somebody set.

    Then of a named object, of one that leads to a named one, where hinted, by certainty and by reach.
    """
    related = any(item in where.objects for item in cause.related)
    hinted = cause.namespace in where.hinted
    named = any(item in where.objects for item in (cause.object, *cause.explains))
    return INTENT not in cause.facts, named, related, hinted, cause.confidence, len(cause.consequences)


def _fronts(cause: Finding) -> list[ObjectRef]:
    return [item for item in (cause.object, *cause.related) if item.kind == "Service"]


def _serves_fully(graph: Graph, cause: Finding) -> bool:
    """Return whether as many pods serve as are wanted, in spite of the cause: an older revision still does.

    A pod that is ready and crashed minutes ago is between two crashes: that this moment is a good one says nothing.
    """
    found = graph.get(cause.object)
    if found is None or cause.object.kind == "Service" or available(found) < max(1, replicas(found)):
        return False
    return not any(_between_crashes(graph, pod) for pod in graph.pods(found) if ready(pod))


def _between_crashes(graph: Graph, pod: Json) -> bool:
    ends = [end for container in containers(pod) if not container.init for end in container.terminations]
    ages = [
        seconds_between(str(end.get("finishedAt") or ""), graph.snapshot.time) for end in ends if end.get("exitCode")
    ]
    return any(age is not None and age < RECENT for age in ages)


def _still_serving(graph: Graph, where: Place, findings: Sequence[Finding]) -> tuple[str, ...]:
    if not findings or not where.reported or not _fronts(findings[0]) or not _serves_fully(graph, findings[0]):
        return ()
    subject = findings[0].object
    return (f"{subject} still has as many pods serving as it wants, so this cause alone does not explain the report.",)


def _reported(graph: Graph, cause: Finding, where: Place) -> Finding:
    """Return the cause with what the operator reported, where requests lead through a Service to what is down."""
    fronts = _fronts(cause)
    if not fronts or not where.reported or _serves_fully(graph, cause):
        return cause
    said = tuple(f"reported: “{phrase}” (requests come in through {fronts[0]})" for phrase in where.reported)
    return msgspec.structs.replace(cause, consequences=(*cause.consequences, *said))


def _unexplained(where: Place, left: list[Symptom]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return unexplained symptoms that concern the incident, and those that only stand beside it."""
    here = [symptom for symptom in left if _concerns(where, symptom.object)]
    central = [item for item in here if not where.objects or item.touches & set(where.objects)]
    beside = [item for item in here if item not in central]
    return (
        tuple(f"{item.text}; no rule knows the cause" for item in central),
        tuple(f"Beside the incident: {item.text}; no rule knows the cause." for item in beside),
    )


def _gaps(snapshot: Snapshot, rules: Sequence[Rule], words: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    needed = {*NEEDS, *(kind for rule in rules for kind in rule.needs)}
    if snapshot.gaps:
        needed |= {kind for rule in rules if rule.about and re.search(rule.about, words) for kind in rule.wants}
    refused = _together(gap for gap in snapshot.gaps if gap.kind in needed)
    return refused, tuple(f"{said}." for said in _together(gap for gap in snapshot.gaps if gap.kind not in needed))


def _together(gaps: Iterable[Gap]) -> tuple[str, ...]:
    """Return a sentence for each reason, however many kinds it holds for."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for gap in gaps:
        kinds.setdefault((gap.namespace, gap.reason), []).append(gap.kind)
    return tuple(str(Gap(", ".join(names), *said)) for said, names in kinds.items())


def _choice(snapshot: Snapshot, where: Place, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return why this place, where the incident said none."""
    if where.namespaces or not findings:
        return ()
    if snapshot.namespaces:
        read = ", ".join(snapshot.namespaces)
        return (
            f"No namespace was said; {read} stands among the words and something is wrong there, so that was read.",
        )
    head = "No namespace was said, so all were read"
    if not (where.objects or where.hinted or where.reported):
        head = "None of the words name anything here, so what was found wrong was perhaps not asked for"
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.namespace or "the cluster", finding)
    likely = [f"{place} ({one.fault} of {one.object}, {one.confidence:.0%} sure)" for place, one in first.items()]
    return (f"{head}. Most likely {', then '.join(likely[:LISTED])}.",)


def _well_all_the_same(graph: Graph, where: Place, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return, where what is wrong is not what the words name, that what they name is well."""
    touched = {item for one in findings for item in (one.object, *one.related, *one.explains)}
    if not findings or not where.objects or touched & set(where.objects):
        return ()
    named = [graph.get(item) for item in where.objects if item.kind in ("Deployment", "StatefulSet", "DaemonSet")]
    well = [item for item in named if item is not None and available(item) >= replicas(item) > 0]
    said = [_well(graph, item) for item in well[:LISTED]]
    return (f"What is wrong is not what was asked about. {'; '.join(said)}.",) if said else ()


def _guessed(incident: Incident, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return that the words suppose what nothing that was found has to do with."""
    supposed = guesses(incident.text, (one.fault for one in findings)) if findings else ()
    if not supposed:
        return ()
    return (f"The words speak of {' and of '.join(supposed)}; nothing that was found has to do with that.",)


def _strangers(graph: Graph, incident: Incident, where: Place) -> tuple[str, ...]:
    """Return, where the words name something that is not here, that it is not, and what comes nearest."""
    if where.objects:
        return ()
    names = {name_of(item) for kind in NAMED for item in graph.all(kind)}
    near = {word: nearest(word, names) for word in name_like(incident.text)}
    near |= {word: alike for word in unusual(incident.text) if (alike := nearest(word, names, least=_LIKE))}
    if not near:
        return ()
    known = {name_of(item) for items in graph.snapshot.objects.values() for item in items}
    return tuple(
        f"Nothing here is called {word!r}" + (f"; nearest: {', '.join(alike)}." if alike else ".")
        for word, alike in near.items()
        if word not in known
    )


def _nothing_there(graph: Graph, where: Place, findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return that a place holds no workload at all, so that "nothing is wrong" is not read as "it runs"."""
    if findings or graph.snapshot.gaps:
        return ()
    if any(_concerns(where, ref(item)) for kind in ("Pod", *NAMED) for item in graph.all(kind)):
        return ()
    places = ", ".join(where.namespaces or graph.snapshot.namespaces) or "the cluster"
    return (f"There is no workload in {places}.",)


def _healthy(
    graph: Graph, where: Place, findings: Sequence[Finding], unexplained: Sequence[Symptom]
) -> tuple[str, ...]:
    """Return what was looked at and is well: the objects that were named, else the workloads of the place."""
    ill = {item for finding in findings for item in (finding.object, *finding.related, *finding.explains)}
    ill |= {item for symptom in unexplained for item in symptom.touches}
    named = [item for item in where.objects if item not in ill]
    if findings and not named:
        return ()
    every = [item for kind in ("Deployment", "StatefulSet", "DaemonSet") for item in graph.all(kind)]
    chosen = [item for item in every if (ref(item) in named if named else _concerns(where, ref(item)))]
    return tuple(_well(graph, item) for item in chosen[:LISTED] if ref(item) not in ill)


def _well(graph: Graph, workload: Json) -> str:
    pods = graph.pods(workload)
    restarts = sum(container.restarts for pod in pods for container in containers(pod))
    return (
        f"{ref(workload)}: {available(workload)} of {replicas(workload)} replicas available, "
        f"{sum(1 for pod in pods if ready(pod))} pods Ready, {restarts} restart{'' if restarts == 1 else 's'}"
    )
