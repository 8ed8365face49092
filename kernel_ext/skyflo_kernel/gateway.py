"""The gateway, as a kernel and a headless run speak to it: plain HTTP with the kernel token, from the standard library.

Rules:
  1. Where the gateway is, is looked up for each request; it may have been started again at another port.
  2. A refusal becomes the error that the gateway named, by its exit code. No answer is `Unreachable`.
  3. Nothing is sent a second time: only the caller knows whether that is safe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from skyflo_kernel.door import START, Door, find_door
from skyflo_runbooks.model.errors import (
    BadInput,
    ExitCode,
    NotAllowed,
    OurBug,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from skyflo_runbooks.model.json import Json

if TYPE_CHECKING:
    import http.client

TIMEOUT = 30.0
# A read tool may take its time: the gateway bounds it.
TOOL_TIMEOUT = 400.0
WAIT = 25.0
OPEN = frozenset({"proposed", "approved", "executing", "unknown"})

_ERRORS: dict[int, type[SkyfloError]] = {
    ExitCode.OUR_ERROR: OurBug,
    ExitCode.BAD_INPUT: BadInput,
    ExitCode.UNKNOWN: Unknown,
    ExitCode.NOT_ALLOWED: NotAllowed,
    ExitCode.REFUSED: Refused,
    ExitCode.UNREACHABLE: Unreachable,
}


class _Fault(msgspec.Struct, frozen=True):
    code: int = int(ExitCode.OUR_ERROR)
    message: str = ""
    next_step: str = ""


class _FaultBody(msgspec.Struct, frozen=True):
    error: _Fault = _Fault()


class Gateway:
    """The questions that a runbook asks. `door` finds the gateway and raises `Unreachable` where there is none."""

    def __init__(self, door: Callable[[], Door] = find_door) -> None:
        self._door = door

    def status(self) -> Json:
        """Which cluster the gateway serves."""
        return self._object("GET", "/api/v1/status")

    def read(self, tool: str, body: Json) -> Json:
        """Call a read tool."""
        return self._object("POST", f"/api/v1/tools/{_quoted(tool)}", body, timeout=TOOL_TIMEOUT)

    def propose(self, body: Json) -> Json:
        """Make a proposal, or with `replay` ask what it would do."""
        return self._object("POST", "/api/v1/proposals", body, timeout=TOOL_TIMEOUT)

    def proposal(self, id_: str, *, wait: float = 0.0) -> Json:
        """Return a proposal's view: as it is, or when it is settled, at most `wait` seconds from now."""
        path = f"/api/v1/proposals/{_quoted(id_)}" + (f"?wait={wait:g}" if wait else "")
        return self._object("GET", path, timeout=wait + TIMEOUT)

    def verdict(self, body: Json, *, wait: float = 0.0) -> Json:
        """Return the judgement of a verify step, with `final`."""
        return self._object("POST", "/api/v1/verdicts", {**body, "wait": wait}, timeout=wait + TIMEOUT)

    def register(self, id_: str, body: Json) -> None:
        """Tell the gateway a runbook's digest and steps."""
        self._call("PUT", f"/api/v1/runbooks/{_quoted(id_)}", body)

    def record(self, run: str) -> list[Json]:
        """Return the ledger's entries of a run."""
        entries: list[Json] = []
        while page := self._entries(f"run={_quoted(run)}&since={entries[-1]['seq'] if entries else 0}"):
            entries += page
        return entries

    def entry(self, seq: int) -> Json:
        """Return the ledger's entry at a place; empty where there is none."""
        entries = self._entries(f"since={max(0, seq - 1)}&limit=1")
        return next((entry for entry in entries if entry.get("seq") == seq), {})

    def _entries(self, query: str) -> list[Json]:
        found = self._call("GET", f"/api/v1/ledger?{query}")
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []

    def _object(self, method: str, path: str, body: Json | None = None, *, timeout: float = TIMEOUT) -> Json:
        found = self._call(method, path, body, timeout=timeout)
        if isinstance(found, dict):
            return found
        raise Unreachable(
            f"The gateway answered {method} {path.split('?')[0]} with something that is no object.",
            next_step="Check that gateway and kernel run the same version of skyflo-runbooks.",
        )

    def _call(self, method: str, path: str, body: Json | None = None, *, timeout: float = TIMEOUT) -> object:
        import http.client

        door = self._door()
        headers = {"Authorization": f"Bearer {door.token}", "Content-Type": "application/json"}
        try:
            sent = None if body is None else msgspec.json.encode(body)
        except (TypeError, msgspec.MsgspecError) as error:
            raise BadInput(f"An argument is no JSON value: {error}.") from None
        connection = _connection(door.url, timeout)
        try:
            connection.request(method, path, body=sent, headers=headers)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"The gateway at {door.url} does not answer ({type(error).__name__}).", next_step=START
            ) from None
        finally:
            connection.close()
        return _decoded(answer.status, raw, door.url)


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Unreachable(f"{url!r} is not the address of a gateway.", next_step=START)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=timeout)


def _decoded(status: int, raw: bytes, url: str) -> object:
    if status >= 400:
        try:
            fault = msgspec.json.decode(raw, type=_FaultBody).error
        except msgspec.MsgspecError:
            fault = _Fault()
        message = fault.message or f"The gateway answered {status}."
        raise _ERRORS.get(fault.code, SkyfloError)(message, next_step=fault.next_step)
    try:
        return msgspec.json.decode(raw or b"null")
    except msgspec.MsgspecError:
        raise Unreachable(f"{url} answered with something that is no JSON.", next_step=START) from None


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
