"""Applies what was approved: once, exactly, or not at all.

Rules:
  1. Nothing is consumed before the approval was vouched for from the record alone (`decisions.admit_dispatch`): its
     signatures, its digest, its time, and what the policy says now. What does not stand is void, and says why. Then the
     approval is consumed and the attempt written in one transaction, before anything else.
  2. Each request is compared with what was approved, and sent as compare-and-swap (`step`). Where the first of them is
     not as approved the proposal is void, and nothing is sent.
  3. After a crash: not marked as sent means not sent, and the attempt goes on; marked as sent means looking
     (`looking`). Nothing is ever sent again on suspicion, and nothing after the approval's time (`step`).
  4. An approval that was never dispatched (the gateway died in between) is dispatched when the gateway starts, if it
     has not expired; else it is expired, and reported.
  5. A list of requests stops at the first failure; which of them were applied is said.
  6. Where the record cannot be written in between, nothing is concluded: the attempt stays as the record has it, and
     `resume` takes it up by rule 3.
  7. What is not seen and could still come stays unknown, and is looked for again, until `Patience.arrival` has passed
     since it was given up, or since this process first looked, by the process's own clock, which nobody sets.
"""

import asyncio
import secrets
import time
from datetime import datetime

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Unreachable

from skyflo_runbooks.gateway import looking, restored
from skyflo_runbooks.gateway.approvals import Approvals
from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.decisions import admit_sealed
from skyflo_runbooks.gateway.hidden import learn
from skyflo_runbooks.gateway.preimages import Tampered
from skyflo_runbooks.gateway.proposer import Proposer, Sealed
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import PATIENCE, Patience, Step, ended_badly
from skyflo_runbooks.gateway.store import Attempt, Row, Store
from skyflo_runbooks.model.errors import BadInput, OurBug, OutcomeUnknown, Refused, SkyfloError
from skyflo_runbooks.model.lifecycle import Event
from skyflo_runbooks.model.proposal import Proposal, ProposalId

LOOKS = 4


class Executor:
    """Dispatches approved proposals on one cluster."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        proposer: Proposer,
        redactor: Redactor,
        approvals: Approvals,
        patience: Patience = PATIENCE,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._proposer = proposer
        self._redactor = redactor
        self._patience = patience
        self._approvals = approvals
        self._running: dict[ProposalId, asyncio.Task[Row]] = {}
        # Since when each unknown attempt is on its way, at the latest.
        self._lost_at: dict[str, float] = {}

    def dispatch(self, id_: ProposalId) -> asyncio.Task[Row]:
        """Start executing an approved proposal and return the task; a second call returns the same task."""
        task = self._running.get(id_)
        if task is None:
            task = asyncio.create_task(self._dispatch(id_), name=f"dispatch {id_}")
            self._running[id_] = task
            task.add_done_callback(lambda _: self._running.pop(id_, None))
        return task

    async def _dispatch(self, id_: ProposalId) -> Row:
        """Have the approval vouched for, consume it, and execute; nothing is awaited between the first two."""
        row = self._store.get(id_)
        told = await self._approvals.parties(row)
        problem = await self._against(row)
        if problem:
            self._store.move(id_, "refuse", {"message": problem})
            return self._store.get(id_)
        self._store.start_attempt(id_, "at-" + secrets.token_hex(5), told)
        return await self._execute(id_)

    async def _go_on(self, row: Row, attempt: Attempt) -> Row:
        """Finish an attempt of a former process, of which nothing is on its way, if its approval still stands.

        Where nothing is left to be sent there is nothing to stand against: it is done.
        """
        whole = len(attempt.applied) == len(row.proposal.requests)
        problem = "" if whole else await self._against(row, resumed=True)
        if problem:
            return self._stopped(row, len(attempt.applied), "refuse", problem)
        return await self._execute(row.proposal.id)

    async def _against(self, row: Row, *, resumed: bool = False) -> str:
        """Return what stands against executing a proposal (rule 1); nothing where its approval stands."""
        try:
            await self._approvals.admit(row, resumed=resumed)
            admit_sealed(row.proposal.binding, [one.request for one in self._proposer.sealed(row.proposal.id)])
        except RecordUnusable:
            raise  # nothing is known, so nothing is concluded
        except (Refused, BadInput) as error:
            return f"not executed: {self._redactor.error(error.message)}"
        return ""

    async def resume(self, id_: ProposalId) -> Row:
        """Finish or settle what a former process, or a record that could not be written, left behind."""
        row = self._store.get(id_)
        if id_ in self._running:
            return row
        if row.state == "approved":
            if datetime.fromisoformat(row.proposal.binding.expires) <= self._store.now():
                self._store.move(id_, "expire", {"message": "approved, but never dispatched before it expired"})
            else:
                await self.dispatch(id_)
        elif row.state == "executing" and row.attempt and row.attempt.sent <= len(row.attempt.applied):
            await self._go_on(row, row.attempt)
        elif row.state in ("executing", "unknown"):
            if row.state == "executing":
                self._store.move(id_, "lose", {"message": "the gateway stopped while a request was on its way"})
            await self.look(id_)
        return self._store.get(id_)

    async def look(self, id_: ProposalId) -> Row:
        """Settle an unknown attempt by comparing the live object with what was approved."""
        row = self._store.get(id_)
        attempt = _attempt(row)
        if len(row.proposal.requests) > 1 and any(one.body.get("restored") for one in self._store.told(id_)):
            return await self._look_at_all(row, attempt)
        # A record that was restored may not know that a request was sent: then the first one is looked for.
        place = max(attempt.sent, 1) - 1
        step = self._step(row, attempt, self._proposer.sealed(id_)[place], place)
        found: looking.Found | None = None
        over = self._over(attempt)
        for turn in range(LOOKS):
            try:
                found = await step.look()
            except SkyfloError:
                found = None
            if (found and not found.pending) or turn == LOOKS - 1:
                break
            # A request that was on its way when the process died may arrive a moment later.
            await asyncio.sleep(self._patience.settle / LOOKS)
        if found is None or (found.pending and not over) or self._store.get(id_).state != "unknown":
            # Nothing is known yet, or somebody who looked at the same time has settled it.
            return self._store.get(id_)
        if found.event == "settle_executed" and len(attempt.applied) == place:
            step.note_found(found)
        event, said = _settled(row.proposal, place, found)
        self._store.end_attempt(id_, event, said, row.proposal.rollback_of if event == "settle_executed" else "")
        self._lost_at.pop(attempt.id, None)
        return self._store.get(id_)

    def _over(self, attempt: Attempt) -> bool:
        """Return whether the time is over in which a request of this attempt could still be taken up (rule 7)."""
        now = time.monotonic()
        return now - self._lost_at.setdefault(attempt.id, now) >= self._patience.arrival

    async def _look_at_all(self, row: Row, attempt: Attempt) -> Row:
        """Settle a list of which a restored record knows only the beginning, by what each object shows."""
        id_, requests = row.proposal.id, row.proposal.requests
        seen: list[restored.Seen] = ["applied" for _ in attempt.applied]
        over = self._over(attempt)
        for place, sealed in list(enumerate(self._proposer.sealed(id_)))[len(seen) :]:
            step = self._step(row, attempt, sealed, place)
            try:
                found = await step.look()
            except SkyfloError:
                return row  # the next look may know more
            if sealed.request.verb not in ("create", "patch"):
                seen.append("not known")
            elif found.event != "settle_executed":
                if found.pending and not over:
                    return row
                seen.append("not seen")
            else:
                if set(seen) <= {"applied"}:
                    step.note_found(found)
                seen.append("applied")
        if self._store.get(id_).state == "unknown":
            event, said = restored.settled(requests, seen)
            self._store.end_attempt(id_, event, said, row.proposal.rollback_of if event == "settle_executed" else "")
        return self._store.get(id_)

    async def _execute(self, id_: ProposalId) -> Row:
        row = self._store.get(id_)
        attempt = _attempt(row)
        try:
            sealed = self._proposer.sealed(id_)
        except Tampered as error:
            # Nothing of this attempt is sent any more; what an earlier process sent of it stands in the journal.
            return self._stopped(row, len(attempt.applied), "drift", error.message)
        if attempt.applied and attempt.applied[-1].get("failed"):
            # An earlier process noted it, and came no further.
            place = len(attempt.applied) - 1
            return self._stopped(row, place, "fail", ended_badly(str(attempt.applied[-1]["message"])).message)
        for one in sealed:
            # An answer may repeat them, and an earlier process may have been the one that knew them.
            learn(self._redactor, one.request)
        for place in range(len(attempt.applied), len(sealed)):
            try:
                stopped = await self._step(row, attempt, sealed[place], place).apply()
            except Unreachable as error:
                return await self._lost(row, place, error)
            except RecordUnusable:
                # Rule 6: the request may be out, and "failed" would be a guess.
                raise
            except SkyfloError as error:
                return self._stopped(row, place, "fail", str(error))
            if stopped is not None:
                return self._stopped(row, place, "drift" if stopped.drift else "fail", stopped.message)
        self._store.end_attempt(id_, "succeed", "applied", row.proposal.rollback_of)
        return self._store.get(id_)

    def _stopped(self, row: Row, place: int, event: Event, said: str) -> Row:
        """End the attempt at a request that was not applied; where something was sent before it, that is a failure."""
        known = _attempt(self._store.get(row.proposal.id))
        sent_any = any(answer.get("status") for answer in known.applied)
        said = self._redactor.error(_list_message(row.proposal, place, said))
        self._store.end_attempt(row.proposal.id, "fail" if sent_any else event, said)
        return self._store.get(row.proposal.id)

    async def _lost(self, row: Row, place: int, error: Unreachable) -> Row:
        """The cluster went away: before the request was sent nothing happened; afterwards it is unknown.

        A stream to which no connection came about is known to have started nothing.
        """
        id_ = row.proposal.id
        never_began = row.proposal.requests[place].verb == "run" and not isinstance(error, OutcomeUnknown)
        if never_began or _attempt(self._store.get(id_)).sent <= place:
            return self._stopped(row, place, "drift", f"nothing was sent: {error.message}")
        self._store.move(id_, "lose", {"message": self._redactor.error(error.message)})
        return await self.look(id_)

    def _step(self, row: Row, attempt: Attempt, sealed: Sealed, place: int) -> Step:
        subject = self._approvals.acting(row)
        return Step(
            self._cluster if subject is None else self._cluster.acting_as(subject),
            self._store,
            attempt=attempt,
            place=place,
            sealed=sealed,
            bound=row.proposal.binding.requests[place],
            expires=datetime.fromisoformat(row.proposal.binding.expires),
            secret_key=self._proposer.secret_key,
            redactor=self._redactor,
            patience=self._patience,
        )


def _settled(proposal: Proposal, place: int, found: looking.Found) -> tuple[Event, str]:
    """Return how an attempt ends of which one request was looked for; what was applied before it stays applied."""
    total = len(proposal.requests)
    if total == 1 or (found.event == "settle_executed" and place + 1 == total):
        return found.event, found.message
    if found.event == "settle_executed":
        return "settle_failed", f"{_list_message(proposal, place + 1, 'it ended there')}: {found.message}"
    return ("settle_failed" if place else found.event), _list_message(proposal, place, found.message)


def _attempt(row: Row) -> Attempt:
    if row.attempt is None:
        raise OurBug(f"{row.proposal.id} is {row.state} without an attempt.")
    return row.attempt


def _list_message(proposal: Proposal, applied: int, said: str) -> str:
    """Return what stopped an attempt; of a list with the requests that were applied before it, by name."""
    total = len(proposal.requests)
    if total == 1:
        return said
    names = ", ".join(f"{request.verb} {request.target}" for request in proposal.requests[:applied])
    return f"{applied} of {total} requests were applied{f' ({names})' if names else ''}; then {said}"
