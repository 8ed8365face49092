"""The flagship in a real JupyterLab and a real Chromium, with every lock on."""

import json
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, expect

from skyflo_runbooks.model.plan import GatherStep, ReadStep
from skyflo_runbooks.notebook.parse import parse, read_notebook
from tests.browser.conftest import shot
from tests.browser.page import PATIENCE, Lab, pair
from tests.browser.stack import NOTEBOOK, Stack

pytestmark = pytest.mark.browser


def receipts(path: Path) -> list[str]:
    """The states of the receipts that a saved notebook holds."""
    return [
        data["application/vnd.skyflo.receipt.v1+json"]["state"]
        for cell in json.loads(path.read_text())["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.skyflo.receipt.v1+json" in (data := output.get("data", {}))
    ]


def verdicts(path: Path) -> list[str]:
    """The verdicts that a saved notebook holds."""
    return [
        data["application/vnd.skyflo.verdict.v1+json"]["verdict"]
        for cell in json.loads(path.read_text())["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.skyflo.verdict.v1+json" in (data := output.get("data", {}))
    ]


async def test_an_incident_is_approved_in_the_card_and_verified_and_stands_after_reopening(
    flagship: Stack, browser: BrowserContext
) -> None:
    """Reads run alone; the change shows its card only; one click applies it once; the verdict stays in the file."""
    await pair(browser, flagship.login)
    lab = await Lab.open(browser, flagship)
    await lab.reads_done()
    assert sorted(flagship.calls) == reads(flagship.work / NOTEBOOK)
    assert flagship.proposals() == []

    await lab.run(lab.step("change"))
    await expect(lab.card().get_by_text("256Mi").first).to_be_visible(timeout=PATIENCE)
    assert [proposal["state"] for proposal in flagship.proposals()] == ["proposed"]
    assert flagship.limit() == "256Mi"
    await shot(lab.page, "card")

    await lab.approve()
    await expect(lab.step("verify").get_by_text("VERIFIED").first).to_be_visible(timeout=2 * PATIENCE)
    await expect(lab.step("change").get_by_text("APPLIED").first).to_be_visible(timeout=PATIENCE)
    await shot(lab.page, "verified")
    assert flagship.limit() == "512Mi"
    assert flagship.writes() == 1

    await lab.save()
    await lab.page.close()
    assert receipts(flagship.work / NOTEBOOK) == ["executed"]
    assert verdicts(flagship.work / NOTEBOOK) == ["VERIFIED"]
    await shut_kernels(browser, flagship)

    again = await Lab.open(browser, flagship, workspace="later")
    await again.reads_done()
    await expect(again.step("change").get_by_text("APPLIED").first).to_be_visible()
    await expect(again.step("verify").get_by_text("VERIFIED").first).to_be_visible()
    await expect(again.page.locator("iframe.skyflo-frame")).to_have_count(0)
    await shot(again.page, "reopened")
    assert len(flagship.proposals()) == 1


async def shut_kernels(browser: BrowserContext, flagship: Stack) -> None:
    """End every kernel, as closing for the night does."""
    headers = {"Authorization": f"token {flagship.jupyter_token}"}
    sessions = await browser.request.get(f"{flagship.jupyter}/api/sessions", headers=headers)
    for session in await sessions.json():
        gone = await browser.request.delete(f"{flagship.jupyter}/api/sessions/{session['id']}", headers=headers)
        assert gone.ok


async def test_two_tabs_opened_together_run_the_reads_once(flagship: Stack, browser: BrowserContext) -> None:
    """Both tabs share one kernel, one of them runs the reads, and a reload runs nothing again."""
    tabs = [await browser.new_page(), await browser.new_page()]
    for number, page in enumerate(tabs):
        await page.goto(flagship.lab(workspace=f"tab-{number}"))
    for page in tabs:
        await Lab(page).reads_done()
    expected = reads(flagship.work / NOTEBOOK)
    assert sorted(flagship.calls) == expected

    await tabs[0].reload()
    await Lab(tabs[0]).reads_done()
    assert sorted(flagship.calls) == expected
    assert flagship.proposals() == []


def reads(path: Path) -> list[str]:
    """The tools that a notebook's reads call, in the alphabet's order."""
    steps = parse(read_notebook(path)).plan.steps
    single = [step.tool for step in steps if isinstance(step, ReadStep)]
    side_by_side = [call.tool for step in steps if isinstance(step, GatherStep) for call in step.reads.values()]
    return sorted(single + side_by_side)
