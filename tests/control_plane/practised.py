"""What the practice cluster says of a scenario, to lay beside what the real rungs say."""

from __future__ import annotations

import httpx

from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.sightings import Sightings, sight


async def practised(name: str, prefix: str, seconds: int = 60) -> Sightings:
    """What is said of the pods whose names begin so, over the scenario's next seconds of cluster time."""
    cluster = PracticeCluster(name)
    namespace = cluster.scenario.namespace
    seen = Sightings(frozenset(), frozenset())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(cluster.app), base_url="http://practice") as client:
        for _ in range(seconds):
            lists = [await client.get(f"/api/v1/namespaces/{namespace}/{kind}") for kind in ("pods", "events")]
            seen |= sight(lists[0].json()["items"], lists[1].json()["items"], prefix)
            await cluster.advance(1)
    return seen
