"""SIGKILL of the gateway at each step between approval and receipt: never twice, never lost, never forgotten."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.model.json import at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import CONFIG_MAP, DEPLOYMENT, POD
from skyflo_runbooks.service.server import Announcing
from tests.gateway import requests as make
from tests.gateway.dying import STEPS
from tests.tools.podserver import PodServer, Talk

NEVER_APPLIED = {"before approve"}
# Marked as sent and not on the way: looking shows that it did not arrive, and it is reported, not sent on suspicion.
REPORTED = {"after sending mark", "before the request leaves"}
# The steps at which verbs differ.
DECISIVE = ("after sending mark", "after the request arrived", "after the answer is noted")


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


async def gateway(data: Path, url: str, pods: str, change: str, step: str = "") -> tuple[int, str]:
    """Run one gateway process to its end; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.gateway.dying",
        str(data),
        url,
        pods,
        change,
        *([step] if step else []),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, (out.decode() + err.decode()).strip()


async def killed(data: Path, url: str, change: str, step: str, pods: str = "http://127.0.0.1:9") -> str:
    """Let one gateway die at a step and the next one finish; return the states and the number of attempts."""
    code, said = await gateway(data, url, pods, change, step)
    assert code == -signal.SIGKILL, said
    code, said = await gateway(data, url, pods, change)
    assert code == 0, said
    return said.splitlines()[-1]


def in_cluster(practice: PracticeCluster) -> tuple[str, int]:
    """Return the memory limit and how many writes by attempts the Deployment shows."""
    found = practice.store.find(DEPLOYMENT, "checkout", "payment-service") or {}
    limit = at(found, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory")
    managers = [str(entry["manager"]) for entry in found["metadata"]["managedFields"]]
    return str(limit), sum(name.startswith("skyflo-at-") for name in managers)


async def put_settings(url: str) -> None:
    """Somebody makes the ConfigMap that the changes are about."""
    async with Cluster(httpx.AsyncClient(base_url=url)) as cluster:
        await make.put(cluster)


def maps(practice: PracticeCluster) -> dict[str, str]:
    """Return the mode of each ConfigMap of the tests."""
    found = practice.store.list(CONFIG_MAP, "checkout")
    return {one["metadata"]["name"]: one["data"]["mode"] for one in found if "mode" in one["data"]}


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_gateway_never_applies_twice_and_never_forgets(tmp_path: Path, step: str) -> None:
    """The next gateway on the same record finishes it, or says that it was not applied."""
    async with served() as (practice, url):
        states, attempts = (await killed(tmp_path / "data", url, "patch", step)).rsplit(" ", 1)
        limit, writes = in_cluster(practice)
        if step in NEVER_APPLIED:
            assert (states, attempts, limit, writes) == ("proposed", "0", "256Mi", 0)
        elif step in REPORTED:
            assert (states, attempts, limit, writes) == ("void", "1", "256Mi", 0)
        else:
            assert (states, attempts, limit, writes) == ("executed", "1", "512Mi", 1)


BEFORE = {"settings": "slow"}
AFTER = {
    "create": {"settings": "slow", "one": "slow"},
    "delete": {},
    "apply": {"settings": "fast"},
}


@pytest.mark.parametrize("step", DECISIVE)
@pytest.mark.parametrize("change", AFTER)
async def test_every_verb_survives_its_gateway(tmp_path: Path, change: str, step: str) -> None:
    """A creation, a deletion and an apply: not sent again on suspicion, and known when they arrived."""
    async with served() as (practice, url):
        await put_settings(url)
        version = practice.store.version
        states = await killed(tmp_path / "data", url, change, step)
        wanted = ("void 1", BEFORE) if step in REPORTED else ("executed 1", AFTER[change])
        assert (states, maps(practice)) == wanted
        ours = [one for one in practice.store.history if one.version > version and one.kind is CONFIG_MAP]
        assert len(ours) == (0 if step in REPORTED else 1)


@pytest.mark.parametrize("step", DECISIVE)
async def test_an_eviction_survives_its_gateway(tmp_path: Path, step: str) -> None:
    """One pod goes, or none."""
    async with served() as (practice, url):
        before = {pod["metadata"]["uid"] for pod in practice.store.list(POD, "checkout")}
        states = await killed(tmp_path / "data", url, "evict", step)
        left = [pod for pod in practice.store.list(POD, "checkout") if "deletionTimestamp" not in pod["metadata"]]
        gone = before - {pod["metadata"]["uid"] for pod in left}
        assert (states, len(gone)) == (("void 1", 0) if step in REPORTED else ("executed 1", 1))


@pytest.mark.parametrize("step", DECISIVE)
async def test_a_command_is_never_run_twice(tmp_path: Path, step: str) -> None:
    """Whether it ran cannot be seen afterwards: it has failed and says so, unless its end was noted."""

    async def ends(talk: Talk) -> None:
        await talk.end()

    async with served() as (_, url), PodServer(ends).running() as pods:
        states = await killed(tmp_path / "data", url, "run", step, pods.url)
        ran = 0 if step in REPORTED else 1
        assert (states, len(pods.talks)) == ("executed 1" if "noted" in step else "failed 1", ran)


@pytest.mark.parametrize(
    ("step", "state", "left"),
    [
        ("after the answer is noted 1", "executed 1", {"settings": "fast", "one": "slow", "two": "slow"}),
        ("after sending mark 2", "failed 1", {"settings": "slow", "one": "slow"}),
        ("after the request arrived 2", "failed 1", {"settings": "fast", "one": "slow"}),
    ],
)
async def test_a_list_goes_on_where_nothing_was_on_its_way(
    tmp_path: Path, step: str, state: str, left: dict[str, str]
) -> None:
    """Else it stops there, with what was applied; what comes after is never sent."""
    async with served() as (practice, url):
        await put_settings(url)
        assert (await killed(tmp_path / "data", url, "list", step), maps(practice)) == (state, left)
