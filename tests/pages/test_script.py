"""A hostile script on another port of the same host, in a real browser, as an output in JupyterLab is one.

It has the cookie of the operator who is signed in, and is told the digest and a nonce that serves, which it could not
read. What it does not have is the key, and the gateway's own page. tests/browser does the same in JupyterLab itself.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from skyflo_runbooks.gateway import identity
from tests.pages.conftest import served
from tests.pages.notebook import Notebook
from tests.pages.real import House, house
from tests.red_team.house import at_rest
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# Each form of the call that a page can make; what may be read of the answers comes back.
SCRIPT = """
async ([gateway, id, digest, nonce]) => {
  const url = `${gateway}/api/v1/proposals/${id}`;
  const body = JSON.stringify({decision: "approve", reason: "", digest, nonce, signature: "A".repeat(86)});
  const sent = [await fetch(`${url}/nonce`, {credentials: "include"}).then(r => r.status, () => 0)];
  for (const init of [
    {mode: "cors", headers: {"Content-Type": "application/json", "X-Skyflo-Page": "1"}},
    {mode: "no-cors", headers: {"Content-Type": "text/plain"}},
  ]) {
    sent.push(await fetch(`${url}/decision`, {method: "POST", credentials: "include", body, ...init})
      .then(r => r.status, () => 0));
  }
  return sent;
}
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> AsyncIterator[House]:
    """One gateway for these tests."""
    async with house(tmp_path_factory.mktemp("house"), chromium) as made:
        yield made


@against(ATTACKS["page-script"])
async def test_a_script_beside_the_card_decides(place: House, gate: Gate) -> None:
    """Beside an operator who is signed in; the page may read no answer, so what came of it is seen at the gateway."""
    view = await place.scale("storefront", 3, step=f"lacks-{len(gate.missing)}-{sum(gate.missing)}")
    async with served(Notebook().app()) as url, place.signed_in() as page:
        await page.goto(url)
        nonce = identity.new_nonce(place.service.desk.gateway.store, proposal=str(view["id"]), operator="k.ops")
        sent = await page.evaluate(SCRIPT, [place.service.url, view["id"], view["digest"], nonce])
        state = await at_rest(place.service.desk.gateway, str(view["id"]))
    assert sent == [0, 0, 0]
    gate.bites(state in ("executed", "in_place"), state)
