"""The tools as a FastMCP server.

Without `propose` it offers its read-only tools and nothing else. With it, the call of a change tool hands the rendered
change to `propose` and answers with the proposal; it never executes.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from skyflo_mcp.kubernetes.answers import presented
from skyflo_mcp.kubernetes.catalogue import TOOLS, Tool, call
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import OurBug, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered

if TYPE_CHECKING:
    from fastmcp import FastMCP

Propose = Callable[[str, Json, Rendered], Awaitable[Json]]


def server(cluster: Cluster, propose: Propose | None = None) -> "FastMCP[Any]":
    """Return a FastMCP server over one cluster. `propose` takes tool, arguments and rendered change."""
    from fastmcp import FastMCP
    from fastmcp.exceptions import ToolError
    from fastmcp.tools import Tool as Served
    from fastmcp.tools.base import ToolResult
    from mcp_types import ToolAnnotations

    class Offered(Served):
        """One tool, with its arguments checked by `call` and nothing else."""

        async def run(self, arguments: dict[str, Any]) -> ToolResult:
            try:
                return ToolResult(structured_content=await answer(cluster, self.name, arguments, propose))
            except SkyfloError as error:
                raise ToolError(str(error)) from None

    def offered(tool: Tool) -> Offered:
        read = tool.effect == "read"
        return Offered(
            name=tool.name,
            description=tool.description,
            parameters=tool.schema,
            annotations=ToolAnnotations(read_only_hint=read, destructive_hint=not read, open_world_hint=False),
        )

    served: FastMCP[Any] = FastMCP("skyflo-kubernetes")
    for tool in TOOLS.values():
        if tool.effect == "read" or propose is not None:
            served.add_tool(offered(tool))
    return served


async def answer(cluster: Cluster, name: str, arguments: Json, propose: Propose | None) -> Json:
    """Return a read's result, or the proposal that a change became."""
    result = await call(cluster, name, arguments)
    if not isinstance(result, Rendered):
        return presented(result)
    if propose is None:
        raise OurBug(f"{name} is a change, and there is nobody to propose it to.")
    return await propose(name, arguments, result)
