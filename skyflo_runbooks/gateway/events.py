"""What is seen live: numbered events, kept for a while, so that a client that reconnects misses nothing.

An id is `<start of this process>-<number>`. A client that names an id which is not kept any more (another process, or
too long ago) gets a `reset` event first: it reads the state again and goes on from there. The ledger, not this, is the
record.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from skyflo_runbooks.model.json import Json

EventKind = Literal["proposal", "decision", "attempt", "verdict", "thought", "tool", "alarm", "reset"]
KEPT = 10_000


class Event(msgspec.Struct, frozen=True):
    """One event: id, kind, and its data."""

    id: str
    kind: EventKind
    data: Json


class Events:
    """The stream. `epoch` tells this process from others."""

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._number = 0
        self._kept: deque[tuple[int, Event]] = deque(maxlen=KEPT)
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listeners: list[Callable[[Event], None]] = []

    def publish(self, kind: EventKind, data: Json) -> Event:
        """Add one event and wake who listens."""
        self._number += 1
        event = Event(f"{self._epoch}-{self._number}", kind, data)
        self._kept.append((self._number, event))
        for listener in self.listeners:
            listener(event)
        task = asyncio.get_running_loop().create_task(self._wake())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return event

    async def changed(self, seconds: float) -> bool:
        """Wait for the next event, at most so long; return whether one came."""
        seen = self._number
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self._number != seen)
        except TimeoutError:
            return False
        return True

    async def since(self, last_id: str = "") -> AsyncIterator[Event]:
        """Yield every event after `last_id`, for ever; from now on where it is empty."""
        reached = self._number if not last_id else self._position(last_id)
        if reached is None:
            yield Event(f"{self._epoch}-{self._number}", "reset", {"message": "read the state again"})
            reached = self._number
        while True:
            for number, event in [pair for pair in self._kept if pair[0] > reached]:
                reached = number
                yield event
            async with self._news:
                while self._number <= reached:
                    await self._news.wait()

    def _position(self, last_id: str) -> int | None:
        epoch, _, number = last_id.rpartition("-")
        if epoch != self._epoch or not number.isdigit() or int(number) > self._number:
            return None
        oldest = self._kept[0][0] if self._kept else self._number + 1
        return int(number) if int(number) >= oldest - 1 else None

    async def _wake(self) -> None:
        async with self._news:
            self._news.notify_all()
