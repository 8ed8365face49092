"""Goes round the record: finishes what was left behind, expires what is too old, signs and witnesses what is new.

Rules:
  1. What was approved comes first, several at a time: however many are proposed, and however long one takes to settle,
     they cannot crowd it out.
  2. A record or a cluster that does not answer now ends no round for ever: the next one tries again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.proposal import ProposalId

SECONDS = 2.0
AT_ONCE = 8
TOO_LATE = "nobody decided in time: the answer is no"
OTHER_POLICY = "the policy was changed since it was proposed"


class Patrol:
    """One round after the other. `resume` settles an approved proposal, `moved` hears of each that has moved.

    `policy` is the name of the one in force.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        resume: Callable[[ProposalId], Awaitable[Row]],
        moved: Callable[[Row], None],
        policy: str,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._resume = resume
        self._moved = moved
        self._policy = policy
        self._compared = False
        self._places = asyncio.Semaphore(AT_ONCE)

    async def walk(self) -> None:
        """Go round for ever."""
        while True:
            await self.round()
            await asyncio.sleep(SECONDS)

    async def round(self) -> None:
        """Go round once."""
        with contextlib.suppress(SkyfloError):
            decided = self._store.ids("approved", "executing", "unknown")
            await asyncio.gather(*(self._settle(id_) for id_ in decided))
        with contextlib.suppress(SkyfloError):
            for id_ in self._store.ids("proposed") if not self._compared else ():
                self._compare(id_)
            self._compared = True
        with contextlib.suppress(SkyfloError):
            for id_ in self._store.overdue():
                self._store.move(id_, "expire", {"message": TOO_LATE})
                self._moved(self._store.get(id_))
        with contextlib.suppress(SkyfloError):
            self._store.book.cluster = await self._cluster.uid()
        with contextlib.suppress(SkyfloError):
            self._store.catch_up()

    def _compare(self, id_: ProposalId) -> None:
        """Void what waits under a policy that is not in force any more: the policy of a process stays as it is."""
        if self._store.get(id_).proposal.binding.policy != self._policy:
            self._store.move(id_, "refuse", {"message": OTHER_POLICY})
            self._moved(self._store.get(id_))

    async def _settle(self, id_: ProposalId) -> None:
        async with self._places:
            with contextlib.suppress(SkyfloError):
                before = self._store.get(id_)
                settled = await self._resume(id_)
                if settled.state != before.state:
                    self._moved(settled)
