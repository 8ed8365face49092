"""The real service over a practice cluster, and a browser that is signed in at it: for what one must see work whole."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from tests.service.running import Service, running

PATIENCE = 20_000
# Brings a block to the middle of the screen, and resolves when the page's own observer had its turn.
SHOW = """block => new Promise(done => {
  block.scrollIntoView({block: "center"});
  new IntersectionObserver((entries, observer) => {
    if (!entries.some(entry => entry.intersectionRatio >= 0.999)) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(done));
  }, {threshold: [0, 0.999]}).observe(block);
})"""


class House:
    """One service for a module, and pages of browsers at it."""

    def __init__(self, service: Service, browser: Browser) -> None:
        self.service = service
        self.browser = browser

    @property
    def practice(self) -> PracticeCluster:
        """The cluster."""
        return self.service.practice

    @asynccontextmanager
    async def signed_in(self, name: str = "k.ops", path: str = "/", width: int = 1000) -> AsyncIterator[Page]:
        """A fresh browser profile, paired by a link of its own; its page breaks no policy and raises no error."""
        context = await self.browser.new_context(viewport={"width": width, "height": 900})
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if "Security Policy" in said.text else None)
        await page.goto(f"{self.service.url}/login/{self.service.link()}?name={name}&auto=1")
        await page.wait_for_url(f"{self.service.url}/")
        if path != "/":
            await page.goto(self.service.url + path)
        yield page
        await context.close()
        assert broken == []

    async def scale(self, name: str, replicas: int, **origin: str) -> Json:
        """Propose another number of replicas of a Deployment of the flagship."""
        arguments = {"kind": "Deployment", "namespace": "checkout", "name": name, "replicas": replicas}
        return await self.service.propose(tool="k8s_scale", arguments=arguments, **origin)

    def replicas(self, name: str) -> int:
        """The desired replicas in the cluster."""
        from skyflo_runbooks.practice.kinds import DEPLOYMENT

        return int(at(self.practice.store.find(DEPLOYMENT, "checkout", name), "spec", "replicas", default=1))

    def state(self, view: Json) -> str:
        """Where a proposal stands."""
        return self.service.desk.gateway.store.get(str(view["id"])).state

    def decisions(self) -> list[Json]:
        """What the ledger says was decided."""
        entries = self.service.desk.gateway.store.entries()
        return [entry.body for entry in entries if entry.kind in ("approve", "reject")]


@asynccontextmanager
async def house(tmp: Path, browser: Browser, policy: PolicyFile | None = None) -> AsyncIterator[House]:
    """Serve the flagship, under a policy of the test's own where one is given."""
    async with running(tmp, policy=policy) as service:
        yield House(service, browser)


async def look_at_all(page: Page) -> None:
    """Scroll through the page as a person does, block by block, and wait until it is armed."""
    for block in await page.locator("article.change[data-in=yes] .block").all():
        await block.evaluate(SHOW)
    await expect(page.get_by_role("button", name="Approve")).to_be_enabled(timeout=PATIENCE)
