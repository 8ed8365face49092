"""One request of an attempt: compared with what was approved, journaled, sent, and its answer noted.

Rules:
  1. The object is read again: uid and desired state must be as approved, and the dry run repeated must give the
     approved body. If not, nothing is sent.
  2. The request is sent with the uid and the fresh resourceVersion as compare-and-swap. While only status moved, it is
     read, compared and sent again, at most `TRIES` times.
  3. Before each request is sent the journal says so, durably.
  4. What is in place already is not sent, and noted as that.
"""

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Conflict, Invalid, NotFound
from skyflo_mcp.kubernetes.sending import Sent

from skyflo_runbooks.gateway import prepare, traces
from skyflo_runbooks.gateway.looking import Found, found
from skyflo_runbooks.gateway.proposer import Sealed
from skyflo_runbooks.gateway.store import Attempt, Store, rfc3339
from skyflo_runbooks.model.digest import BoundRequest, Digest, sent_digest
from skyflo_runbooks.model.errors import OutcomeUnknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Applied
from skyflo_runbooks.model.request import LEAVING

TRIES = 8


class Drift(msgspec.Struct, frozen=True):
    """The object is not as it was approved."""

    message: str


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
        secret_key: bytes,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._attempt = attempt
        self._place = place
        self._sealed = sealed
        self._request = sealed.request
        self._bound = bound
        self._secret_key = secret_key

    async def apply(self) -> Drift | None:
        """Send the request by the rules above; what moved is returned, and nothing was sent then."""
        marked = False
        for _ in range(TRIES):
            now = await prepare.live(self._cluster, self._request)
            drift = await self.drift(now)
            if drift is not None and not marked:
                return drift
            if drift is not None and traces.manager(self._attempt.id) in traces.managers(now):
                # Something on the way sent it twice, and the answer is the second one's.
                raise OutcomeUnknown("the answer says that the object moved, and the object shows our own write")
            if drift is not None:
                return Drift(f"it moved while it was being sent: {drift.message}")
            if self._in_place():
                self.note(Applied(str(self._request.target), 0, message="in place already, nothing was sent"), now)
                return None
            if not marked:
                self._store.mark_sent(self._attempt.id, self._place + 1)
                marked = True
            try:
                await self._send(now)
            except Moved:
                continue
            return None
        raise Conflict(f"{self._request.target} kept moving: {TRIES} tries.", next_step="Run the change step again.")

    async def drift(self, now: Json | None) -> Drift | None:
        """Return what moved since the approval, by rule 1."""
        target = self._request.target
        uid = str(at(now, "metadata", "uid", default=""))
        if uid != self._bound.uid:
            return Drift(f"{target} is another object now ({uid or 'gone'}, was {self._bound.uid or 'none'})")
        if self._state(now) != self._bound.desired_state:
            return Drift(f"{target} was changed by somebody else since it was proposed{traces.last_writer(now)}")
        try:
            left, _ = await prepare.dry_run(self._cluster, self._request)
        except (Invalid, Conflict, NotFound) as error:
            return Drift(f"the dry run is refused now: {error.message}")
        if self._body(left) != self._bound.body:
            return Drift(f"the dry run of {target} gives another result than the approved one")
        return None

    async def look(self) -> Found:
        """Return what the live object says of the request, which was being sent."""
        now = await prepare.live(self._cluster, self._request)
        return found(self._request, self._bound, self._attempt.id, now)

    def note_found(self, seen: Found) -> None:
        """Write down that the request was found applied after its answer was lost."""
        when = traces.written_at(seen.now, traces.writer(self._request, self._attempt.id))
        left = seen.now if self._request.verb in LEAVING else None
        by = rfc3339(when) if when else ""
        self.note(self.answered(200, left, by=by, message="found in place after the answer was lost"), left)

    def note(self, applied: Applied, left: Json | None) -> None:
        """Write down what the API server answered, and the desired state that is there now."""
        known = self._store.get(self._attempt.proposal).attempt or self._attempt
        after: Json = {"desired_state": self._state(left)}
        if left is None:
            after = {"gone": self._bound.uid}
        self._store.mark_applied(
            self._attempt.id, [*known.applied, msgspec.to_builtins(applied)], [*known.after, after]
        )

    def answered(self, status: int, left: Json | None, *, by: str, message: str = "") -> Applied:
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

    async def _send(self, now: Json | None) -> None:
        version = str(at(now, "metadata", "resourceVersion", default=""))
        try:
            sent = await self._cluster.send(
                self._request,
                dry_run=False,
                field_manager=traces.writer(self._request, self._attempt.id),
                uid=str(at(now, "metadata", "uid", default="")),
                resource_version=version,
            )
        except Conflict as error:
            if self._request.verb == "create":
                raise
            raise Moved from error
        except Invalid as error:
            # A failed `test` of a JSON Patch is a bare 422: read again to tell drift from a body that is invalid.
            again = await prepare.live(self._cluster, self._request)
            if str(at(again, "metadata", "resourceVersion", default="")) != version:
                raise Moved from error
            raise
        self._took(sent)

    def _took(self, sent: Sent) -> None:
        """Note a successful answer, and say where admission made something else of it than its dry run had shown."""
        left = sent.object if self._request.verb in LEAVING else None
        other = self._bound.seen and self._body(left) != self._bound.body
        message = "the server's admission left something else than its dry run had shown" if other else ""
        by = rfc3339(sent.at) if sent.at else ""
        self.note(self.answered(sent.status, left, by=by, message=message), left)

    def _in_place(self) -> bool:
        return self._bound.seen and bool(self._bound.uid) and self._bound.desired_state == self._bound.body

    def _body(self, left: Json | None) -> Digest:
        if not self._bound.seen:
            return sent_digest(self._request, secret_key=self._secret_key)
        without = (*self._sealed.ignored, *self._sealed.unstable)
        return prepare.body_of(left, self._bound, without, self._secret_key)

    def _state(self, manifest: Json | None) -> Digest:
        return prepare.state_of(manifest, ignored=self._sealed.ignored, secret_key=self._secret_key)
