"""Several changes decided on one page, over the real gateway: each seen, each signed, each by its own digest."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.pages.real import PATIENCE, House, house, look_at_all

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> AsyncIterator[House]:
    """One gateway for these tests."""
    async with house(tmp_path_factory.mktemp("house"), chromium) as made:
        yield made


async def test_a_plan_is_approved_with_one_press_and_each_change_by_its_own_digest(place: House) -> None:
    """In the order in which they were asked for; two decisions, two digests, two nonces, two signatures."""
    origin = {"runbook": "rb-plan", "run": "run-1"}
    first = await place.scale("storefront", 3, step="one", **origin)
    second = await place.scale("payment-service", 4, step="two", **origin)
    async with place.signed_in(path=f"/proposals/{first['id']}") as page:
        await page.get_by_role("link", name="One more change of this run waits").click()
        await page.wait_for_url("**/plan/rb-plan/run-1")
        assert await page.locator("article.change h2.title").all_inner_texts() == [first["title"], second["title"]]
        await look_at_all(page)
        await page.get_by_role("button", name="Approve these 2 changes").click()
        await expect(page.get_by_text("All 2 were applied.")).to_be_visible(timeout=PATIENCE)
    assert (place.replicas("storefront"), place.replicas("payment-service")) == (3, 4)
    made = [one for one in place.decisions() if one["proposal"] in (first["id"], second["id"])]
    assert [one["digest"] for one in made] == [first["digest"], second["digest"]]
    assert len({one["signature"] for one in made}) == 2


async def test_nothing_is_armed_before_every_diff_was_on_the_screen(place: House) -> None:
    """The last change lies below the edge of a phone's screen: until it was there, the button is off."""
    views = [await place.scale("storefront", count, step=f"seen-{count}") for count in (5, 6, 7)]
    query = "&".join(f"id={view['id']}" for view in views)
    async with place.signed_in(path=f"/together?{query}", width=390) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        approve = page.get_by_role("button", name="Approve these 3 changes")
        await expect(page.get_by_text("Look at each change down to its end")).to_be_visible()
        await expect(approve).to_be_disabled()
        await look_at_all(page)
        await expect(page.get_by_text("All 3 were on the screen")).to_be_visible()
    assert [place.state(view) for view in views] == ["proposed"] * 3


async def test_the_first_that_fails_ends_it(place: House) -> None:
    """Two of the same object: the second is void, because the first moved it, and the third is not even signed."""
    views = [await place.scale("storefront", count, step=f"stop-{count}") for count in (8, 9, 2)]
    views[2] = await place.scale("payment-service", 6, step="after")
    query = "&".join(f"id={view['id']}" for view in views)
    async with place.signed_in(path=f"/together?{query}") as page:
        await look_at_all(page)
        await page.get_by_role("button", name="Approve these 3 changes").click()
        status = page.locator("#status")
        await expect(status).to_contain_text(f"Stopped at {views[1]['id']}", timeout=PATIENCE)
        await expect(status).to_contain_text("1 after it was not approved")
        lines = page.locator(".standing")
        await expect(lines.nth(0)).to_have_text("Applied once, as approved.")
        await expect(lines.nth(1)).to_contain_text("It is void.")
        await expect(lines.nth(2)).to_contain_text("Not approved")
    assert [place.state(view) for view in views] == ["executed", "void", "proposed"]
    assert place.replicas("storefront") == 8
    assert not [one for one in place.decisions() if one["proposal"] == views[2]["id"]]


async def test_marked_ones_are_looked_at_together(place: House) -> None:
    """From the front page, by id; the order and number of the rows say nothing."""
    views = [await place.scale("storefront", count, step=f"mark-{count}") for count in (11, 12)]
    async with place.signed_in() as page:
        for view in views:
            await page.get_by_label(f"Mark {view['id']}").check()
        await page.get_by_role("button", name="Look at the marked ones together").click()
        shown = await page.locator("article.change").evaluate_all("all => all.map(one => one.dataset.id)")
        assert sorted(shown) == sorted(str(view["id"]) for view in views)


async def test_one_that_was_decided_elsewhere_stays_out(place: House) -> None:
    """It is shown with what became of it, and the button counts the others."""
    views = [await place.scale("storefront", count, step=f"out-{count}") for count in (13, 14)]
    await place.service.decide(str(views[0]["id"]), "reject", "no")
    async with place.signed_in(path=f"/together?id={views[0]['id']}&id={views[1]['id']}") as page:
        await expect(page.get_by_text("Not approved here: Rejected.")).to_be_visible()
        await expect(page.get_by_role("button", name="Approve this change")).to_be_visible()


async def test_a_page_of_several_is_never_framed(place: House) -> None:
    """Not even by the one origin that may frame a card."""
    view = await place.scale("storefront", 15, step="frame")
    async with place.service.client() as client:
        for path in (f"/together?id={view['id']}", "/plan/rb-x/run-x", "/"):
            answer = await client.get(path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        card = await client.get(f"/proposals/{view['id']}")
    assert card.headers["content-security-policy"].endswith("frame-ancestors http://localhost:8888")
