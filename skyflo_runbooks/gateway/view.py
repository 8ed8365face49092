"""What clients see of a proposal: one JSON value, the same for the page, the terminal, the kernel and MCP."""

import msgspec

from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Applied, Receipt
from skyflo_runbooks.model.verdict import Judgement

_SHOWN = ("tool", "title", "why", "diff", "digest", "equivalent", "warnings", "arguments", "unstable", "created")


def view(row: Row, judgement: Judgement | None) -> Json:
    """Return the view of a proposal (docs/architecture.md)."""
    proposal = row.proposal
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
        "confirm": next((request.target.name for request in proposal.requests if request.verb == "delete"), ""),
        "verbs": [request.verb for request in proposal.requests],
        "supersedes": proposal.supersedes,
        "superseded_by": row.superseded_by,
        "rollback_of": proposal.rollback_of,
        "rolled_back_by": row.rolled_back_by,
        "receipt": None if row.decision is None else msgspec.to_builtins(receipt(row)),
        "judgement": None if judgement is None else msgspec.to_builtins(judgement),
    }


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
        reason=decision.reason if decision else "",
        applied_at=attempt.ended if attempt and row.state in ("executed", "rolled_back") else "",
        applied=tuple(msgspec.convert(one, Applied) for one in (attempt.applied if attempt else [])),
        attempt=attempt.id if attempt else "",
        message=attempt.message if attempt else "",
        ledger=row.ledger,
    )
