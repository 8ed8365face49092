"""MCP is at `/mcp` itself: no redirect, which costs a round trip for each call, and the same guard as at `/mcp/`."""

import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.service import mcp
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


SAYS_WHAT_IS_LOADED = """
import asyncio, sys
from pathlib import Path
from tests.service.running import running

async def look(folder):
    async with running(Path(folder)) as service, service.client() as nobody, service.client(service.kernel) as kernel:
        assert (await nobody.post("/mcp", json={})).status_code == 401
        assert (await kernel.get("/api/v1/tools")).status_code == 200
        print(sorted({"fastmcp", "mcp"} & set(sys.modules)))
        await kernel.post("/mcp", json={})
        print(sorted({"fastmcp", "mcp"} & set(sys.modules)))

asyncio.run(look(sys.argv[1]))
"""


def test_nothing_of_mcp_is_loaded_before_somebody_asks(tmp_path: Path) -> None:
    """Its libraries take longer to load than the gateway; who has no credential does not load them either."""
    command = [sys.executable, "-c", SAYS_WHAT_IS_LOADED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.splitlines() == ["[]", "['fastmcp', 'mcp']"], done.stderr


async def test_who_waits_is_told_that_it_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message waits for ever; without `running` it is a defect of ours."""

    def broken(*_: object) -> None:
        raise ImportError("no such library")

    monkeypatch.setattr(mcp, "server", broken)
    made = mcp.Mounted(Mock())
    with pytest.raises(OurBug):
        await made({}, None, None)
    async with made.running():
        for _ in range(2):
            with pytest.raises(ImportError):
                await made({}, None, None)
