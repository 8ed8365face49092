"""The pages' routes: what a browser opens."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.pages import headers, render

LOOK = (
    "Log in with a one-time link: the gateway prints one when it starts, 'skyflo-runbooks login --new-link' makes more."
)


def routes(desk: Desk) -> list[Route]:
    """Return the routes of all pages."""
    return [
        Route("/", _page(desk, listing)),
        Route("/proposals/{id}", _page(desk, card, framed=True)),
        Route("/login/{token}", _page(desk, login)),
    ]


async def listing(desk: Desk, request: Request) -> str:
    """Open proposals first, then what was decided."""
    operator = desk.door.operator(request)
    if operator is None:
        return render.message("Not logged in", "This page shows changes that wait for a decision.", next_step=LOOK)
    views = [desk.view(row.proposal.id) for row in desk.gateway.store.find(limit=100)]
    verdicts = [entry.body for entry in desk.gateway.store.entries() if entry.kind == "verdict"]
    status = await desk.status()
    return render.listing(
        views,
        verdicts=verdicts[::-1][:20],
        operator=operator,
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
        cluster=str(status["cluster"]["context"]),
    )


async def card(desk: Desk, request: Request) -> str:
    """One proposal, also inside a notebook."""
    operator = desk.door.operator(request)
    if operator is None:
        return render.message("Not logged in", "This card is shown to operators.", next_step=LOOK)
    status = await desk.status()
    return render.card(
        desk.view(request.path_params["id"]),
        operator=operator,
        framed=request.headers.get("sec-fetch-dest") == "iframe",
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
        parent=desk.settings.jupyter_origin,
        cluster=str(status["cluster"]["context"]),
    )


async def login(desk: Desk, request: Request) -> str:
    """A one-time link; opening it does not use it up, pairing does."""
    token = request.path_params["token"]
    return render.login(
        token,
        valid=identity.link_is_open(desk.gateway.store, token),
        name=request.query_params.get("name", ""),
        practice=desk.settings.practice,
        isolation=desk.settings.isolation,
    )


def _page(
    desk: Desk, write: Callable[[Desk, Request], Awaitable[str]], *, framed: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    parent = desk.settings.jupyter_origin if framed else ""

    async def endpoint(request: Request) -> Response:
        try:
            desk.door.check_host(request)
            text, status = await write(desk, request), 200
        except SkyfloError as error:
            text, status = render.message("That did not work", error.message, next_step=error.next_step), 400
        return HTMLResponse(text, status_code=status, headers=headers.security(parent))

    return endpoint
