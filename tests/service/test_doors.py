"""Who gets in: every route asks for a credential, roles are kept, and other sites' pages get nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.running import Served, Service, running

PAGE = {"X-Skyflo-Page": "1"}


async def routes(service: Service) -> list[tuple[str, str]]:
    """Return every documented route with a value in each place."""
    async with service.client() as client:
        document = (await client.get("/openapi.json")).json()
    filled = []
    for path, methods in document["paths"].items():
        for method in methods:
            filled.append((method.upper(), path.replace("{id}", "ap-000000").replace("{name}", "k8s_get")))
    return filled


@asynccontextmanager
async def browser(service: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client that was paired as the gateway's own page does it: by cookie."""
    own = {"Origin": service.url, **PAGE}
    async with httpx.AsyncClient(base_url=service.url, headers=own, timeout=30) as client:
        body = {"token": service.link(), "name": "on-call", "key": service.key.jwk}
        answer = await client.post("/api/v1/pair", json=body)
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "session" not in answer.json()
        yield client


async def test_no_route_answers_without_a_credential(tmp_path: Path) -> None:
    """Every documented route, and MCP."""
    async with running(tmp_path) as service:
        listed = await routes(service)
        assert len(listed) > 15
        async with service.client() as client:
            for method, path in listed:
                answer = await client.request(method, path, json={})
                assert answer.status_code in (400, 403), (method, path, answer.status_code)
                assert answer.status_code == 403 or path.endswith("/pair")
            assert (await client.post("/mcp/", json={})).status_code == 401


async def test_a_wrong_token_is_no_credential(tmp_path: Path) -> None:
    """Nor is a link's token, nor an empty one."""
    async with running(tmp_path) as service:
        for token in ("x", "Bearer", service.link()):
            async with service.client(token) as client:
                assert (await client.get("/api/v1/status")).status_code == 403


@pytest.mark.parametrize("path", ["nonce", "decision", "rollback"])
async def test_a_kernels_token_does_not_decide(tmp_path: Path, path: str) -> None:
    """Whatever it sends."""
    async with running(tmp_path) as service:
        view = await service.propose()
        async with service.client(service.kernel) as client:
            method = "GET" if path == "nonce" else "POST"
            answer = await client.request(method, f"/api/v1/proposals/{view['id']}/{path}", json={})
            assert answer.status_code == 403
            assert answer.json()["error"]["code"] == 5
            assert (await client.post("/api/v1/links", json={})).status_code == 403


async def test_a_stolen_cookie_looks_and_no_more(tmp_path: Path) -> None:
    """Another port of the host receives the cookie; without the page's Origin, header and key it decides nothing."""
    async with running(tmp_path) as service:
        view = await service.propose()
        async with browser(service) as owner:
            stolen = {"Cookie": f"skyflo_session={owner.cookies['skyflo_session']}"}
        decision = f"/api/v1/proposals/{view['id']}/decision"
        ballot = {"decision": "approve", "digest": view["digest"], "nonce": "x", "signature": "x"}
        async with httpx.AsyncClient(base_url=service.url, headers=stolen) as thief:
            assert (await thief.get("/api/v1/proposals")).status_code == 200
            for headers in (
                {},
                PAGE,
                {"Origin": "http://localhost:9999", **PAGE},
                {"Origin": "null", **PAGE},
                {"Origin": service.url},
                {"Origin": service.url, **PAGE},
            ):
                answer = await thief.post(decision, json=ballot, headers=headers)
                assert answer.status_code == 403, headers
        assert service.desk.gateway.store.get(view["id"]).state == "proposed"


async def test_the_gateways_own_page_decides_by_signature(tmp_path: Path) -> None:
    """Cookie, exact Origin, header, and a signature over what was shown."""
    async with running(tmp_path) as service:
        view = await service.propose()
        async with browser(service) as client:
            asked = (await client.get(f"/api/v1/proposals/{view['id']}/nonce")).json()
            signature = service.key.sign(asked["message"].encode())
            ballot = {"decision": "approve", "digest": asked["digest"], "nonce": asked["nonce"], "signature": signature}
            answer = await client.post(f"/api/v1/proposals/{view['id']}/decision", json=ballot)
            assert answer.status_code == 200, answer.text
            done = (await client.get(f"/api/v1/proposals/{view['id']}", params={"wait": 20})).json()
        assert done["state"] == "executed"
        assert done["receipt"]["operator"] == "on-call"


@pytest.mark.parametrize("host", ["evil.example", "localhost", "localhost:1", "127.0.0.1.evil.example:80"])
async def test_another_host_is_refused(tmp_path: Path, host: str) -> None:
    """DNS rebinding: the name in the address bar is not ours."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        for path in ("/api/v1/status", "/", "/login/x"):
            answer = await client.get(path, headers={"Host": host})
            assert answer.status_code in (400, 403)
            assert "does not answer to the host" in answer.text.replace("&#x27;", "'")


async def test_both_loopback_addresses_are_ours(tmp_path: Path) -> None:
    """With one of them free, a squatter there would own the origin."""
    async with running(tmp_path) as service:
        port = service.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
                assert (await client.get("/healthz")).status_code == 200


async def test_pages_may_be_framed_by_jupyter_alone(tmp_path: Path) -> None:
    """And only the card."""
    async with running(tmp_path) as service:
        view = await service.propose()
        async with browser(service) as client:
            card = await client.get(f"/proposals/{view['id']}")
            assert "frame-ancestors http://localhost:8888" in card.headers["content-security-policy"]
            assert view["digest"] in card.text
            listing = await client.get("/")
            assert "frame-ancestors 'none'" in listing.headers["content-security-policy"]
        async with service.client() as nobody:
            assert view["digest"] not in (await nobody.get(f"/proposals/{view['id']}")).text


async def test_a_kernels_token_calls_no_change_tool(tmp_path: Path) -> None:
    """Through the route of reads it is refused, and nothing is proposed."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        answer = await client.post("/api/v1/tools/k8s_scale", json={"arguments": {"name": "payment-service"}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, 13)
        assert (await client.get("/api/v1/proposals")).json() == []


async def test_errors_are_answers(tmp_path: Path) -> None:
    """Bad JSON, unknown members, unknown routes, large bodies: a message and a code, no traceback."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        for content in (b"{", b"[]", b'{"unknown": 1}', b'{"text": 5}', b"x" * (5 * 2**20)):
            answer = await client.post("/api/v1/incidents", content=content)
            assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2)
        assert (await client.get("/nowhere")).json()["error"]["code"] == 2
        assert (await client.get("/api/v1/proposals/ap-zzzzzz")).json()["error"]["code"] == 2


async def test_no_setting_weakens_the_gate() -> None:
    """The settings and their names, read one by one."""
    from skyflo_runbooks.service.settings import Settings

    assert set(Settings.__struct_fields__) == {
        "home",
        "data_dir",
        "host",
        "port",
        "kubeconfig",
        "read_kubeconfig",
        "context",
        "jupyter_origin",
        "isolation",
        "expires",
        "practice",
        "policy",
        "mcp_servers",
        "mcp_fence",
    }
