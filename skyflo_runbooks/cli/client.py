"""The gateway as the command line sees it: HTTP calls, and answers that are values or errors of the one tree.

Rules:
  1. A gateway is found by the environment, else by `home/run/gateway.json`, else by this terminal's login. A token
     goes to the address that it was written with, and nowhere else.
  2. An error body `{"error": {"code", "message", "next_step"}}` is raised as the error with that exit code.
  3. No answer, or an answer that is not the gateway's, is `Unreachable` (20) and says how to start one. Nothing is
     tried twice: a request that changes something may have arrived.
"""

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.model.errors import (
    BadInput,
    NotAllowed,
    OurBug,
    OutcomeUnknown,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from skyflo_runbooks.model.json import Json

START = (
    "Start one with 'skyflo-runbooks serve' (or 'skyflo-runbooks lab'), or name one with "
    "SKYFLO_GATEWAY_URL and SKYFLO_KERNEL_TOKEN."
)
_BY_CODE: dict[int, type[SkyfloError]] = {
    kind.exit_code: kind for kind in (OurBug, BadInput, NotAllowed, Unknown, Refused, Unreachable)
}
_DEFAULT_TIMEOUT = 60.0


@dataclass(frozen=True)
class Gateway:
    """One gateway: its origin and the bearer token that calls carry."""

    url: str
    token: str = field(default="", repr=False)

    def using(self, token: str) -> "Gateway":
        """Return the same gateway, called with another token."""
        return replace(self, token=token)

    def get(
        self, path: str, *, query: Mapping[str, str | float] | None = None, timeout: float = _DEFAULT_TIMEOUT
    ) -> Any:
        """Return the JSON answer of a GET; `timeout` in seconds."""
        return self._call("GET", path + (f"?{urlencode(query)}" if query else ""), None, timeout)

    def post(self, path: str, body: Json, *, timeout: float = _DEFAULT_TIMEOUT) -> Any:
        """Return the JSON answer of a POST; `timeout` in seconds."""
        return self._call("POST", path, body, timeout)

    def proposal(self, id_: str, *, wait: float = 0.0) -> Json:
        """Return one proposal's view; with `wait`, when it is settled or that many seconds are over."""
        query = {"wait": wait} if wait else {}
        path = f"/api/v1/proposals/{quote(id_, safe='')}"
        view: Json = self.get(path, query=query, timeout=_DEFAULT_TIMEOUT + wait)
        return view

    def _call(self, method: str, path: str, body: Json | None, timeout: float) -> Any:
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        payload = None
        if body is not None:
            payload = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection = _connection(self.url, timeout)
        try:
            connection.request(method, path, body=payload, headers=headers)
            answer = connection.getresponse()
            return _read(self.url, answer.status, answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"The gateway at {self.url} does not answer: {_why(error)}.", next_step=START) from None
        finally:
            connection.close()


def find(environment: Environment) -> Gateway:
    """Return the gateway that the environment, `gateway.json` or this terminal's login names; else `Unreachable`."""
    known = [one for one in (_written(environment.gateway_file), _logged_in(environment)) if one is not None]
    if environment.gateway_url:
        own = [one.token for one in known if same_address(one.url, environment.gateway_url)]
        return Gateway(environment.gateway_url, environment.kernel_token or next(iter(own), ""))
    if not known:
        raise Unreachable("No gateway is running here.", next_step=START)
    return known[0]


def _logged_in(environment: Environment) -> Gateway | None:
    """Return the gateway at which this terminal is an operator: on another machine there is no `gateway.json`."""
    if not environment.operator_file.exists():
        return None
    from skyflo_runbooks.cli import operator

    who = operator.load(environment.operator_file)
    return Gateway(who.origin, who.session)


def same_address(one: str, other: str) -> bool:
    """Tell whether two URLs have the same scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, _port(one)) == (second.scheme, second.hostname, _port(other))


def _written(path: Path) -> Gateway | None:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Gateway(str(said["url"]).rstrip("/"), str(said["token"]))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError):
        raise Unreachable(f"{path} does not say where the gateway is.", next_step=START) from None


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{url[:80]!r} is not the address of a gateway.", next_step="Expected http://HOST:PORT.")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, _port(url), timeout=timeout)


def _why(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    if isinstance(error, TimeoutError):
        return "the time for an answer is over"
    if isinstance(error, http.client.HTTPException):
        return "the connection ended in the middle of an answer"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)


def _read(url: str, status: int, payload: bytes) -> Any:
    try:
        body = json.loads(payload) if payload else {}
    except ValueError:
        body = None
    if body is not None and 200 <= status < 300:
        return body
    said = body.get("error") if isinstance(body, dict) else None
    if not isinstance(said, dict):
        raise Unreachable(f"What answers at {url} (status {status}) is not a gateway of ours.", next_step=START)
    raise error_of(said)


def error_of(said: Json) -> SkyfloError:
    """Return the error of the one tree that `{"code", "kind"?, "message", "next_step"}` tells of."""
    message = str(said.get("message") or "The gateway gave an error without words.")
    kind = OutcomeUnknown if said.get("kind") == "OutcomeUnknown" else _BY_CODE.get(int(said.get("code", 1)), OurBug)
    return kind(message, next_step=str(said.get("next_step") or ""))
