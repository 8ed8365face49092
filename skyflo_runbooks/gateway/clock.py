"""The gateway's time: it never runs backwards, so nothing that expired lives again. Pure but for two clocks.

Rules:
  1. Now is the wall clock, or the highest time that was ever told plus what has passed since by the monotonic clock,
     whichever is later. A wall clock that is set back changes nothing.
  2. The highest time starts at the record's last entry, so a restart forgets nothing of it.
  3. A wall clock that is set forward is believed: what waits expires, which is the safe side. Set right again
     afterwards, time goes on from the highest that was told.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _wall() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Tells the time by the rules above. `wall` gives a time in UTC, `passed` seconds that only grow."""

    def __init__(
        self,
        last: datetime | None = None,
        *,
        wall: Callable[[], datetime] = _wall,
        passed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._highest = last or wall()
        self._at = passed()

    def now(self) -> datetime:
        """Return the time."""
        at = self._passed()
        self._highest = max(self._wall(), self._highest + timedelta(seconds=at - self._at))
        self._at = at
        return self._highest

    def behind(self) -> float:
        """Return by how many seconds the wall clock lags behind what was told: more than a moment, and it was set."""
        return (self.now() - self._wall()).total_seconds()
