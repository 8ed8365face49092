"""Kernels at the ports of a block: as many as there is room for, and words for the next one."""

import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from jupyter_client.connect import LocalPortCache
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from skyflo_kernel.sandbox import kernels, ports
from tornado.web import HTTPError

from skyflo_runbooks.cli import launch

PORTS = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> range:
    """Seven ports: one kernel, and not enough for another."""
    found = launch.free_block(7)
    LocalPortCache.clear_instance()
    KernelProvisionerFactory.clear_instance()
    monkeypatch.setenv(ports.VARIABLE, str(found))
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", ports.PROVISIONER)
    return found.ports


@pytest_asyncio.fixture
async def started(block: range) -> AsyncIterator[list[AsyncKernelManager]]:
    """Kernels that a test starts; they are ended after it."""
    managers: list[AsyncKernelManager] = []
    yield managers
    for manager in managers:
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)
    LocalPortCache.clear_instance()
    KernelProvisionerFactory.clear_instance()


async def test_a_kernel_runs_at_ports_of_the_block(block: range, started: list[AsyncKernelManager]) -> None:
    """By the entry point that Jupyter finds; also after a restart. One too many is refused, until there is room."""
    first, second = AsyncKernelManager(), AsyncKernelManager()
    started += [first, second]
    await first.start_kernel()
    taken = [getattr(first, name) for name in PORTS]
    assert len(set(taken) & set(block)) == 5
    await answers(first)
    await first.restart_kernel(now=True)
    assert [getattr(first, name) for name in PORTS] == taken
    await answers(first)
    with pytest.raises(HTTPError, match="shut a kernel down") as refused:
        await second.start_kernel()
    assert (refused.value.status_code, refused.value.reason) == (503, "No port is left for a kernel")
    await first.shutdown_kernel(now=True)
    third = AsyncKernelManager()
    started.append(third)
    await third.start_kernel()
    assert getattr(third, PORTS[0]) in block


async def answers(manager: AsyncKernelManager) -> None:
    """Wait until the kernel runs code."""
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
    finally:
        client.stop_channels()


def test_a_port_that_somebody_took_is_left_out(block: range) -> None:
    """Another lab, or a server that came later: the next free one is given out, each once until it is returned."""
    cache = kernels.BlockPorts()
    cache.ports = block
    with socket.create_server(("127.0.0.1", block[0])):
        given = [cache.find_available_port("127.0.0.1") for _ in range(6)]
        with pytest.raises(HTTPError):
            cache.find_available_port("127.0.0.1")
    assert given == list(block[1:])
    cache.return_port(given[2])
    assert cache.find_available_port("127.0.0.1") == block[0]
    assert cache.find_available_port("127.0.0.1") == given[2]
