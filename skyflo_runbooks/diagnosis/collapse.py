"""Collapse: one cause with the symptoms that it explains, instead of five findings.

Rules:
  1. A cause explains a symptom of its own object, and of every object that leads to it (the Service in front of the
     failing pods, the Deployment above them).
  2. What the operator reported (errors, time-outs) is a consequence where a Service leads to the cause's pods.
  3. Two findings of one object are one: a pod that was OOMKilled and also ended with another exit code has the more
     certain cause. The other stands as a consequence, in words.
  4. A symptom that no cause explains stays: it is unknown, not healthy.
"""

from collections.abc import Sequence

import msgspec

from skyflo_runbooks.diagnosis.symptoms import Symptom
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.objects import ObjectRef

# Faults whose evidence is a container's own end say more than those that are read from what surrounds it.
_SAME_CONTAINER = "container"


def collapse(findings: Sequence[Finding], visible: Sequence[Symptom]) -> tuple[list[Finding], list[Symptom]]:
    """Return the causes with their consequences, and the symptoms that none of them explains."""
    causes = _one_per_place(findings)
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
    if cause.object.kind == "Service":
        # A Service that chooses no pod says nothing about the health of the pods it was meant for.
        return cause.object == symptom.object
    return cause.object in symptom.touches or (symptom.object.kind == "Pod" and symptom.object in reach)


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
