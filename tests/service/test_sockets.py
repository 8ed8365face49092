"""Answers leave at once: without TCP_NODELAY each would wait 40 ms for the client's delayed acknowledgement."""

import asyncio
import socket

from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.server import Server
from skyflo_runbooks.service.server import bind


async def delays(listening: socket.socket) -> bool:
    """Tell whether a connection that asyncio accepts here gathers small writes (Nagle's algorithm)."""
    accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = writer.get_extra_info("socket")
        accepted.set_result(not own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(serve, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
        answer = await asyncio.wait_for(accepted, 10)
        writer.close()
        await writer.wait_closed()
    return answer


async def test_the_gateway_answers_at_once() -> None:
    """On each of its addresses."""
    for listening in bind("localhost", 0):
        assert not await delays(listening)


async def test_the_practice_cluster_answers_at_once() -> None:
    """So that what is measured on it is not the wait for an acknowledgement."""
    assert not await delays(Server(PracticeCluster("healthy")).socket)
