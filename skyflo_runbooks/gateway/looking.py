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
  5. What is not seen was not applied by then. Something on the way may hold a request for longer than anybody looks;
     the words say what becomes of it then.
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


def found(
    request: Request, bound: BoundRequest, attempt: str, now: Json | None, *, before: Json, as_approved: bool
) -> Found:
    """Return what the live object says of a request that was being sent.

    `before` is its `traces.grip` from then, `as_approved` whether it now is what the approval promised.
    """
    if request.verb == "run":
        said = f"whether the command ran in {request.target}, and how it ended, cannot be known; it is not run again"
        return Found("settle_failed", said, now)
    if request.verb == "apply":
        return _applied(request, now, before=before, as_approved=as_approved)
    if request.verb in ("delete", "evict"):
        if is_gone(bound, now):
            going = at(now, "metadata", "uid", default="") == bound.uid
            said = f"{request.target} is {'going' if going else 'gone'}; the answer that would say by whom was lost"
            return Found("settle_executed", said, now)
    elif traces.manager(attempt) in traces.managers(now):
        return Found("settle_executed", "applied; the answer was lost and the live object shows our write", now)
    return Found("settle_void", _absent(request, "write"), now)


def _absent(request: Request, what: str) -> str:
    """Return that nothing of ours is seen. What was held on the way can come later than any look (rule 5)."""
    if request.verb in ("patch", "delete"):
        late = "if it is still on its way it is refused as soon as the object has moved"
    else:
        late = "if it is still on its way it can be made yet"
    said = f"{request.target} does not show our {what}: it was not applied when this was looked for"
    return f"{said}; {late}. Look again before running the step again."


def _applied(request: Request, now: Json | None, *, before: Json, as_approved: bool) -> Found:
    """Return what the live object says of an apply, by rule 3."""
    grip = traces.grip(now)
    moved = now is not None and grip["resource_version"] != before.get("resource_version")
    ours = moved and grip["applied"] != before.get("applied")
    if ours and as_approved:
        return Found("settle_executed", "applied; the answer was lost and the live object shows our apply", now)
    if not moved or (not ours and not as_approved):
        return Found("settle_void", _absent(request, "apply"), now)
    said = f"{request.target} moved since, and whether this apply is part of it cannot be known. Look at it."
    return Found("settle_failed", said, now)


def is_gone(bound: BoundRequest, now: Json | None) -> bool:
    """Return whether the object that was approved is gone, is going, or has another one in its place."""
    return now is None or at(now, "metadata", "uid") != bound.uid or bool(at(now, "metadata", "deletionTimestamp"))
