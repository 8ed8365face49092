"""Passkeys, typed names and several approvers on the page, over the real gateway, with a virtual authenticator."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from skyflo_runbooks.gateway.policy.file import Binding, PolicyFile
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kinds import CONFIG_MAP
from tests.pages.real import PATIENCE, House, house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
NAMES = ("k.ops", "a.first", "without")
POLICY = PolicyFile(
    passkey_from="medium", approvals={"high": 2}, bindings=(Binding(role="admin", operators=NAMES, up_to="high"),)
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> AsyncIterator[House]:
    """One gateway for these tests: a passkey from medium risk on, two approvers from high risk on."""
    async with house(tmp_path_factory.mktemp("house"), chromium, POLICY) as made:
        yield made


async def authenticator(page: Page) -> None:
    """A device that holds passkeys and has checked whose finger it is."""
    devices = await page.context.new_cdp_session(page)
    await devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})


async def register(page: Page, place: House, label: str) -> None:
    """Register a passkey on its page."""
    await page.goto(f"{place.service.url}/passkeys")
    await page.get_by_label("What is it called?").fill(label)
    await page.get_by_role("button", name="Register a passkey").click()
    await expect(page.get_by_role("button", name=f"Remove {label}")).to_be_visible(timeout=PATIENCE)


async def approve(page: Page, place: House, view: Json, typed: str = "") -> None:
    """Approve on a proposal's page."""
    await page.goto(f"{place.service.url}/proposals/{view['id']}")
    if typed:
        await page.get_by_label("to approve").fill(typed)
    await expect(page.get_by_role("button", name="Approve")).to_be_enabled(timeout=PATIENCE)
    await page.get_by_role("button", name="Approve").click()


async def test_a_passkey_is_registered_confirms_and_is_removed(place: House) -> None:
    """Its assertion stands in the record beside the signature; once removed, it is gone from the page."""
    view = await place.scale("storefront", 3, step="passkey")
    async with place.signed_in() as page:
        await authenticator(page)
        await register(page, place, "Laptop")
        await approve(page, place, view)
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
        [made] = [one for one in place.decisions() if one["proposal"] == view["id"]]
        assert made["passkey"]["response"]["signature"]
        assert place.replicas("storefront") == 3
        await page.goto(f"{place.service.url}/passkeys")
        await page.get_by_role("button", name="Remove Laptop").click()
        await expect(page.get_by_text("You have none yet.")).to_be_visible(timeout=PATIENCE)


async def test_without_a_passkey_nothing_is_decided(place: House) -> None:
    """The page says so and where one is registered; the proposal waits on."""
    view = await place.scale("storefront", 4, step="without")
    async with place.signed_in("without") as page:
        await approve(page, place, view)
        await expect(page.get_by_role("status")).to_contain_text(
            "It is approved with a passkey, and you have none here"
        )
        await expect(page.get_by_role("status")).to_contain_text("/passkeys")
    assert place.state(view) == "proposed"


async def test_a_deletion_takes_its_name_two_approvers_and_their_passkeys(place: House) -> None:
    """The first approval stands and waits, and its operator cannot give the second; the receipt names both."""
    arguments = {"kind": "ConfigMap", "namespace": "checkout", "name": "payment-settings"}
    view = await place.service.propose(tool="k8s_delete", arguments=arguments, step="delete")
    async with place.signed_in("k.ops") as page:
        await authenticator(page)
        await register(page, place, "Finger")
        await page.goto(f"{place.service.url}/proposals/{view['id']}")
        await expect(page.get_by_text("2 different approvers are needed.")).to_be_visible()
        await approve(page, place, view, "payment-settings")
        await expect(page.get_by_text("1 of 2: k.ops")).to_be_visible(timeout=PATIENCE)
        await expect(page.get_by_text("k.ops approved")).to_be_visible()
        assert await page.get_by_role("button", name="Approve").count() == 0
    assert place.state(view) == "proposed"
    assert place.practice.store.find(CONFIG_MAP, "checkout", "payment-settings") is not None
    async with place.signed_in("a.first") as page:
        await authenticator(page)
        await register(page, place, "Key")
        await approve(page, place, view, "payment-settings")
        await expect(page.get_by_role("heading", name="Applied")).to_be_visible(timeout=PATIENCE)
        await expect(page.get_by_text("k.ops, a.first, ")).to_be_visible()
    assert place.practice.store.find(CONFIG_MAP, "checkout", "payment-settings") is None


async def test_what_needs_a_passkey_is_decided_in_a_window_of_its_own(place: House) -> None:
    """A frame has no authenticator that the person can trust; the page says so to the script."""
    view = await place.scale("storefront", 5, step="window")
    async with place.signed_in(path=f"/proposals/{view['id']}") as page:
        assert await page.locator("main").get_attribute("data-window") == "yes"
        assert await page.locator("main").get_attribute("data-passkey") == "yes"
