"""MCP over HTTP at `/mcp`: the same tools, the same gate, the same credentials.

The call of a change tool, by any client, answers with the proposal and where to decide it. It never executes.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.service.answers import failure, masked
from skyflo_runbooks.service.desk import Desk

Propose = Callable[[str, Json, Identity], Awaitable[Json]]


def mounted(desk: Desk) -> Any:
    """Return the ASGI application that is mounted at `/mcp`."""
    from starlette.middleware import Middleware

    served = server(desk.gate, desk_proposer(desk), desk.gateway.redactor)
    return served.http_app(
        path="/",
        stateless_http=True,
        json_response=True,  # nothing streams here, and an event stream for each answer costs its time
        middleware=[Middleware(Guard, desk=desk)],
        host_origin_protection=False,  # Guard checks host, origin and credential, as everywhere else
    )


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
    from fastmcp.tools import Tool as Served
    from fastmcp.tools.base import ToolResult
    from mcp_types import ToolAnnotations

    class Gated(Served):
        """One tool, reached through the gate and no other way."""

        async def run(self, arguments: dict[str, Any]) -> ToolResult:
            who: Identity = get_http_request().scope["skyflo.who"]
            try:
                if gate.is_read(self.name):
                    answer = await gate.read(self.name, arguments, who)
                    return ToolResult(structured_content={"result": answer.result, "at": answer.at})
                return ToolResult(structured_content=await propose(self.name, arguments, who))
            except SkyfloError as error:
                raise ToolError(str(masked(error, redactor))) from None

    served: FastMCP[Any] = FastMCP("skyflo-runbooks")
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
