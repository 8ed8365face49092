"""One change as the questions of this package see it, and how their answers come together. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from skyflo_runbooks.diagnosis.pods import template, whole
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact, Risk
from skyflo_runbooks.model.request import Request

NOTHING = "Nothing else that was found"
NO_RESTART = "No pod restarts"
UNMANAGED = "Not managed by Helm, Argo CD, Flux or an owner"
_EMPTY = (NOTHING, NO_RESTART, UNMANAGED)
_LONGEST = 500
_SENTENCES = ("while_it_runs", "also_touched", "ownership")
# Kinds that run pods from a template, and so what most questions are about.
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")


class Change(msgspec.Struct, frozen=True):
    """A request, the raw live object, and the dry run's answer.

    `before` is None where there is no such object; `after` is None for what goes away, and where no dry run could say.
    """

    request: Request
    before: Json | None
    after: Json | None

    @property
    def ref(self) -> ObjectRef:
        """The object that changes."""
        return self.request.target

    @property
    def kind(self) -> str:
        """Its kind."""
        return self.request.target.kind

    @property
    def name(self) -> str:
        """Its name."""
        return self.request.target.name

    @property
    def namespace(self) -> str:
        """Its namespace, or nothing."""
        return self.request.target.namespace

    @property
    def deletes(self) -> bool:
        """Whether the object goes away."""
        return self.request.verb in ("delete", "evict")

    @property
    def creates(self) -> bool:
        """Whether the object comes into being."""
        return self.before is None and self.request.verb in ("create", "apply")

    @property
    def was(self) -> Json:
        """The object as it is; empty where there is none."""
        return self.before or {}

    @property
    def will(self) -> Json:
        """The object as it will be: as the dry run says, else as it is asked for; empty where that is not known."""
        if self.after is not None:
            return self.after
        body = self.request.body
        return body if self.request.verb in ("create", "apply") and isinstance(body, dict) else {}

    @property
    def live(self) -> Json:
        """The object as it is, else as it will be."""
        return self.was or self.will

    def differs(self, *path: str) -> bool:
        """Return whether what lies at `path` changes."""
        return bool(at(self.was, *path) != at(self.will, *path))

    def switched(self, *path: str) -> bool:
        """Return whether the switch at `path` is turned; one that is not written is off."""
        return bool(at(self.was, *path)) != bool(at(self.will, *path))

    @property
    def replaces_pods(self) -> bool:
        """Whether the pod template of a workload that is there changes."""
        return (
            not self.deletes
            and self.kind in WORKLOADS
            and bool(self.was and self.will)
            and template(self.was) != template(self.will)
        )

    @property
    def more_pods(self) -> int:
        """How many pods are wanted beyond those of today; negative where it is fewer."""
        if self.kind not in WORKLOADS or self.kind in ("DaemonSet", "Job"):
            return 0
        was = count(self.was) if self.was else 0
        return (0 if self.deletes or not self.will else count(self.will)) - was


class Line(NamedTuple):
    """A sentence of a card, and the risk that it gives with its reason."""

    text: str
    risk: tuple[Risk, str] | None = None


Lines = Iterator[Line]


def high(text: str, reason: str) -> Line:
    """Return a sentence that makes the risk high."""
    return Line(text, ("high", reason))


def medium(text: str, reason: str) -> Line:
    """Return a sentence that makes the risk medium."""
    return Line(text, ("medium", reason))


def touched(lines: Iterable[Line]) -> Impact:
    """Return sentences as what a change also touches."""
    found = list(lines)
    return Impact(also_touched=tuple(one.text for one in found), risks=tuple(one.risk for one in found if one.risk))


def count(workload: Json) -> int:
    """Return how many pods a workload wants; never less than none."""
    if workload.get("kind") == "DaemonSet":
        return max(0, whole(workload, "status", "desiredNumberScheduled"))
    if workload.get("kind") == "Job":
        return max(0, whole(workload, "spec", "parallelism", default=1))
    return max(0, whole(workload, "spec", "replicas", default=1))


def joined(impacts: Iterable[Impact]) -> Impact:
    """Return several impacts as one; nothing is said twice."""
    found = list(impacts)
    fields = Impact.__struct_fields__
    return Impact(**{name: tuple(dict.fromkeys(s for one in found for s in getattr(one, name))) for name in fields})


def legible(impact: Impact) -> Impact:
    """Return an impact whose sentences are one line each, of bounded length, without anything that does not print.

    They hold names and annotations that anybody in the cluster may have written.
    """

    def line(text: str) -> str:
        shown = "".join(one if one.isprintable() else "�" for one in text)
        return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"

    return Impact(
        while_it_runs=tuple(map(line, impact.while_it_runs)),
        also_touched=tuple(map(line, impact.also_touched)),
        ownership=tuple(map(line, impact.ownership)),
        unknown=tuple(map(line, impact.unknown)),
        risks=tuple((risk, line(reason)) for risk, reason in impact.risks),
        irreversible=tuple(map(line, impact.irreversible)),
    )


def listed(value: object, *path: str) -> list[object]:
    """Return the list at `path`; an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, list) else []


def members(value: object, *path: str) -> Json:
    """Return the object at `path`; an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def together(parts: Iterable[tuple[Request, Impact]]) -> Impact:
    """Return the impacts of a list of requests as one; where there are several, each sentence says of which object.

    What is said of all that a drain evicts stands for itself, and that there is nothing to say is said only where
    nothing else is.
    """
    found = list(parts)
    plain = joined(impact for _, impact in found)
    if len(found) == 1:
        return plain
    labelled = joined(_labelled(request, impact) for request, impact in found)
    said = {name: getattr(labelled, name) or getattr(plain, name) for name in _SENTENCES}
    return msgspec.structs.replace(plain, **said)


def _labelled(request: Request, impact: Impact) -> Impact:
    about = "" if request.verb == "evict" else f"{request.target}: "

    def own(sentences: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{about}{text}" for text in sentences if text not in _EMPTY)

    return Impact(own(impact.while_it_runs), own(impact.also_touched), own(impact.ownership))


def plural(number: int, noun: str) -> str:
    """Return `1 pod`, `2 pods`, `2 policies`."""
    if number == 1:
        return f"1 {noun}"
    ending = noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun.endswith("s") else "s")
    return f"{number} {ending}"


def some(names: Iterable[str], most: int = 5) -> str:
    """Return names in a row: all of them, or the first `most` and how many others there are."""
    found = list(dict.fromkeys(names))
    rest = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + rest
