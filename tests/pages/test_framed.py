"""The card in a frame of another port, as in a notebook: it decides only what was really seen."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import FrameLocator, Locator, expect

from tests.pages.conftest import Site, served
from tests.pages.notebook import Notebook
from tests.pages.views import ID, view
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


# Brings a block into view, and resolves when the card's own observer, which looks every 100 ms, had its turn after.
SEEN = """block => new Promise(done => {
  block.scrollIntoView({block: "center"});
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.isVisible && entry.intersectionRatio >= 0.999)) return;
    observer.disconnect();
    setTimeout(done, 150);
  }, {trackVisibility: true, delay: 100, threshold: [0, 0.999, 1]}).observe(block);
})"""


class Framed:
    """A notebook page beside a signed-in gateway."""

    def __init__(self, site: Site, notebook: Notebook, url: str) -> None:
        self.site = site
        self.notebook = notebook
        self.url = url

    async def open(self, *, cover: str = "") -> FrameLocator:
        """Open the notebook; `cover` is the style of something that lies over it from the start."""
        await self.site.page.goto(self.url)
        if cover:
            await self.site.page.evaluate("(css) => cover(css)", cover)
        return self.site.page.frame_locator("#card")

    async def heard(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a kind that the notebook's page received."""
        said: list[dict[str, Any]] = await self.site.page.evaluate("heard")
        return [item for item in said if item["data"]["type"] == kind]


@pytest_asyncio.fixture(loop_scope="module")
async def framed(site: Site) -> AsyncIterator[Framed]:
    """Signed in, with the notebook's origin as the one that may frame."""
    notebook = Notebook()
    async with served(notebook.app()) as url:
        site.gateway.parent = url
        notebook.card = f"{site.url}/proposals/{ID}"
        await site.sign_in()
        yield Framed(site, notebook, url)
        await site.page.goto("about:blank")


def _approve(card: FrameLocator) -> Locator:
    return card.get_by_role("button", name="Approve")


async def test_a_visible_card_approves_inside_the_frame(framed: Framed) -> None:
    """Cookie and key work across ports; the parent hears of the state from the card's own origin."""
    card = await framed.open()
    await _approve(card).click()
    await expect(card.get_by_role("heading", name="Applied")).to_be_visible()
    assert len(framed.site.gateway.decisions) == 1
    heard = await framed.heard("skyflo.state")
    assert {item["origin"] for item in heard} == {framed.site.url}
    assert [item["data"]["state"] for item in heard][-1] == "executed"
    assert heard[0]["data"] == {"type": "skyflo.state", "id": ID, "state": "proposed"}


@pytest.mark.parametrize(
    "css",
    [
        "position:fixed;inset:0;background:#fff;opacity:.98;pointer-events:none",
        "position:fixed;left:0;top:40px;width:820px;height:90px;background:#fff;pointer-events:none",
        "position:fixed;inset:0;opacity:0.01;background:#fff;pointer-events:none",
    ],
    ids=["everything", "what it is", "all but invisible"],
)
async def test_a_covered_card_is_not_armed(framed: Framed, css: str) -> None:
    """Something over any part of the card keeps the button from being armed, and the window is offered."""
    card = await framed.open(cover=css)
    await expect(card.get_by_role("status")).to_contain_text("Covered")
    await expect(_approve(card)).to_be_disabled()
    own = card.get_by_role("link", name="Open in its own window")
    await expect(own).to_have_attribute("href", f"/proposals/{ID}")


@against(ATTACKS["covered-card"])
async def test_a_click_through_a_cover(framed: Framed, gate: Gate) -> None:
    """The page around the card lays something over it that lets clicks through, and says what to click."""
    card = await framed.open(cover="position:fixed;inset:0;background:#fff;opacity:.98;pointer-events:none")
    if gate.weakened:
        await expect(_approve(card)).to_be_enabled()
    else:
        await expect(card.get_by_role("status")).to_contain_text("Covered")
    box = await _approve(card).bounding_box()
    assert box is not None
    await framed.site.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    if gate.weakened:
        await expect(card.get_by_role("heading", name="Applied")).to_be_visible()
    gate.bites(len(framed.site.gateway.decisions) == 1)


async def test_a_card_that_is_covered_later_is_disarmed(framed: Framed) -> None:
    """What was armed is disarmed by a cover, and armed again when it is gone."""
    card = await framed.open()
    await expect(_approve(card)).to_be_enabled()
    await framed.site.page.evaluate("cover('position:fixed;inset:0;background:#fff;pointer-events:none')")
    await expect(_approve(card)).to_be_disabled()
    await framed.site.page.evaluate("document.getElementById('over').remove()")
    await expect(_approve(card)).to_be_enabled()


@pytest.mark.parametrize("trick", ["opacity: .2", "transform: rotate(2deg)", "filter: blur(2px)"])
async def test_a_frame_that_is_hard_to_see_is_not_armed(framed: Framed, trick: str) -> None:
    """A frame that the page around it fades, turns or blurs counts as not seen."""
    card = await framed.open()
    await expect(_approve(card)).to_be_enabled()
    await framed.site.page.evaluate("(css) => { document.getElementById('card').style.cssText = css }", trick)
    await expect(_approve(card)).to_be_disabled()


async def test_a_short_frame_arms_once_the_change_was_seen(framed: Framed) -> None:
    """Where the card does not fit, scrolling to the buttons is enough: the change was seen on the way."""
    framed.notebook.height = 420
    card = await framed.open()
    await expect(card.get_by_role("status")).to_contain_text("Bring the whole card into view")
    await card.locator("#decide").scroll_into_view_if_needed()
    await expect(_approve(card)).to_be_enabled()


async def test_a_long_change_is_seen_block_by_block(framed: Framed) -> None:
    """Jumping to the buttons does not arm them: each block of the diff has to have been in view."""
    framed.notebook.height = 4000
    lines = "\n".join(f"+line-{number}: value" for number in range(140))
    framed.site.gateway.add(view(diff=f"@@ ConfigMap checkout/settings (new)\n{lines}"))
    card = await framed.open()
    await card.locator("#decide").scroll_into_view_if_needed()
    await expect(card.get_by_role("status")).to_contain_text("Bring the whole card into view")
    await expect(_approve(card)).to_be_disabled()
    for block in await card.locator("#diff .block").all():
        await block.evaluate(SEEN)
    await card.locator("#decide").scroll_into_view_if_needed()
    await expect(_approve(card)).to_be_enabled()


async def test_a_value_is_never_typed_inside_a_frame(framed: Framed) -> None:
    """The page around it could lay its own field over this one; the card's own window is offered."""
    framed.site.gateway.add(view(entries=["/values/password"]))
    card = await framed.open()
    await expect(card.get_by_role("link", name="Open in its own window")).to_be_visible()
    await expect(card.get_by_label("password")).to_be_hidden()
    await expect(_approve(card)).to_have_count(0)


@pytest.mark.parametrize(
    "stricter",
    [
        {"risk": "high"},
        {"assessment": {"risk": "medium", "irreversible": "The data is lost."}},
        {"tool": "k8s_delete"},
    ],
    ids=["high risk", "irreversible", "deletion"],
)
async def test_what_weighs_more_is_decided_in_a_window_of_its_own(framed: Framed, stricter: dict[str, object]) -> None:
    """In the frame there is no Approve at all; the link opens the card where nothing can lie over it."""
    framed.site.gateway.add(view(**stricter))
    card = await framed.open()
    own = card.get_by_role("link", name="Open in its own window")
    await expect(own).to_be_visible()
    await expect(_approve(card)).to_be_hidden()
    async with framed.site.page.context.expect_page() as opened:
        await own.click()
    window = await opened.value
    if "tool" in stricter:
        await window.get_by_label("to approve").fill("payment-service")
    await window.get_by_role("button", name="Approve").click()
    await expect(window.get_by_role("heading", name="Applied")).to_be_visible()
    await expect(card.get_by_role("heading", name="Applied")).to_be_visible()


async def test_messages_from_the_page_around_change_nothing(framed: Framed) -> None:
    """The card listens to nobody: whatever the notebook posts into the frame, no nonce is asked for."""
    card = await framed.open()
    await expect(_approve(card)).to_be_enabled()
    await framed.site.page.evaluate(
        """() => { for (const data of ["approve", {type: "skyflo.approve"}, {type: "skyflo.state", state: "executed"}])
          document.getElementById("card").contentWindow.postMessage(data, "*") }"""
    )
    await expect(_approve(card)).to_be_enabled()
    assert framed.site.gateway.nonces == {}


@against(ATTACKS["framed-elsewhere"])
async def test_another_origin_frames_it(framed: Framed, gate: Gate) -> None:
    """With another Jupyter configured, the browser refuses to show the card in this one."""
    framed.site.gateway.parent = "http://localhost:1"
    await framed.site.page.goto(framed.url)
    await framed.site.page.wait_for_function("document.getElementById('card').contentDocument === null")
    frame = next(frame for frame in framed.site.page.frames if frame != framed.site.page.main_frame)
    gate.bites(not frame.url.startswith("chrome-error:"), frame.url)
    if gate.weakened:
        await expect(_approve(framed.site.page.frame_locator("#card"))).to_be_enabled()


async def test_the_parent_hears_how_high_the_card_is(framed: Framed) -> None:
    """So that a notebook can give the frame the height it needs."""
    card = await framed.open()
    await expect(_approve(card)).to_be_enabled()
    heights = [item["data"]["height"] for item in await framed.heard("skyflo.size")]
    assert 300 < heights[-1] < 900
