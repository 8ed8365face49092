"""The ASGI application: routes, errors, pages, events, MCP."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from skyflo_runbooks import __version__
from skyflo_runbooks.gateway.permissions import admit_rank, admit_whole
from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service import api, credentials, deciding, metrics, records, resolving, site, stream
from skyflo_runbooks.service.answers import answer, failure, masked
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.discreet import Discreet
from skyflo_runbooks.service.mcp import Guard, Mounted
from skyflo_runbooks.service.openapi import document

STATIC = Path(__file__).parent / "pages" / "static"


_API = (*api.ROUTES, *deciding.ROUTES, *credentials.ROUTES, *records.ROUTES, *resolving.ROUTES)
ROUTED: tuple[api.Routed, ...] = (*_API, stream.ROUTE, metrics.ROUTE)


def described() -> Json:
    """Return the OpenAPI document of all routes."""
    return document((*(one.described for one in ROUTED), credentials.PAIR), __version__)


def build(desk: Desk) -> Starlette:
    """Return the application over one desk. Its lifespan opens and closes the gateway."""
    openapi = answer(described())
    mcp = Mounted(desk)
    guarded_mcp = Guard(mcp, desk)

    async def openapi_document(request: Request) -> Response:
        return openapi

    async def healthy(request: Request) -> Response:
        return answer({"ok": True})

    async def pair(request: Request) -> Response:
        return await credentials.pair(desk, request)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        async with (
            aclosing(desk.gate.foreign),
            desk.gateway,
            mcp.running(),
            resolving.running(desk) as sessions,
        ):
            yield {"sessions": sessions}

    routes: list[BaseRoute] = [
        Route("/openapi.json", openapi_document),
        Route("/healthz", healthy),
        *(Route(one.described.path, guarded(desk, one), methods=[one.described.method]) for one in ROUTED),
        Route(credentials.PAIR.path, answering(desk, pair), methods=["POST"]),
        *site.routes(desk),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/mcp", WithoutRedirect("/mcp", guarded_mcp)),
        Mount("/mcp", guarded_mcp),
    ]

    async def said(request: Request, error: SkyfloError) -> Response:
        return failure(masked(error, desk.gateway.redactor))

    handlers = {SkyfloError: said, HTTPException: _http}
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers=handlers,  # type: ignore[arg-type]
        middleware=[Middleware(Discreet)],
    )


class WithoutRedirect:
    """Hands a mounted application what is asked at its very path; a mount alone would redirect each call there."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        self._path = path
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on as the mount would."""
        root = scope.get("root_path", "") + self._path
        await self._app({**scope, "path": f"{root}/", "root_path": root}, receive, send)


def guarded(desk: Desk, routed: api.Routed) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that lets in only what the route's line says: role, rank, and how far a token reaches."""
    described = routed.described
    roles = frozenset(described.roles)

    async def endpoint(request: Request) -> Response:
        who = desk.door.who(request, roles)
        admit_rank(desk.gateway.rules.roles, who, described.rank)
        if not described.narrowed:
            admit_whole(who)
        return await routed.handle(desk, request, who)

    return answering(desk, endpoint)


def answering(
    desk: Desk, endpoint: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint whose refusals are answers, without secrets."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except SkyfloError as error:
            return failure(masked(error, desk.gateway.redactor))

    return answered


async def _http(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        return site.missing(request.url.path)
    routes = f"{request.method} {request.url.path[:200]}: {error.detail}."
    response = failure(BadInput(routes, next_step="GET /openapi.json lists every route; a person begins at /."))
    response.status_code = error.status_code
    return response
