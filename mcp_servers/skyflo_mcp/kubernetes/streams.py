"""Streams into a pod over the API server's WebSocket: a command in a container, and bytes to one of its ports.

Rules:
  1. A stream has a bound in seconds and one in bytes. Bytes beyond the bound are read and dropped, so that a command
     with much to say still comes to its end; beyond the seconds the stream is closed, and what runs may go on.
  2. It is opened once. Something may have run from the moment that the request to open it is on its way: what breaks
     after that, without a status or a refusal of the API server's own, is `OutcomeUnknown`. `Unreachable`, and
     `TimedOut`, say that no connection came about.
  3. Nothing is sent to the standard input of a command, and there is no terminal.
  4. The credential is the transport's own, and no error carries it.

The subprotocols are v5.channel.k8s.io and v4.channel.k8s.io; the first byte of a message is its channel
(https://kubernetes.io/blog/2024/08/20/websockets-transition/). A connection to a port speaks v4 alone: channel 0 is
data and channel 1 errors, each opened by the two bytes of the port.
"""

import asyncio
import contextlib
import hashlib
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from skyflo_mcp.kubernetes.errors import (
    OutcomeUnknown,
    TimedOut,
    Unreachable,
    answered,
    may_have_been_done,
    without_tokens,
)
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json, at

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection, connect

OPENING = 10.0
_COMMAND = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_PORT = ("v4.channel.k8s.io",)
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_PORT_DATA, _PORT_ERROR = 0, 1
_LARGEST_MESSAGE = 8 * 2**20
# After the first answer of a port, so long a silence is taken for its end.
_QUIET = 1.0
# The library logs headers where the program's logging is set to debug.
_SILENT = logging.Logger("streams", logging.CRITICAL + 1)


class Ran(msgspec.Struct, frozen=True):
    """What a stream came to.

    `code` is the command's exit code; None where it is not known (`message` says why) and for a port, which has none.
    `truncated` says that output beyond the bound was dropped, `timed_out` that the bound in seconds was reached. Output
    is text; where it holds a NUL it is something else, of which size and digest are said instead.
    """

    code: int | None
    stdout: str = ""
    stderr: str = ""
    truncated: bool = False
    timed_out: bool = False
    seconds: float = 0.0
    message: str = ""


class Streams:
    """Opens WebSockets to one API server. `header` gives the Authorization header, if there is one."""

    def __init__(
        self,
        server: str,
        *,
        header: Callable[[], Awaitable[str | None]] | None = None,
        tls: ssl.SSLContext | None = None,
        server_name: str = "",
        proxy: str | None = None,
        opening: float = OPENING,
    ) -> None:
        self._server = server.rstrip("/")
        self._header = header
        self._tls = tls
        self._server_name = server_name
        self._proxy = proxy
        self._opening = opening

    async def command(
        self,
        path: str,
        argv: Sequence[str],
        *,
        container: str,
        seconds: float,
        limit: int,
        doing: str,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Ran:
        """Run `argv` in a container; `path` is that of the pod's exec. By the rules above."""
        query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", one) for one in argv)]
        started = time.monotonic()
        async with await self._open(path, query, _COMMAND, doing, headers) as connection:
            heard = _Heard(limit)
            status: Json | None = None
            timed_out = False
            try:
                async with asyncio.timeout(seconds):
                    async for channel, data in _messages(connection):
                        if channel == _STATUS:
                            status = msgspec.json.decode(data, type=dict)
                            break
                        heard.take(channel, data)
            except TimeoutError:
                timed_out = True
        if status is None and not timed_out:
            raise OutcomeUnknown(
                f"{doing}: it was started, and the connection ended before it said how it went.",
                next_step="Look at what it was to do before anything else is done.",
            )
        code, message = (
            _exit(status) if status is not None else (None, f"no end within {seconds:g} s; it may still run")
        )
        return Ran(
            code=code,
            stdout=_text(heard.of(_STDOUT)),
            stderr=_text(heard.of(_STDERR)),
            truncated=heard.truncated,
            timed_out=timed_out,
            seconds=round(time.monotonic() - started, 3),
            message=without_tokens(message),
        )

    async def port(
        self,
        path: str,
        port: int,
        send: bytes,
        *,
        seconds: float,
        limit: int,
        doing: str,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Ran:
        """Send bytes to a port of a pod and return what comes back: until its end, a silence, or a bound.

        `path` is that of the pod's portforward.
        """
        from websockets.exceptions import ConnectionClosed

        started = time.monotonic()
        async with await self._open(path, [("ports", str(port))], _PORT, doing, headers) as connection:
            heard = _Heard(limit)
            timed_out = False
            try:
                with contextlib.suppress(ConnectionClosed):  # why it is closed is among what came
                    await connection.send(bytes([_PORT_DATA]) + send)
                async with asyncio.timeout(seconds) as bound:
                    end = bound.when() or 0.0
                    opened: set[int] = set()
                    async for channel, data in _messages(connection):
                        if channel not in opened:  # the first message of a channel is its port
                            opened.add(channel)
                            continue
                        heard.take(channel, data)
                        if channel == _PORT_ERROR or heard.truncated:
                            break
                        bound.reschedule(min(end, asyncio.get_running_loop().time() + _QUIET))
            except TimeoutError:
                timed_out = not heard.of(_PORT_DATA)
        refused = _text(heard.of(_PORT_ERROR))
        return Ran(
            code=None,
            stdout=_text(heard.of(_PORT_DATA)),
            truncated=heard.truncated,
            timed_out=timed_out,
            seconds=round(time.monotonic() - started, 3),
            message=without_tokens(refused) or (f"no answer within {seconds:g} s" if timed_out else ""),
        )

    async def _open(
        self,
        path: str,
        query: Sequence[tuple[str, str]],
        protocols: Sequence[str],
        doing: str,
        headers: Sequence[tuple[str, str]],
    ) -> AbstractAsyncContextManager["ClientConnection"]:
        """Return the standing connection, or raise what it came to instead (rule 2)."""
        from websockets.exceptions import InvalidStatus, WebSocketException

        authorization = await self._header() if self._header else None
        said = {name.lower(): value for name, value in headers}
        carried = [one for one in headers if one[0].lower() != "user-agent"]
        carried += [("Authorization", authorization)] if authorization else []
        url = f"ws{self._server.removeprefix('http')}{path}?{urlencode(query)}"
        attempt, connected = self._attempt(url, protocols, carried, said.get("user-agent"))
        try:
            async with asyncio.timeout(self._opening):
                return await attempt
        except InvalidStatus as error:
            raise _refused(error.response.status_code, bytes(error.response.body or b""), doing) from None
        except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
            raise self._broken(doing, error, sent=connected.is_set()) from None

    def _attempt(
        self, url: str, protocols: Sequence[str], headers: Sequence[tuple[str, str]], agent: str | None
    ) -> tuple["connect", asyncio.Event]:
        """Return one attempt at one address, and what is set when it has a connection to send its request on."""
        from websockets.asyncio.client import connect
        from websockets.typing import Subprotocol

        options: dict[str, Any] = {"ssl": self._tls} if self._server.startswith("https") else {}
        if self._server_name and options:
            options["server_hostname"] = self._server_name
        connected = asyncio.Event()

        class Once(connect):
            """A redirect would be a second attempt, somewhere else."""

            async def open_tcp_connection(self) -> "ClientConnection":
                connection = await super().open_tcp_connection()
                connected.set()
                return connection

            def process_redirect(self, exc: Exception) -> Exception | str:
                return exc

        attempt = Once(
            url,
            subprotocols=[Subprotocol(one) for one in protocols],
            additional_headers=headers,
            user_agent_header=agent or "skyflo-runbooks",
            logger=_SILENT,
            compression=None,
            proxy=self._proxy or True,
            open_timeout=None,
            ping_interval=None,
            close_timeout=1,
            max_size=_LARGEST_MESSAGE,
            **options,
        )
        return attempt, connected

    def _broken(self, doing: str, error: Exception, *, sent: bool) -> Unreachable:
        """Return what an opening that ended without an answer came to; `sent` says that its request was on its way."""
        late = isinstance(error, TimeoutError)
        why = without_tokens(str(error)).rstrip(".") or type(error).__name__
        if late:
            why = f"no answer within {self._opening:g} s"
        if sent:
            return _outcome_unknown(doing, why)
        return (TimedOut if late else Unreachable)(
            f"{doing}: the cluster at {self._server} opens no stream: {why}.",
            next_step="Is it running, and does a proxy in between let WebSockets through?",
        )


class _Heard:
    """What each channel said, up to so many bytes in all."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._parts: dict[int, bytearray] = {}
        self.truncated = False

    def take(self, channel: int, data: bytes) -> None:
        """Keep what still fits."""
        self._parts.setdefault(channel, bytearray()).extend(data[: self._left])
        self.truncated = self.truncated or len(data) > self._left
        self._left -= min(self._left, len(data))

    def of(self, channel: int) -> bytearray:
        """Return what was kept of a channel."""
        return self._parts.get(channel, bytearray())


async def _messages(connection: "ClientConnection") -> Any:
    """Yield channel and data of each message until the connection ends, rightly or not."""
    from websockets.exceptions import ConnectionClosed

    while True:
        try:
            message = await connection.recv(decode=False)
        except ConnectionClosed:
            return
        if message:
            yield message[0], message[1:]


def _exit(status: Json) -> tuple[int | None, str]:
    """Return exit code and message of the Status that ends a command."""
    if status.get("status") == "Success":
        return 0, ""
    said = str(status.get("message", ""))
    if status.get("reason") == "NonZeroExitCode":
        for cause in at(status, "details", "causes", default=[]):
            if cause.get("reason") == "ExitCode" and str(cause.get("message")).isdigit():
                return int(cause["message"]), said
    return None, said or "it did not start"


def _text(output: bytearray) -> str:
    if b"\0" in output:
        return f"(binary: {len(output)} bytes, sha256:{hashlib.sha256(output).hexdigest()})"
    return output.decode("utf-8", "replace")


def _refused(status: int, body: bytes, doing: str) -> SkyfloError:
    """Return what an answer means that is not the stream."""
    said = _decoded(body)
    # An answer below 300 is no refusal, and nothing that an API server says.
    if status < 300 or may_have_been_done(status, said):
        return _outcome_unknown(doing, f"the answer was {status}")
    return answered(status, said, doing=doing)


def _outcome_unknown(doing: str, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{doing}: it was sent, and whether it was started is not known ({why}).",
        next_step="Look at what it was to do before anything else is done.",
    )


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")[:2000]
