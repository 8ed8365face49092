"""The one warm connection to an API server: time-outs, size limits, retries, and what an answer means.

Rules:
  1. Every call has a time-out (seconds, for the whole call) and a limit on the bytes of the answer.
  2. Only a GET is sent again, at most twice: after a lost connection, 429, 502, 503 or 504.
  3. A write is sent once. Where no answer came it is `OutcomeUnknown`, unless it was a dry run or was never sent.
  4. A write says its time-out to the API server, which ends its own work on it by then (`timeout`, a query parameter of
     every request: k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go). So `ARRIVAL` after it was given up
     nobody takes it up any more, unless something on the way keeps it and passes it on later still.
  5. Errors carry no header and no credential.
  6. `at` of an answer is the API server's own clock (its Date header): the cluster's time.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx
import msgspec

from skyflo_mcp.kubernetes.errors import (
    OutcomeUnknown,
    TimedOut,
    TooLarge,
    Unreachable,
    answered,
    may_have_been_done,
    without_tokens,
)
from skyflo_runbooks.model.errors import BadInput, OurBug

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Query = Mapping[str, str | int | bool]
Headers = Sequence[tuple[str, str]]

TIMEOUT = 15.0
# What the other side has not acknowledged for so long is dropped, also after the connection was left (Linux).
UNACKNOWLEDGED = 5.0
# Seconds: dropped by then, or in the hands of an API server that has as long as it was told; and some for its clock.
ARRIVAL = UNACKNOWLEDGED + TIMEOUT + 5.0
LIMIT = 32 * 2**20
TRIES = 3
_AGAIN = {429, 502, 503, 504}
_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
# An API server reads request lines and headers of 1 MiB, proxies in front of it mostly 8 or 16 KiB.
_LONGEST_ADDRESS = 16 * 1024
# httpx counts each chunk anew, so the bound of a whole call is `_within`; only connecting has one of its own, because
# a write that never found a connection is known not to have been sent.
_CONNECTING = httpx.Timeout(None, connect=5.0, pool=5.0)
# Raised before the first byte of the request was on its way.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


def socket_options() -> list[tuple[int, int, int]]:
    """Return what sockets to an API server are opened with, for rule 4."""
    told = getattr(socket, "TCP_USER_TIMEOUT", None)
    return [] if told is None else [(socket.IPPROTO_TCP, told, round(UNACKNOWLEDGED * 1000))]


class Answer(msgspec.Struct, frozen=True):
    """What came back: HTTP status, body, warnings of admission, the cluster's time, and whether the body was cut."""

    status: int
    content: bytes
    at: datetime | None = None
    warnings: tuple[str, ...] = ()
    cut: bool = False
    media_type: str = ""

    def decoded(self) -> object:
        """Return the body as JSON, or as text where it is none."""
        try:
            return msgspec.json.decode(self.content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.content.decode("utf-8", "replace")[:2000]


class Transport:
    """Sends requests to one API server through an `httpx.AsyncClient`, by the rules above."""

    def __init__(self, client: httpx.AsyncClient, *, timeout: float = TIMEOUT) -> None:
        self.client = client
        self.timeout = timeout
        self._heard = 0.0
        self._said: datetime | None = None

    def heard(self, since: float) -> datetime | None:
        """Return the Date of the API server's last answer since `since` (of `time.monotonic`); None where none came."""
        return self._said if self._heard >= since else None

    async def get(
        self,
        path: str,
        query: Query | None = None,
        *,
        doing: str = "",
        accept: str = "application/json",
        limit: int = LIMIT,
        cut: bool = False,
        timeout: float | None = None,
        tries: int = TRIES,
        listen: float = 0.0,
    ) -> Answer:
        """GET `path`, again after a passing failure. `cut` takes the first `limit` bytes instead of raising.

        With `listen` the answer is one that does not end by itself: what has come after so many seconds is taken.
        """
        seconds = (timeout or self.timeout) + listen
        doing = doing or f"GET {path}"
        async with _within(seconds, TimedOut(f"{doing}: no answer from {self._host()} within {seconds:g} s.")):
            for turn in range(1, tries + 1):
                try:
                    answer = await self._once(
                        "GET",
                        path,
                        query=query,
                        headers=[("Accept", accept)],
                        limit=limit,
                        cut=cut,
                        doing=doing,
                        listen=listen,
                    )
                except httpx.TransportError as error:
                    if turn == tries:
                        raise self._unreachable(doing, error) from None
                else:
                    if answer.status not in _AGAIN or turn == tries:
                        return answer
                await asyncio.sleep(min(_PAUSE * 4 ** (turn - 1), _LONGEST_PAUSE))
        raise OurBug("The last try of a GET neither returned nor raised.")

    async def write(
        self,
        method: Method,
        path: str,
        body: object,
        *,
        query: Query,
        content_type: str,
        doing: str,
        dry_run: bool,
        timeout: float | None = None,
        headers: Headers = (),
    ) -> Answer:
        """Send a write once. A lost answer is `OutcomeUnknown`; of a dry run it is `TimedOut` or `Unreachable`."""
        seconds = timeout or self.timeout
        lost = (
            TimedOut(f"{doing} (dry run): no answer from {self._host()} within {seconds:g} s.")
            if dry_run
            else _outcome_unknown(doing, f"no answer within {seconds:g} s")
        )
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        carried = [("Accept", "application/json"), ("Content-Type", content_type), *headers]
        async with _within(seconds, lost):
            try:
                bound = {**query, "timeout": f"{seconds:g}s"}
                answer = await self._once(method, path, query=bound, headers=carried, content=content, doing=doing)
            except _NEVER_SENT as error:
                raise self._unreachable(doing, error) from None
            except httpx.TransportError as error:
                if dry_run:
                    raise self._unreachable(doing, error) from None
                raise _outcome_unknown(doing, _why(error)) from None
            except TooLarge:
                if dry_run:
                    raise
                raise _outcome_unknown(doing, "the answer was too large to read") from None
        if not dry_run and may_have_been_done(answer.status, answer.decoded()):
            raise _outcome_unknown(doing, f"the answer was {answer.status}")
        return answer

    async def _once(
        self,
        method: Method,
        path: str,
        *,
        query: Query | None,
        headers: Headers,
        content: bytes | None = None,
        limit: int = LIMIT,
        cut: bool = False,
        doing: str,
        listen: float = 0.0,
    ) -> Answer:
        _check_length(path, query, doing)
        async with self.client.stream(
            # An empty `params` would take away a query that is part of `path`.
            method,
            path,
            params=dict(query) if query else None,
            headers=list(headers),
            content=content,
            timeout=_CONNECTING,
        ) as response:
            body, was_cut = await _read(response, limit, listen)
            at = _date(response)
            # What a Service answers through the API server's proxy carries the Service's clock.
            if at is not None and "/proxy/" not in path:
                self._heard, self._said = time.monotonic(), at
            if was_cut and not cut:
                raise TooLarge(
                    f"{doing}: the answer is larger than {limit // 1024} KiB.",
                    next_step="Narrow it with a namespace, a label selector, a field selector or a smaller limit.",
                )
            return Answer(
                status=response.status_code,
                content=body,
                at=at,
                warnings=tuple(_warning(line) for line in response.headers.get_list("warning")),
                cut=was_cut,
                media_type=response.headers.get("content-type", ""),
            )

    def _host(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def _unreachable(self, doing: str, error: httpx.TransportError) -> Unreachable:
        return Unreachable(
            f"{doing}: the cluster at {self._host()} does not answer: {_why(error)}.",
            next_step="Is it running, and is the context the right one? `skyflo-runbooks doctor` looks.",
        )


class _within:  # noqa: N801  (reads as a phrase: async with _within(5, TimedOut(…)))
    """A bound in seconds that raises the given error instead of `TimeoutError`."""

    def __init__(self, seconds: float, error: Exception) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._error = error

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            await self._timeout.__aexit__(kind, error, None)
        except TimeoutError:
            raise self._error from None


async def _read(response: httpx.Response, limit: int, listen: float) -> tuple[bytes, bool]:
    """Return the first `limit` bytes (of what came within `listen` seconds, if not 0), and whether that is cut."""
    parts: list[bytes] = []
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(listen or None):
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > limit:
                    return b"".join(parts)[:limit], True
    return b"".join(parts), False


def _check_length(path: str, query: Query | None, doing: str) -> None:
    """Raise `BadInput` where an address would be longer than servers take; nothing is sent."""
    if len(path) + sum(len(str(value)) for value in (query or {}).values()) > _LONGEST_ADDRESS:
        raise BadInput(
            f"{doing[:200]}: what is asked is longer than {_LONGEST_ADDRESS // 1024} KiB.",
            next_step="Say a shorter name or selector.",
        )


def _outcome_unknown(doing: str, why: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{doing}: it was sent, and whether it was applied is not known ({why}).",
        next_step="Look at the object before anything else is done.",
    )


def _why(error: Exception) -> str:
    return without_tokens(str(error)).strip().rstrip(".") or type(error).__name__


def _warning(header: str) -> str:
    # RFC 7234: `299 - "text"`, quotes escaped inside.
    return header.partition('"')[2].rpartition('"')[0].replace('\\"', '"') or header


def _date(response: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None


def expect(answer: Answer, *, doing: str) -> Answer:
    """Return the answer if it is a success, else raise what it means."""
    if answer.status >= 400:
        raise answered(answer.status, answer.decoded(), doing=doing)
    return answer
