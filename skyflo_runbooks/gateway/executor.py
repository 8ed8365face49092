"""Applies what was approved: once, exactly, or not at all.

Rules:
  1. The approval is consumed and the attempt written in one transaction, before anything else.
  2. Then the object is read again: uid and desired state must be as approved, and the dry run repeated must give the
     approved body. If not, the proposal is void and nothing is sent.
  3. The request is sent with the uid and the fresh resourceVersion as compare-and-swap. While only status moved, it is
     read, compared and sent again, at most `TRIES` times.
  4. Before each request is sent the journal says so, durably. After a crash: not marked as sent means not sent, and the
     attempt goes on; marked as sent means looking. Our own write is known by its field manager, which is named after
     the attempt. Nothing is ever sent again on suspicion.
  5. An approval that was never dispatched (the gateway died in between) is dispatched when the gateway starts, if it
     has not expired; else it is expired, and reported.
  6. A list of requests stops at the first failure; what was applied is said.
  7. Where the record cannot be written in between, nothing is concluded: the attempt stays as the record has it, and
     `resume` takes it up by rule 4.
"""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Conflict, Invalid, NotFound, Unreachable

from skyflo_runbooks.gateway import prepare
from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.preimages import Tampered
from skyflo_runbooks.gateway.proposer import Proposer, Sealed
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Attempt, Row, Store, rfc3339
from skyflo_runbooks.model.digest import BoundRequest
from skyflo_runbooks.model.errors import OurBug, OutcomeUnknown, SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.lifecycle import Event
from skyflo_runbooks.model.proposal import Applied, Proposal, ProposalId
from skyflo_runbooks.model.request import Request

TRIES = 8
SETTLE_SECONDS = 3.0
LOOKS = 4


class Drift(msgspec.Struct, frozen=True):
    """The object is not as it was approved."""

    message: str


class Moved(Exception):
    """Only the resourceVersion moved between reading and sending: read again."""


class Executor:
    """Dispatches approved proposals on one cluster."""

    def __init__(self, *, cluster: Cluster, store: Store, proposer: Proposer, redactor: Redactor) -> None:
        self._cluster = cluster
        self._store = store
        self._proposer = proposer
        self._redactor = redactor
        self._running: dict[ProposalId, asyncio.Task[Row]] = {}

    def dispatch(self, id_: ProposalId) -> asyncio.Task[Row]:
        """Start executing an approved proposal and return the task; a second call returns the same task."""
        task = self._running.get(id_)
        if task is None:
            attempt = "at-" + secrets.token_hex(5)
            self._store.start_attempt(id_, attempt)
            task = asyncio.create_task(self._execute(id_), name=f"attempt {attempt}")
            self._running[id_] = task
            task.add_done_callback(lambda _: self._running.pop(id_, None))
        return task

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
        elif row.state == "executing" and row.attempt and row.attempt.sent == len(row.attempt.applied):
            await self._execute(id_)
        elif row.state in ("executing", "unknown"):
            if row.state == "executing":
                self._store.move(id_, "lose", {"message": "the gateway stopped while a request was on its way"})
            await self.look(id_)
        return self._store.get(id_)

    async def look(self, id_: ProposalId) -> Row:
        """Settle an unknown attempt by comparing the live object with what was approved."""
        row = self._store.get(id_)
        attempt = _attempt(row)
        place = attempt.sent - 1
        sealed = self._proposer.sealed(id_)[place]
        bound = row.proposal.binding.requests[place]
        for turn in range(LOOKS):
            try:
                event, said, applied = await self._found(attempt, sealed, bound)
            except SkyfloError as error:
                event, said, applied = None, f"still unknown: {error.message}", None
            if event == "settle_executed" or turn == LOOKS - 1:
                break
            # A request that was on its way when the process died may arrive a moment later.
            await asyncio.sleep(SETTLE_SECONDS / LOOKS)
        if event is None or self._store.get(id_).state != "unknown":
            # Nothing is known yet, or somebody who looked at the same time has settled it.
            return self._store.get(id_)
        if applied is not None:
            self._note(attempt, applied[0], applied[1])
        total = len(row.proposal.binding.requests)
        settled: Event = event
        if event == "settle_executed" and place + 1 < total:
            settled, said = "settle_failed", f"{place + 1} of {total} requests were applied before the gateway stopped"
        self._store.end_attempt(id_, settled, said, _undone(row.proposal) if settled == "settle_executed" else "")
        return self._store.get(id_)

    async def _execute(self, id_: ProposalId) -> Row:
        row = self._store.get(id_)
        attempt = _attempt(row)
        event: Event = "succeed"
        said = "applied"
        try:
            sealed = self._proposer.sealed(id_)
        except Tampered as error:
            # Nothing of this attempt is sent any more; what an earlier process sent of it stands in the journal.
            self._store.end_attempt(id_, "fail" if attempt.applied else "drift", error.message)
            return self._store.get(id_)
        for place in range(len(attempt.applied), len(sealed)):
            try:
                problem = await self._apply(row.proposal, attempt, sealed[place], place)
            except Unreachable as error:
                return await self._lost(id_, place, error)
            except RecordUnusable:
                # Rule 7: the request may be out, and "failed" would be a guess.
                raise
            except SkyfloError as error:
                event, said = "fail", self._redactor.error(_list_message(place, len(sealed), str(error)))
                break
            if problem is not None:
                event = "drift" if place == 0 else "fail"
                said = self._redactor.error(_list_message(place, len(sealed), problem.message))
                break
            attempt = _attempt(self._store.get(id_))
        self._store.end_attempt(id_, event, said, _undone(row.proposal) if event == "succeed" else "")
        return self._store.get(id_)

    async def _lost(self, id_: ProposalId, place: int, error: Unreachable) -> Row:
        """The cluster went away: before the request was sent nothing happened; afterwards it is unknown."""
        if _attempt(self._store.get(id_)).sent <= place:
            said = _list_message(place, place + 1, f"nothing was sent: {error.message}")
            self._store.end_attempt(id_, "drift" if place == 0 else "fail", self._redactor.text(said))
            return self._store.get(id_)
        self._store.move(id_, "lose", {"message": self._redactor.text(error.message)})
        return await self.look(id_)

    async def _apply(self, proposal: Proposal, attempt: Attempt, sealed: Sealed, place: int) -> Drift | None:
        """Send one request by rules 2 and 3."""
        bound = proposal.binding.requests[place]
        without = tuple(tuple(path) for path in (*sealed.ignored, *sealed.unstable))
        marked = False
        for _ in range(TRIES):
            now = await prepare.live(self._cluster, sealed.request)
            drift = await self._drift(now, sealed, bound, without)
            if drift is not None and not marked:
                return drift
            if drift is not None and manager(attempt.id) in managers(now):
                # Something on the way sent it twice, and the answer is the second one's.
                raise OutcomeUnknown("the answer says that the object moved, and the object shows our own write")
            if drift is not None:
                return Drift(f"it moved while it was being sent: {drift.message}")
            if not marked:
                self._store.mark_sent(attempt.id, place + 1)
                marked = True
            try:
                await self._send(attempt, sealed, now, self._other_than(bound, sealed.request, without))
            except Moved:
                continue
            return None
        raise Conflict(f"{sealed.request.target} kept moving: {TRIES} tries.", next_step="Run the change step again.")

    async def _send(
        self, attempt: Attempt, sealed: Sealed, now: Json | None, other: Callable[[Json | None], str]
    ) -> None:
        request = sealed.request
        version = str(at(now, "metadata", "resourceVersion", default=""))
        try:
            sent = await self._cluster.send(
                request,
                dry_run=False,
                field_manager=manager(attempt.id),
                uid=str(at(now, "metadata", "uid", default="")),
                resource_version=version,
            )
        except Conflict as error:
            if request.verb == "create":
                raise
            raise Moved from error
        except Invalid as error:
            # A failed `test` of a JSON Patch is a bare 422: read again to tell drift from a body that is invalid.
            again = await prepare.live(self._cluster, request)
            if str(at(again, "metadata", "resourceVersion", default="")) != version:
                raise Moved from error
            raise
        left = None if request.verb == "delete" else sent.object
        self._note(
            attempt, _applied(request.target, sent.status, left, other(left), at_=sent.at), self._state(left, sealed)
        )

    def _other_than(
        self, bound: BoundRequest, request: Request, without: tuple[tuple[str, ...], ...]
    ) -> Callable[[Json | None], str]:
        """Return what tells an answer from what the dry run promised: admission can tell the two apart."""

        def said(left: Json | None) -> str:
            same = prepare.body_of(left, request, without, self._proposer.secret_key) == bound.body
            return "" if same else "the server's admission left something else than its dry run had shown"

        return said

    def _note(self, attempt: Attempt, applied: Applied, after: str) -> None:
        known = self._store.get(attempt.proposal).attempt
        before = known or attempt
        self._store.mark_applied(
            attempt.id, [*before.applied, msgspec.to_builtins(applied)], [*before.after, {"desired_state": after}]
        )

    async def _drift(
        self, now: Json | None, sealed: Sealed, bound: BoundRequest, without: tuple[tuple[str, ...], ...]
    ) -> Drift | None:
        """Return what moved since the approval, by rule 2."""
        uid = str(at(now, "metadata", "uid", default=""))
        if uid != bound.uid:
            return Drift(f"{sealed.request.target} is another object now ({uid or 'gone'}, was {bound.uid or 'none'})")
        if self._state(now, sealed) != bound.desired_state:
            return Drift(f"{sealed.request.target} was changed by somebody else since it was proposed{_by(now)}")
        try:
            left, _ = await prepare.dry_run(self._cluster, sealed.request)
        except (Invalid, Conflict, NotFound) as error:
            return Drift(f"the dry run is refused now: {error.message}")
        if prepare.body_of(left, sealed.request, without, self._proposer.secret_key) != bound.body:
            return Drift(f"the dry run of {sealed.request.target} gives another result than the approved one")
        return None

    def _state(self, manifest: Json | None, sealed: Sealed) -> str:
        ignored = tuple(tuple(path) for path in sealed.ignored)
        return prepare.state_of(manifest, ignored=ignored, secret_key=self._proposer.secret_key)

    async def _found(
        self, attempt: Attempt, sealed: Sealed, bound: BoundRequest
    ) -> tuple[Literal["settle_executed", "settle_void"], str, tuple[Applied, str] | None]:
        """Return what looking at the live object says of a request that was on its way."""
        request = sealed.request
        now = await prepare.live(self._cluster, request)
        if request.verb == "delete":
            gone = (
                now is None or at(now, "metadata", "uid") != bound.uid or bool(at(now, "metadata", "deletionTimestamp"))
            )
            ours = gone
        else:
            ours = manager(attempt.id) in managers(now)
        if ours:
            said = "found in place after the answer was lost"
            applied = _applied(request.target, 200, now, said, at_=_written_at(now, attempt.id))
            return (
                "settle_executed",
                "applied; the answer was lost and the live object shows our write",
                (
                    applied,
                    self._state(now, sealed),
                ),
            )
        return "settle_void", f"{request.target} does not show our write: it was not applied. Run the step again.", None


def manager(attempt: str) -> str:
    """Return the field manager of an attempt's writes."""
    return f"skyflo-{attempt}"


def managers(manifest: Json | None) -> set[str]:
    """Return the field managers that the object knows."""
    return {str(entry.get("manager")) for entry in at(manifest, "metadata", "managedFields", default=[])}


def _attempt(row: Row) -> Attempt:
    if row.attempt is None:
        raise OurBug(f"{row.proposal.id} is {row.state} without an attempt.")
    return row.attempt


def _undone(proposal: Proposal) -> str:
    return proposal.rollback_of


def _applied(
    target: object, status: int, left: Json | None, message: str = "", *, at_: datetime | None = None
) -> Applied:
    return Applied(
        object=str(target),
        status=status,
        resource_version=str(at(left, "metadata", "resourceVersion", default="")),
        generation=at(left, "metadata", "generation"),
        message=message,
        at=rfc3339(at_) if at_ else "",
    )


def _written_at(now: Json | None, attempt: str) -> datetime | None:
    """Return when the object says that our attempt wrote it."""
    for entry in at(now, "metadata", "managedFields", default=[]):
        if entry.get("manager") == manager(attempt) and entry.get("time"):
            return datetime.fromisoformat(str(entry["time"]))
    return None


def _by(now: Json | None) -> str:
    """Return who wrote last, as far as managedFields says."""
    entries = [e for e in at(now, "metadata", "managedFields", default=[]) if e.get("subresource") != "status"]
    last = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return f" (last writer: {last.get('manager')}, {last.get('time')})" if last else ""


def _list_message(place: int, total: int, said: str) -> str:
    return said if total == 1 else f"{place} of {total} requests were applied; then {said}"
