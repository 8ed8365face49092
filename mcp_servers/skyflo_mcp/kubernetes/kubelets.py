"""Figures from the kubelets themselves: usage, for a cluster without metrics.k8s.io (rules in `usage`), throttling."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import httpx

from skyflo_mcp.kubernetes import throttling
from skyflo_mcp.kubernetes import usage as use
from skyflo_mcp.kubernetes.errors import NotAvailable, Unreachable
from skyflo_mcp.kubernetes.throttling import Throttle
from skyflo_mcp.kubernetes.transport import Answer, Transport, expect
from skyflo_runbooks.model.errors import SkyfloError, Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_PAGE_LIMIT = 4 * 2**20
_SUMMARY_LIMIT = 16 * 2**20
_SECONDS = 5.0


class Nodes(Protocol):
    """Where the nodes are read."""

    async def get(self, ref: ObjectRef) -> Json:
        """Return one object."""


def silent(asked: Iterable[tuple[str, str]]) -> list[str]:
    """Return why nodes said nothing: each reason once, with the nodes that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for node, reason in asked:
        by_reason.setdefault(reason, []).append(node)
    return [f"kubelet{'s' * (len(nodes) > 1)} of {', '.join(nodes)}: {reason}" for reason, nodes in by_reason.items()]


class Kubelets:
    """The kubelets of one cluster, asked over verified TLS, or not at all (`why_not`)."""

    def __init__(self, client: httpx.AsyncClient | None, *, why_not: str) -> None:
        self._transport = Transport(client, timeout=_SECONDS) if client else None
        self._why_not = why_not
        self._counters: dict[use.Key, use.Counter] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        if self._transport:
            await self._transport.client.aclose()

    async def usage(self, pods: Sequence[Json], nodes: Nodes) -> use.Usage:
        """Return the use of the containers of `pods`, and for each node that could not be asked, why."""
        if self._transport is None:
            return use.Usage((), (f"The kubelets were not asked: {self._why_not}.",))
        transport = self._transport
        by_node: dict[str, set[tuple[str, str]]] = {}
        for pod in pods:
            if node := at(pod, "spec", "nodeName", default=""):
                key = (at(pod, "metadata", "namespace"), at(pod, "metadata", "name"))
                by_node.setdefault(node, set()).add(key)
        names = sorted(by_node)
        pages = (self._ask(transport, node, by_node[node], nodes) for node in names)
        samples: list[use.Sample] = []
        gaps: list[tuple[str, str]] = []
        limited = use.limited(pods)
        for node, result in zip(names, await asyncio.gather(*pages, return_exceptions=True), strict=True):
            if isinstance(result, SkyfloError):
                gaps.append((node, result.message))
            elif isinstance(result, BaseException):
                raise result
            else:
                samples += await self._rated(node, result, limited, nodes)
        return use.Usage(tuple(samples), tuple(silent(gaps)))

    async def _ask(
        self, transport: Transport, node: str, only: set[tuple[str, str]], nodes: Nodes
    ) -> tuple[use.Sample, ...]:
        doing = f"usage from the kubelet of {node}"
        answer = await self._page(transport, node, nodes, "/metrics/resource", _PAGE_LIMIT, doing)
        text = expect(answer, doing=doing).content.decode("utf-8", "replace")
        if answer.at is None:
            raise Unknown(f"{doing}: the answer has no Date header, so its time is not known.")
        return use.from_kubelet(text, node=node, read_at=answer.at, counters=self._counters, only=only)

    async def _rated(
        self, node: str, samples: tuple[use.Sample, ...], limited: set[use.Key], nodes: Nodes
    ) -> tuple[use.Sample, ...]:
        """Return the samples with the kubelet's own rates, where a container with a CPU limit has none yet.

        Where they are refused, its memory is known all the same, and its rate is not.
        """
        if all(one.cpu is not None or (one.namespace, one.pod, one.container) not in limited for one in samples):
            return samples
        try:
            return use.with_rates(samples, await self.summary(node, nodes))
        except SkyfloError:
            return samples

    async def summary(self, node: str, nodes: Nodes) -> Json:
        """Return a kubelet's /stats/summary; `NotAvailable` where it is not asked."""
        if self._transport is None:
            raise NotAvailable(f"not asked: {self._why_not}.")
        doing = f"statistics from the kubelet of {node}"
        answer = await self._page(self._transport, node, nodes, "/stats/summary", _SUMMARY_LIMIT, doing)
        found = expect(answer, doing=doing).decoded()
        if not isinstance(found, dict):
            raise Unknown(f"{doing}: the answer is no JSON object.")
        return found

    async def throttling(self, pods: Sequence[Json], nodes: Nodes) -> tuple[tuple[Throttle, ...], tuple[str, ...]]:
        """Return how often containers of `pods` waited for CPU, and for each node that could not be asked, why."""
        if self._transport is None:
            return (), (f"The kubelets were not asked: {self._why_not}.",)
        found: list[Throttle] = []
        gaps: list[tuple[str, str]] = []
        for node in sorted({str(at(pod, "spec", "nodeName", default="")) for pod in pods} - {""}):
            here = {(at(p, "metadata", "namespace"), at(p, "metadata", "name")) for p in pods}
            doing = f"throttling from the kubelet of {node}"
            try:
                answer = await self._page(self._transport, node, nodes, "/metrics/cadvisor", _SUMMARY_LIMIT, doing)
                text = expect(answer, doing=doing).content.decode("utf-8", "replace")
            except SkyfloError as error:
                gaps.append((node, error.message))
                continue
            found += throttling.from_kubelet(text, here)
        return tuple(found), tuple(silent(gaps))

    async def _page(self, transport: Transport, node: str, nodes: Nodes, path: str, limit: int, doing: str) -> Answer:
        address = use.kubelet_address(await nodes.get(ObjectRef("Node", node)))
        if address is None:
            raise NotAvailable(f"Node {node} does not say where its kubelet listens.")
        try:
            return await transport.get(f"{address}{path}", doing=doing, accept="*/*", limit=limit, tries=1)
        except Unreachable as error:
            # httpx hands the TLS failure on as a text only.
            if "CERTIFICATE_VERIFY_FAILED" in error.message:
                raise NotAvailable(
                    "not asked, because the cluster's CA does not vouch for its certificate",
                    next_step="Install metrics-server, or give kubelets serving certificates (serverTLSBootstrap).",
                ) from None
            raise
