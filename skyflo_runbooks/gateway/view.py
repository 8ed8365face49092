"""What clients see of a proposal: one JSON value, the same for the page, the terminal, the kernel and MCP."""

from collections.abc import Sequence

import msgspec

from skyflo_runbooks.gateway.ledger import Entry
from skyflo_runbooks.gateway.policy.conditions import name_to_type
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.entry import open_entries
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Applied, Proposal, Receipt
from skyflo_runbooks.model.request import Request
from skyflo_runbooks.model.verdict import Judgement

_SHOWN = ("tool", "title", "why", "diff", "digest", "equivalent", "warnings", "arguments", "unstable", "created")


def view(row: Row, judgement: Judgement | None, waits: Json | None = None, *, told: Sequence[Entry]) -> Json:
    """Return the view of a proposal (docs/architecture.md); `waits` as `Store.waited` says it.

    Who decided it is who the ledger says that did, by its entries `told` of the proposal.
    """
    proposal, decided = row.proposal, row.decision is not None
    row = vouched(row, told)
    plain = msgspec.to_builtins(proposal)
    return {
        "id": proposal.id,
        "state": row.state,
        **{name: plain[name] for name in _SHOWN},
        "step": proposal.origin.step,
        "runbook": proposal.origin.runbook,
        "run": proposal.origin.run,
        "generator": proposal.origin.generator,
        "requester": proposal.origin.requester,
        "risk": proposal.assessment.risk,
        "expires": proposal.binding.expires,
        "impact": plain["impact"],
        "assessment": plain["assessment"],
        "verification": plain["verification"],
        "objects": [str(request.target) for request in proposal.requests],
        "confirm": name_to_type(proposal),
        "parts": parts(proposal),
        "entries": list(open_entries(proposal.arguments)),
        "verbs": [request.verb for request in proposal.requests],
        "supersedes": proposal.supersedes,
        "superseded_by": row.superseded_by,
        "rollback_of": proposal.rollback_of,
        "rolled_back_by": row.rolled_back_by,
        "approvers": [one.operator for one in row.approvals],
        "progress": progress(row, waits),
        "receipt": msgspec.to_builtins(receipt(row)) if decided else None,
        "judgement": None if judgement is None else msgspec.to_builtins(judgement),
    }


def vouched(row: Row, told: Sequence[Entry]) -> Row:
    """Return the row with those decisions alone of which the ledger tells: whoever else stands in the table decided
    nothing.
    """
    known = {
        (one.kind == "reject", one.body.get("operator"), one.body.get("signature"))
        for one in told
        if one.kind in ("endorse", "approve", "reject")
    }
    kept = tuple(one for one in row.decisions if (one.kind == "reject", one.operator, one.signature) in known)
    return msgspec.structs.replace(row, decisions=kept)


def progress(row: Row, waits: Json | None) -> Json | None:
    """Return how many requests of a change that is being applied are done, and what the next one waits for."""
    if row.state != "executing" or row.attempt is None:
        return None
    return {"done": len(row.attempt.applied), "of": len(row.proposal.requests), "waits": waits}


def parts(proposal: Proposal) -> list[Json]:
    """Return what each request does: to which object, its diff, how far that could be previewed, and what it runs."""
    # A proposal of an older record has its diff in one piece.
    diffs = proposal.diffs or (proposal.diff, *[""] * (len(proposal.requests) - 1))
    return [_part(request, diff) for request, diff in zip(proposal.requests, diffs, strict=True)]


def _part(request: Request, diff: str) -> Json:
    made: Json = {"object": str(request.target), "verb": request.verb, "preview": request.preview, "diff": diff}
    if request.verb == "run":
        made |= {"container": request.body.get("container", ""), "command": list(request.body.get("command", []))}
    return made


def receipt(row: Row) -> Receipt:
    """Return the receipt of a decided proposal."""
    proposal, decision, attempt = row.proposal, row.decision, row.attempt
    return Receipt(
        proposal=proposal.id,
        title=proposal.title,
        state=row.state,
        digest=proposal.digest,
        requester=proposal.origin.requester,
        tool=proposal.tool,
        diff=proposal.diff,
        way_back=proposal.assessment.way_back,
        operator=decision.operator if decision else "",
        decided_at=decision.at if decision else "",
        reason=decision.reason.strip() if decision else "",
        applied_at=attempt.ended if attempt and row.state in ("executed", "rolled_back") else "",
        applied=tuple(msgspec.convert(one, Applied) for one in (attempt.applied if attempt else [])),
        attempt=attempt.id if attempt else "",
        message=attempt.message if attempt and attempt.message else row.message,
        ledger=row.ledger,
        approvers=tuple(one.operator for one in row.approvals),
        executor=attempt.executor if attempt else "",
        generator=proposal.origin.generator,
    )
