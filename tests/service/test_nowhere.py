"""What is not there: every answer says so with 404, and what to do; a browser gets a page."""

from pathlib import Path

import httpx
import pytest

from tests.service.running import running


async def test_what_is_not_there_is_404_with_a_next_step(tmp_path: Path) -> None:
    """A proposal, a session, a run of the record, a route; a tool that is not known names those near to it."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        expected = {
            "/api/v1/proposals/ap-000000": "approvals",
            "/api/v1/resolve/rs-0000000000": "resolve",
            "/api/v1/ledger/export?run=nowhere": "no run yet",
            "/api/v1/nothing": "/openapi.json",
        }
        for path, step in expected.items():
            answer = await client.get(path)
            said = answer.json()["error"]
            assert (answer.status_code, said["code"], said["kind"]) == (404, 2, "BadInput"), path
            assert step in said["next_step"], path
        tool = await client.post("/api/v1/tools/k8s_gett", json={"arguments": {}})
        assert (tool.status_code, "k8s_get" in tool.json()["error"]["next_step"]) == (400, True)
        await service.propose(run="run-7")
        named = await client.get("/api/v1/ledger/export?run=nowhere")
        assert named.json()["error"]["next_step"] == "The latest are run-7."


@pytest.mark.parametrize("path", ["/nowhere", "/static/nowhere", "/proposals/ap-000000", "/together?id=ap-000000"])
async def test_a_browser_gets_a_page_that_leads_back(tmp_path: Path, path: str) -> None:
    """In the gateway's own look, with its headers, and a link to what there is."""
    async with running(tmp_path) as service:
        cookies = {"skyflo_session": await service.login()}
        async with httpx.AsyncClient(base_url=service.url, cookies=cookies) as browser:
            answer = await browser.get(path, headers={"accept": "text/html,*/*"})
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text
        assert '<a href="/" target="_top">All changes</a>' in answer.text
        assert "frame-ancestors" in answer.headers["content-security-policy"]
