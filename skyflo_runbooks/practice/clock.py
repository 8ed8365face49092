"""The practice cluster's clock: every timestamp that the cluster writes comes from here.

It stands still until somebody moves it (tests, staged history), or follows the machine's monotonic clock with a
speed factor. With a `leap` it never goes further than that between two looks at it: where the machine was busy with
something else, cluster time waits, so that a fast clock makes no long absence of a short one. While a due event is
worked off, the clock is held at that event's moment, so that the same story has the same timestamps whether it was
stepped through or ran by itself.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


class Clock:
    """A clock in UTC; `speed` is cluster seconds per real second while it runs, `leap` is in cluster seconds."""

    def __init__(self, start: datetime, speed: float = 1.0, leap: float = float("inf")) -> None:
        if speed <= 0 or leap <= 0:
            raise ValueError(f"Expected a speed and a leap above 0, got {speed} and {leap}.")
        self.speed = speed
        self.leap = leap
        self._at = start.astimezone(UTC)
        self._since: float | None = None
        self._held: datetime | None = None

    @property
    def running(self) -> bool:
        """Return whether the clock moves by itself."""
        return self._since is not None

    def now(self) -> datetime:
        """Return the cluster's time."""
        return self._held or self.live()

    def live(self) -> datetime:
        """Return the cluster's time, also while it is held."""
        if self._since is not None:
            since, self._since = self._since, time.monotonic()
            self._at += timedelta(seconds=min(self.leap, (self._since - since) * self.speed))
        return self._at

    def move(self, moment: datetime) -> None:
        """Set a standing clock; going back is for staging history only."""
        if self._since is not None:
            raise RuntimeError("Expected a standing clock; stop it before it is moved.")
        self._at = moment

    def run(self) -> None:
        """Follow the machine's monotonic clock from here on."""
        if self._since is None:
            self._since = time.monotonic()

    def stop(self) -> None:
        """Stand still."""
        self._at = self.live()
        self._since = None

    @contextmanager
    def hold(self, moment: datetime) -> Iterator[None]:
        """Show `moment` while the block runs; a standing clock stays there afterwards."""
        self._held = moment
        try:
            yield
        finally:
            self._held = None
            if self._since is None:
                self._at = moment

    def real_seconds(self, moment: datetime) -> float:
        """Return how many real seconds pass until `moment`, or until the clock has to be looked at; at least 0."""
        return max(0.0, min(self.leap / 2, (moment - self.live()).total_seconds()) / self.speed)


def stamp(moment: datetime) -> str:
    """Return `metav1.Time`: RFC 3339 in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro(moment: datetime) -> str:
    """Return `metav1.MicroTime`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """Read either form."""
    return datetime.fromisoformat(text)
