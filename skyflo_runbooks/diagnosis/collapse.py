"""Collapse: one cause with the symptoms that it explains, instead of five findings.

Rules:
  1. A cause explains a symptom of its own object, of every object that leads to it (the Service in front of the
     failing pods, the Deployment above them), and of those that it says it explains.
  2. What the operator reported (errors, time-outs) is a consequence where a Service leads to the cause's pods.
  3. Two findings of one object are one: a pod that was OOMKilled and also ended with another exit code has the more
     certain cause. The other stands as a consequence, in words.
  4. A finding that only says that something fails (`_LAST_RESORT`, and a probe that a container itself answers with an
     error), or that what fails need not come from (a StatefulSet's Service that nobody asks for), yields to any other
     of the same object, or of one that explains the object; of two of them one stays.
  5. A cause that lies deeper (`DEEPER`: the cluster's DNS, a webhook that rewrites pods, a kubelet's configuration, a
     priority that drives pods out) speaks for what it explains: other findings of those objects, or those of one
     family, are consequences, in words.
  6. Who fails because a Service does not answer (`asks`) comes after the cause that was found at that Service.
  7. An init container that fails because it asks what does not exist says so by that cause.
  8. That a workload was scaled to zero, perhaps on purpose, is told by the cause that misses it, if any does.
  9. A symptom that no cause explains stays: it is unknown, not healthy.
"""

from collections.abc import Sequence

import msgspec

from skyflo_runbooks.diagnosis.rules.asking import ASKS
from skyflo_runbooks.diagnosis.rules.base import ANSWERED, INTENT, PERHAPS, UNSAID
from skyflo_runbooks.diagnosis.symptoms import Symptom
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.objects import ObjectRef

# Faults whose evidence is a container's own end say more than those that are read from what surrounds it.
_SAME_CONTAINER = "container"
_NOT_THERE = ("CON-16", "NET-04")
_LAST_RESORT = frozenset(("ROL-01", "CON-05", "API-01", "DLV-02"))
DEEPER = {"NET-12": "", "NOD-04": "", "ADM-08": "", "SCH-13": "SCH-"}


def collapse(findings: Sequence[Finding], visible: Sequence[Symptom]) -> tuple[list[Finding], list[Symptom]]:
    """Return the causes with their consequences, and the symptoms that none of them explains."""
    asked = _behind_the_asked(_missed(_by_what_it_asks(findings)))
    causes = _one_per_place(_spoken_for(_without_last_resorts(asked)))
    explained: set[int] = set()
    complete: list[Finding] = []
    for cause in causes:
        reach = {cause.object, *cause.related}
        mine = [index for index, symptom in enumerate(visible) if _explains(cause, reach, symptom)]
        explained |= set(mine)
        consequences = (*cause.consequences, *(visible[index].text for index in mine))
        complete.append(msgspec.structs.replace(cause, consequences=tuple(dict.fromkeys(consequences))))
    return complete, [symptom for index, symptom in enumerate(visible) if index not in explained]


def _explains(cause: Finding, reach: set[ObjectRef], symptom: Symptom) -> bool:
    if UNSAID in cause.facts or cause.facts.get(INTENT, "").endswith("tolerations"):
        return (
            False  # nothing suffers from it; that pods stay away from nodes says nothing of those that fail on others
        )
    if symptom.object in cause.explains or symptom.touches & set(cause.explains):
        return True
    if cause.object.kind == "Service":
        # A Service that chooses no pod says nothing about the health of the pods it was meant for.
        return cause.object == symptom.object
    return cause.object in symptom.touches or (symptom.object.kind == "Pod" and symptom.object in reach)


def _by_what_it_asks(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without those by rule 7; the cause names them as consequences."""
    kept: list[Finding] = []
    said: dict[int, list[str]] = {}
    for one in findings:
        deeper = next((other for other in findings if one.fault == "CON-11" and _is_asked_by(other, one)), None)
        if deeper is None:
            kept.append(one)
        else:
            said.setdefault(id(deeper), []).append(one.title)
    return [
        msgspec.structs.replace(one, consequences=(*one.consequences, *said[id(one)])) if id(one) in said else one
        for one in kept
    ]


def _is_asked_by(other: Finding, one: Finding) -> bool:
    same = other.facts.get(_SAME_CONTAINER) == one.facts.get(_SAME_CONTAINER)
    return other.fault in _NOT_THERE and same and one.object in (other.object, *other.explains)


def _missed(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without those by rule 8; who misses the workload names them as consequences."""
    stopped = [one for one in findings if one.fault == "ROL-03" and INTENT in one.facts]
    missing = {one.object: other for one in stopped for other in findings if _misses(other, one)}
    return [
        msgspec.structs.replace(
            one,
            consequences=(*one.consequences, *(zero.title for zero in stopped if missing.get(zero.object) is one)),
        )
        for one in findings
        if not any(one is zero and zero.object in missing for zero in stopped)
    ]


def _misses(other: Finding, stopped: Finding) -> bool:
    return other.object == stopped.object and INTENT not in other.facts


def _behind_the_asked(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without those of who fails because a Service does not answer that has a cause of its own."""
    above = {id(one): found for one in findings if (found := _asked(one, findings)) is not None}
    said: dict[int, list[Finding]] = {}
    kept: list[Finding] = []
    for one in findings:
        root, seen = one, {id(one)}
        while (next_one := above.get(id(root))) is not None and id(next_one) not in seen:
            root = next_one
            seen.add(id(root))
        if root is one or id(root) in above:  # nobody is asked, or they ask one another
            kept.append(one)
        else:
            said.setdefault(id(root), []).append(one)
    return [_with(one, said[id(one)]) if id(one) in said else one for one in kept]


def _asked(one: Finding, findings: Sequence[Finding]) -> Finding | None:
    """Return the cause at the Service that a finding says was asked: the surest, a last resort after others."""
    asked = one.facts.get(ASKS)
    there = [
        other
        for other in findings
        if asked is not None and other.object != one.object and asked in map(str, (other.object, *other.related))
        if UNSAID not in other.facts
        and other.facts.get(ASKS) != asked
        and one.object not in (*other.related, *other.explains)
    ]
    return max(there, key=lambda other: (other.fault not in _LAST_RESORT, other.confidence), default=None)


def _with(cause: Finding, beneath: Sequence[Finding]) -> Finding:
    explains = (cause.object, *cause.explains, *(item for one in beneath for item in (one.object, *one.explains)))
    consequences = (*cause.consequences, *(one.title for one in beneath))
    return msgspec.structs.replace(cause, explains=tuple(dict.fromkeys(explains)), consequences=consequences)


def _without_last_resorts(findings: Sequence[Finding]) -> list[Finding]:
    # What somebody set on purpose is no cause by itself: a last resort says what suffers from it.
    sure = [one for one in findings if not _last_resort(one) and INTENT not in one.facts]
    told = {item for one in sure for item in (one.object, *one.explains)}
    # A namespace that cannot go because of an API says nothing of who serves that API elsewhere.
    others = {item for one in sure if one.fault != "DEL-01" for item in (one.object, *one.explains)}
    ranked = sorted(
        findings, key=lambda item: (PERHAPS not in item.facts, item.confidence, item.fault not in _LAST_RESORT)
    )
    first = {one.object: one for one in ranked if _last_resort(one)}
    return [
        one
        for one in findings
        if not _last_resort(one)
        or (not (others if _serves_api(one) else told) & {one.object, *one.explains} and first[one.object] is one)
    ]


def _serves_api(one: Finding) -> bool:
    return one.fault == "API-01" and bool(one.object.namespace)


def told_by_who_waits(one: Finding, findings: Sequence[Finding]) -> bool:
    """Return whether a namespace that cannot go tells already of an API that nobody serves."""
    reach = {one.object, *one.explains}
    return _serves_api(one) and any(other.fault == "DEL-01" and other.object in reach for other in findings)


def _last_resort(one: Finding) -> bool:
    return one.fault in _LAST_RESORT or ANSWERED in one.facts or PERHAPS in one.facts


def _spoken_for(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without those of objects that a deeper cause explains; it names them as consequences."""
    deeper = [one for one in findings if one.fault in DEEPER]
    reach = {id(one): {item for item in (one.object, *one.explains) if item.kind != "Namespace"} for one in deeper}
    kept: list[Finding] = []
    said: dict[int, list[str]] = {id(one): [] for one in deeper}
    for one in findings:
        above = next(
            (
                cause
                for cause in deeper
                if cause is not one and one.object in reach[id(cause)] and one.fault.startswith(DEEPER[cause.fault])
            ),
            None,
        )
        if above is None or one.fault in DEEPER:
            kept.append(one)
        else:
            said[id(above)].append(one.title)
    return [
        msgspec.structs.replace(one, consequences=(*one.consequences, *said[id(one)])) if said.get(id(one)) else one
        for one in kept
    ]


def _one_per_place(findings: Sequence[Finding]) -> list[Finding]:
    kept: dict[tuple[ObjectRef, str], Finding] = {}
    for finding in sorted(findings, key=lambda item: item.confidence, reverse=True):
        place = (finding.object, finding.facts.get(_SAME_CONTAINER, finding.fault))
        first = kept.get(place)
        kept[place] = (
            finding
            if first is None
            else msgspec.structs.replace(first, consequences=(*first.consequences, finding.title))
        )
    return list(kept.values())
