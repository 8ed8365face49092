"""Whether a confidence means what it says: buckets of findings, how sure they were and how often they were right.

How confidences are made: a rule sets one for each class of evidence (the component that fails says so itself; two
fields contradict each other; what surrounds it suggests it). They are then held against two sets of known incidents:
the trials of a scoreboard, and `doubt`, where something is missing in each reading. Measured are
  - reliability: the share that was right in each bucket, with the lower bound of it (Wilson, 95 %);
  - the Brier score, a proper scoring rule (https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2): the mean
    of (confidence − right)². It is least for whoever says what they believe. Beside it stands that of somebody who says
    the overall share of every finding: a confidence is worth something where it is below that;
  - for each fault, with and without unread kinds, whether as many wrong findings as there were can come of its
    confidence at all (`over_sure`): the one-sided binomial tail, at `LEVEL`, divided by how many are tried.
A rule that is over-sure is mended where its evidence says too much (its own class), not by a factor that makes the
table right. The one factor that there is, for unread kinds, is measured as such (`unread_share`). Shares are taken over
incidents, each of which weighs one: readings of one incident have much in common, and are not so many witnesses.
Nothing is raised on these data: an incident that was staged to be a fault cannot tell how often the same sight is
none. Hand-set numbers are replaced only where a bucket of a scoreboard holds `ENOUGH` findings with wrong ones among
them.

https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.scoreboard.result import Reading, Said

EDGES = (0.0, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)
ENOUGH = 30
LEVEL = 0.05
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
        return lower(self.share, self.count)


def lower(share: float, count: float) -> float:
    """Return the lower Wilson bound of a share of `count`, at 95 %."""
    middle = share + _Z**2 / (2 * count)
    around = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, (middle - around) / (1 + _Z**2 / count))


def buckets(said: Sequence[Said | Reading]) -> list[Bucket]:
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


def brier(said: Sequence[Said | Reading]) -> float:
    """Return the mean of (confidence − right)²."""
    return sum((one.confidence - one.right) ** 2 for one in said) / len(said)


def uninformed(said: Sequence[Said | Reading]) -> float:
    """Return the Brier score of somebody who gives every finding the share that is right overall."""
    share = sum(one.right for one in said) / len(said)
    return share * (1 - share)


@dataclass(frozen=True)
class Claim:
    """What a fault's findings claim, with or without unread kinds: how many, how many wrong, how sure on average.

    `chance`: how likely at least so many would be wrong, if the confidence were right.
    """

    fault: str
    unread: bool
    count: int
    wrong: int
    sure: float
    chance: float


def claims(readings: Iterable[Reading]) -> list[Claim]:
    """Return what each fault claims, the least likely first."""
    groups: dict[tuple[str, bool], list[Reading]] = defaultdict(list)
    for one in readings:
        groups[one.fault, one.unread].append(one)
    found = []
    for (fault, unread), items in groups.items():
        sure, wrong = sum(one.confidence for one in items) / len(items), sum(not one.right for one in items)
        found.append(Claim(fault, unread, len(items), wrong, sure, tail(wrong, len(items), 1 - sure)))
    return sorted(found, key=lambda one: (one.chance, one.fault))


def tail(least: int, count: int, chance: float) -> float:
    """Return how likely at least `least` of `count` happen that each happen with `chance`."""
    return sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(least, count + 1))


def over_sure(readings: Iterable[Reading]) -> list[Claim]:
    """Return the claims that the data do not allow."""
    found = claims(readings)
    return [one for one in found if one.wrong and one.chance < LEVEL / len(found)]


@dataclass(frozen=True)
class Share:
    """How often findings of a number of incidents were right, each incident weighing one, and the lower bound of it."""

    incidents: int
    findings: int
    sure: float
    right: float

    @property
    def at_least(self) -> float:
        """The lower Wilson bound: incidents are independent, readings of one are not."""
        return lower(self.right, self.incidents)


def share(readings: Sequence[Reading]) -> Share:
    """Return how often these were right, by incident."""
    each = Counter(one.case for one in readings)
    sure = sum(one.confidence / each[one.case] for one in readings) / len(each)
    right = sum(one.right / each[one.case] for one in readings) / len(each)
    return Share(len(each), len(readings), sure, right)


def shares(readings: Sequence[Reading]) -> list[tuple[float, float, Share]]:
    """Return the share of each bucket that holds a finding, with its edges, the least sure first."""
    found = []
    for low, high in pairwise(EDGES):
        inside = [one for one in readings if low <= one.confidence < high]
        if inside:
            found.append((low, high, share(inside)))
    return found


def unread_share(readings: Sequence[Reading]) -> float:
    """Return how much less often findings are right while a kind is unread: the lower bound then, by that in full."""
    unread, full = ([one for one in readings if one.unread == missing] for missing in (True, False))
    return share(unread).at_least / share(full).at_least
