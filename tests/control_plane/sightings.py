"""What a cluster says about pods, with everything that differs from run to run taken out.

So the words of the practice cluster, of the real control plane with played kubelets, and of the real node can be laid
side by side. Where two differ, the more real one is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from skyflo_runbooks.model.json import Json, at

_VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"-[a-z0-9]{6,10}-[a-z0-9]{5}(?![a-z0-9])"), "-HASH"),
    (re.compile(r"\b\d+\.\d+\.\d+\.\d+\b"), "ADDRESS"),
    (re.compile(r"\b(?:\d+m)?\d+(?:\.\d+)?m?s\b"), "TIME"),
    (re.compile(r"Image size: \d+ bytes"), "Image size: N bytes"),
    (re.compile(r"assigned (\S+) to \S+"), r"assigned \1 to NODE"),
)


@dataclass(frozen=True)
class Sightings:
    """Container states and events, as one line each."""

    states: frozenset[str]
    events: frozenset[str]

    @property
    def lines(self) -> frozenset[str]:
        """Both."""
        return self.states | self.events

    def __or__(self, other: Sightings) -> Sightings:
        return Sightings(self.states | other.states, self.events | other.events)


def sight(pods: Iterable[Json], events: Iterable[Json], prefix: str) -> Sightings:
    """What is said of the pods whose names begin so."""
    chosen = [pod for pod in pods if pod["metadata"]["name"].startswith(prefix)]
    statuses = (each for pod in chosen for each in at(pod, "status", "containerStatuses", default=[]))
    said = (each for each in events if each["involvedObject"]["kind"] == "Pod")
    mine = (each for each in said if each["involvedObject"]["name"].startswith(prefix))
    return Sightings(
        states=frozenset(line for status in statuses for line in _states(status)),
        events=frozenset(plain(f"{each['type']} {each['reason']}: {each['message']}") for each in mine),
    )


def plain(text: str) -> str:
    """The text without names, times and sizes of one run."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


def _states(status: Json) -> Iterable[str]:
    for place in ("state", "lastState"):
        for kind, detail in status.get(place, {}).items():
            code = f" {detail['exitCode']}" if "exitCode" in detail else ""
            message = f": {detail['message']}" if detail.get("message") else ""
            yield plain(f"{place} {kind} {detail.get('reason', '')}{code}{message}".replace("  ", " "))
