"""The small server behind played kubelets and pods: GETs, who asks, and hanging up."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.control_plane.gets import Answer, Handler, Request, serve
from tests.control_plane.pki import Authority, Pair


async def echo(request: Request) -> Answer | None:
    """Say what was asked; nothing on /gone."""
    if request.path == "/gone":
        return None
    return Answer(200, f"{request.path} {dict(request.query)} {request.bearer} {request.peer}")


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server of this handler."""
    server = await serve(handler, "127.0.0.1", 0, tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_it_reads_path_query_and_token() -> None:
    """Escapes are resolved, and only a bearer token is taken for one."""
    async with serving(echo) as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
        said = await client.get("/a%20b?x=1", headers={"Authorization": "Bearer secret"})
        basic = await client.get("/", headers={"Authorization": "Basic secret"})
    assert said.text == "/a b {'x': '1'} secret None"
    assert basic.text == "/ {}  None"
    assert "date" in said.headers


async def test_no_answer_cuts_the_connection() -> None:
    """A process that is not there answers nothing, not even an error."""
    async with serving(echo) as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("/gone")
        assert (await client.get("/there")).status_code == 200


async def test_what_is_not_a_get_is_refused() -> None:
    """Nothing can be written through it."""
    async with serving(echo) as address, httpx.AsyncClient(base_url=address, trust_env=False) as client:
        assert (await client.post("/", json={})).status_code == 405


async def test_a_clients_certificate_names_it(tmp_path: Path) -> None:
    """Of the cluster's authority, it is a name; without one, nobody; of another authority, there is no connection."""
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    pair = authority.serving("server", ["127.0.0.1"])
    server.load_cert_chain(pair.certificate, pair.key)
    server.verify_mode = ssl.CERT_OPTIONAL
    async with serving(echo, server) as address:
        known = _trusting(authority, authority.client("api", "masters"))
        assert (await _get(address, known)).text.endswith(" api")
        assert (await _get(address, _trusting(authority, None))).text.endswith(" None")
        with pytest.raises(httpx.TransportError):
            await _get(address, _trusting(authority, other.client("api", "masters")))


def _trusting(authority: Authority, client: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if client:
        context.load_cert_chain(client.certificate, client.key)
    return context


async def _get(address: str, context: ssl.SSLContext) -> httpx.Response:
    async with httpx.AsyncClient(base_url=address, verify=context, trust_env=False) as client:
        return await client.get("/")
