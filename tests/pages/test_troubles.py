"""What goes wrong while somebody decides, over the real gateway: nothing is decided twice, nothing typed is lost."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from skyflo_runbooks.model.json import Json
from tests.pages.real import PATIENCE, House, house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> AsyncIterator[House]:
    """One gateway for these tests."""
    async with house(tmp_path_factory.mktemp("house"), chromium) as made:
        yield made


def card(view: Json) -> str:
    """The path of a proposal's page."""
    return f"/proposals/{view['id']}"


async def armed(page: Page) -> None:
    """The button can be pressed."""
    await expect(page.get_by_role("button", name="Approve")).to_be_enabled(timeout=PATIENCE)


def decided(place: House, view: Json) -> int:
    """How many decisions the ledger has of a proposal."""
    return sum(one["proposal"] == view["id"] for one in place.decisions())


async def test_a_double_click_decides_once(place: House) -> None:
    """Two clicks as fast as they come: one nonce, one decision, one write."""
    view = await place.scale("storefront", 3, step="double")
    async with place.signed_in(path=card(view)) as page:
        await armed(page)
        await page.get_by_role("button", name="Approve").dblclick()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
    assert (decided(place, view), place.replicas("storefront")) == (1, 3)


async def test_back_and_forward_show_what_is(place: House) -> None:
    """After an approval the way back leads to the receipt, never to an armed card."""
    view = await place.scale("storefront", 4, step="back")
    async with place.signed_in(path=card(view)) as page:
        await armed(page)
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
        await page.goto(place.service.url)
        await page.go_back()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible()
        assert await page.get_by_role("button", name="Approve").count() == 0
    assert decided(place, view) == 1


async def test_two_tabs_decide_once(place: House) -> None:
    """The second tab, which still shows the button, is told what became of it when it presses."""
    view = await place.scale("storefront", 5, step="tabs")
    async with place.signed_in(path=card(view)) as first:
        second = await first.context.new_page()
        await second.goto(place.service.url + card(view))
        await armed(second)
        # Looks at nothing by itself: as a tab in the background, whose timers sleep.
        await second.route("**/api/v1/proposals/*", lambda route: route.abort())
        await first.bring_to_front()
        await armed(first)
        await first.get_by_role("button", name="Approve").click()
        await expect(first.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
        await second.bring_to_front()
        await armed(second)
        await second.get_by_role("button", name="Approve").click()
        await expect(second.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
    assert (decided(place, view), place.replicas("storefront")) == (1, 5)


async def test_a_decision_after_the_end_of_time_is_refused(place: House) -> None:
    """It expired between the look and the click: the gateway says so, and nothing is applied."""
    view = await place.scale("storefront", 6, step="late")
    before = place.replicas("storefront")
    async with place.signed_in(path=card(view)) as page:
        await armed(page)
        await page.route("**/api/v1/proposals/*", lambda route: route.abort())
        place.service.desk.gateway.store.move(view["id"], "expire", {"message": "nobody decided in time"})
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("heading", name="Expired")).to_be_visible(timeout=PATIENCE)
    assert (decided(place, view), place.replicas("storefront")) == (0, before)
    assert before != 6


async def test_a_session_that_ended_says_how_to_go_on(place: House) -> None:
    """The reason that was typed stays in its field."""
    view = await place.scale("storefront", 7, step="ended")
    async with place.signed_in(path=card(view)) as page:
        await page.get_by_role("button", name="Reject", exact=True).click()
        reason = page.get_by_label("Why is it rejected?")
        await reason.fill("Not before the freeze ends")
        await page.context.clear_cookies()
        await reason.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("Log in with a one-time link")
        await expect(reason).to_have_value("Not before the freeze ends")
    assert place.state(view) == "proposed"


async def test_a_gateway_that_is_away_loses_nothing(place: House) -> None:
    """Before anything is sent it is said that nothing was decided; when it is back the same click goes through."""
    view = await place.scale("storefront", 8, step="away")
    async with place.signed_in(path=card(view)) as page:
        await armed(page)
        await page.context.set_offline(True)
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("status")).to_contain_text("so nothing was decided")
        await page.context.set_offline(False)
        await armed(page)
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
    assert decided(place, view) == 1


async def test_an_answer_that_is_lost_is_looked_for_and_nothing_is_sent_twice(place: House) -> None:
    """The decision arrives and its answer does not: the page shows what the gateway says, once it can be asked."""
    view = await place.scale("storefront", 9, step="lost")
    sent = 0
    async with place.signed_in(path=card(view)) as page:

        async def lose(route: Route) -> None:
            nonlocal sent
            sent += 1
            await route.fetch()
            await route.abort()

        await page.route("**/decision", lose)
        await armed(page)
        await page.get_by_role("button", name="Approve").click()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
    assert (sent, decided(place, view)) == (1, 1)


async def test_the_keyboard_alone_decides(place: House) -> None:
    """From the change to the button in reading order, each with a visible focus, and Enter approves."""
    view = await place.scale("storefront", 10, step="keys")
    async with place.signed_in(path=card(view)) as page:
        await armed(page)
        await page.get_by_label("What will change").focus()
        names: list[str] = []
        for _ in range(4):
            await page.keyboard.press("Tab")
            names.append(str(await page.evaluate("document.activeElement.textContent.trim().slice(0, 10)")))
            outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none"
        assert names == ["Same thing", "Approve", "Modify", "Reject"]
        await page.get_by_role("button", name="Approve").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
