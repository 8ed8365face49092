"""An error that nobody expected is told by its type and its place, and by nothing else: it could quote anything.

Rules:
  1. No message of such an error is logged, answered or shown: a value of a Secret may be in it. Nor are the lines of
     its trace, which quote code, nor its causes.
  2. Where: the last frame of our own packages, and the very last one.
  3. Nothing of it goes on to the server around the application, which would log it as a whole. The call is answered as
     an error of our own, if no answer had begun.
"""

import asyncio
import copy
import logging
import traceback
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.service.answers import failure

log = logging.getLogger(__name__)
_OURS = ("skyflo_runbooks", "skyflo_mcp", "skyflo_kernel")


def told(error: BaseException) -> str:
    """Return type and place of an error, by rules 1 and 2."""
    frames = [(_place(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    ours = [one for one in frames if one[0].partition("/")[0] in _OURS]
    shown = dict.fromkeys([*ours[-1:], *frames[-1:]])
    where = ", ".join(f"{path}:{line}" for path, line in shown)
    return f"{type(error).__name__} at {where or 'an unknown place'}"


def bug(error: BaseException) -> OurBug:
    """Log an error that nobody expected, and return what may be answered."""
    log.error("An error of our own: %s", told(error))
    return OurBug(
        f"An error of the gateway's own: {told(error)}.", next_step="Please report it; what was done is in the record."
    )


def of_task(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio tells of a task that failed with nobody to hear of it; see `set_exception_handler`."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        log.error("An error of our own in the background: %s", told(error))
    else:
        log.error("asyncio: %s", context.get("message", "an error without words"))


class Formatter(logging.Formatter):
    """Formats a record of any library without the message and the lines of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`. What another handler has written of the exception is not taken over."""
        own = copy.copy(record)
        own.exc_text = None
        return super().format(own)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (logging's own name)
        """See `logging.Formatter`."""
        return told(ei[1]) if ei[1] is not None else ""


class Discreet:
    """ASGI middleware that keeps rule 3."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:  # noqa: BLE001  (the named boundary: whatever it is, its message goes no further)
            answer = failure(bug(error))
            if not begun:
                await answer(scope, receive, send)


def _place(file: str) -> str:
    """Return a file's path from its package on."""
    parts = Path(file).parts
    start = next((place for place, part in enumerate(parts) if part in _OURS), len(parts) - 1)
    return "/".join(parts[start:])
