"""A JupyterLab page as a person uses it: open, click, look. Every wait is on something shown, with a bound."""

from __future__ import annotations

from playwright.async_api import BrowserContext, FrameLocator, Locator, Page, expect

from tests.browser.stack import NOTEBOOK, Stack

# A kernel takes seconds to start on a small machine that does other things too.
PATIENCE = 60_000
# Resolves when an element was wholly seen and the card's own observer, which looks every 100 ms, had its turn after.
SEEN = """element => new Promise(done => {
  new IntersectionObserver((entries, observer) => {
    if (entries.some(entry => entry.isVisible && entry.intersectionRatio >= 0.999)) {
      observer.disconnect();
      setTimeout(done, 300);
    }
  }, {trackVisibility: true, delay: 100, threshold: [0, 0.999, 1]}).observe(element);
})"""


class Lab:
    """One browser tab with one notebook."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(cls, context: BrowserContext, stack: Stack, *, notebook: str = NOTEBOOK, workspace: str = "") -> Lab:
        """Open a runbook in a tab, with a workspace of its own (another one would bring back its tabs)."""
        page = await context.new_page()
        await page.goto(stack.lab(notebook, workspace or notebook.partition(".")[0]))
        lab = cls(page)
        await expect(lab.step("change")).to_be_visible(timeout=PATIENCE)
        return lab

    def step(self, kind: str) -> Locator:
        """The first cell of a kind, by its mark."""
        return self.page.locator(f'.jp-Notebook .jp-Cell[data-skyflo="{kind}"]').first

    def card(self) -> FrameLocator:
        """The gateway's page in the change cell."""
        return self.page.frame_locator("iframe.skyflo-frame")

    async def run(self, cell: Locator, *, keys: str = "Shift+Enter") -> None:
        """Click into a cell and run it with the keyboard, as one does."""
        await cell.locator(".jp-InputArea-editor").click()
        await self.page.keyboard.press(keys)

    async def reads_done(self) -> None:
        """Wait until nothing more begins by itself in this tab."""
        await expect(self.page.locator('.jp-NotebookPanel[data-skyflo="open"]')).to_be_visible(timeout=PATIENCE)

    async def look(self) -> Locator:
        """Look at the change, go on to the buttons, and give Approve once it can be clicked."""
        diff = self.card().get_by_label("What will change")
        await diff.scroll_into_view_if_needed(timeout=PATIENCE)
        await diff.evaluate(SEEN)
        button = self.card().get_by_role("button", name="Approve", exact=True)
        await button.scroll_into_view_if_needed(timeout=PATIENCE)
        await expect(button).to_be_enabled(timeout=PATIENCE)
        return button

    async def approve(self) -> None:
        """Click Approve in the card."""
        await (await self.look()).click()

    async def save(self) -> None:
        """Save with the keyboard and wait until the tab shows no unsaved mark."""
        await self.page.keyboard.press("Control+s")
        await expect(self.page.locator(".jp-mod-dirty")).to_have_count(0, timeout=PATIENCE)


async def pair(context: BrowserContext, link: str, name: str = "on-call") -> Page:
    """Make this browser an operator's, by the one-time link."""
    page = await context.new_page()
    await page.goto(f"{link}?name={name}")
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(lambda url: "/login/" not in url)
    return page
