"""An error that nobody expected may quote anything: neither a log nor an answer has more of it than type and place."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from skyflo_runbooks.service import discreet
from skyflo_runbooks.service.discreet import Discreet
from tests.service.running import Service, running

SECRET = "hunter2-and-some-more"


class Odd(Exception):
    """What nobody expected."""


def fail(*_: object, **__: object) -> Any:
    """Fail with a secret in the message, and one in the cause of it."""
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        raise Odd(f"could not use {SECRET}") from error


async def at_once(_: Request) -> Response:
    """Fail before an answer began."""
    return Response(fail())


def said(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, as a handler without a formatter of its own writes it."""
    return "\n".join(discreet.Formatter().format(record) for record in caplog.records)


async def test_it_is_answered_as_an_error_of_our_own(caplog: pytest.LogCaptureFixture) -> None:
    """With code 1, the type, and where it was."""
    app = Starlette(routes=[Route("/once", at_once)], middleware=[Middleware(Discreet)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.get("/once")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["kind"]) == (500, 1, "OurBug")
    assert "Odd at" in error["message"]
    assert "test_discreet.py:" in said(caplog)
    assert SECRET not in answer.text + said(caplog) + caplog.text


async def test_an_answer_that_has_begun_is_left_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of the error is written behind what was sent, and its end is missing: the server cuts the connection."""
    sent: list[Message] = []

    async def midway(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        fail()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await Discreet(midway)({"type": "http"}, receive, send)
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    assert "Odd at" in said(caplog)
    assert SECRET not in said(caplog) + caplog.text


async def test_a_task_that_nobody_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    """Nor one that asyncio tells of for another reason."""
    loop = asyncio.get_running_loop()
    discreet.of_task(loop, {"message": "Task exception was never retrieved", "exception": Odd(SECRET)})
    discreet.of_task(loop, {"message": "something else"})
    assert "Odd at an unknown place" in said(caplog)
    assert "asyncio: something else" in said(caplog)
    assert SECRET not in caplog.text


def test_what_a_library_logs_loses_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    """The record of an exception, by whomever."""
    try:
        fail()
    except Odd:
        logging.getLogger("some.library").exception("it failed")
    assert "it failed" in said(caplog)
    assert "Odd at" in said(caplog)
    assert SECRET not in said(caplog)


@pytest.fixture
async def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The whole service, in which lists and reads fail in a way that nobody thought of."""
    async with running(tmp_path) as service:
        monkeypatch.setattr(service.desk.gateway.store, "find", fail)
        monkeypatch.setattr(service.desk.gate, "read", fail)
        yield service


async def test_no_route_of_the_service_says_more(broken: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Over a real socket: the server around the application would log the whole of it."""
    async with broken.client(broken.kernel) as client:
        answers = [
            await client.get("/api/v1/proposals"),
            await client.post("/api/v1/tools/k8s_get", json={"arguments": {"kind": "Pod"}}),
        ]
    assert [one.status_code for one in answers] == [500, 500]
    assert SECRET not in "".join(one.text for one in answers) + caplog.text
    assert caplog.text.count("An error of our own: Odd at") == 2


async def test_nor_does_a_tool_over_mcp(broken: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Its library answers with an error's message, and logs it."""
    headers = {"Authorization": f"Bearer {broken.kernel}"}
    async with Client(StreamableHttpTransport(f"{broken.url}/mcp", headers=headers)) as client:
        with pytest.raises(ToolError, match="Odd at") as caught:
            await client.call_tool("k8s_get", {"kind": "Pod"})
    assert SECRET not in str(caught.value) + caplog.text
