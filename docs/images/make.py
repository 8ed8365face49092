"""Makes `notebook.png`: the flagship's card in JupyterLab, as an operator sees it before deciding.

`.venv/bin/python -m docs.images.make` starts the practice cluster, a gateway, JupyterLab in its sandbox and Chromium,
opens the generated runbook, runs its change cell and takes the picture. Nothing is approved.
"""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import ViewportSize, async_playwright, expect

from tests import needs
from tests.browser.page import PATIENCE, Lab, pair
from tests.browser.stack import Stack, stack

DESKTOP: ViewportSize = {"width": 1280, "height": 1060}
PICTURE = Path(__file__).with_name("notebook.png")


async def shoot(made: Stack, picture: Path) -> None:
    """Open the runbook, show its card from the change cell's heading on, and keep what the window shows."""
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=needs.chromium(), args=["--no-sandbox"])
        context = await chromium.new_context(viewport=DESKTOP)
        await pair(context, made.login)
        lab = await Lab.open(context, made)
        await lab.reads_done()
        await lab.page.keyboard.press("Control+b")  # the file browser tells nothing here
        change = lab.step("change")
        await lab.run(change)
        await expect(lab.card().get_by_text("256Mi").first).to_be_visible(timeout=PATIENCE)
        button = await lab.look()
        await change.evaluate("cell => cell.scrollIntoView({block: 'start'})")
        await expect(button).to_be_enabled(timeout=PATIENCE)
        await lab.page.screenshot(path=str(picture))
        await chromium.close()


def main() -> int:
    """Make the picture; the exit code."""
    with stack() as made:
        asyncio.run(shoot(made, PICTURE))
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
