"""Whether a confidence means what it says: buckets of findings, how sure they were and how often they were right.

A confidence is set by hand in each rule, by class of evidence. Measured shares replace a hand-set number only where
enough findings of its bucket were seen (`ENOUGH`), and where wrong ones were among them; until then the table says how
far the data reach: the lower bound of the share that was right, by Wilson, at 95 %.

https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.scoreboard.result import Said

EDGES = (0.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)
ENOUGH = 30
_Z = 1.96


@dataclass(frozen=True)
class Bucket:
    """Findings whose confidence lies in [low, high): how many, how many right, and how sure they were on average."""

    low: float
    high: float
    count: int
    right: int
    sure: float

    @property
    def share(self) -> float:
        """How many of them were right."""
        return self.right / self.count

    @property
    def at_least(self) -> float:
        """The lower Wilson bound of the share."""
        n, p = self.count, self.share
        middle = p + _Z**2 / (2 * n)
        around = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return max(0.0, (middle - around) / (1 + _Z**2 / n))


def buckets(said: Sequence[Said]) -> list[Bucket]:
    """Return the buckets that hold a finding, the least sure first."""
    found = []
    for low, high in pairwise(EDGES):
        inside = [one for one in said if low <= one.confidence < high]
        if inside:
            sure = sum(one.confidence for one in inside) / len(inside)
            found.append(Bucket(low, high, len(inside), sum(one.right for one in inside), sure))
    return found


def expected_error(found: Sequence[Bucket]) -> float | None:
    """Return the expected calibration error: the mean distance of sureness and share, weighed by count."""
    total = sum(bucket.count for bucket in found)
    if not total:
        return None
    return sum(bucket.count * abs(bucket.sure - bucket.share) for bucket in found) / total


def derivable(found: Sequence[Bucket]) -> list[Bucket]:
    """Return the buckets whose measured share says more than the number set by hand."""
    return [bucket for bucket in found if bucket.count >= ENOUGH and bucket.right < bucket.count]
