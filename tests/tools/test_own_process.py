"""The Kubernetes reads as a process of their own: what only reads, and nothing else, to whom it belongs."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from skyflo_mcp.kubernetes import TOOLS
from skyflo_mcp.kubernetes.__main__ import TOKEN, main

from skyflo_runbooks.model.errors import ExitCode
from tests.control_plane.processes import free_ports

READS = {name for name, tool in TOOLS.items() if tool.effect == "read"}
SECRET = "a-token-that-is-long-enough"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A kubeconfig of a cluster that is not there."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        yaml.safe_dump({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "me", "user": {"token": "x"}}],
            "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "me"}}],
            "current-context": "gone",
        })
    )  # fmt: skip
    return path


async def test_over_stdio_it_offers_its_reads_and_nothing_else(kubeconfig: Path) -> None:
    """A change is not there to be called, and an error is in the tools' own words."""
    line = ["-m", "skyflo_mcp.kubernetes", "--kubeconfig", str(kubeconfig)]
    async with Client(StdioTransport(sys.executable, line)) as client:
        offered = await client.list_tools()
        assert {one.name for one in offered} == READS
        assert all(one.annotations and one.annotations.read_only_hint for one in offered)
        with pytest.raises(ToolError):
            await client.call_tool("k8s_scale", {"kind": "Deployment", "namespace": "a", "name": "b", "replicas": 0})
        with pytest.raises(ToolError, match="does not answer"):
            await client.call_tool("k8s_get", {"kind": "Pod"})


@asynccontextmanager
async def serving(kubeconfig: Path) -> AsyncIterator[str]:
    """The process over HTTP; its address."""
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "skyflo_mcp.kubernetes", "--kubeconfig", str(kubeconfig), "--http", str(port)),
        env={"PATH": "", TOKEN: SECRET},
    )
    try:
        async with asyncio.timeout(60):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    break
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        await process.wait()


async def test_over_http_it_belongs_to_who_has_the_token(kubeconfig: Path) -> None:
    """Without it, with another one, or by another host's name there is no answer; with it there are the reads."""
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepts = {"Accept": "application/json, text/event-stream"}
    async with serving(kubeconfig) as url, httpx.AsyncClient(trust_env=False) as client:
        for wrong in ({}, {"Authorization": "Bearer another-token-entirely"}, {"Authorization": SECRET}):
            assert (await client.post(url, json=asked, headers={**accepts, **wrong})).status_code == 401
        right = {**accepts, "Authorization": f"Bearer {SECRET}"}
        for elsewhere in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            assert (await client.post(url, json=asked, headers={**right, **elsewhere})).status_code >= 400
        transport = StreamableHttpTransport(url, headers={"Authorization": f"Bearer {SECRET}"})
        async with Client(transport) as mcp:
            assert {one.name for one in await mcp.list_tools()} == READS


@pytest.mark.parametrize("token", ["", "short"])
def test_over_http_without_a_token_it_does_not_start(
    kubeconfig: Path, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says how to make one."""
    monkeypatch.setenv(TOKEN, token)
    assert main(["--kubeconfig", str(kubeconfig), "--http", "0"]) == ExitCode.BAD_INPUT
    assert TOKEN in capsys.readouterr().err


def test_a_kubeconfig_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of every other command."""
    assert main(["--kubeconfig", str(tmp_path / "nothing")]) == ExitCode.BAD_INPUT
    assert "no kubeconfig" in capsys.readouterr().err
