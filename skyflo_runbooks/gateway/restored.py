"""What a record that is older than its witness may still do: nothing that was approved in it.

Rules:
  1. Every approval that is still open is void: it may have been used since. What was being executed is unknown, and is
     settled by looking, at each request of it: more of them may have been sent than the record knows (`settled`). A
     proposal that nobody decided stays: it needs a fresh decision anyway.
  2. Nonces, one-time links and sessions are gone: some of them were burnt or revoked since. Operators log in again.
  3. One entry says so, with what the witness had seen; it is written in the same transaction.
"""

from collections.abc import Sequence
from typing import Literal

from skyflo_runbooks.gateway.database import Transaction
from skyflo_runbooks.model import lifecycle
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import Event
from skyflo_runbooks.model.request import Request

Seen = Literal["applied", "not seen", "not known"]

_OPEN = (
    "SELECT id, state FROM proposals WHERE state IN ('approved', 'executing') "
    "OR (state = 'proposed' AND id IN (SELECT proposal FROM decisions)) ORDER BY id"
)
NEXT = "Run the change step again and look at the cluster first: it may have been applied already."


def moves(db: Transaction, why: str) -> list[tuple[Event, Json]]:
    """Take back every approval by rules 1 and 2, and return the entries that tell of it, the first by rule 3."""
    told: list[tuple[Event, Json]] = []
    for id_, state in db.execute(_OPEN).fetchall():
        event: Event = "lose" if state == "executing" else "drift"
        after = lifecycle.move(state, event)
        db.execute("UPDATE proposals SET state = ? WHERE id = ?", (after, id_))
        told.append((event, {"proposal": id_, "state": after, "message": f"{why}. {NEXT}", "restored": True}))
    db.execute("DELETE FROM nonces")
    db.execute("DELETE FROM tokens")
    return told


def settled(requests: Sequence[Request], seen: Sequence[Seen]) -> tuple[Event, str]:
    """Return how an attempt ends that a restored record knows only in part: what is known of each request.

    `applied` is one that the record noted or whose object shows our write, `not seen` one whose object does not. Of a
    deletion, an eviction, an apply and a command the object alone does not tell.
    """
    named = [(each, f"{one.verb} {one.target}") for one, each in zip(requests, seen, strict=True)]
    said = [
        f"{state}: {', '.join(name for each, name in named if each == state)}"
        for state in ("applied", "not seen", "not known")
        if state in seen
    ]
    message = f"the record was restored from an earlier state; of {len(requests)} requests {'; '.join(said)}"
    if set(seen) == {"applied"}:
        return "settle_executed", message
    return "settle_failed", f"{message}. Look at the cluster before anything of it is done again."
