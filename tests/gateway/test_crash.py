"""SIGKILL of the gateway at each step between approval and receipt: never twice, never lost, never forgotten."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from skyflo_runbooks.model.json import at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import DEPLOYMENT
from skyflo_runbooks.service.server import Announcing
from tests.gateway.dying import STEPS

NEVER_APPLIED = {"before approve"}
# Marked as sent and not on the way: looking shows that it did not arrive, and it is reported, not sent on suspicion.
REPORTED = {"after sending mark", "before the request leaves"}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[PracticeCluster, str]]:
    """A practice cluster on a real socket, which outlives the gateways that die."""
    practice = PracticeCluster("oomkilled-payment")
    config = uvicorn.Config(practice.app, port=0, log_level="error", lifespan="off")
    listening = asyncio.Event()
    server = Announcing(config, listening.set)
    task = asyncio.create_task(server.serve())
    await asyncio.wait_for(listening.wait(), 20)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with practice.running():
        yield practice, f"http://127.0.0.1:{port}"
    server.should_exit = True
    await task


async def gateway(data: Path, url: str, step: str = "") -> tuple[int, str]:
    """Run one gateway process to its end; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.gateway.dying",
        str(data),
        url,
        *([step] if step else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, (out.decode() + err.decode()).strip()


def in_cluster(practice: PracticeCluster) -> tuple[str, int]:
    """Return the memory limit and how many writes by attempts the Deployment shows."""
    found = practice.store.find(DEPLOYMENT, "checkout", "payment-service") or {}
    limit = at(found, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory")
    managers = [str(entry["manager"]) for entry in found["metadata"]["managedFields"]]
    return str(limit), sum(name.startswith("skyflo-at-") for name in managers)


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_gateway_never_applies_twice_and_never_forgets(tmp_path: Path, step: str) -> None:
    """The next gateway on the same record finishes it, or says that it was not applied."""
    async with served() as (practice, url):
        code, said = await gateway(tmp_path / "data", url, step)
        assert code == -signal.SIGKILL, said
        code, said = await gateway(tmp_path / "data", url)
        assert code == 0, said
        states, attempts = said.splitlines()[-1].rsplit(" ", 1)
        limit, writes = in_cluster(practice)
        if step in NEVER_APPLIED:
            assert (states, attempts, limit, writes) == ("proposed", "0", "256Mi", 0)
        elif step in REPORTED:
            assert (states, attempts, limit, writes) == ("void", "1", "256Mi", 0)
        else:
            assert (states, attempts, limit, writes) == ("executed", "1", "512Mi", 1)
