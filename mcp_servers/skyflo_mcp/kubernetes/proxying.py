"""A GET of a Service or a Pod through the API server's proxy.

Rules:
  1. A path begins with '/', and nothing in it can leave the Service or the Pod.
  2. Without a port it is the Service's only one, else `http`, else 80; of a Pod the only port that it declares.
  3. A refusal of the API server itself (no such Service, not allowed) is raised: it says nothing about what is behind.
     That nothing behind could answer is an answer, `by` the API server.
"""

import time
from datetime import datetime
from typing import Literal, TypeAlias
from urllib.parse import quote

import msgspec

from skyflo_mcp.kubernetes.transport import Transport, expect
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

Proxied: TypeAlias = Literal["Service", "Pod"]
_LARGEST = 64 * 1024


class ProxyAnswer(msgspec.Struct, frozen=True):
    """What a GET through the proxy came to.

    `by` is `service` (or `pod`), or `api server` where that answered itself because nothing behind could.
    """

    status: int
    by: str
    text: str
    at: datetime | None = None
    seconds: float = 0.0
    cut: bool = False
    media_type: str = ""


class Address(msgspec.Struct, frozen=True):
    """What is asked: its names are checked, its port is a number or a name."""

    kind: Proxied
    namespace: str
    name: str
    port: int | str
    scheme: str = ""

    @property
    def path(self) -> str:
        """The proxy's path on the API server."""
        target = ":".join(str(part) for part in (self.scheme, self.name, self.port) if part != "")
        return f"/api/v1/namespaces/{self.namespace}/{self.kind.lower()}s/{quote(target, safe=':')}/proxy"


async def get(
    transport: Transport, address: Address, path: str, quoted_path: str, *, limit: int, timeout: float | None
) -> ProxyAnswer:
    """GET it once, and return what came: of the text at most `limit` characters. By rule 3."""
    kind = address.kind.lower()
    doing = f"GET {path} of {kind} {address.namespace}/{address.name}"
    started = time.monotonic()
    answer = await transport.get(
        address.path + quoted_path, accept="*/*", limit=_LARGEST, cut=True, doing=doing, timeout=timeout, tries=1
    )
    seconds = time.monotonic() - started
    said = answer.decoded()
    own = isinstance(said, dict) and said.get("kind") == "Status" and said.get("apiVersion") == "v1"
    if own and answer.status in (401, 403, 404, 429) and at(said, "details", "kind") in (f"{kind}s", None):
        expect(answer, doing=doing)
    text = str(at(said, "message", default="")) if own else answer.content.decode("utf-8", "replace")
    return ProxyAnswer(
        status=answer.status,
        by="api server" if own else kind,
        text=text[:limit],
        at=answer.at,
        seconds=seconds,
        cut=answer.cut or len(text) > limit,
        media_type=answer.media_type,
    )


def quoted(path: str) -> str:
    """Return a path with its query as it goes into a URL; one that could leave the Service is `BadInput`."""
    plain, mark, query = path.partition("?")
    if not plain.startswith("/") or any(part in (".", "..") for part in plain.split("/")):
        raise BadInput(f"A path that begins with '/' and has no '.' or '..' was expected, got {path[:80]!r}.")
    return quote(plain, safe="/%:@!$&'()*+,;=~-._") + (mark + quote(query, safe="=&%/?:@!$'()*+,;~-._") if mark else "")


def chosen_port(target: Json) -> str | int:
    """Return the port of a Service or a Pod to ask, by rule 2.

    By its name where it has one: without a port the API server finds only endpoints whose port has no name, and says
    that there are none.
    """
    if target.get("kind") == "Pod":
        return _declared_port(target)
    ports = at(target, "spec", "ports", default=[])
    by_name = {one.get("name", ""): one for one in ports}
    web = [one for one in ports if one.get("port") == 80]
    chosen = ports[0] if len(ports) == 1 else by_name.get("http") or (web[0] if web else None)
    if chosen is None:
        known = ", ".join(str(one.get("name") or one.get("port")) for one in ports) or "none"
        raise BadInput(
            f"Service {at(target, 'metadata', 'name')} has several ports, and none of them is http or 80.",
            next_step=f"Say port=…; it has: {known}.",
        )
    return str(chosen.get("name") or "") or int(chosen["port"])


def _declared_port(pod: Json) -> int:
    declared = [one for each in at(pod, "spec", "containers", default=[]) for one in each.get("ports") or []]
    if len(declared) != 1:
        known = ", ".join(str(one.get("containerPort")) for one in declared) or "none"
        raise BadInput(
            f"Pod {at(pod, 'metadata', 'name')} does not declare exactly one port.",
            next_step=f"Say port=…; it declares: {known}.",
        )
    return int(declared[0]["containerPort"])
