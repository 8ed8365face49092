"""One request of an attempt: compared with what was approved, journaled, sent, and its answer noted.

Rules:
  1. The object is read again: uid and desired state must be as approved. Where a dry run bound what is left it is
     repeated, and must give the approved body; elsewhere the body that is sent must be the approved one. If not,
     nothing is sent.
  2. What could not be tried at proposal time because a request before it had to come first (`preview: later`) is
     dry-run now. What that request made may take a moment to be served, which is waited for.
  3. The request is sent with the uid and the fresh resourceVersion as compare-and-swap. While only status moved, it is
     read, compared and sent again, at most `TRIES` times.
  4. Before each request is sent the journal says so, durably, and which version of the object it is bound to. The
     clock is asked at each sending, the first and every further one: after its time an approval sends nothing, whatever
     was begun before.
  5. What is in place already, and a pod to be evicted that has gone by itself, is not sent, and noted as that.
  6. A disruption budget that lets a pod not go is an answer: nothing was done. The eviction is tried again for a
     bounded time, each try in the journal, and has failed then.
  7. What is run in a container is sent once and never again. An exit code other than 0, or none, is a failure. A stream
     into a pod knows no precondition, so the pod is looked at once more afterwards: where another one of that name
     stands there, or nobody can tell, it may have been that one which answered; that is said, and it has failed.
  8. Something on the way may deliver a request twice, and the answer is the second one's. So where the answer or the
     object says after sending that it cannot be done, and the object looks as if it was, the outcome is unknown.
  9. The API knows no "apply only if there is none". Where an apply that was to make an object found one, or others have
     written to it since, it is noted as one that may be somebody else's.
"""

import asyncio
import time
from datetime import datetime

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import BadRequest, Conflict, Denied, Invalid, NotFound, TooMany
from skyflo_mcp.kubernetes.running import LARGEST
from skyflo_mcp.kubernetes.sending import APPLIER, Sent
from skyflo_mcp.kubernetes.streams import Ran
from skyflo_mcp.kubernetes.transport import ARRIVAL

from skyflo_runbooks.gateway import prepare, traces
from skyflo_runbooks.gateway.hidden import learn
from skyflo_runbooks.gateway.looking import Found, found, is_gone
from skyflo_runbooks.gateway.owned import in_its_wake
from skyflo_runbooks.gateway.preview import dry_run, left_by, webhook
from skyflo_runbooks.gateway.proposer import Sealed
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Attempt, Store, rfc3339
from skyflo_runbooks.model.digest import BoundRequest, Digest, sent_digest
from skyflo_runbooks.model.errors import OutcomeUnknown, SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Applied
from skyflo_runbooks.model.quantity import format_duration
from skyflo_runbooks.model.request import LEAVING

TRIES = 8


class Patience(msgspec.Struct, frozen=True):
    """How long an answer is waited for that is expected to change, and how often is asked; in seconds.

    `settle` is how long one look takes for a write that is not seen, `arrival` after which nothing comes any more.
    """

    budget: float = 120.0
    budget_pause: float = 5.0
    served: float = 15.0
    served_pause: float = 0.5
    settle: float = 3.0
    arrival: float = ARRIVAL


PATIENCE = Patience()


class Stopped(msgspec.Struct, frozen=True):
    """Why a request was not applied (`drift`: the object is not as it was approved), or why it failed."""

    message: str
    drift: bool = True


class Moved(Exception):
    """Only the resourceVersion moved between reading and sending: read again."""


class Step:
    """One request of an attempt, at `place` (from 0) in its list; `apply` carries it out."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        *,
        attempt: Attempt,
        place: int,
        sealed: Sealed,
        bound: BoundRequest,
        expires: datetime,
        secret_key: bytes,
        redactor: Redactor,
        patience: Patience,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._attempt = attempt
        self._place = place
        self._sealed = sealed
        self._request = sealed.request
        self._bound = bound
        self._expires = expires
        self._secret_key = secret_key
        self._redactor = redactor
        self._patience = patience
        self._began = time.monotonic()

    async def apply(self) -> Stopped | None:
        """Send the request by the rules above; None where it was applied."""
        marked: Json | None = None
        moves = 0
        until = self._began + self._patience.budget
        while moves < TRIES:
            now = await self._live()
            if self._gone_already(now):
                if moves:
                    raise _unclear(f"{self._request.target} is gone")
                self._skip("gone already, nothing was sent", None)
                return None
            stopped = await self.drift(now)
            if stopped is not None:
                return stopped if marked is None else self._while_sending(stopped, now)
            if self._in_place():
                self._skip("in place already, nothing was sent", now)
                return None
            late = self._too_late()
            if late is not None:
                return late if marked is None else self._while_sending(late, now)
            grip = traces.grip(now)
            if marked != grip or self._request.verb == "evict":
                self._store.mark_sent(self._attempt.id, self._place + 1, grip)
                marked = grip
            try:
                return await self._send(now)
            except Moved:
                moves += 1
            except TooMany as error:
                left = until - time.monotonic()
                if self._request.verb != "evict":
                    raise
                if left <= 0:
                    return _held(error, self._patience.budget)
                said = self._redactor.error(error.message)
                told = {"attempt": self._attempt.id, "request": self._place + 1, "said": said, "left": round(left)}
                self._store.record("waiting", told)
                await asyncio.sleep(self._patience.budget_pause)
        raise Conflict(f"{self._request.target} kept moving: {TRIES} tries.", next_step="Run the change step again.")

    async def drift(self, now: Json | None) -> Stopped | None:
        """Return what moved since the approval, by rule 1."""
        target = self._request.target
        uid = str(at(now, "metadata", "uid", default=""))
        if uid != self._bound.uid:
            return Stopped(f"{target} is another object now ({uid or 'gone'}, was {self._bound.uid or 'none'})")
        if self._state(now) != self._bound.desired_state:
            return Stopped(f"{target} was changed since it was proposed{traces.last_writer(now)}")
        if not self._bound.seen and sent_digest(self._request, secret_key=self._secret_key) != self._bound.body:
            return Stopped(f"what would be sent for {target} is not what was approved")
        if self._request.preview == "none" or self._request.verb in ("evict", "run"):
            return None
        try:
            left = await self._dry_run(now)
        except (Invalid, Conflict, Denied, NotFound) as error:
            return Stopped(f"the dry run is refused now: {error.message}")
        if self._bound.seen and self._body(left) != self._bound.body:
            return Stopped(f"the dry run of {target} gives another result than the approved one")
        return None

    async def look(self) -> Found:
        """Return what the live object says of the request, which was being sent."""
        return self._found(await self._live())

    def note_found(self, seen: Found) -> None:
        """Write down that the request was found applied after its answer was lost."""
        when = traces.written_at(seen.now, traces.writer(self._request, self._attempt.id))
        left = seen.now if self._request.verb in LEAVING else None
        by = rfc3339(when) if when else ""
        applied = self._answered(200, left, by=by, message=seen.message)
        shared = self._makes_by_apply() and traces.writers(left) != {APPLIER}
        self._note(msgspec.structs.replace(applied, shared=shared), self._after(left))

    async def _live(self) -> Json | None:
        """Return the object as it is; its secret values are known from then on, and so masked in what is said of it."""
        now = await prepare.live(self._cluster, self._request)
        learn(self._redactor, self._request, now)
        return now

    def _found(self, now: Json | None) -> Found:
        before = self._store.sending(self._attempt.id, self._place + 1)
        as_approved = not self._bound.seen or self._body(now) == self._bound.body
        return found(self._request, self._bound, self._attempt.id, now, before=before, as_approved=as_approved)

    async def _dry_run(self, now: Json | None) -> Json | None:
        """Return what the request would leave now; by rule 2, where that waits for a request before it."""
        until = time.monotonic() + (self._patience.served if self._request.preview == "later" else 0.0)
        while True:
            try:
                return (await dry_run(self._cluster, self._request, now))[0]
            except (NotFound, Denied) as error:
                # A new namespace has no default service account for a moment, and a new kind is not served yet.
                passing = isinstance(error, NotFound) or "serviceaccount" in error.message
                if not passing or time.monotonic() >= until:
                    raise
            except BadRequest as error:
                # What takes no part in dry runs was not known at proposal time either.
                if self._request.preview != "later" or not webhook(error):
                    raise
                return None
            await asyncio.sleep(self._patience.served_pause)

    async def _send(self, now: Json | None) -> Stopped | None:
        if self._request.verb == "run":
            return await self._run()
        version = str(at(now, "metadata", "resourceVersion", default=""))
        try:
            sent = await self._cluster.send(
                self._request,
                dry_run=False,
                field_manager=traces.manager(self._attempt.id),
                uid=str(at(now, "metadata", "uid", default="")),
                resource_version=version,
            )
        except (Conflict, NotFound) as error:
            if isinstance(error, Conflict) and self._request.verb != "create":
                raise Moved from error
            if (await self.look()).event != "settle_void":
                raise _unclear(error.message) from error
            raise
        except Invalid as error:
            # A failed `test` of a JSON Patch is a bare 422: read again to tell drift from a body that is invalid.
            again = await self._live()
            if str(at(again, "metadata", "resourceVersion", default="")) != version:
                raise Moved from error
            raise
        self._took(sent, now)
        return None

    async def _run(self) -> Stopped | None:
        """Run the command by rule 7, and note what came out of it."""
        began = await self._cluster.time_since(self._began)
        ran = await self._cluster.run(self._request, field_manager=traces.manager(self._attempt.id))
        said = ran.message or ("answered" if ran.code is None else f"exit code {ran.code}")
        other = await self._another_pod()
        said = f"{said}; {other}" if other else said
        applied = self._answered(200, None, by=rfc3339(began), message=self._redactor.error(said))
        failed = ran.code not in (0, None) or bool(ran.message) or bool(other)
        # Each for itself: where one was cut, its end is the end of a text.
        said_out, said_err = self._redactor.error(ran.stdout), self._redactor.error(ran.stderr)
        limit = int(at(self._request.body, "limit_bytes", default=0))
        printed = text_of(msgspec.structs.replace(ran, stdout=said_out, stderr=said_err), limit)
        self._note(msgspec.structs.replace(applied, output=printed, failed=failed), {})
        return ended_badly(said) if failed else None

    async def _another_pod(self) -> str:
        """Return what stands against it that the approved pod answered, by rule 7; nothing where it is still there."""
        try:
            now = await self._live()
        except SkyfloError as error:
            return f"whether the approved pod answered is not known: it could not be read again ({error.message})"
        uid = str(at(now, "metadata", "uid", default=""))
        if not uid:
            return "the pod is gone, so whether it was the approved one that answered is not known"
        if uid != self._bound.uid:
            return f"another pod of that name stands there now ({uid}), and may be the one that answered"
        return ""

    def _took(self, sent: Sent, now: Json | None) -> None:
        """Note a successful answer, and say where admission made something else of it than its dry run had shown."""
        left = left_by(self._request, now, sent.object)
        other = self._bound.seen and self._body(left) != self._bound.body
        message = "the server's admission left something else than its dry run had shown" if other else ""
        shared = self._makes_by_apply() and sent.status == 200
        if shared:
            message = "the object came into being at the same moment, and this was merged into it"
        by = rfc3339(sent.at) if sent.at else ""
        applied = self._answered(sent.status, left, by=by, message=message)
        self._note(msgspec.structs.replace(applied, shared=shared), self._after(left))

    def _skip(self, why: str, left: Json | None) -> None:
        """Note that nothing had to be sent."""
        self._note(self._answered(0, left, by="", message=why), self._after(left))

    def _too_late(self) -> Stopped | None:
        """Return that the approval's time is over, where it is."""
        if self._store.now() < self._expires:
            return None
        return Stopped(f"the approval held until {rfc3339(self._expires)}, and nothing is sent after that")

    def _while_sending(self, stopped: Stopped, now: Json | None) -> Stopped:
        """Return what it means that the object is not as approved any more, after a first try to send."""
        if self._found(now).event != "settle_void":
            raise _unclear("the object moved")
        return Stopped(f"nothing was written by the first try to send it: {stopped.message}")

    def _gone_already(self, now: Json | None) -> bool:
        """Return whether a pod that is to be evicted is gone, going, or another one by now."""
        return self._request.verb == "evict" and is_gone(self._bound, now)

    def _makes_by_apply(self) -> bool:
        return self._request.verb == "apply" and not self._bound.uid

    def _in_place(self) -> bool:
        return self._bound.seen and bool(self._bound.uid) and self._bound.desired_state == self._bound.body

    def _answered(self, status: int, left: Json | None, *, by: str, message: str = "") -> Applied:
        """Return what is kept of an answer. `by` says when: the cluster's time (RFC 3339)."""
        return Applied(
            object=str(self._request.target),
            status=status,
            uid=str(at(left, "metadata", "uid", default=self._bound.uid)),
            resource_version=str(at(left, "metadata", "resourceVersion", default="")),
            generation=at(left, "metadata", "generation"),
            message=message,
            at=by,
        )

    def _after(self, left: Json | None) -> Json:
        """Return what is kept of the state that a request left: what tells later whether somebody else was there."""
        if left is None:
            return {"gone": self._bound.uid}
        ignored = (*self._sealed.ignored, *in_its_wake(self._sealed.request))
        return {"desired_state": prepare.state_of(left, ignored=ignored, secret_key=self._secret_key)}

    def _note(self, applied: Applied, after: Json) -> None:
        """Write down what the API server answered."""
        known = self._store.get(self._attempt.proposal).attempt or self._attempt
        answers = [*known.applied, msgspec.to_builtins(applied)]
        self._store.mark_applied(self._attempt.id, answers, [*known.after, after])

    def _body(self, left: Json | None) -> Digest:
        without = (*self._sealed.ignored, *self._sealed.unstable)
        return prepare.body_of(left, self._request, self._bound, without, self._secret_key)

    def _state(self, manifest: Json | None) -> Digest:
        return prepare.state_of(manifest, ignored=self._sealed.ignored, secret_key=self._secret_key)


def _held(error: TooMany, tried: float) -> Stopped:
    """Return what ends a list where a disruption budget kept a pod to the end of our patience."""
    then = "Have another of its pods ready, or the budget changed, and propose it again: what has gone stays gone"
    return Stopped(f"{error.message.rstrip('.')}; it was tried for {format_duration(tried)}. {then}.", drift=False)


def _unclear(said: str) -> OutcomeUnknown:
    """Return what is raised by rule 8."""
    return OutcomeUnknown(f"the answer says: {said.rstrip('.')}. The object looks as if it was done.")


def ended_badly(said: str) -> Stopped:
    """Return what stops a list after a command that ran."""
    return Stopped(f"it ran, and did not end well: {said}", drift=False)


def text_of(ran: Ran, limit: int) -> str:
    """Return what a command printed, as one text; what was cut after `limit` bytes says how to get the rest."""
    errors = f"[stderr]\n{ran.stderr}" if ran.stderr else ""
    more = f"limit_bytes goes up to {LARGEST}" if limit < LARGEST else "the command has to print less"
    cut = f"[cut after {limit} bytes: {more}]" if ran.truncated else ""
    return "\n".join(part for part in (ran.stdout.rstrip("\n"), errors.rstrip("\n"), cut) if part)
