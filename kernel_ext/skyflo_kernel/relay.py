"""The gateway, as the Jupyter server speaks to it: with the kernel token, and about four things only.

Rules:
  1. It holds what a kernel holds and nothing stronger: it can look, take a lease, and wait. It cannot decide.
  2. Where the gateway is, is looked up for each request (it may be started after Jupyter, or again at another port).
  3. Neither the token nor what the gateway sent beside its own message gets into an error.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from skyflo_kernel.door import START, Door
from skyflo_runbooks.model.errors import BadInput, Refused, Unreachable

if TYPE_CHECKING:
    from tornado.httpclient import AsyncHTTPClient, HTTPResponse

WAIT_SECONDS = 25
LEASE_SECONDS = 12 * 3600
# An attempt whose outcome is unknown is being looked at: the gateway answers at once, so ask again after a breath.
LOOK_AGAIN_SECONDS = 1.0
UNSETTLED = frozenset({"proposed", "approved", "executing", "unknown"})
# Every card that is open in a page waits on one connection.
CONNECTIONS = 200
_PROPOSAL = re.compile(r"ap-[0-9a-z]{6}")

Answer = TypeVar("Answer")


class Cluster(msgspec.Struct, frozen=True):
    """The cluster that the gateway serves."""

    uid: str = ""
    context: str = ""


class Status(msgspec.Struct, frozen=True):
    """What the gateway says about itself."""

    cluster: Cluster = Cluster()


class View(msgspec.Struct, frozen=True):
    """The part of a proposal's view that the page acts on, beside the whole view as it came."""

    id: str
    state: str
    superseded_by: str | None = None


class Lease(msgspec.Struct, frozen=True):
    """Whether this asker is the one that runs the cell."""

    granted: bool


class _Fault(msgspec.Struct, frozen=True):
    message: str = ""
    next_step: str = ""


class _FaultBody(msgspec.Struct, frozen=True):
    error: _Fault = _Fault()


class Relay:
    """The four questions. `door` finds the gateway and raises `Unreachable` where there is none."""

    def __init__(self, door: Callable[[], Door]) -> None:
        self._door = door
        self._client: AsyncHTTPClient | None = None

    async def status(self) -> Status:
        """Which cluster the gateway serves."""
        return _decode(await self._fetch("GET", "/api/v1/status"), Status)

    async def lease(self, key: str) -> bool:
        """True for the first who asks for this key."""
        body = msgspec.json.encode({"key": key, "seconds": LEASE_SECONDS})
        return _decode(await self._fetch("POST", "/api/v1/leases", body), Lease).granted

    async def view(self, proposal: str, *, wait: int = WAIT_SECONDS) -> tuple[View, dict[str, object]]:
        """How a proposal stands, and its whole view: when it is settled, or after `wait` seconds as it is then."""
        if not _PROPOSAL.fullmatch(proposal):
            raise BadInput(f"{proposal[:40]!r} is no proposal's id.", next_step="An id is 'ap-' and 6 characters.")
        raw = await self._fetch("GET", f"/api/v1/proposals/{proposal}?wait={wait}", timeout=wait + 10.0)
        view = _decode(raw, View)
        if view.state == "unknown":
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        return view, _decode(raw, dict[str, object])

    async def _fetch(
        self, method: Literal["GET", "POST"], path: str, body: bytes | None = None, *, timeout: float = 10.0
    ) -> bytes:
        from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

        if self._client is None:
            self._client = AsyncHTTPClient(force_instance=True, max_clients=CONNECTIONS)

        door = self._door()
        request = HTTPRequest(
            door.url.rstrip("/") + path,
            method=method,
            headers={"Authorization": f"Bearer {door.token}", "Content-Type": "application/json"},
            body=body,
            request_timeout=timeout,
            connect_timeout=5.0,
            follow_redirects=False,
        )
        try:
            response = await self._client.fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise Unreachable(
                f"The gateway at {door.url} does not answer ({type(error).__name__}).",
                next_step=START,
            ) from error
        return _body(response, door.url)


def _body(response: HTTPResponse, url: str) -> bytes:
    """The answer's body, or the gateway's own words about why there is none."""
    if response.code == 200:
        return bytes(response.body)
    if response.code == 599:
        raise Unreachable(f"The gateway at {url} did not answer in time.", next_step="Look at its log, then try again.")
    try:
        fault = msgspec.json.decode(response.body or b"", type=_FaultBody).error
    except msgspec.MsgspecError:
        fault = _Fault()
    raise Refused(
        fault.message or f"The gateway answered {response.code} where 200 was expected.",
        next_step=fault.next_step or "Look at the gateway's log.",
    )


def _decode(raw: bytes, expected: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(raw, type=expected)
    except msgspec.MsgspecError as error:
        raise Unreachable(
            f"The gateway's answer has an unexpected form: {error}.",
            next_step="Check that gateway and Jupyter run the same version of skyflo-runbooks.",
        ) from error
