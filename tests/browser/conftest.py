"""A stack for each test, and a fresh browser profile on it. Where something is missing the test is skipped."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, ViewportSize, async_playwright

from tests import needs
from tests.browser.stack import Stack, stack

DESKTOP: ViewportSize = {"width": 1280, "height": 1000}


@pytest.fixture
def flagship() -> Iterator[Stack]:
    """The flagship incident in the practice cluster, with gateway and JupyterLab."""
    needs.chromium()
    needs.labextension()
    with stack() as made:
        yield made


@asynccontextmanager
async def chromium(path: str) -> AsyncIterator[BrowserContext]:
    """A browser profile that nobody has used."""
    async with async_playwright() as driver:
        started = await driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield await started.new_context(viewport=DESKTOP)
        await started.close()


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """A browser profile of the test's own."""
    async with chromium(needs.chromium()) as context:
        yield context


async def shot(page: Page, name: str) -> None:
    """Keep a picture in $SKYFLO_SHOTS, to look at; without it none is taken."""
    folder = os.environ.get("SKYFLO_SHOTS")
    if folder:
        await page.screenshot(path=str(Path(folder) / f"{name}.png"))
