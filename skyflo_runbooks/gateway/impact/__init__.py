"""What a change touches, in sentences, from lists read around it: blast radius, ownership, and what is not known.

Each module answers one question. `needs` says which lists that takes, `said` makes sentences of them. Both are pure and
take an object as it comes: any part of it may be missing or of another form.

Rules:
  1. A read that fails is said under `unknown`, and raises the risk; nothing is guessed from its absence.
  2. What is read follows from the change: its kind, its verb and what differs. Lists only, side by side, and once
     for all requests of a proposal (`scene`).
  3. An estimate says that it is one.
"""

from collections.abc import Iterable
from types import ModuleType

from skyflo_runbooks.gateway.impact import (
    access,
    admission,
    autoscaling,
    capacity,
    configuration,
    dependents,
    disruption,
    diverted,
    garbage,
    history,
    network,
    ownership,
    platform,
    privileges,
    routes,
    workloads,
)
from skyflo_runbooks.gateway.impact.change import NOTHING, Change, joined, legible, together
from skyflo_runbooks.gateway.impact.scene import Lister, Need, Scene
from skyflo_runbooks.model.proposal import Impact, Risk

__all__ = ["Change", "Impact", "Lister", "Need", "Scene", "assess", "needs", "together"]

_QUESTIONS = (
    workloads,
    dependents,
    garbage,
    history,
    network,
    diverted,
    routes,
    configuration,
    autoscaling,
    disruption,
    capacity,
    privileges,
    access,
    platform,
    admission,
    ownership,
)


# A command in a container changes nothing that lists tell of; what it does cannot be known.
_OF_A_RUN = (admission, ownership)


def needs(change: Change) -> set[Need]:
    """Return the lists that assessing a change takes."""
    return {need for question in _asked(change) for need in question.needs(change)}


def assess(change: Change, scene: Scene) -> Impact:
    """Return what a change does, from what was read around it."""
    answers = [question.said(change, scene) for question in _asked(change)]
    found = joined([*answers, _unread(scene.problems(needs(change)))])
    if change.request.verb != "evict" and not found.also_touched:
        found = joined([found, Impact(also_touched=(NOTHING,))])
    return legible(found)


def _asked(change: Change) -> tuple[ModuleType, ...]:
    return _OF_A_RUN if change.request.verb == "run" else _QUESTIONS


def _unread(problems: Iterable[str]) -> Impact:
    unknown = tuple(problems)
    reason: tuple[tuple[Risk, str], ...] = (("medium", "not everything that it may touch could be read"),)
    return Impact(unknown=unknown, risks=reason if unknown else ())
