"""From the operator's words to a snapshot and a diagnosis: which namespaces are read, and the one way through.

Rules:
  1. A namespace given with the incident must exist, or it is bad input with the nearest names.
  2. A namespace in the words is read alone; where what the words name is not in it, all namespaces are read.
  3. A namespace whose name only stands among the words is read first; where nothing is wrong in it, all are read.
  4. Without any of these, all namespaces are read.
  5. Where a given namespace holds nothing that the words name, it is looked up by its name elsewhere, and that is said;
     where something is wrong in it, only words that are written like names are.
"""

import asyncio
from typing import TypeAlias

import msgspec

from skyflo_runbooks.diagnosis.diagnose import NAMED, diagnose, located
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import name_of
from skyflo_runbooks.diagnosis.reader import Reader
from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.diagnosis.take import DEADLINE, take
from skyflo_runbooks.diagnosis.words import called, hinted, name_like, nearest, place
from skyflo_runbooks.model.errors import BadInput, Unknown
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident

Looked: TypeAlias = tuple[Snapshot, Diagnosis]
MOST = 3  # namespaces that are named at once


async def investigate(reader: Reader, incident: Incident, *, deadline: float = DEADLINE) -> Looked:
    """Read what the incident concerns and diagnose it."""
    known = await _namespaces(reader, deadline)
    if known is not None:
        _check(incident.namespaces, known)
    wanted = incident.namespaces or called(incident.text, known or ())[0]
    if not wanted and (hint := await _hint(reader, incident, known or (), deadline)):
        return hint
    snapshot = await take(reader, wanted, deadline=deadline, words=incident.text)
    if wanted and not incident.namespaces and _missed(snapshot, incident):
        snapshot = await take(reader, (), deadline=deadline, words=incident.text)
    found = diagnose(snapshot, incident)
    asked = not found.findings or name_like(incident.text)
    if incident.namespaces and asked and not located(Graph(snapshot), incident).objects:
        found = msgspec.structs.replace(found, notes=(*await _elsewhere(reader, incident, deadline), *found.notes))
    return snapshot, found


async def _elsewhere(reader: Reader, incident: Incident, deadline: float) -> tuple[str, ...]:
    """Return where that lies which the words name and the given namespaces lack; nothing where that is not known."""
    try:
        async with asyncio.timeout(deadline):
            lists = await asyncio.gather(*(reader.list(kind) for kind in NAMED))
    except (Unknown, TimeoutError):
        return ()
    objects = [ref(item) for listing in lists for item in listing.items]
    where = place(incident.text, given=incident.namespaces, objects=objects)
    others = sorted({item.namespace for item in where.objects} - set(incident.namespaces))
    if not others:
        return ()
    ask = " or ".join(f"-n {name}" for name in others[:MOST])
    return (*where.notes, f"Only {', '.join(incident.namespaces)} was read, as was asked: {ask} looks there.")


async def _hint(reader: Reader, incident: Incident, known: tuple[str, ...], deadline: float) -> Looked | None:
    """Return what is wrong in the namespaces that the words hint at, or None where nothing is."""
    names = hinted(incident.text, known)
    if not names:
        return None
    snapshot = await take(reader, names, deadline=deadline, words=incident.text)
    diagnosis = diagnose(snapshot, incident)
    return (snapshot, diagnosis) if diagnosis.findings else None


async def _namespaces(reader: Reader, deadline: float) -> tuple[str, ...] | None:
    """Return the names of the namespaces, or None where they may not be listed."""
    try:
        async with asyncio.timeout(deadline):
            return tuple(name_of(item) for item in (await reader.list("Namespace")).items)
    except (Unknown, TimeoutError):
        return None


def _check(given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            near = nearest(name, known, least=50.0) or known[:5]
            raise BadInput(f"There is no namespace {name!r}.", next_step=f"The nearest names: {', '.join(near)}.")


def _missed(snapshot: Snapshot, incident: Incident) -> bool:
    """Return whether the words name something that the namespaces which were read do not hold."""
    return bool(name_like(incident.text)) and not located(Graph(snapshot), incident).objects


__all__ = ["investigate"]
