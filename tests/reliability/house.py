"""Cluster and gateway as processes, and a client that does not give up while the gateway is being killed."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from skyflo_runbooks.cli import launch
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.server import client_of
from tests.gateway.operator import Key
from tests.reliability.cluster import BY_HAND, NAMESPACE
from tests.reliability.fates import Moment

PATIENCE = 600.0


class Gone(Exception):
    """The gateway did not come back in time."""


class House:
    """The processes of one run. `kill` ends the gateway and starts the next one."""

    def __init__(self, folder: Path, kubeconfig: Path, zygote: asyncio.subprocess.Process, expires: float) -> None:
        self.folder = folder
        self.kubeconfig = kubeconfig
        self._zygote = zygote
        self._expires = expires
        self._port = launch.free_port()
        self._cluster = client_of(kubeconfig, 30.0)
        self.pid = 0
        self.up = asyncio.Event()
        self.kernel = ""
        self.session = ""
        self.key = Key()
        self.started: list[float] = []
        self._client = httpx.AsyncClient(base_url=f"http://localhost:{self._port}", timeout=30)

    async def start(self) -> None:
        """Start a gateway and wait until it listens."""
        begun = asyncio.get_running_loop().time()
        asked = {
            "home": str(self.folder / "home"),
            "port": str(self._port),
            "kubeconfig": str(self.kubeconfig),
            "expires": str(self._expires),
        }
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(asked).encode() + b"\n")
        self.pid = (await self._said())["pid"]
        said = await self._said()
        self.started.append(asyncio.get_running_loop().time() - begun)
        if not self.session:
            await self._pair(str(said["login"]))
        self.up.set()

    async def kill(self, moment: Moment) -> None:
        """End the gateway by SIGKILL: now, or at the next write of an attempt; then start the next one."""
        if moment == "any":
            os.kill(self.pid, signal.SIGKILL)
        else:
            self._cluster.post("/trap", content=json.dumps({"pid": self.pid, "when": moment})).raise_for_status()
        await self._ended(self.pid)
        self._cluster.post("/trap", content="{}").raise_for_status()
        self.up.clear()
        await self.start()

    async def call(self, method: str, path: str, body: Json | None = None, *, operator: bool = False) -> Any:
        """Ask the gateway, again and again while it is away; a refusal is answered as `{"error": …}`."""
        async with asyncio.timeout(PATIENCE):
            while True:
                await self.up.wait()
                headers = {"Authorization": f"Bearer {self.session if operator else self.kernel}"}
                with contextlib.suppress(httpx.TransportError):
                    answer = await self._client.request(method, path, json=body, headers=headers)
                    return answer.json()
                await asyncio.sleep(0.02)

    def change_by_hand(self, name: str, value: str) -> None:
        """Change an object past the gateway."""
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}?fieldManager={BY_HAND}"
        headers = {"content-type": "application/merge-patch+json"}
        self._cluster.patch(path, json={"data": {"by_hand": value}}, headers=headers).raise_for_status()

    def value(self, name: str) -> str:
        """Return what the cluster has now."""
        answer = self._cluster.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}").raise_for_status()
        return str(answer.json()["data"]["value"])

    async def close(self) -> None:
        """End the gateway."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        await self._ended(self.pid)
        await self._client.aclose()
        self._cluster.close()

    async def _pair(self, login: str) -> None:
        token = login.rpartition("/login/")[2].partition("?")[0]
        body = {"token": token, "name": "load", "key": self.key.jwk}
        answer = (await self._client.post("/api/v1/pair", json=body)).raise_for_status()
        self.session = answer.json()["session"]
        self.kernel = json.loads((self.folder / "home" / "run" / "gateway.json").read_text())["token"]

    async def _said(self) -> Json:
        assert self._zygote.stdout is not None
        line = await asyncio.wait_for(self._zygote.stdout.readline(), PATIENCE)
        if not line:
            raise Gone(f"no gateway: see {self.folder / 'zygote.log'}")
        said: Json = json.loads(line)
        return said

    async def _ended(self, pid: int) -> None:
        """Wait until a process is dead; its parent takes it away when the next one is asked for."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while loop.time() < until:
            if _dead(pid):
                return
            await asyncio.sleep(0.005)
        raise Gone(f"process {pid} does not end")


def _dead(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in ("Z", "X")


@asynccontextmanager
async def house(folder: Path, *, objects: int, expires: float) -> AsyncIterator[House]:
    """Start cluster and gateway, and end them."""
    pipe = asyncio.subprocess.PIPE
    with (folder / "cluster.log").open("wb") as log, (folder / "zygote.log").open("wb") as errors:
        cluster = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.reliability.cluster", str(folder), str(objects), stdout=pipe, stderr=log
        )
        zygote = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.reliability.zygote", stdin=pipe, stdout=pipe, stderr=errors
        )
        try:
            assert cluster.stdout is not None
            line = await asyncio.wait_for(cluster.stdout.readline(), PATIENCE)
            made = House(folder, Path(line.decode().strip()), zygote, expires)
            await made.start()
            try:
                yield made
            finally:
                await made.close()
        finally:
            for process in (zygote, cluster):
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
