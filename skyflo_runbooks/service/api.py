"""The REST handlers: each validates its body, asks the gateway, and answers with JSON.

Adding a route: a handler here and its line in `ROUTES`. Who may call it stands in that line, and the OpenAPI document
is written from it.
"""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks import __version__
from skyflo_runbooks.gateway.foreign.catalogue import GLANCE
from skyflo_runbooks.gateway.identity import EVERYWHERE, Identity, Rank, Role
from skyflo_runbooks.gateway.permissions import sees_all
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.service import bodies
from skyflo_runbooks.service.answers import answer, body, number, seconds
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.incidents import open_case, take_snapshot
from skyflo_runbooks.service.openapi import Described

LONGEST_WAIT = 60.0
MOST_PROPOSALS = 200
SESSION_PREFIX = "rb-rs-"
Handle = Callable[[Desk, Request, Identity], Awaitable[Response]]
ANYONE: tuple[Role, ...] = ("kernel", "agent", "operator")
OPERATOR: tuple[Role, ...] = ("operator",)


async def status(desk: Desk, request: Request, who: Identity) -> Response:
    """Which gateway and cluster this is."""
    return answer({**await desk.status(), "version": __version__, "you": str(who)})


async def incident(desk: Desk, request: Request, who: Identity) -> Response:
    """Diagnose an incident and write its runbook."""
    asked = await body(request, bodies.NewIncident)
    if asked.generator != "rules":
        raise BadInput(
            f"No language model can be used yet (asked for {asked.generator[:80]!r}).",
            next_step="Leave --model out: the rules diagnose.",
        )
    case = await open_case(desk, text=asked.text, namespaces=asked.namespaces, who=who, always=asked.always)
    return answer(
        {
            "id": case.plan.id if case.plan else "",
            "findings": case.diagnosis.findings,
            "diagnosis": case.diagnosis,
            "plan": case.plan,
            "notebook": case.notebook,
            "elapsed_ms": case.elapsed_ms,
            "runbooks": case.offers,
        }
    )


async def snapshot(desk: Desk, request: Request, who: Identity) -> Response:
    """Read what an incident's diagnosis would read, with secrets masked."""
    asked = await body(request, bodies.NewSnapshot)
    return answer(await take_snapshot(desk, text=asked.text, namespaces=asked.namespaces, who=who))


async def tools(desk: Desk, request: Request, who: Identity) -> Response:
    """The catalogue of tools with their effects."""
    listed = [
        {"name": t.name, "domain": t.domain, "effect": t.effect, "replaces": t.replaces, "description": t.description}
        for t in desk.gate.tools()
    ]
    standing = await desk.gate.foreign.standing(GLANCE) if who.namespaces == EVERYWHERE else []
    foreign = [
        {
            "name": t.name,
            "domain": t.domain,
            "effect": "read",
            "replaces": "",
            "description": t.description or t.problem,
        }
        for t in (tool for one in standing for tool in one.tools)
    ]
    return answer([*listed, *foreign])


async def servers(desk: Desk, request: Request, who: Identity) -> Response:
    """How the operator's own MCP servers stand: their tools, what is refused and why, and what is not offered."""
    return answer(await desk.gate.foreign.standing())


async def tool(desk: Desk, request: Request, who: Identity) -> Response:
    """Call a read tool. A change is refused here."""
    asked = await body(request, bodies.ToolCall)
    return answer(await desk.gate.read(request.path_params["name"], asked.arguments, who))


async def propose(desk: Desk, request: Request, who: Identity) -> Response:
    """Propose a change, or with `replay` say what it would do."""
    asked = await body(request, bodies.NewProposal)
    here = await desk.reader.uid()
    if asked.cluster and asked.cluster != here:
        raise Refused(
            f"The runbook was made for cluster {asked.cluster[:12]}…, this gateway serves {here[:12]}….",
            next_step="Make it anew for this cluster with 'skyflo-runbooks new'.",
        )
    wish = Wish(
        tool=asked.tool,
        arguments=asked.arguments,
        origin=Origin(requester=str(who), runbook=asked.runbook, step=asked.step, run=asked.run),
        why=asked.why[:2000],
        parameters=asked.parameters,
    )
    if asked.replay:
        return answer(await desk.gateway.rehearse(wish, who))
    row = await desk.gateway.propose(wish, who)
    return answer(desk.view(row.proposal.id))


async def proposals(desk: Desk, request: Request, who: Identity) -> Response:
    """The newest proposals, at most `limit` (200)."""
    most = min(number(request, "limit", MOST_PROPOSALS), MOST_PROPOSALS)
    found = desk.gateway.store.find(limit=most)
    return answer([desk.seen(row) for row in found if sees_all(who, row.proposal.requests)])


async def proposal(desk: Desk, request: Request, who: Identity) -> Response:
    """One proposal; `wait` answers when nothing more is under way."""
    id_ = request.path_params["id"]
    if not sees_all(who, desk.gateway.store.get(id_).proposal.requests):
        raise NotAllowed(f"{who} reaches {', '.join(who.namespaces)}, and {id_} lies elsewhere.")
    wait = seconds(request, "wait", LONGEST_WAIT)
    if wait:
        await desk.gateway.settled(id_, wait)
    return answer(desk.view(id_))


async def modify(desk: Desk, request: Request, who: Identity) -> Response:
    """Replace a proposal by one with other values."""
    asked = await body(request, bodies.Modification)
    row = await desk.gateway.modify(request.path_params["id"], asked.set, who)
    return answer(desk.view(row.proposal.id))


async def enter(desk: Desk, request: Request, who: Identity) -> Response:
    """Take the values that an operator types for a proposal's open entries; the new proposal holds references."""
    asked = await body(request, bodies.Entry)
    row = await desk.gateway.enter(request.path_params["id"], asked.values, who)
    return answer(desk.view(row.proposal.id))


async def rollback(desk: Desk, request: Request, who: Identity) -> Response:
    """Propose the way back."""
    row = await desk.gateway.roll_back(request.path_params["id"], who)
    return answer(desk.view(row.proposal.id))


async def verdict(desk: Desk, request: Request, who: Identity) -> Response:
    """Judge a verify step, or say what is known so far."""
    asked = await body(request, bodies.NewVerdict)
    task = Task(
        step=asked.step,
        changes=asked.changes,
        checks=asked.checks,
        within=asked.within,
        runbook=asked.runbook,
        run=asked.run,
    )
    judgement, final = await desk.gateway.verify(task, asked.after, min(max(asked.wait, 0.0), LONGEST_WAIT))
    undecided = [] if final else desk.gateway.undecided(asked.changes)
    return answer({**msgspec.to_builtins(judgement), "final": final, "undecided": undecided})


async def runbook(desk: Desk, request: Request, who: Identity) -> Response:
    """Register a runbook's steps."""
    asked = await body(request, bodies.RegisteredRunbook)
    if request.path_params["id"].startswith(SESSION_PREFIX):
        raise Refused("What a session of resolve found is kept under this id; nobody else writes it.")
    desk.gateway.register(request.path_params["id"], msgspec.to_builtins(asked))
    return answer({"registered": request.path_params["id"]})


async def lease(desk: Desk, request: Request, who: Identity) -> Response:
    """Take a lease."""
    asked = await body(request, bodies.Lease)
    return answer({"granted": desk.gateway.lease(f"{who}/{asked.key}", asked.seconds)})


def route(
    method: str,
    path: str,
    handle: Handle,
    roles: tuple[Role, ...],
    kind: type | None = None,
    *,
    rank: Rank = "viewer",
    narrowed: bool = False,
    queries: tuple[str, ...] = (),
) -> "Routed":
    """Return a route of the API with its handler, which is described in its own words."""
    says = (handle.__doc__ or "").strip()
    return Routed(Described(method, f"/api/v1{path}", roles, says, kind, rank, narrowed, queries), handle)


class Routed(msgspec.Struct, frozen=True):
    """A route with its handler."""

    described: Described
    handle: Handle


ROUTES: tuple[Routed, ...] = (
    route("GET", "/status", status, ANYONE, narrowed=True),
    route("POST", "/incidents", incident, ANYONE, bodies.NewIncident, rank="requester"),
    route("POST", "/snapshots", snapshot, ANYONE, bodies.NewSnapshot, rank="requester"),
    route("GET", "/tools", tools, ANYONE, narrowed=True),
    route("GET", "/servers", servers, ANYONE),
    route("POST", "/tools/{name}", tool, ANYONE, bodies.ToolCall, narrowed=True),
    route("GET", "/proposals", proposals, ANYONE, narrowed=True, queries=("limit",)),
    route("POST", "/proposals", propose, ANYONE, bodies.NewProposal, rank="requester", narrowed=True),
    route("GET", "/proposals/{id}", proposal, ANYONE, narrowed=True, queries=("wait",)),
    route("POST", "/proposals/{id}/modify", modify, ANYONE, bodies.Modification, rank="requester", narrowed=True),
    route("POST", "/proposals/{id}/entry", enter, OPERATOR, bodies.Entry, rank="requester"),
    route("POST", "/proposals/{id}/rollback", rollback, OPERATOR, rank="requester"),
    route("POST", "/verdicts", verdict, ANYONE, bodies.NewVerdict, rank="requester"),
    route("PUT", "/runbooks/{id}", runbook, ANYONE, bodies.RegisteredRunbook, rank="requester"),
    route("POST", "/leases", lease, ANYONE, bodies.Lease),
)
