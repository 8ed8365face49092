"""MCP is at `/mcp` itself: no redirect, which costs a round trip for each call, and the same guard as at `/mcp/`."""

from pathlib import Path

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.service.running import running

READ = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}


async def test_a_tool_answers_at_the_path_itself(tmp_path: Path) -> None:
    """A client that is given the address of the documents, without a slash at its end."""
    async with running(tmp_path) as service:
        headers = {"Authorization": f"Bearer {service.kernel}"}
        async with Client(StreamableHttpTransport(f"{service.url}/mcp", headers=headers)) as client:
            answer = await client.call_tool("k8s_get", READ)
        assert answer.structured_content["result"]["metadata"]["name"] == "payment-service"


async def test_nobody_is_redirected_and_nobody_gets_in_without_a_credential(tmp_path: Path) -> None:
    """Both addresses refuse alike, whatever the method; another site's Host or Origin is refused too."""
    async with running(tmp_path) as service, service.client() as nobody, service.client(service.kernel) as kernel:
        for path in ("/mcp", "/mcp/"):
            for method in ("GET", "POST", "DELETE"):
                assert (await nobody.request(method, path)).status_code == 401, (method, path)
            elsewhere = {"Origin": "http://evil.example"}
            assert (await kernel.post(path, json={}, headers=elsewhere)).status_code == 401
            assert (await kernel.post(path, json={}, headers={"Host": "evil.example"})).status_code == 401
