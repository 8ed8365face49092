"""A tiny API server for streams: it speaks the WebSocket protocols of exec and portforward as a script says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl, urlsplit

import httpx
from skyflo_mcp.kubernetes import Cluster
from skyflo_mcp.kubernetes.streams import Streams
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request as Opening
from websockets.http11 import Response
from websockets.typing import Subprotocol

from skyflo_runbooks.model.json import Json

STDOUT, STDERR, STATUS = 1, 2, 3
SUCCESS: Json = {"kind": "Status", "status": "Success"}
# What may come of a request to open a stream after it was delivered, besides silence.
MISHAPS = {
    "nothing": b"",
    "a wrong key": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: AAAA\r\n\r\n"
    ),
    "502 of a proxy": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "200 of a proxy": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}
Play: TypeAlias = Callable[["Talk"], Awaitable[None]]


@dataclass
class Talk:
    """One stream that was opened: what was asked, what came in, and the way to answer."""

    connection: ServerConnection
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]

    @property
    def command(self) -> list[str]:
        """The argv."""
        return [value for name, value in self.query if name == "command"]

    async def say(self, channel: int, data: bytes | str) -> None:
        """Send one message on a channel."""
        await self.connection.send(bytes([channel]) + (data.encode() if isinstance(data, str) else data))

    async def end(self, status: Json = SUCCESS) -> None:
        """Say how it went."""
        await self.say(STATUS, json.dumps(status))


@dataclass
class PodServer:
    """A server that plays each stream by a function; `refusal` is answered instead of opening one."""

    play: Play
    protocols: tuple[str, ...] = ("v5.channel.k8s.io", "v4.channel.k8s.io")
    refusal: tuple[int, bytes, dict[str, str]] | None = None
    talks: list[Talk] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    url: str = ""

    async def _handle(self, connection: ServerConnection) -> None:
        opened = connection.request
        assert opened is not None
        parts = urlsplit(opened.path)
        talk = Talk(
            connection, parts.path, parse_qsl(parts.query, keep_blank_values=True), dict(opened.headers.items())
        )
        self.talks.append(talk)
        await self.play(talk)

    def _refuse(self, connection: ServerConnection, opening: Opening) -> Response | None:
        self.offered += opening.headers.get_all("Sec-WebSocket-Protocol")
        if self.refusal is None:
            return None
        status, body, headers = self.refusal
        return Response(status, "", Headers({"Content-Length": str(len(body)), **headers}), body)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["PodServer"]:
        """Serve on a free loopback port."""
        async with serve(
            self._handle,
            "127.0.0.1",
            0,
            process_request=self._refuse,
            subprotocols=[Subprotocol(one) for one in self.protocols],
            close_timeout=1,
        ) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    def streams(self, token: str | None = None) -> Streams:
        """A client of this server."""

        async def header() -> str | None:
            return f"Bearer {token}" if token else None

        return Streams(self.url, header=header)

    def cluster(self, token: str | None = None) -> Cluster:
        """This server as a cluster that answers streams alone."""
        return Cluster(httpx.AsyncClient(base_url=self.url), streams=self.streams(token))


@asynccontextmanager
async def delivered(answer: bytes | None) -> AsyncIterator[tuple[str, list[str]]]:
    """Something that takes the request to open a stream, says this and hangs up (None: neither); and what it took."""
    taken: list[str] = []
    ended = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append((await reader.readuntil(b"\r\n\r\n")).decode())
        if answer is None:
            await ended.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken
        finally:
            ended.set()


async def forever(talk: Talk) -> None:
    """Say nothing until the other side goes away."""
    await talk.connection.wait_closed()


async def echo_port(talk: Talk) -> None:
    """A port that says back what it is told, in capitals."""
    port = int(dict(talk.query)["ports"]).to_bytes(2, "little")
    await talk.say(0, port)
    await talk.say(1, port)
    async for message in talk.connection:
        assert isinstance(message, bytes)
        assert message[0] == 0
        await talk.say(0, message[1:].upper())
