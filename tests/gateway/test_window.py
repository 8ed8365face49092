"""The looks of one round are taken side by side: what an older one saw before the window is no failure in it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model import check
from tests.gateway.world import world

CHECKS = (
    check.endpoints_ready("storefront", namespace="checkout"),
    check.http_ok(service="storefront", namespace="checkout", path="/", window="2s"),
)


class Lagging:
    """An API server whose proxy hears of endpoints later than those who read them: so many requests find none."""

    def __init__(self, late: int) -> None:
        self.left = late

    def __call__(self, request: httpx.Request) -> httpx.Response | None:
        """Answer in its place, while it has not heard of them."""
        if "/proxy" not in request.url.path or self.left == 0:
            return None
        self.left -= 1
        said = 'no endpoints available for service "storefront"'
        body = {"kind": "Status", "status": "Failure", "message": said, "reason": "ServiceUnavailable", "code": 503}
        return httpx.Response(503, json=body)


@pytest.mark.parametrize(("late", "verdict"), [(0, "VERIFIED"), (1, "VERIFIED"), (2, "FAILED")])
async def test_the_window_begins_with_the_round_after_that_in_which_it_held(
    tmp_path: Path, late: int, verdict: str
) -> None:
    """One look beside the one that saw the endpoints may be older; another in the next round is in the window."""
    async with world(tmp_path, "healthy", front=Lagging(late)) as here:
        judgement = await here.gateway.verifier.start(Task("recovered", (), CHECKS, "30s", "rb-test", "run-1"))

    assert judgement.verdict == verdict, judgement.reasons
