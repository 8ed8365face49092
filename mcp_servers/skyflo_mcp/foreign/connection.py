"""A connection to somebody else's MCP server: opened when needed, shared by who calls, opened anew after trouble.

Rules:
  1. Every wait has a bound. Who waits holds nothing that others wait for.
  2. After any trouble the connection is not used again. It is closed when the calls that are under way on it ended, and
     the next call opens another.
  3. Listing is tried once more on a new connection where an old one turns out to have died; a call is not.
  4. A server that is away, or ends in the middle, is `Unreachable`; one that answers what cannot be used, or that
     something failed, is `Unknown`. What it said of it is in `Told`, still as it said it.
  5. Nothing that the server asks of us (to sample, to ask a person, to name folders) is answered, and what it wants
     logged is not.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec

from skyflo_mcp.foreign.way import Opened, Reach
from skyflo_mcp.library import load
from skyflo_runbooks.model.errors import SkyfloError, Unknown, Unreachable
from skyflo_runbooks.model.json import Json

T = TypeVar("T")
OPENING = 20.0
LISTING = 10.0
_LOOK = "In skyflo.toml [mcp_servers."
_PAGES = 10
_MOST_TOOLS = 2000
_LARGEST_DEFINITION = 64 * 2**10


class Definition(msgspec.Struct, frozen=True):
    """A tool as its server describes it now. `changes` is true where the server itself says that it is no read."""

    name: str
    description: str
    schema: Json
    changes: bool
    digest: str


class Said(msgspec.Struct, frozen=True):
    """What a call answered: its structured content, or its texts, and what else there was in a word each."""

    failed: bool
    structured: Any
    texts: tuple[str, ...]
    others: tuple[str, ...]


class Told(Exception):
    """What the server said of a failure, as it said it: `error` is what is raised, `words` are to be shown as data."""

    def __init__(self, error: SkyfloError, words: str = "") -> None:
        super().__init__("a server failed")
        self.error = error
        self.words = words


class _Live:
    """One open connection and how many calls are under way on it."""

    def __init__(self, client: Any, opened: Opened) -> None:
        self.client = client
        self.opened = opened
        self.calls = 0
        self.stale = False
        self.used = False

    async def close(self) -> None:
        """Close it; what goes wrong there is nobody's trouble any more."""
        await asyncio.gather(self.client.close(), return_exceptions=True)


class Connection:
    """The connection to the server `name`, which `reach` opens."""

    def __init__(self, name: str, reach: Reach, *, opening: float = OPENING) -> None:
        self._name = name
        self._reach = reach
        self._opening_seconds = opening
        self._opening: asyncio.Task[_Live] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def tools(self, seconds: float = LISTING) -> tuple[Definition, ...]:
        """Return what the server lists now. What is defined at too great a length is left out."""
        live = await self._live()
        old = live.used
        try:
            return await self._on(live, _list, seconds)
        except Told:
            if not old:
                raise
        return await self._on(await self._live(), _list, seconds)

    async def call(self, tool: str, arguments: Json, seconds: float) -> Said:
        """Call a tool of the server's and return what it said."""

        async def called(client: Any) -> Said:
            return said_of(await client.call_tool_mcp(tool, arguments))

        return await self._on(await self._live(), called, seconds)

    async def aclose(self) -> None:
        """End the connection, if there is one, and wait until it ended."""
        opening, self._opening = self._opening, None
        if opening is not None:
            if not opening.done():
                opening.cancel()
            (live,) = await asyncio.gather(opening, return_exceptions=True)
            if isinstance(live, _Live):
                await live.close()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _live(self) -> _Live:
        """Return the open connection; open one where there is none, once for all who wait."""
        if self._opening is None or _failed(self._opening):
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def _open(self) -> _Live:
        library = await asyncio.to_thread(load)
        try:
            opened = self._reach()
        except SkyfloError as error:
            raise Told(error) from None
        client: Any = library.Client(opened.transport, log_handler=_unheard, progress_handler=_unheard, init_timeout=0)
        try:
            async with asyncio.timeout(self._opening_seconds):
                await client.__aenter__()
        except TimeoutError:
            late = Unreachable(f"The MCP server {self._name} was not ready in time.", next_step="Ask again later.")
            raise Told(late, _words(opened)) from None
        except Exception as error:  # noqa: BLE001  whatever a foreign server brings the library to
            raise self._trouble(opened, error) from None
        return _Live(client, opened)

    async def _on(self, live: _Live, ask: Callable[[Any], Awaitable[T]], seconds: float) -> T:
        """Ask something on a connection, within so many seconds."""
        async with self._under_way(live):
            try:
                async with asyncio.timeout(seconds):
                    return await ask(live.client)
            except TimeoutError:
                said = f"The MCP server {self._name} did not answer within {seconds:.0f} s."
                raise Told(Unreachable(said, next_step="Ask for less.")) from None
            except Exception as error:  # noqa: BLE001  see above
                raise self._trouble(live.opened, error) from None

    @asynccontextmanager
    async def _under_way(self, live: _Live) -> AsyncIterator[None]:
        live.calls += 1
        try:
            yield
            live.used = True
        except BaseException:
            live.stale = True
            if _opened(self._opening) is live:
                self._opening = None
            raise
        finally:
            live.calls -= 1
            if live.stale and not live.calls:
                task = asyncio.create_task(live.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    def _trouble(self, opened: Opened, error: Exception) -> Told:
        """Return the trouble in our words: what the transport saw, else that the server did not speak MCP."""
        from mcp import MCPError

        seen = opened.trouble.said
        if isinstance(error, Told):
            return error
        if opened.trouble.too_much:
            return Told(Unknown(f"The MCP server {self._name} {seen}.", next_step="Ask for less."))
        if seen:
            away = Unreachable(
                f"The MCP server {self._name} {seen}.", next_step=f"{_LOOK}{self._name}] says how it is reached."
            )
            return Told(away, _words(opened))
        if isinstance(error, MCPError):
            return Told(Unknown(f"The MCP server {self._name} refused what was asked."), error.error.message)
        return Told(Unknown(f"The MCP server {self._name} answered what cannot be used as MCP."))


def _failed(opening: "asyncio.Task[_Live]") -> bool:
    """Return whether an attempt to open a connection is over and came to nothing."""
    return opening.done() and _opened(opening) is None


def _opened(opening: "asyncio.Task[_Live] | None") -> _Live | None:
    """Return the connection that an attempt opened, if it is over and did."""
    if opening is None or not opening.done() or opening.cancelled() or opening.exception() is not None:
        return None
    return opening.result()


async def _unheard(*_: object) -> None:
    """Take what the server wants logged or shown, and do nothing with it."""


async def _list(client: Any) -> tuple[Definition, ...]:
    listed = await client.list_tools(max_pages=_PAGES)
    if len(listed) > _MOST_TOOLS:
        raise Told(Unknown(f"The MCP server lists {len(listed)} tools; at most {_MOST_TOOLS} are looked through."))
    found = [_defined(one) for one in listed]
    return tuple(one for one in found if one is not None)


def _defined(tool: Any) -> Definition | None:
    """Return a tool's definition with a digest over all of it that anybody reads; None where it is too long."""
    members = {"name", "title", "description", "input_schema", "output_schema", "annotations"}
    whole = tool.model_dump(mode="json", include=members, exclude_none=True)
    raw = msgspec.json.encode(whole, order="deterministic")
    if len(raw) > _LARGEST_DEFINITION:
        return None
    hints = tool.annotations
    changes = hints and (hints.read_only_hint is False or (hints.destructive_hint and not hints.read_only_hint))
    return Definition(
        name=tool.name,
        description=tool.description or "",
        schema=whole.get("input_schema") or {},
        changes=bool(changes),
        digest=hashlib.sha256(raw).hexdigest(),
    )


def said_of(result: Any) -> Said:
    """Return a call's result: texts as they are, and of what is no text only its kind."""
    texts = tuple(block.text for block in result.content if block.type == "text")
    others = tuple(str(block.type) for block in result.content if block.type != "text")
    return Said(bool(result.is_error), result.structured_content, texts, others)


def _words(opened: Opened) -> str:
    return opened.trouble.last_words.decode(errors="replace").strip()
