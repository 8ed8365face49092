"""How somebody else's server is reached: an address over HTTP, or a command whose standard streams speak MCP.

Rules, for both:
  1. One message from there has at most `LARGEST` bytes. What has more ends the connection, and is read no further.
  2. What the library would check of an answer by the server's own schema is not checked: a schema from there is data,
     and a pattern in it could take for ever.
  3. `Trouble` keeps what the transport saw, for the error that a person reads; the library's own words about a server
     stay out of the log, because they quote it.
"""

import functools
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

LARGEST = 4 * 2**20
_QUOTING = ("client", "mcp.client", "mcp.shared", "fastmcp.client", "httpx2")


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One of `url` and `command` is given. `headers` and `environment` hold secrets, so nothing of it is shown."""

    url: str = ""
    headers: dict[str, str] = {}
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}

    def __repr__(self) -> str:
        return "Way(…)"


class Trouble:
    """What a transport saw go wrong, in words that quote nothing; and the last that a process wrote as its errors."""

    def __init__(self) -> None:
        self.said = ""
        self.too_much = False
        self.last_words = b""

    def note(self, said: str) -> None:
        """Keep the first trouble: what follows is its consequence."""
        self.said = self.said or said

    def note_too_much(self) -> None:
        """Keep that a message went on after its limit."""
        self.too_much = self.too_much or not self.said
        self.note(f"said more than {LARGEST // 2**20} MiB at once")


class Opened(msgspec.Struct, frozen=True):
    """A transport of FastMCP's client, and what it saw."""

    transport: Any
    trouble: Trouble


Reach = Callable[[], Opened]


def reach(way: Way) -> Opened:
    """Return a transport for one connection; nothing is opened before it is used."""
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    trouble = Trouble()
    if way.command:
        from skyflo_mcp.foreign.pipes import piped

        return Opened(unjudging(lambda: piped(way.command, way.environment, trouble)), trouble)
    from skyflo_mcp.foreign.http import posted

    return Opened(unjudging(lambda: posted(way.url, way.headers, trouble)), trouble)


def inside(server: Any) -> Opened:
    """Return a transport to a FastMCP server in this process: the interface of `reach`, without a way to go."""
    from fastmcp.client.transports import FastMCPTransport
    from fastmcp.client.transports.base import TransportOptions

    class Inside(FastMCPTransport):
        """The same, by rule 2."""

        def connect_session(self, **given: Any) -> Any:
            """Open a session."""
            options = TransportOptions(session_class=unjudging_session())
            return super().connect_session(**{**given, "transport_options": options})

    return Opened(Inside(server), Trouble())


def unjudging(streams: Callable[[], Any]) -> Any:
    """Return a transport over what `streams()` opens, by rule 2."""
    from fastmcp.client.transports.base import ClientTransport

    session = unjudging_session()

    class Transport(ClientTransport):
        """One connection."""

        @asynccontextmanager
        async def connect_session(self, **given: Any) -> AsyncIterator[Any]:
            """Open the streams and a session on them."""
            given.pop("transport_options", None)
            async with streams() as (read, write), session(read, write, **given) as opened:
                yield opened

    return Transport()


@functools.cache
def unjudging_session() -> Any:
    """Return the class of a session that takes a result as it comes, by rule 2."""
    from mcp import ClientSession

    class Session(ClientSession):
        """See above."""

        async def validate_tool_result(self, name: str, result: Any) -> None:
            """Judge nothing."""

    return Session
