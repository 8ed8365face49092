"""A browser becomes an operator's: the one-time link, and the key that stays."""

import pytest
from playwright.async_api import BrowserContext, expect

from tests.pages.conftest import Site
from tests.pages.views import ID

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_STORED = """async () => {
  const open = indexedDB.open("skyflo", 1);
  const database = await new Promise((done) => { open.onsuccess = () => done(open.result); });
  const get = database.transaction("keys").objectStore("keys").get("operator");
  const { pair } = await new Promise((done) => { get.onsuccess = () => done(get.result); });
  const exported = {};
  for (const form of ["pkcs8", "jwk", "raw"]) {
    exported[form] = await crypto.subtle.exportKey(form, pair.privateKey).then(() => "out", (error) => error.name);
  }
  const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { extractable: pair.privateKey.extractable, usages: pair.privateKey.usages, exported, x };
}"""


async def test_the_private_key_cannot_be_taken_out(site: Site) -> None:
    """The key is kept in IndexedDB, signs, and refuses every export; the gateway got the public half alone."""
    await site.sign_in()
    stored = await site.page.evaluate(_STORED)
    assert stored["extractable"] is False
    assert stored["usages"] == ["sign"]
    assert set(stored["exported"].values()) == {"InvalidAccessError"}
    assert sorted(site.gateway.paired[0]["key"]) == ["crv", "kty", "x", "y"]
    assert site.gateway.paired[0]["key"]["x"] == stored["x"]


async def test_a_reload_and_another_tab_keep_the_key(site: Site, context: BrowserContext) -> None:
    """The same browser stays paired; nothing has to be signed in again."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.reload()
    await expect(site.page.get_by_role("button", name="Approve")).to_be_enabled()
    other = await context.new_page()
    await other.goto(f"{site.url}/proposals/{ID}")
    await other.get_by_role("button", name="Approve").click()
    await expect(other.get_by_role("heading", name="Applied")).to_be_visible()
    assert len(site.gateway.decisions) == 1


async def test_showing_the_link_does_not_use_it_up(site: Site) -> None:
    """Looking at the page, twice, pairs nothing: mail scanners and previews do that too."""
    await site.page.goto(f"{site.url}/login/link-1")
    await site.page.reload()
    assert site.gateway.paired == []
    await site.sign_in()
    assert len(site.gateway.paired) == 1


async def test_a_used_link_says_how_to_get_another(site: Site) -> None:
    """The second browser is told so, before and after the press of the button."""
    await site.page.goto(f"{site.url}/login/link-1?name=late")
    site.gateway.links.clear()
    await site.page.get_by_role("button", name="Sign in").click()
    await expect(site.page.get_by_role("status")).to_have_text("This link was used already. Ask for another one.")
    await site.page.reload()
    await expect(site.page.get_by_role("heading")).to_contain_text("used, or is too old")


async def test_the_address_can_say_who_and_where_to(site: Site) -> None:
    """`auto=1` with a name pairs at once and goes to `next`, as `lab` opens it."""
    await site.page.goto(f"{site.url}/login/link-1?name=k.ops&auto=1&next=/proposals/{ID}")
    await site.page.wait_for_url(f"{site.url}/proposals/{ID}")
    await expect(site.page.get_by_text("signed in as k.ops")).to_be_visible()


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)", "proposals"]
)
async def test_next_never_leaves_the_origin(site: Site, wanted: str) -> None:
    """Another site, another scheme, or no path at all, leads to the front page."""
    await site.page.goto(f"{site.url}/login/link-1?name=k.ops&auto=1&next={wanted}")
    await site.page.wait_for_url(f"{site.url}/")


async def test_without_a_key_the_page_says_what_to_do(site: Site, context: BrowserContext) -> None:
    """A cookie without the key, as a thief has it, arms nothing."""
    await site.sign_in()
    await site.page.evaluate("new Promise((done) => { indexedDB.deleteDatabase('skyflo').onsuccess = done; })")
    await site.page.goto(f"{site.url}/proposals/{ID}")
    await expect(site.page.get_by_role("status")).to_contain_text("no key to sign with")
    await expect(site.page.get_by_role("button", name="Approve")).to_be_disabled()


async def test_who_is_not_signed_in_is_shown_no_button(site: Site) -> None:
    """Without a session there is nothing to press, and the way in is named."""
    await site.page.goto(f"{site.url}/proposals/{ID}")
    await expect(site.page.get_by_text("login --new-link")).to_be_visible()
    assert await site.page.get_by_role("button").count() == 0
