"""A real browser on a small gateway: Chromium through Playwright, both in the module's one event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from starlette.applications import Starlette

from tests import needs
from tests.pages.gateway import Gateway
from tests.red_team.conftest import gate

__all__ = ["gate"]


class Site(NamedTuple):
    """A gateway that listens, and a browser that knows nothing of it yet."""

    gateway: Gateway
    url: str
    page: Page

    async def sign_in(self, link: str = "link-1", name: str = "k.ops", next_: str = "/") -> None:
        """Pair the browser by a one-time link."""
        await self.page.goto(f"{self.url}/login/{link}?name={name}&next={next_}")
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(f"{self.url}{next_}")


def _listen() -> list[socket.socket]:
    """Sockets on one free port of both loopback addresses: `localhost` means either."""
    four = socket.create_server(("127.0.0.1", 0))
    port = four.getsockname()[1]
    if not socket.has_ipv6:
        return [four]
    return [four, socket.create_server(("::1", port), family=socket.AF_INET6)]


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """Serve `app` on localhost; gives its origin."""
    sockets = _listen()
    port = sockets[0].getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=sockets))
    try:
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        await task
        for listening in sockets:
            listening.close()


def _breaks(said: str) -> bool:
    # A frame that is refused is what one of the tests wants.
    return "Content Security Policy" in said and "frame-ancestors" not in said


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the module."""
    path = needs.chromium()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh profile."""
    context = await chromium.new_context(viewport={"width": 1000, "height": 900})
    context.set_default_timeout(8000)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site(context: BrowserContext) -> AsyncIterator[Site]:
    """A gateway with one open proposal, and a page that must raise no error and break no policy."""
    gateway = Gateway()
    async with served(gateway.app()) as url:
        page = await context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if _breaks(said.text) else None)
        yield Site(gateway, url, page)
        await page.close()
        assert broken == []
