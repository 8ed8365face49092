"""A person decides on the page, in a window of the gateway's own."""

import asyncio
import json

import pytest
from playwright.async_api import Route, expect

from tests.pages.conftest import Site
from tests.pages.views import DIGEST, ID, judgement, receipt, view

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


async def test_approve_signs_what_is_shown_and_ends_in_a_receipt(site: Site) -> None:
    """Approve signs digest and nonce with the browser's key; the gateway applies; the receipt comes in place."""
    await site.sign_in(next_=f"/proposals/{ID}")
    site.gateway.apply.clear()
    await site.page.get_by_role("button", name="Approve").click()
    await expect(site.page.get_by_role("heading", name="Approved")).to_be_visible()
    assert [(said["decision"], said["digest"]) for said in site.gateway.decisions] == [("approve", DIGEST)]
    site.gateway.apply.set()
    await expect(site.page.get_by_role("heading", name="Applied")).to_be_visible()
    await expect(site.page.get_by_text("once", exact=False).first).to_be_visible()
    assert site.gateway.headers[0]["x-skyflo-page"] == "1"
    assert site.gateway.headers[0]["origin"] == site.url


async def test_the_verdict_follows_by_itself(site: Site) -> None:
    """The receipt of an applied change shows the verdict as soon as the gateway has one."""
    site.gateway.add(view(state="executed", receipt=receipt()))
    await site.sign_in(next_=f"/proposals/{ID}")
    await expect(site.page.get_by_role("heading", name="Applied")).to_be_visible()
    site.gateway.views[ID]["judgement"] = judgement()
    await expect(site.page.get_by_role("heading", name="VERIFIED")).to_be_visible()
    await expect(site.page.get_by_text("340Mi of 512Mi")).to_be_visible()


async def test_reject_asks_for_a_reason_and_signs_it(site: Site) -> None:
    """Without a reason nothing is sent; with one it is signed, recorded and shown."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.get_by_role("button", name="Reject", exact=True).click()
    await site.page.get_by_role("button", name="Reject this change").click()
    assert site.gateway.decisions == []
    await site.page.get_by_label("Why is it rejected?").fill("Not at night: “wait” for José")
    await site.page.keyboard.press("Enter")
    await expect(site.page.get_by_role("heading", name="Rejected")).to_be_visible()
    assert site.gateway.decisions[0]["reason"] == "Not at night: “wait” for José"
    await expect(site.page.get_by_text("Not at night")).to_be_visible()


async def test_escape_leaves_the_reason_and_gives_the_focus_back(site: Site) -> None:
    """The inline form opens and closes by keyboard alone."""
    await site.sign_in(next_=f"/proposals/{ID}")
    reject = site.page.get_by_role("button", name="Reject", exact=True)
    await reject.press("Enter")
    await expect(site.page.get_by_label("Why is it rejected?")).to_be_focused()
    await site.page.keyboard.press("Escape")
    await expect(reject).to_be_focused()
    await expect(site.page.get_by_label("Why is it rejected?")).to_be_hidden()


async def test_modify_sends_only_what_differs_and_goes_to_the_new_proposal(site: Site) -> None:
    """Another memory limit makes another proposal, which takes the place of this one."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.get_by_role("button", name="Modify").click()
    await site.page.get_by_label("limits.memory").fill("300Mi")
    await site.page.get_by_role("button", name="Propose this instead").click()
    await site.page.wait_for_url(f"{site.url}/proposals/ap-new123")
    assert site.gateway.asked == [{"set": {"limits.memory": "300Mi"}}]
    await expect(site.page.get_by_role("link", name=ID)).to_be_visible()


async def test_modify_says_in_words_what_the_gateway_refuses(site: Site) -> None:
    """A value that is none, and no difference at all, are answered with the next step; nothing is lost."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.get_by_role("button", name="Modify").click()
    await site.page.get_by_role("button", name="Propose this instead").click()
    await expect(site.page.get_by_role("status")).to_contain_text("Nothing is different yet")
    await site.page.get_by_label("limits.memory").fill("lots")
    await site.page.get_by_role("button", name="Propose this instead").click()
    await expect(site.page.get_by_role("status")).to_have_text("'lots' is not a quantity. Write it like 300Mi.")
    await expect(site.page.get_by_role("button", name="Approve")).to_be_enabled()


@pytest.mark.parametrize(
    "lie", [{"digest": "sha256:other"}, {"decision": "reject"}, {"proposal": "ap-other1"}, {"more": "1"}], ids=str
)
async def test_nothing_else_than_what_is_shown_is_ever_signed(site: Site, lie: dict[str, str]) -> None:
    """A message that names another digest, decision or proposal, or says more, is not signed."""
    site.gateway.lie = lie
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.get_by_role("button", name="Approve").click()
    await expect(site.page.get_by_role("status")).to_contain_text("so it was not signed")
    assert site.gateway.decisions == []


async def test_an_expired_proposal_is_disarmed_before_anyone_asks(site: Site) -> None:
    """At the end of its time the page takes the button away and says what to do."""
    site.gateway.views[ID]["expires"] = "2020-01-01T00:00:00Z"
    await site.sign_in(next_=f"/proposals/{ID}")
    await expect(site.page.get_by_role("status")).to_contain_text("Expired: nobody decided in time")
    await expect(site.page.get_by_role("button", name="Approve")).to_be_disabled()


async def test_a_refused_decision_is_said_with_its_next_step(site: Site) -> None:
    """What the gateway refuses after the click is said in its own words."""
    await site.sign_in(next_=f"/proposals/{ID}")
    approve = site.page.get_by_role("button", name="Approve")
    await expect(approve).to_be_enabled()
    site.gateway.views[ID]["expires"] = "2020-01-01T00:00:00Z"
    await approve.click()
    await expect(site.page.get_by_role("status")).to_have_text(
        "It expired at 02:43. Run the change step again for a new proposal."
    )


async def test_a_deletion_asks_for_the_name(site: Site) -> None:
    """Approve is armed only while the object's exact name stands in the field."""
    site.gateway.add(view(tool="k8s_delete", title="Delete payment-service"))
    await site.sign_in(next_=f"/proposals/{ID}")
    approve = site.page.get_by_role("button", name="Approve")
    await site.page.get_by_label("to approve").fill("payment-servic")
    await asyncio.sleep(0)
    await expect(approve).to_be_disabled()
    await site.page.get_by_label("to approve").press_sequentially("e")
    await expect(approve).to_be_enabled()


async def test_what_is_typed_before_the_script_is_there_counts(site: Site) -> None:
    """On a slow connection the field can be filled before the page's script has come."""
    site.gateway.add(view(tool="k8s_delete", title="Delete payment-service"))
    typed = asyncio.Event()

    async def late(route: Route) -> None:
        await typed.wait()
        await route.continue_()

    await site.sign_in()
    await site.page.route("**/card.js*", late)
    await site.page.goto(f"{site.url}/proposals/{ID}", wait_until="commit")
    await site.page.get_by_label("to approve").fill("payment-service")
    typed.set()
    await site.page.get_by_role("button", name="Approve").click()
    await expect(site.page.get_by_role("heading", name="Applied")).to_be_visible()


async def test_a_click_by_script_decides_nothing(site: Site) -> None:
    """Only a person's own click counts, even for code that runs in the page."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await expect(site.page.get_by_role("button", name="Approve")).to_be_enabled()
    await site.page.evaluate("document.getElementById('approve').click()")
    await site.page.get_by_role("button", name="Modify").click()
    assert site.gateway.nonces == {}


async def test_a_decision_elsewhere_shows_here(site: Site) -> None:
    """A proposal that was decided in a terminal turns into its receipt on the open page."""
    await site.sign_in(next_=f"/proposals/{ID}")
    await expect(site.page.get_by_role("button", name="Approve")).to_be_enabled()
    site.gateway.views[ID].update(state="rejected", receipt=receipt(operator="m.other", reason="later"))
    await expect(site.page.get_by_role("heading", name="Rejected")).to_be_visible()
    await expect(site.page.get_by_text("m.other")).to_be_visible()


async def test_the_way_back_is_proposed_from_the_receipt(site: Site) -> None:
    """It makes a proposal of its own and goes there; nothing is applied by the click."""
    site.gateway.add(view(state="executed", receipt=receipt(), judgement=judgement(verdict="FAILED")))
    await site.sign_in(next_=f"/proposals/{ID}")
    await site.page.get_by_role("button", name="Propose the way back").click()
    await site.page.wait_for_url(f"{site.url}/proposals/ap-back12")
    assert json.dumps(site.gateway.decisions) == "[]"
