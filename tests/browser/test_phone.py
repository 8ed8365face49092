"""The card in a hand: the gateway's own page and the notebook at the width of a phone."""

import pytest
from playwright.async_api import BrowserContext, expect

from tests.browser.conftest import shot
from tests.browser.page import PATIENCE, Lab, pair
from tests.browser.stack import Stack

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
RAISE = {
    "kind": "Deployment",
    "namespace": "checkout",
    "name": "payment-service",
    "container": "payment-service",
    "limits": {"memory": "512Mi"},
}

# Resolves when the page is not higher than its frame.
FITS = """root => new Promise(done => {
  const look = () => root.scrollHeight <= innerHeight ? done() : requestAnimationFrame(look);
  look();
})"""


async def test_a_change_is_read_and_approved_on_a_phone(flagship: Stack, browser: BrowserContext) -> None:
    """Nothing hangs over the edge, and one tap decides."""
    made = flagship.call("POST", "/proposals", {"tool": "k8s_set_resources", "arguments": RAISE, "why": "OOMKilled."})
    assert isinstance(made, dict)
    page = await pair(browser, flagship.login)
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    await page.goto(made["url"])
    await expect(page.get_by_label("What will change")).to_contain_text("512Mi")
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await shot(page, "phone-card")

    button = page.get_by_role("button", name="Approve", exact=True)
    await expect(button).to_be_enabled(timeout=PATIENCE)
    await button.click()
    await expect(page.get_by_text("Applied once, as approved")).to_be_visible(timeout=PATIENCE)
    await shot(page, "phone-receipt")
    assert flagship.limit() == "512Mi"


async def test_the_card_in_the_notebook_fits_a_phone(flagship: Stack, browser: BrowserContext) -> None:
    """The frame grows with its page, so nothing of the change hides behind a scroll bar of its own."""
    await pair(browser, flagship.login)
    lab = await Lab.open(browser, flagship)
    await lab.reads_done()
    await lab.run(lab.step("change"))
    await expect(lab.card().get_by_label("What will change")).to_be_visible(timeout=PATIENCE)
    await lab.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    await lab.page.keyboard.press("Control+b")  # JupyterLab's own key for hiding its side bar
    await expect(lab.page.locator("#jp-left-stack")).to_be_hidden()
    await lab.card().get_by_label("What will change").scroll_into_view_if_needed()
    await shot(lab.page, "phone-lab")
    await lab.card().locator(":root").evaluate(FITS)
