"""How sure a finding is in the end, and what would decide it. Pure.

A rule says how sure it is of what it saw. What it could not see is weighed here, for all rules alike:
  1. A kind that the finding's family of rules looks at, and that could not be read there, may have held another cause
     of the same symptom. So may what a deeper cause is read from (`collapse.DEEPER`), and an owner that is known by
     its name alone. The finding is then as sure as its rule says times `UNREAD_SHARE`, however many kinds there are,
     and each of them is named as what would decide it.
  2. A finding that is less than `SURE` says what would settle it (`questions`).
  3. One that is surer, with nothing unread, needs no more: what it rests on is its evidence.

`UNREAD_SHARE` is measured on known incidents read again with something missing (tests/scoreboard/doubt.py): how often
findings are right while a kind of rule 1 is unread, by how often they are where everything was read, each as the lower
bound (Wilson, 95 %) over incidents. tests/scoreboard/test_doubt.py measures it again, and fails where it claims more.
"""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from skyflo_runbooks.diagnosis.collapse import DEEPER
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.questions import OTHERWISE, QUESTIONS, UNREAD
from skyflo_runbooks.diagnosis.rules import Rule
from skyflo_runbooks.diagnosis.snapshot import Gap
from skyflo_runbooks.model.finding import Decider, Finding
from skyflo_runbooks.model.objects import ObjectRef

SURE = 0.9
UNREAD_SHARE = 0.94


def weighed(graph: Graph, rules: Sequence[Rule], findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with what could not be read taken into account, and with what would decide each."""
    if not graph.snapshot.gaps and all(one.confidence >= SURE for one in findings):
        return list(findings)
    looked_at = _looked_at(rules) if graph.snapshot.gaps else {}
    return [_weighed(graph, one, looked_at.get(_family(one.fault), frozenset())) for one in findings]


def unread(graph: Graph, finding: Finding, kinds: frozenset[str]) -> tuple[Gap, ...]:
    """Return the reads that gave no answer and might have spoken against the finding."""
    spaces = {item.namespace for item in (finding.object, *finding.explains)} | {""}
    owners = {item.kind for item in (finding.object, *finding.explains) if graph.unread(item)}
    return tuple(
        gap
        for gap in graph.snapshot.gaps
        if gap.kind in kinds | owners and (not gap.namespace or gap.namespace in spaces)
    )


def questions(fault: str) -> tuple[Decider, ...]:
    """Return what decides a fault, in general words: without the names of one finding."""
    words = defaultdict(lambda: "…", object="the object", name="it", namespace="its namespace")
    return tuple(_filled(one, words) for one in QUESTIONS.get(fault, ()))


def _weighed(graph: Graph, finding: Finding, kinds: frozenset[str]) -> Finding:
    missing = unread(graph, finding, kinds)
    sure = round(finding.confidence * UNREAD_SHARE, 2) if missing else finding.confidence
    asked = [_filled(one, _words(finding)) for one in QUESTIONS.get(finding.fault, ()) if finding.confidence < SURE]
    return msgspec.structs.replace(
        finding, confidence=sure, decided_by=(*(_of_gap(gap, finding.object) for gap in missing), *asked)
    )


def _looked_at(rules: Sequence[Rule]) -> dict[str, frozenset[str]]:
    """Return the kinds that each family of rules looks at, those of the deeper causes with them."""
    found: dict[str, set[str]] = defaultdict(set)
    deeper = {kind for rule in rules if rule.fault in DEEPER for kind in (*rule.needs, *rule.wants)}
    for rule in rules:
        for fault in rule.faults:
            found[_family(fault)] |= {*rule.needs, *rule.wants, *deeper}
    return {family: frozenset(kinds) for family, kinds in found.items()}


def _family(fault: str) -> str:
    return fault.partition("-")[0]


def _of_gap(gap: Gap, subject: ObjectRef) -> Decider:
    confirms, refutes = UNREAD.get(gap.kind, OTHERWISE)
    where = f" of namespace {gap.namespace or subject.namespace}" if gap.namespace or subject.namespace else ""
    what = (
        "the log" if gap.kind == "Log" else "what the containers use" if gap.kind == "Usage" else f"{gap.kind} objects"
    )
    return Decider(f"{what}{where}", confirms, refutes, missing=gap.reason)


def _words(finding: Finding) -> dict[str, str]:
    subject = finding.object
    named = {"object": str(subject), "name": subject.name, "namespace": subject.namespace}
    return defaultdict(lambda: "…", named | finding.facts)


def _filled(one: Decider, words: dict[str, str]) -> Decider:
    look, confirms, refutes = (text.format_map(words) for text in (one.look, one.confirms, one.refutes))
    return Decider(look, confirms, refutes)


__all__ = ["SURE", "UNREAD_SHARE", "questions", "unread", "weighed"]
