"""Sounds when something was approved and is not dispatched: nobody may believe that it is done.

Rules:
  1. An approval is dispatched at once, and by the patrol where that failed. One that still waits after `SECONDS` is an
     alarm: an event, an entry in the ledger, a line in the log, in `status`, in `doctor` and in the metrics.
  2. It is raised once for each proposal, and ends when the proposal moves on, which is told as well.
  3. A record that was restored from an older copy is an alarm until the gateway starts again.
"""

import asyncio
import contextlib
import logging

from skyflo_runbooks.gateway.events import Events
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json

SECONDS = 5.0
LOOK_SECONDS = 1.0
log = logging.getLogger(__name__)


class Alarm:
    """Looks every second for approvals that wait."""

    def __init__(self, *, store: Store, events: Events, after: float = SECONDS) -> None:
        self._store = store
        self._events = events
        self._after = after
        self._raised: dict[str, str] = {}

    def now(self) -> list[Json]:
        """Return what is alarming now, for status and doctor."""
        said: list[Json] = [
            {"kind": "not_dispatched", "proposal": id_, "message": text} for id_, text in self._raised.items()
        ]
        if self._store.book.restored:
            said.append({"kind": "restored", "proposal": "", "message": self._store.book.restored})
        return said

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(SkyfloError):
                self.look()

    def look(self) -> None:
        """Raise what is new, and end what is over."""
        waiting = self._store.waiting()
        for id_ in [id_ for id_ in self._raised if id_ not in waiting]:
            del self._raised[id_]
            state = self._store.get(id_).state
            self._events.publish("alarm", {"id": id_, "over": True, "message": f"{id_} went on: it is {state}."})
        for id_, seconds in waiting.items():
            if seconds >= self._after and id_ not in self._raised:
                self._raise(id_, seconds)

    def _raise(self, id_: str, seconds: float) -> None:
        said = f"{id_} was approved {seconds:.0f} s ago and is not dispatched."
        self._raised[id_] = said
        log.warning("%s", said)
        self._events.publish("alarm", {"id": id_, "over": False, "message": said})
        self._store.record("alarm", {"proposal": id_, "message": said})
