"""What one trial came to. Every field that was not measured is None, and is shown as not measured."""

from __future__ import annotations

from typing import Literal

import msgspec

Repair = Literal["change", "planned", "advice"]


class Said(msgspec.Struct, frozen=True):
    """One finding: fault, object, how sure it was, and whether it was right."""

    fault: str
    object: str
    confidence: float
    right: bool


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of one reading of a known incident (`doubt`): what was missing, how sure, and whether it was right.

    `unread`: a read that gave no answer made it less sure. `decided`: it says what would decide it.
    """

    case: str
    how: str
    fault: str
    confidence: float
    right: bool
    unread: bool = False
    decided: bool = False


class Trial(msgspec.Struct, kw_only=True):
    """One staged case.

    `wanted` is what the case says can be done; `planned` what the plan holds. `bites` tells whether the plan's checks
    fail before the repair, `durable` whether the oracle held afterwards and nothing else changed, `honest` whether the
    verdict said what the oracle saw.
    """

    fault: str
    case: str
    drawn: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    wanted: Repair = "change"
    said: tuple[Said, ...] = ()
    unknown: tuple[str, ...] = ()
    seconds: float | None = None
    planned: Literal["change", "advice", "none"] | None = None
    tool: str = ""
    bites: bool | None = None
    durable: bool | None = None
    why_not: str = ""
    strange: tuple[str, ...] = ()
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    honest: bool | None = None
    grounded: bool | None = None
    unmoved: bool | None = None
    broke: str = ""
    other: Other | None = None

    @property
    def first(self) -> bool:
        """Whether the first finding is of the fault that was staged."""
        faults = {one.partition(" ")[0] for one in self.expected}
        return bool(self.said) and self.said[0].fault in faults

    @property
    def object_right(self) -> bool:
        """Whether the first finding names the object that has to change, too."""
        return bool(self.said) and f"{self.said[0].fault} {self.said[0].object}" in self.expected

    @property
    def all_named(self) -> bool:
        """Whether every staged fault is named, with its object."""
        return set(self.expected) <= {f"{one.fault} {one.object}" for one in self.said}

    @property
    def false(self) -> int:
        """How many findings are of nothing that was staged."""
        return sum(not one.right for one in self.said)


class Other(msgspec.Struct, frozen=True):
    """What another program said of the same namespace: how many findings, whether one names the cause, how long."""

    findings: int
    named: bool
    false: int
    seconds: float


class Control(msgspec.Struct, kw_only=True):
    """One thing that is no fault, what was expected, and what was said of it."""

    id: str
    title: str
    expected: Literal["nothing", "unknown"]
    said: tuple[Said, ...] = ()
    unknown: tuple[str, ...] = ()
    broke: str = ""
    other: Other | None = None

    @property
    def right(self) -> bool:
        """Whether nothing was made up: no finding, and unknown exactly where it could not be known."""
        return not self.broke and not self.said and bool(self.unknown) == (self.expected == "unknown")


class Crowd(msgspec.Struct, frozen=True):
    """A namespace of many pods with one fault: seconds of our warm diagnosis with its plan, and what another said."""

    pods: int
    seconds: float
    first: bool
    other: Other


class Board(msgspec.Struct, kw_only=True):
    """One run of the scoreboard."""

    commit: str
    date: str
    command: str
    machine: str
    trials: list[Trial] = []
    pairs: list[Trial] = []
    controls: list[Control] = []
    crowd: Crowd | None = None
    not_measured: list[str] = []
    readings: tuple[Reading, ...] = ()
    seconds: float = 0.0
