"""What the live object says of a request that was on its way when its answer, or the gateway, was lost. Pure.

Rules:
  1. A creation or a patch is ours if the object knows the field manager of the attempt.
  2. A deletion or an eviction is done if the object is gone, is going, or is another one by now; who did it cannot be
     told, and that is said.
"""

from typing import Literal

import msgspec

from skyflo_runbooks.gateway import traces
from skyflo_runbooks.model.digest import BoundRequest
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Request


class Found(msgspec.Struct, frozen=True):
    """What was found, in words, and the object as it is now."""

    event: Literal["settle_executed", "settle_void"]
    message: str
    now: Json | None


def found(request: Request, bound: BoundRequest, attempt: str, now: Json | None) -> Found:
    """Return what the live object says of a request that was being sent."""
    if request.verb in ("delete", "evict"):
        if now is None or at(now, "metadata", "uid") != bound.uid or at(now, "metadata", "deletionTimestamp"):
            return Found(
                "settle_executed", f"{request.target} is gone; the answer that would say by whom was lost", now
            )
    elif traces.manager(attempt) in traces.managers(now):
        return Found("settle_executed", "applied; the answer was lost and the live object shows our write", now)
    said = f"{request.target} does not show our write: it was not applied. Run the step again."
    return Found("settle_void", said, now)
