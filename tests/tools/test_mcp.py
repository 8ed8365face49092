"""The tools over MCP: read-only ones alone without a gateway, proposals with one, and no execution ever."""

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from skyflo_mcp.kubernetes import TOOLS, Cluster, server

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered

PAYMENT: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
RAISE: Json = {**PAYMENT, "container": "payment-service", "limits": {"memory": "512Mi"}}


async def test_without_a_gateway_only_reads_are_offered(flagship: Cluster) -> None:
    """A change tool that nobody could approve is not there."""
    async with Client(server(flagship)) as client:
        offered = await client.list_tools()
    assert {one.name for one in offered} == {name for name, tool in TOOLS.items() if tool.effect == "read"}


async def test_each_tool_says_whether_it_only_reads(flagship: Cluster) -> None:
    """By the annotation that clients look at."""

    async def propose(tool: str, arguments: Json, rendered: Rendered) -> Json:
        raise AssertionError("nobody called a change")

    async with Client(server(flagship, propose)) as client:
        offered = await client.list_tools()
    hints = {one.name: one.annotations.read_only_hint for one in offered if one.annotations}
    assert hints == {name: tool.effect == "read" for name, tool in TOOLS.items()}
    assert all(one.description and one.input_schema["additionalProperties"] is False for one in offered)


async def test_a_read_answers_with_structured_content(flagship: Cluster) -> None:
    """Not with text to be parsed."""
    async with Client(server(flagship)) as client:
        result = await client.call_tool("k8s_get", {"kind": "pods", "namespace": "checkout"})
    assert result.structured_content is not None
    assert result.structured_content["count"] == 5


async def test_a_change_answers_with_the_proposal_and_does_nothing(flagship: Cluster) -> None:
    """The gateway gets what was rendered; the object stays."""
    proposed: list[tuple[str, Json, Rendered]] = []

    async def propose(tool: str, arguments: Json, rendered: Rendered) -> Json:
        proposed.append((tool, arguments, rendered))
        return {"id": "ap-000001", "state": "proposed"}

    before = await flagship.get(ObjectRef("Deployment", "payment-service", "checkout"))
    async with Client(server(flagship, propose)) as client:
        result = await client.call_tool("k8s_set_resources", RAISE)
    assert result.structured_content == {"id": "ap-000001", "state": "proposed"}
    ((tool, arguments, rendered),) = proposed
    assert (tool, arguments) == ("k8s_set_resources", RAISE)
    assert rendered.requests[0].target.name == "payment-service"
    assert await flagship.get(ObjectRef("Deployment", "payment-service", "checkout")) == before


async def test_a_change_cannot_be_called_where_it_is_not_offered(flagship: Cluster) -> None:
    """Knowing its name does not help."""
    async with Client(server(flagship)) as client:
        with pytest.raises(ToolError, match="k8s_scale"):
            await client.call_tool("k8s_scale", {**PAYMENT, "replicas": 0})


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("k8s_get", {"kind": "pods", "force": True}, "no argument"),
        ("k8s_get", {}, "kind"),
        ("k8s_get", {"kind": "widgets"}, "serves no kind"),
        ("k8s_logs", {"namespace": "checkout", "name": "../x"}, "not a name"),
        ("k8s_rollout_status", {**PAYMENT, "name": "nothing"}, "404"),
    ],
)
async def test_an_error_says_what_was_expected_and_the_next_step(
    flagship: Cluster, tool: str, arguments: Json, said: str
) -> None:
    """The same words as everywhere else."""
    async with Client(server(flagship)) as client:
        with pytest.raises(ToolError, match=said):
            await client.call_tool(tool, arguments)
