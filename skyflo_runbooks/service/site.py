"""The pages' routes: what a browser opens."""

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from skyflo_runbooks.gateway import identity, passkeys
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import NotThere, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import STATES, State
from skyflo_runbooks.service import pages
from skyflo_runbooks.service.answers import masked, required, status_of
from skyflo_runbooks.service.desk import Desk

LOOK = (
    "Log in with a one-time link: the gateway prints one when it starts, 'skyflo-runbooks login --new-link' makes more."
)
_WAITING: frozenset[State] = frozenset({"proposed"})
_MOVED: frozenset[State] = frozenset(STATES) - _WAITING
MOST_WAITING, MOST_DECIDED, MOST_TOGETHER = 200, 50, 50


def routes(desk: Desk) -> list[Route]:
    """Return the routes of all pages."""
    return [
        Route("/", _page(desk, listing)),
        Route("/proposals/{id}", _page(desk, card, framed=True)),
        Route("/together", _page(desk, together)),
        Route("/plan/{runbook}/{run}", _page(desk, plan)),
        Route("/passkeys", _page(desk, passkeys_)),
        Route("/login/{token}", _page(desk, login)),
    ]


async def listing(desk: Desk, request: Request) -> str:
    """What waits for a decision, then what was decided."""
    operator = desk.door.operator(request)
    if operator is None:
        return pages.message("Not logged in", "This page shows changes that wait for a decision.", next_step=LOOK)
    store = desk.gateway.store
    waiting = store.find(states=_WAITING, limit=MOST_WAITING + 1)
    moved = store.find(states=_MOVED, limit=MOST_DECIDED)
    verdicts = store.all("SELECT body FROM entries WHERE kind = 'verdict' ORDER BY seq DESC LIMIT 20")
    status = await desk.status()
    return pages.listing(
        [desk.gateway.view(row) for row in (*waiting[:MOST_WAITING], *moved)],
        verdicts=[msgspec.json.decode(str(body)) for (body,) in verdicts],
        operator=operator.name,
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
        cluster=str(status["cluster"]["context"]),
        hidden=len(store.find(states=_WAITING, limit=5000)) - MOST_WAITING if len(waiting) > MOST_WAITING else 0,
    )


async def together(desk: Desk, request: Request) -> str:
    """The proposals that were marked, `?id=ap-…&id=ap-…`, in that order."""
    ids = list(dict.fromkeys(request.query_params.getlist("id")))[:MOST_TOGETHER]
    return await _several(desk, request, [desk.gateway.store.get(id_) for id_ in ids])


async def plan(desk: Desk, request: Request) -> str:
    """Every change of one run that waits, in the order in which they were asked for."""
    waiting = desk.gateway.store.find(states=_WAITING, limit=5000)
    wanted = (request.path_params["runbook"], request.path_params["run"])
    found = [row for row in waiting if (row.proposal.origin.runbook, row.proposal.origin.run) == wanted]
    return await _several(desk, request, found[::-1][:MOST_TOGETHER])


async def _several(desk: Desk, request: Request, rows: list[Row]) -> str:
    operator = desk.door.operator(request)
    if operator is None:
        return pages.message("Not logged in", "These changes are shown to operators.", next_step=LOOK)
    if not rows:
        return pages.message(
            "Nothing to decide here",
            "No change was marked, or none waits any more.",
        )
    status = await desk.status()
    return pages.together(
        [desk.view(row.proposal.id) for row in rows],
        operator=operator.name,
        requires={row.proposal.id: await _requires(desk, row, operator) for row in rows},
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
        cluster=str(status["cluster"]["context"]),
    )


async def card(desk: Desk, request: Request) -> str:
    """One proposal, also inside a notebook."""
    operator = desk.door.operator(request)
    if operator is None:
        return pages.message("Not logged in", "This card is shown to operators.", next_step=LOOK)
    status = await desk.status()
    row = desk.gateway.store.get(request.path_params["id"])
    view = desk.view(row.proposal.id)
    return pages.card(
        view,
        operator=operator.name,
        framed=request.headers.get("sec-fetch-dest") == "iframe",
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
        parent=desk.settings.jupyter_origin,
        cluster=str(status["cluster"]["context"]),
        requires=await _requires(desk, row, operator),
        siblings=_siblings(desk, view),
    )


async def passkeys_(desk: Desk, request: Request) -> str:
    """The operator's passkeys: register one, remove one."""
    operator = desk.door.operator(request)
    known = [] if operator is None else passkeys.of(desk.gateway.store, operator.name)
    rows = [{"id": one.id, "label": one.label, "added": one.added} for one in known]
    return pages.passkeys(rows, operator=None if operator is None else operator.name)


async def _requires(desk: Desk, row: Row, operator: Identity) -> Json:
    """What the policy asks of this operator before the proposal is approved, in the form of `GET …/nonce`."""
    if row.state != "proposed":
        return {}
    return required(await desk.gateway.approvals.requires(row, operator, "approve"))


def _siblings(desk: Desk, view: Json) -> int:
    """How many other changes of the same run wait."""
    if not view["run"] or view["state"] != "proposed":
        return 0
    waiting = (row.proposal for row in desk.gateway.store.find(states=_WAITING))
    place = (view["runbook"], view["run"])
    return sum((one.origin.runbook, one.origin.run) == place and one.id != view["id"] for one in waiting)


async def login(desk: Desk, request: Request) -> str:
    """A one-time link; opening it does not use it up, pairing does."""
    token = request.path_params["token"]
    return pages.login(
        token,
        valid=identity.link_is_open(desk.gateway.store, token),
        name=request.query_params.get("name", ""),
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
    )


def _title(error: SkyfloError) -> str:
    return "There is nothing here" if isinstance(error, NotThere) else "That did not work"


def missing(path: str) -> Response:
    """Return the page for an address that leads nowhere."""
    said = f"{path[:200]} is no page of this gateway."
    return HTMLResponse(pages.message("There is nothing here", said), status_code=404, headers=pages.security(""))


def _page(
    desk: Desk, write: Callable[[Desk, Request], Awaitable[str]], *, framed: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    parent = desk.settings.jupyter_origin if framed else ""

    async def endpoint(request: Request) -> Response:
        try:
            desk.door.check_host(request)
            text, status = await write(desk, request), 200
        except SkyfloError as error:
            masked(error, desk.gateway.redactor)
            text, status = pages.message(_title(error), error.message, next_step=error.next_step), status_of(error)
        return HTMLResponse(text, status_code=status, headers=pages.security(parent))

    return endpoint
