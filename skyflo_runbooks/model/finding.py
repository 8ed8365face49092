"""One diagnosed cause, with its evidence."""

import msgspec

from skyflo_runbooks.model.objects import ObjectRef


class Evidence(msgspec.Struct, frozen=True):
    """One observed fact: `source` names the read (`Pod/checkout/x status`), `at` its RFC 3339 time."""

    source: str
    at: str
    text: str
    id: str = ""


class Decider(msgspec.Struct, frozen=True):
    """A look that would settle a finding which is not certain.

    `look` names the object and its field, event or log. `confirms` and `refutes` say what would be seen, and what it
    would mean. `missing` says why it is not known yet, where it was asked for and gave no answer.
    """

    look: str
    confirms: str
    refutes: str
    missing: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A cause.

    `fault` is an id of the fault catalogue, `object` the object that has to change, `consequences` the
    symptoms that this cause explains, `confidence` between 0 and 1. `facts` are the values that planning
    needs (a limit, a container's name), taken from the evidence. `explains` are the objects that suffer from this cause
    where that is not `object` itself: the workload whose pods wait for a cordoned node. It rests on `evidence`; what
    would decide it, where it is not certain, is in `decided_by`.
    """

    fault: str
    title: str
    object: ObjectRef
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    consequences: tuple[str, ...] = ()
    facts: dict[str, str] = {}
    related: tuple[ObjectRef, ...] = ()
    advice: str = ""
    explains: tuple[ObjectRef, ...] = ()
    decided_by: tuple[Decider, ...] = ()

    @property
    def namespace(self) -> str:
        """Where it is felt: the object's namespace, or for a cluster-wide object that of what suffers from it."""
        return self.object.namespace or next((item.namespace for item in self.explains if item.namespace), "")


class Change(msgspec.Struct, frozen=True):
    """Something that changed: when (RFC 3339), which object, in words what, and by whom as far as that is known.

    `before` are the seconds from it to the begin of the symptom; negative ones came after it, None is not known.
    """

    at: str
    object: ObjectRef
    what: str
    by: str = ""
    before: float | None = None


def since(before: float | None) -> str:
    """Return in a few characters how long before (−) or after (+) the begin it was: `−90 s`, `−25 min`, `+3 h`."""
    if before is None:
        return ""
    sign, length = ("" if abs(before) < 1 else "−" if before > 0 else "+"), abs(before)
    unit, size = next(
        (unit, size) for unit, size in (("h", 3600), ("min", 60), ("s", 1)) if length >= 2 * size or size == 1
    )
    return f"{sign}{length / size:.0f} {unit}"


class Timeline(msgspec.Struct, frozen=True):
    """What changed around the begin of a symptom, oldest first; `more` older ones were left out.

    `began` is the time (RFC 3339) of the first sign that is there, `symptom` that sign; both empty where none is known.
    """

    began: str = ""
    symptom: str = ""
    changes: tuple[Change, ...] = ()
    more: int = 0


class Diagnosis(msgspec.Struct, frozen=True):
    """What a snapshot shows: findings by effect, what could not be known, and what changed around the first of them."""

    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = ()
    healthy: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    timeline: Timeline = Timeline()
