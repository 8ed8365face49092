"""A value is typed on the gateway's own page, over the real gateway: it reaches the cluster and nothing else."""

import base64
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Request, expect

from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.kinds import SECRET
from tests.pages.real import PATIENCE, House, house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
TYPED = "an unlikely-value 42 <b>&"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> AsyncIterator[House]:
    """One gateway for these tests."""
    async with house(tmp_path_factory.mktemp("house"), chromium) as made:
        yield made


async def wish(place: House, name: str) -> Json:
    """A kernel asks for a value that it does not have."""
    arguments = {"namespace": "checkout", "name": name, "values": {"tls.key": ENTRY}}
    return await place.service.propose(tool="k8s_set_secret", arguments=arguments, step=f"set-{name}")


async def test_what_is_typed_reaches_the_cluster_and_no_address_view_or_record(place: House) -> None:
    """One call carries it in its body; the new proposal has another digest and is approved by itself."""
    asked = await wish(place, "fresh")
    sent: list[Request] = []
    async with place.signed_in(path=f"/proposals/{asked['id']}") as page:
        page.on("request", lambda request: sent.append(request))
        await expect(page.get_by_role("button", name="Approve")).to_have_count(0)
        await page.get_by_label("tls.key").fill(TYPED)
        await page.get_by_role("button", name="Make the proposal with it").click()
        approve = page.get_by_role("button", name="Approve", exact=True)
        await expect(approve).to_be_enabled(timeout=PATIENCE)
        assert TYPED not in await page.content()
        await approve.click()
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
        assert TYPED not in await page.content()
        id_ = page.url.rpartition("/")[2]
    assert place.state(asked) == "superseded"
    data = at(place.practice.store.find(SECRET, "checkout", "fresh"), "data", "tls.key")
    assert base64.b64decode(data).decode() == TYPED
    assert not [one.url for one in sent if "unlikely" in one.url]
    assert [one.url for one in sent if "unlikely" in (one.post_data or "")] == [f"{asked['url']}".replace(
        "/proposals/", "/api/v1/proposals/") + "/entry"]  # fmt: skip
    views = [place.service.desk.view(one) for one in (str(asked["id"]), id_)]
    entries = [entry.body for entry in place.service.desk.gateway.store.entries()]
    assert "unlikely" not in json.dumps([views, entries], default=str)


async def test_leaving_the_page_and_coming_back_shows_an_empty_field(place: House) -> None:
    """The browser keeps nothing of it: neither the way back nor a reload brings the value again."""
    asked = await wish(place, "left")
    async with place.signed_in(path=f"/proposals/{asked['id']}") as page:
        await page.get_by_label("tls.key").fill(TYPED)
        await page.goto(place.service.url)
        await page.go_back()
        await expect(page.get_by_label("tls.key")).to_have_value("")
    assert place.state(asked) == "proposed"
