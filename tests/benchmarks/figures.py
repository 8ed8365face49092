"""A figure: what was measured, in which unit, and the target that the design sets for it.

Rules:
  1. A figure never fails a test. It says whether its target was met on this machine, in this run.
  2. Where a figure compares two things, both were measured in the same run, turn by turn, so that a busy machine is
     busy for both.
  3. Times of start-ups (a kernel's too) are the best of several turns: another process can only add to them. Times of
     requests are medians or the 95th percentile, as the target says.
  4. What could not be measured is named with the reason; it never gets a number.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["s", "ms", "MB", "ratio"]
Comparison = Literal["<", "<=", ">="]


@dataclass(frozen=True)
class Target:
    """The bound that a figure should keep, in the figure's unit."""

    comparison: Comparison
    value: float

    def met_by(self, value: float) -> bool:
        """Return whether a value keeps the bound."""
        match self.comparison:
            case "<":
                return value < self.value
            case "<=":
                return value <= self.value
            case ">=":
                return value >= self.value


@dataclass(frozen=True)
class Figure:
    """One number; `parts` are the numbers that it was made of, with their unit in the name."""

    name: str
    value: float
    unit: Unit
    how: str
    target: Target | None = None
    parts: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return what `make bench` prints."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "target": None if self.target is None else f"{self.target.comparison} {self.target.value:g}",
            "met": None if self.target is None else self.target.met_by(self.value),
            "how": self.how,
            "parts": {name: round(value, 3) for name, value in self.parts.items()},
        }


@dataclass(frozen=True)
class Missing:
    """A figure that could not be measured here, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Scale:
    """How often each thing is done."""

    diagnoses: int
    reads: int
    approvals: int
    starts: int
    replays: int
    gathers: int
    decisions: int
    pods: int
    waiting: int
    calls: int
    fleet: tuple[int, ...]


FULL = Scale(
    diagnoses=15,
    reads=200,
    approvals=40,
    starts=15,
    replays=8,
    gathers=3,
    decisions=400,
    pods=100,
    waiting=200,
    calls=10_000,
    fleet=(1000, 2500, 5000, 10_000),
)
# For the test that every figure is there. Its numbers mean little.
QUICK = Scale(
    diagnoses=2,
    reads=5,
    approvals=2,
    starts=1,
    replays=1,
    gathers=1,
    decisions=20,
    pods=20,
    waiting=10,
    calls=100,
    fleet=(100, 300),
)


def seconds(action: Callable[[], object]) -> float:
    """Return how long an action took."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def median(values: Sequence[float]) -> float:
    """Return the middle of the values."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile by nearest rank: a value that was seen."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]
