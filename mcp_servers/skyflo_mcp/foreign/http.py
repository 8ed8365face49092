"""A server at an address: MCP over streamable HTTP.

Rules:
  1. An answer is read as it is sent: no compression, because a few bytes of it can stand for any number, and no
     redirect to another place, because it would be handed the headers.
  2. No proxy and no password is taken from the environment or from a file of the user's.
  3. Nothing is listened for but the answers to what was asked: the stream on which a server would speak first is not
     opened.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from skyflo_mcp.foreign.way import LARGEST, Trouble

_SECONDS = 30.0


class TooLarge(httpx2.StreamError):
    """An answer went on after its limit."""

    def __init__(self) -> None:
        super().__init__("The answer went on after its limit.")


class Counted(httpx2.AsyncByteStream):
    """An answer's bytes, as far as they may go."""

    def __init__(self, stream: Any, trouble: Trouble) -> None:
        self._stream = stream
        self._trouble = trouble

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes; `TooLarge` where there are more."""
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > LARGEST:
                self._trouble.note_too_much()
                raise TooLarge
            yield part

    async def aclose(self) -> None:
        """See httpx."""
        await self._stream.aclose()


class Bounded(httpx2.AsyncBaseTransport):
    """Requests and answers by the rules above; what a server refuses with is noted."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, trouble: Trouble) -> None:
        self._inner = inner
        self._trouble = trouble

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """See httpx."""
        if request.method == "GET":
            return httpx2.Response(405, request=request)
        request.headers["accept-encoding"] = "identity"
        try:
            answer = await self._inner.handle_async_request(request)
        except httpx2.TransportError as error:
            self._trouble.note(_kind(error))
            raise
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            self._trouble.note("answered compressed, which was not asked for")
            await answer.aclose()
            return httpx2.Response(502, request=request)
        if answer.status_code in (401, 403) or answer.status_code >= 500:
            self._trouble.note(f"answered with status {answer.status_code}")
        if answer.is_redirect:
            self._trouble.note("answered with a redirect, which is not followed")
            await answer.aclose()
            return httpx2.Response(502, request=request)
        answer.stream = Counted(answer.stream, self._trouble)
        return answer

    async def aclose(self) -> None:
        """See httpx."""
        await self._inner.aclose()


def _kind(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "did not answer in time"
    return "cannot be reached" if isinstance(error, httpx2.ConnectError) else "ended the connection"


@asynccontextmanager
async def posted(url: str, headers: Mapping[str, str], trouble: Trouble) -> AsyncIterator[Any]:
    """Yield the streams of messages to and from an address."""
    async with (
        httpx2.AsyncClient(
            transport=Bounded(httpx2.AsyncHTTPTransport(trust_env=False), trouble),
            headers=dict(headers),
            timeout=_SECONDS,
            follow_redirects=False,
            trust_env=False,
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=LARGEST) as streams,
    ):
        yield streams
