"""Which curated runbooks fit an answer, with the parameters that are known. Pure.

Rules:
  1. A finding brings the runbooks that name its fault; where nothing was found, the words of the incident bring those
     that are worth reading, and nothing is claimed by that.
  2. A parameter is filled from the finding, or from the plan where the plan's change (or an alternative) is the same
     call. What neither knows is left to a person, and named.
"""

import re
from collections.abc import Iterable

import msgspec

from skyflo_runbooks.model.finding import Diagnosis, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import ChangeStep, Plan, bind, defaults, parameters_in
from skyflo_runbooks.planning.curated import BOOKS
from skyflo_runbooks.planning.curated.book import Book

MOST = 3


class Offer(msgspec.Struct, frozen=True):
    """One curated runbook that fits: why, the parameters that are known, and those that a person has to choose."""

    runbook: str
    title: str
    why: str
    parameters: dict[str, str]
    missing: tuple[str, ...] = ()


def offers(
    diagnosis: Diagnosis, incident: Incident, plan: Plan | None = None, objects: Iterable[ObjectRef] = ()
) -> tuple[Offer, ...]:
    """Return the curated runbooks that fit, the likeliest first. `objects` are those that the words name."""
    found: dict[str, Offer] = {}
    for place, finding in enumerate(diagnosis.findings):
        for book in BOOKS.values():
            if finding.fault in book.faults and book.name not in found:
                known = _planned(book, plan) if plan and place == 0 else {}
                found[book.name] = _offer(book, f"fits {finding.fault}", {**known, **_known(book, finding)})
    if not diagnosis.findings:
        for book in _spoken_of(incident.text):
            found[book.name] = _offer(book, "the words speak of it", _named(incident, list(objects)))
    return tuple(found.values())[:MOST]


def _offer(book: Book, why: str, values: dict[str, str]) -> Offer:
    names = {item.name for item in book.parameters}
    given = {name: value for name, value in values.items() if name in names and value}
    left = tuple(item.name for item in book.parameters if item.required and item.name not in given)
    return Offer(book.name, book.title, why, given, left)


def _known(book: Book, finding: Finding) -> dict[str, str]:
    return {name: value for name, value in book.values(finding).items() if value}


def _planned(book: Book, plan: Plan) -> dict[str, str]:
    """Return what the plan's change, or an alternative of it, gives to the parameters of the same call."""
    if book.change is None:
        return {}
    calls: list[tuple[str, object]] = [
        (step.tool, bind(step.arguments, defaults(plan))) for step in plan.steps if isinstance(step, ChangeStep)
    ]
    calls += [(item.tool, item.arguments) for item in plan.alternatives]
    same = next((arguments for tool, arguments in calls if tool == book.change.tool), None)
    return {name: str(value) for name, value in parameters_in(book.change.arguments, same).items()} if same else {}


def _spoken_of(text: str) -> list[Book]:
    """Return the books whose words stand in the text, those with the most of them first."""
    said = " ".join(re.findall(r"[a-z0-9]+", text.lower()))
    counts = {book.name: sum(_stands(word, said) for word in book.words) for book in BOOKS.values()}
    return sorted((book for book in BOOKS.values() if counts[book.name]), key=lambda book: -counts[book.name])


def _stands(word: str, said: str) -> bool:
    plain = " ".join(re.findall(r"[a-z0-9]+", word))
    return re.search(rf"\b{plain}\b", said) is not None


def _named(incident: Incident, objects: list[ObjectRef]) -> dict[str, str]:
    """Return what the words and the incident's namespaces give to parameters, where it is one thing and not several."""
    namespaces = {item.namespace for item in objects if item.namespace} or set(incident.namespaces)
    found = {"namespace": next(iter(namespaces))} if len(namespaces) == 1 else {}
    services = [item.name for item in objects if item.kind == "Service"]
    workloads = [item for item in objects if item.kind in ("Deployment", "StatefulSet", "DaemonSet")]
    if len(services) == 1:
        found["service"] = services[0]
    if len(workloads) == 1:
        found |= {"name": workloads[0].name}
        found |= {} if workloads[0].kind == "Deployment" else {"kind": workloads[0].kind}
    return found
