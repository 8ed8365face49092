"""Goes round the record: finishes what was left behind, expires what is too old, signs and witnesses what is new.

Rules:
  1. What was approved comes first, several at a time, each in a task of its own: however many are proposed, and
     however long one takes to settle (a drain that waits for a budget), they hold up neither the round nor one another.
     One that is being settled is left alone until it is.
  2. A record or a cluster that does not answer now ends no round for ever: the next one tries again. A proposal that
     cannot be settled because of a defect is told of, and keeps none of the others.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.proposal import ProposalId

SECONDS = 2.0
log = logging.getLogger(__name__)
AT_ONCE = 32
TOO_LATE = "nobody decided in time: the answer is no"
OTHER_CLUSTER = "it was proposed for another cluster than this gateway serves"
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
        self._told: set[ProposalId] = set()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._settling: dict[ProposalId, asyncio.Task[None]] = {}

    async def walk(self) -> None:
        """Go round for ever."""
        try:
            while True:
                await self.round()
                await asyncio.sleep(SECONDS)
        finally:
            await self.rest()

    async def rest(self) -> None:
        """Stop what is being settled; the record has it, and the next process takes it up."""
        for task in self._settling.values():
            task.cancel()
        await asyncio.gather(*self._settling.values(), return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is being settled."""
        await asyncio.gather(*self._settling.values())

    async def round(self) -> None:
        """Go round once; what is left behind is begun to be settled, and not waited for."""
        with contextlib.suppress(SkyfloError):
            for id_ in self._store.ids("approved", "executing", "unknown"):
                if id_ not in self._settling:
                    self._begin(id_)
        with contextlib.suppress(SkyfloError):
            if not self._compared:
                cluster = await self._cluster.uid()
                for id_ in self._store.ids("proposed"):
                    self._compare(id_, cluster)
            self._compared = True
        with contextlib.suppress(SkyfloError):
            for id_ in self._store.overdue():
                self._store.move(id_, "expire", {"message": TOO_LATE})
                self._moved(self._store.get(id_))
        with contextlib.suppress(SkyfloError):
            self._store.book.cluster = await self._cluster.uid()
        with contextlib.suppress(SkyfloError):
            self._store.catch_up()

    def _begin(self, id_: ProposalId) -> None:
        task = asyncio.create_task(self._settle(id_), name=f"settle {id_}")
        self._settling[id_] = task
        task.add_done_callback(lambda _: self._settling.pop(id_, None))

    def _compare(self, id_: ProposalId, cluster: str) -> None:
        """Void what waits under another policy, or for another cluster: those of a process stay as they are."""
        binding = self._store.get(id_).proposal.binding
        problem = (
            OTHER_POLICY if binding.policy != self._policy else OTHER_CLUSTER if binding.cluster != cluster else ""
        )
        if problem:
            self._store.move(id_, "refuse", {"message": problem})
            self._moved(self._store.get(id_))

    async def _settle(self, id_: ProposalId) -> None:
        async with self._places:
            try:
                before = self._store.get(id_)
                if before.state != "approved" and before.proposal.binding.cluster != await self._cluster.uid():
                    self._tell_once(id_, f"{id_} was on its way to another cluster: only a gateway there can settle it")
                    return
                settled = await self._resume(id_)
                if settled.state != before.state:
                    self._moved(settled)
            except SkyfloError:
                pass  # the next round tries again
            except Exception as error:  # noqa: BLE001  (one odd object must not end the round of all others)
                self._odd(id_, error)

    def _odd(self, id_: ProposalId, error: Exception) -> None:
        """Tell of a proposal that cannot be settled by a defect of ours; a message could quote anything."""
        self._tell_once(id_, f"{id_} cannot be settled: {type(error).__name__}")

    def _tell_once(self, id_: ProposalId, said: str) -> None:
        if id_ in self._told:
            return
        self._told.add(id_)
        log.error("%s", said)
        with contextlib.suppress(SkyfloError):
            self._store.record("alarm", {"proposal": id_, "message": said})
