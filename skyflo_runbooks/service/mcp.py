"""MCP over HTTP at `/mcp`: the same tools, the same gate, the same credentials.

Rules:
  1. The call of a change tool, by any client, answers with the proposal and where to decide it. It never executes.
  2. Nobody gets past the guard without a credential, and until somebody does nothing of MCP is imported: its libraries
     take longer to load than everything else of the gateway together.
  3. Of the operator's own MCP servers it offers the reads, with whose they are; anything else of theirs is refused.
  4. The call of a tool lists no tools: the library would list them all before each call, those of the operator's
     servers too, to hold the call's headers against the tool's schema. It is given the schemas as last listed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from skyflo_mcp.kubernetes.catalogue import TOOLS
from skyflo_mcp.library import load
from starlette.requests import Request

from skyflo_runbooks.gateway.foreign.catalogue import GLANCE
from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.errors import OurBug, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.service.answers import failure, masked
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.discreet import bug

Propose = Callable[[str, Json, Identity], Awaitable[Json]]


class Mounted:
    """The ASGI application behind `/mcp`, which comes into being with its first message; see `running`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._wanted = asyncio.Event()
        self._made: asyncio.Future[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand a message on, once there is somebody to hand it to."""
        if self._made is None:
            raise OurBug("The application at /mcp does not run.")
        self._wanted.set()
        app = await asyncio.shield(self._made)
        await app(scope, receive, send)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block lasts. What MCP keeps open is opened and closed by one task, as it has to be."""
        self._made = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._live(self._made), name="mcp")
        task.add_done_callback(partial(_ended, self._made))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self, made: "asyncio.Future[Any]") -> None:
        await self._wanted.wait()
        app = await asyncio.to_thread(self._built)
        async with app.lifespan(app):
            made.set_result(app)
            await asyncio.Event().wait()

    def _built(self) -> Any:
        load()
        served = server(self._desk.gate, desk_proposer(self._desk), self._desk.gateway.redactor)
        return served.http_app(
            path="/",
            stateless_http=True,
            json_response=True,  # nothing streams here, and an event stream for each answer costs its time
            host_origin_protection=False,  # Guard checks host, origin and credential, as everywhere else
        )


def _ended(made: "asyncio.Future[Any]", task: "asyncio.Task[None]") -> None:
    """Tell who still waits for the application that it ended, or with which error it could not be made."""
    if task.cancelled() or (error := task.exception()) is None:
        made.cancel()
    elif not made.done():
        made.set_exception(error)


def desk_proposer(desk: Desk) -> Propose:
    """Return what turns a call of a change tool into a proposal."""

    async def propose(tool: str, arguments: Json, who: Identity) -> Json:
        row = await desk.gateway.propose(Wish(tool, arguments, Origin(requester=str(who), generator="mcp")), who)
        view = desk.view(row.proposal.id)
        said = "Nothing was changed. A person decides this proposal at its url."
        return {
            "proposal": view["id"],
            "state": view["state"],
            "diff": view["diff"],
            "url": view["url"],
            "message": said,
        }

    return propose


def server(gate: Gate, propose: Propose, redactor: Redactor) -> Any:
    """Return a FastMCP server whose only way to a tool is the gate."""
    from fastmcp import FastMCP
    from fastmcp.exceptions import ToolError
    from fastmcp.server.dependencies import get_http_request
    from fastmcp.server.providers import Provider
    from fastmcp.tools import Tool as Served
    from fastmcp.tools.base import ToolResult
    from mcp_types import ToolAnnotations

    class Gated(Served):
        """One tool, reached through the gate and no other way: by its name, or by one that was `asked` for."""

        asked: str = ""

        async def run(self, arguments: dict[str, Any]) -> ToolResult:
            who: Identity = get_http_request().scope["skyflo.who"]
            name = self.asked or self.name
            try:
                if gate.is_read(name) or gate.foreign.owns(name):
                    answer = await gate.read(name, arguments, who)
                    return ToolResult(structured_content={"result": answer.result, "at": answer.at})
                return ToolResult(structured_content=await propose(name, arguments, who))
            except SkyfloError as error:
                raise ToolError(str(masked(error, redactor))) from None
            except Exception as error:  # noqa: BLE001  (FastMCP would log it, and answer with its message)
                raise ToolError(str(bug(error))) from None

    def foreign(name: str, description: str = "", schema: Json | None = None) -> Gated:
        hints = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=True)
        return Gated(name=name, description=description, parameters=schema or {"type": "object"}, annotations=hints)

    advertised: dict[str, Json | None] = {tool.name: tool.schema for tool in gate.tools()}

    class Guests(Provider):
        """The reads of the operator's own servers. A name of theirs always leads to the gate, which says why not."""

        async def _list_tools(self) -> list[Served]:
            standing = await gate.foreign.standing(GLANCE)
            every = [one for each in standing for one in each.tools if not one.problem]
            advertised.update((one.name, one.schema) for one in every)
            return [foreign(one.name, one.description, one.schema) for one in every]

        async def _get_tool(self, name: str, version: Any = None) -> Served | None:
            if name in TOOLS or gate.foreign.owns(name):
                return None if name in TOOLS else foreign(name)
            # FastMCP would answer with the whole of a name that no tool has; the gate cuts it, and says the nearest.
            return Gated(name="no-tool", asked=name, parameters={"type": "object"})

    served: FastMCP[Any] = FastMCP("skyflo-runbooks", providers=[Guests()])
    for tool in gate.tools():
        read = gate.is_read(tool.name)
        served.add_tool(
            Gated(
                name=tool.name,
                description=tool.description + ("" if read else "\n\nAnswers with a proposal; a person decides it."),
                parameters=tool.schema,
                annotations=ToolAnnotations(read_only_hint=read, destructive_hint=not read, open_world_hint=False),
            )
        )
    served._mcp_server.get_tool_input_schema = advertised.get  # FastMCP does not hand this on to the server within it
    return served


class Guard:
    """ASGI middleware: no MCP message without a credential."""

    def __init__(self, app: Any, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the call through with its caller in the scope, or answer why not."""
        if scope["type"] == "http":
            try:
                roles = frozenset({"kernel", "agent", "operator"})
                scope["skyflo.who"] = self._desk.door.who(Request(scope), roles)  # type: ignore[arg-type]
            except SkyfloError as error:
                response = failure(error)
                response.status_code = 401
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
