"""Server-sent events: everything that happens, as it happens.

A comment line every 8 s keeps proxies from closing the connection.
"""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from skyflo_runbooks.gateway.events import Event
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.service.api import ANYONE, Routed
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.openapi import Described

KEEP_ALIVE = 8.0


async def events(desk: Desk, request: Request, who: Identity) -> Response:
    """Server-sent events; `Last-Event-ID` (or `since`) resumes."""
    last = request.headers.get("last-event-id", "") or request.query_params.get("since", "")
    return StreamingResponse(
        lines(desk.gateway.events.since(last)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def lines(source: AsyncIterator[Event], keep_alive: float = KEEP_ALIVE) -> AsyncIterator[str]:
    """Yield events in the wire format (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    waiting = asyncio.ensure_future(anext(source))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=keep_alive)
            if not done:
                yield ": still here\n\n"
                continue
            event = waiting.result()
            yield f"id: {event.id}\nevent: {event.kind}\ndata: {msgspec.json.encode(event.data).decode()}\n\n"
            waiting = asyncio.ensure_future(anext(source))
    finally:
        waiting.cancel()


ROUTE = Routed(Described("GET", "/api/v1/events", ANYONE, (events.__doc__ or "").strip(), queries=("since",)), events)
