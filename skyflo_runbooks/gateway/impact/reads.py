"""The lists of a `Scene`, read from a `Cluster`.

Rules:
  1. A list is bounded: `MOST` objects and `SECONDS`. What has more, or takes longer, is not known.
  2. Whether a kind is served is asked of the discovery that the client keeps; a kind that no API serves costs no call.
  3. Counting asks for metadata only, one object at a time at most, and takes the rest from the server's own count: no
     Secret's value is read to count Secrets.
"""

import asyncio

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.guarded import METADATA
from skyflo_mcp.kubernetes.resources import Resource

from skyflo_runbooks.gateway.impact.scene import EVERYTHING, MOST
from skyflo_runbooks.model.errors import SkyfloError, Unknown
from skyflo_runbooks.model.json import Json, at

SECONDS = 5.0
# Records of what happened, and copies of other objects: nobody misses them.
_NOTHING_LOST = ("Event", "Endpoints", "EndpointSlice", "ControllerRevision", "PodMetrics", "Lease")
# At once; a cluster may serve hundreds of kinds.
_WIDTH = 16
# Another API may have a kind of that name.
_MEANT = {"Gateway": "gateways.gateway.networking.k8s.io"}


class ClusterLister:
    """Lists and counts on a cluster; see `scene.Lister`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def items(self, kind: str, namespace: str) -> list[Json]:
        """See `scene.Lister`."""
        kind = _MEANT.get(kind, kind)
        if not any(served.named(kind) for served in await self._cluster.kinds()):
            return []
        found = await self._cluster.list(kind, namespace, limit=MOST, timeout=SECONDS)
        if found.more:
            raise Unknown(f"there are more than {MOST}")
        return list(found.items)

    async def counts(self, kind: str, namespace: str) -> tuple[dict[str, int], dict[str, str]]:
        """See `scene.Lister`."""
        served = [one for one in await self._cluster.kinds() if self._means(one, kind)]
        gate = asyncio.Semaphore(_WIDTH)
        answers = await asyncio.gather(*(self._count(one, namespace, gate) for one in served))
        numbers = {one.kind: found for one, found in zip(served, answers, strict=True) if isinstance(found, int)}
        failed = {one.kind: found for one, found in zip(served, answers, strict=True) if isinstance(found, str)}
        return {name: number for name, number in numbers.items() if number}, failed

    def _means(self, served: Resource, kind: str) -> bool:
        if kind != EVERYTHING:
            return served.named(kind)
        return served.namespaced and "list" in served.verbs and served.kind not in _NOTHING_LOST

    async def _count(self, served: Resource, namespace: str, gate: asyncio.Semaphore) -> int | str:
        doing = f"count {served.plural}" + (f" in {namespace}" if namespace and served.namespaced else "")
        try:
            async with gate:
                page = await self._cluster.raw(
                    served.collection(namespace), {"limit": 1}, accept=METADATA, doing=doing, timeout=SECONDS
                )
        except SkyfloError as error:
            return error.message
        here, rest = at(page, "items", default=[]), at(page, "metadata", "remainingItemCount", default=0)
        return len(here) + rest if isinstance(here, list) and isinstance(rest, int) else "the answer is no list"
