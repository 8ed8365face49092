"""Many proposals that wait: how long the front page takes, from the gateway and until a browser has drawn it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from skyflo_runbooks.service.auth import COOKIE
from tests.benchmarks.figures import Figure, Scale, median
from tests.benchmarks.stack import NAMESPACE, Stack, staged

_DRAWN = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return page.loadEventEnd - page.startTime;
}"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure on the practice cluster."""
    with staged(folder) as stack:
        begun = time.perf_counter()
        for number in range(scale.waiting):
            _propose(stack, number)
        proposed = (time.perf_counter() - begun) * 1000 / scale.waiting
        answered, size = _answered(stack, scale)
        parts = {"waiting": float(scale.waiting), "page_kilobytes": size / 1000, "best_ms": min(answered)}
        parts["proposed_each_ms"] = proposed
        drawn = _drawn(stack, scale)
        if drawn:
            parts["drawn_in_chromium_ms"] = median(drawn)
        yield Figure(
            "front_page_waiting",
            median(answered),
            "ms",
            f"median of GET / with {scale.waiting} proposals that wait, over a kept connection",
            None,
            parts,
        )


def _propose(stack: Stack, number: int) -> None:
    arguments = {"kind": "Deployment", "namespace": NAMESPACE, "name": "storefront", "replicas": 3 + number}
    body = {"tool": "k8s_scale", "arguments": arguments, "step": f"step_{number}", "why": "The load grows."}
    view = stack.gateway.post("/api/v1/proposals", body)
    if view["state"] != "proposed":
        raise RuntimeError(f"a proposal is {view['state']}, so the page would not be as full as it should be")


def _answered(stack: Stack, scale: Scale) -> tuple[list[float], int]:
    """Return the milliseconds of each call, and the page's bytes."""
    times: list[float] = []
    with httpx.Client(base_url=stack.gateway.url, cookies={COOKIE: stack.operator.session}, timeout=60) as client:
        for turn in range(scale.reads // 5 + 2):
            begun = time.perf_counter()
            answer = client.get("/")
            took = (time.perf_counter() - begun) * 1000
            if answer.text.count('class="row"') < scale.waiting:
                raise RuntimeError("the page does not show every proposal that waits")
            if turn > 0:  # the first one is warm-up
                times.append(took)
        return times, len(answer.content)


def _drawn(stack: Stack, scale: Scale) -> list[float]:
    """Return the milliseconds until a browser's load event ended; nothing where there is no browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": COOKIE, "value": stack.operator.session, "url": stack.gateway.url}])
        page = context.new_page()
        times: list[float] = []
        for _ in range(scale.starts):
            page.goto(stack.gateway.url, wait_until="load")
            page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
            times.append(float(page.evaluate(_DRAWN)))
        browser.close()
        return times
