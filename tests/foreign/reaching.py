"""Ways to the servers of these tests."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from skyflo_mcp.foreign.connection import Connection
from skyflo_mcp.foreign.way import Reach, Way, inside, reach

from skyflo_runbooks.gateway.foreign.config import Server
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.service.server import bind
from tests.foreign.shop import shop

ROOT = Path(__file__).parents[2]
ROGUE = str(Path(__file__).with_name("rogue.py"))
KERNEL = Identity("kernel", "notebook")
SHOP = {"shop": "main street"}


def rogue(behaviour: str, memory: Path | None = None) -> tuple[str, ...]:
    """Return the command of a server that behaves so."""
    return (sys.executable, "-S", ROGUE, behaviour, *([str(memory)] if memory else []))


def configured(behaviour: str, memory: Path | None = None, **said: Any) -> Server:
    """Return such a server as the operator configured it: named `shop`, with one read."""
    env = {"KEY": "${SHOP_KEY}"}
    return Server(name="shop", command=rogue(behaviour, memory), **{"env": env, "reads": {"status": ""}, **said})


VARIABLES = {"SHOP_KEY": "s3cret-of-the-shop", "PATH": "/usr/bin:/bin"}


@asynccontextmanager
async def connected(reach: Reach, **bounds: float) -> AsyncIterator[Connection]:
    """Yield a connection that is closed afterwards."""
    connection = Connection("shop", reach, **bounds)
    try:
        yield connection
    finally:
        await connection.aclose()


@asynccontextmanager
async def at_address(app: Any) -> AsyncIterator[str]:
    """Serve an ASGI application on loopback and yield its origin."""
    import asyncio

    sockets = bind("localhost", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=sockets))
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        for one in sockets:
            one.close()


@asynccontextmanager
async def in_memory() -> AsyncIterator[Reach]:
    """The honest server in this process."""
    yield lambda: inside(shop())


@asynccontextmanager
async def as_process() -> AsyncIterator[Reach]:
    """The honest server as a process."""
    command = (sys.executable, "-m", "tests.foreign.shop")
    yield lambda: reach(Way(command=command, environment={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}))


@asynccontextmanager
async def over_http() -> AsyncIterator[Reach]:
    """The honest server at an address."""
    async with at_address(shop().http_app(path="/mcp")) as origin:
        yield lambda: reach(Way(url=f"{origin}/mcp"))


WAYS: dict[str, Callable[[], Any]] = {"in memory": in_memory, "process": as_process, "http": over_http}
