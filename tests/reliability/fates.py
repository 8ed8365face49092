"""What becomes of each proposal, drawn from a seed: most are applied; some are undone, drift, are rejected, or wait."""

import random
from typing import Literal

Fate = Literal["apply", "roll_back", "drift", "reject", "expire"]
SHARES: dict[Fate, float] = {"apply": 0.62, "roll_back": 0.12, "drift": 0.1, "reject": 0.1, "expire": 0.06}
Moment = Literal["any", "before", "after"]
MOMENTS: dict[Moment, float] = {"any": 0.5, "before": 0.2, "after": 0.3}


def fates(count: int, seed: int) -> list[Fate]:
    """Return the fate of each of `count` proposals."""
    return random.Random(seed).choices(list(SHARES), weights=list(SHARES.values()), k=count)


def kills(count: int, proposals: int, seed: int) -> list[tuple[int, float, Moment]]:
    """Return when the gateway is killed: after so many proposals were begun, so many seconds later, at what moment."""
    chance = random.Random(seed + 1)
    after = sorted(chance.randrange(1, max(2, proposals)) for _ in range(count))
    moments = chance.choices(list(MOMENTS), weights=list(MOMENTS.values()), k=count)
    return [(place, chance.uniform(0.0, 0.15), moment) for place, moment in zip(after, moments, strict=True)]
