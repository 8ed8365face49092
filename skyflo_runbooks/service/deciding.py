"""Routes of decisions: what one takes and signs, and the decision. Several are each decided by itself, in order."""

from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway import decisions, identity
from skyflo_runbooks.gateway.decisions import Kind
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service import bodies
from skyflo_runbooks.service.answers import answer, body, required
from skyflo_runbooks.service.api import OPERATOR, route
from skyflo_runbooks.service.desk import Desk


async def nonce(desk: Desk, request: Request, who: Identity) -> Response:
    """What has to be signed for `decision` (approve or reject) with `reason` and `typed`, and what else it takes."""
    row = desk.gateway.store.get(request.path_params["id"])
    query = request.query_params
    kind = _kind(query.get("decision", "approve"))
    if kind == "approve":
        await desk.admit_approval()
    requires = await desk.gateway.approvals.requires(row, who, kind)
    made = identity.new_nonce(desk.gateway.store, proposal=row.proposal.id, operator=who.name)
    signed = decisions.message(
        proposal=row.proposal.id,
        digest=row.proposal.digest,
        decision=kind,
        nonce=made,
        reason=query.get("reason", ""),
        typed=query.get("typed", "") if requires.typed else "",
    )
    told: Json = {
        "nonce": made,
        "digest": row.proposal.digest,
        "message": signed.decode(),
        "requires": required(requires),
        "passkey": desk.gateway.approvals.asked(signed, who) if requires.passkey else None,
    }
    return answer(told)


async def decision(desk: Desk, request: Request, who: Identity) -> Response:
    """Decide a proposal, by signature."""
    ballot = await body(request, bodies.Ballot)
    row = await desk.gateway.decide(request.path_params["id"], ballot, who)
    return answer(desk.view(row.proposal.id))


def _kind(text: str) -> Kind:
    if text == "approve":
        return "approve"
    if text == "reject":
        return "reject"
    raise BadInput(f"A decision is approve or reject, got {text[:40]!r}.")


ROUTES = (
    route("GET", "/proposals/{id}/nonce", nonce, OPERATOR, queries=("decision", "reason", "typed")),
    route("POST", "/proposals/{id}/decision", decision, OPERATOR, bodies.Ballot, rank="approver"),
)
