"""A GET-only HTTP server in few lines, which knows who asks by certificate, and can hang up without an answer.

The played kubelets and pods are served by it: an application server would hide the client's certificate, and would
answer where a process that is not there cannot.
"""

from __future__ import annotations

import asyncio
import ssl
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

_HEAD = 64 * 1024


@dataclass(frozen=True)
class Request:
    """What was asked; `peer` is the common name of a client certificate that was verified."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    peer: str | None

    @property
    def bearer(self) -> str:
        """The bearer token, or nothing."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else ""


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


Handler: TypeAlias = Callable[[Request], Awaitable[Answer | None]]


async def serve(handler: Handler, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve GETs; where the handler answers None, the connection is cut, as when nothing listens."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout=30)
            answer = await _answer(handler, head.decode("latin-1"), _peer(writer))
            if answer is None:
                writer.transport.abort()
                return
            writer.write(_encode(answer))
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            writer.transport.abort()  # a client that went away, or does not speak HTTP
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, ssl=tls, limit=_HEAD)


async def _answer(handler: Handler, head: str, peer: str | None) -> Answer | None:
    first, *rest = head.split("\r\n")
    method, _, target = first.partition(" ")
    if method != "GET":
        return Answer(405, "only GET is played\n")
    parts = urllib.parse.urlsplit(target.rpartition(" ")[0])
    pairs = (line.partition(":") for line in rest if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    query = dict(urllib.parse.parse_qsl(parts.query))
    return await handler(Request(urllib.parse.unquote(parts.path), query, headers, peer))


def _peer(writer: asyncio.StreamWriter) -> str | None:
    certificate = writer.get_extra_info("peercert")
    subject = certificate.get("subject", ()) if certificate else ()
    return next((str(value) for part in subject for name, value in part if name == "commonName"), None)


def _encode(answer: Answer) -> bytes:
    body = answer.body.encode()
    head = (
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
