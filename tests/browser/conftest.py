"""A stack for each test, and a fresh browser profile on it. Where something is missing the test is skipped."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import BrowserContext, async_playwright

from tests import needs
from tests.browser.stack import Stack, stack

DESKTOP = {"width": 1280, "height": 1000}


@pytest.fixture
def flagship() -> Iterator[Stack]:
    """The flagship incident in the practice cluster, with gateway and JupyterLab."""
    needs.chromium()
    needs.labextension()
    with stack() as made:
        yield made


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """A browser profile that nobody has used."""
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=needs.chromium(), args=["--no-sandbox"])
        context = await chromium.new_context(viewport=DESKTOP)  # type: ignore[arg-type]  # a TypedDict of its own
        yield context
        await chromium.close()
