"""What the live object says of a request that was on its way when its answer, or the gateway, was lost. Pure.

Rules:
  1. A creation or a patch is ours if the object knows the field manager of the attempt.
  2. A deletion or an eviction is done if the object is gone, is going, or is another one by now; who did it cannot be
     told, and that is said.
  3. An apply has no field manager of its own. It is ours if the object is as approved and our manager's entry is not
     the one that stood there when it was sent; not applied if the object or that entry did not move. Where the two do
     not agree, nobody can tell: it has failed in these words.
  4. Whether a command ran in a container cannot be seen from outside. It has failed, in the words that nobody knows; it
     is never run again.
  5. What is not seen was not applied by then, and may be on its way yet (`pending`). It is not where it is bound to a
     version, or to an object, that is not there any more, or makes what somebody else has made: then it is refused
     whenever it comes. Else nothing is concluded before the time is over in which it can come (`executor`, rule 7).
"""

from typing import Literal

import msgspec

from skyflo_runbooks.gateway import traces
from skyflo_runbooks.model.digest import BoundRequest
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Request


class Found(msgspec.Struct, frozen=True):
    """What was found, in words, and the object as it is now."""

    event: Literal["settle_executed", "settle_failed", "settle_void"]
    message: str
    now: Json | None
    pending: bool = False


def found(
    request: Request, bound: BoundRequest, attempt: str, now: Json | None, *, before: Json, as_approved: bool
) -> Found:
    """Return what the live object says of a request that was being sent.

    `before` is its `traces.grip` from then, `as_approved` whether it now is what the approval promised.
    """
    pending = can_come(request, bound, now, before)
    if request.verb == "run":
        said = f"whether the command ran in {request.target}, and how it ended, cannot be known; it is not run again"
        return Found("settle_failed", said, now)
    if request.verb == "apply":
        return _applied(request, now, before=before, as_approved=as_approved, pending=pending)
    if request.verb in ("delete", "evict"):
        if is_gone(bound, now):
            going = at(now, "metadata", "uid", default="") == bound.uid
            said = f"{request.target} is {'going' if going else 'gone'}; the answer that would say by whom was lost"
            return Found("settle_executed", said, now)
    elif traces.manager(attempt) in traces.managers(now):
        return Found("settle_executed", "applied; the answer was lost and the live object shows our write", now)
    return _absent(request, "write", now, pending=pending)


def can_come(request: Request, bound: BoundRequest, now: Json | None, before: Json) -> bool:
    """Return whether a request that is not seen could still be carried out if it came now, by rule 5."""
    if request.verb == "create":
        return now is None
    if request.verb == "apply" and not bound.uid:
        return True  # without an object it makes one, with one it is merged into it
    if now is None or at(now, "metadata", "uid") != bound.uid:
        return False
    version = at(now, "metadata", "resourceVersion")
    return request.verb == "evict" or version == before.get("resource_version", version)


def _absent(request: Request, what: str, now: Json | None, *, pending: bool) -> Found:
    """Return that nothing of ours is seen."""
    why = (
        "the time is over in which it could be taken up"
        if pending
        else "what it was bound to is not there any more, so it is refused whenever it comes"
    )
    said = f"{request.target} does not show our {what}: it was not applied, and {why}."
    return Found("settle_void", said, now, pending)


def _applied(request: Request, now: Json | None, *, before: Json, as_approved: bool, pending: bool) -> Found:
    """Return what the live object says of an apply, by rule 3."""
    grip = traces.grip(now)
    moved = now is not None and grip["resource_version"] != before.get("resource_version")
    ours = moved and grip["applied"] != before.get("applied")
    if ours and as_approved:
        return Found("settle_executed", "applied; the answer was lost and the live object shows our apply", now)
    if not moved or (not ours and not as_approved):
        return _absent(request, "apply", now, pending=pending)
    said = f"{request.target} moved since, and whether this apply is part of it cannot be known. Look at it."
    return Found("settle_failed", said, now)


def is_gone(bound: BoundRequest, now: Json | None) -> bool:
    """Return whether the object that was approved is gone, is going, or has another one in its place."""
    return now is None or at(now, "metadata", "uid") != bound.uid or bool(at(now, "metadata", "deletionTimestamp"))
