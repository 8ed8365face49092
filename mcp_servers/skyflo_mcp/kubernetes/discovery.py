"""Which kinds a cluster serves, asked once in ten minutes, and again for a kind that nobody knew then."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from skyflo_mcp.kubernetes.errors import NotFound, ServerError
from skyflo_mcp.kubernetes.resources import Resource, aggregated, find, listed, preferring
from skyflo_runbooks.model.json import Json, at

_SECONDS = 600.0
_SHORTEST = 5.0
_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


class Raw(Protocol):
    """Reads a JSON object at a path of the API server."""

    def __call__(self, path: str, *, accept: str = ..., doing: str = ...) -> Coroutine[Any, Any, Json]:
        """Return it, or raise what the server said."""


class Discovery:
    """The kinds of one cluster, as they were when they were last asked for."""

    def __init__(self, raw: Raw, clock: Callable[[], float] = time.monotonic) -> None:
        self._raw = raw
        self._clock = clock
        self._kinds: tuple[Resource, ...] = ()
        self._known_since = 0.0
        self._asking = asyncio.Lock()

    async def kinds(self) -> tuple[Resource, ...]:
        """Return every kind that the cluster serves, custom resources included."""
        async with self._asking:
            if not self._kinds or self._clock() - self._known_since > _SECONDS:
                self._kinds = await self._ask()
                self._known_since = self._clock()
            return self._kinds

    async def find(self, kind: str, api_version: str = "") -> Resource:
        """Return the resource that `kind` names (see `resources`), or raise `NotFound` with the nearest names."""
        known_since = self._known_since
        try:
            return find(await self.kinds(), kind, api_version)
        except NotFound:
            # A definition may have come after the discovery.
            if known_since == 0.0 or self._clock() - known_since < _SHORTEST:
                raise
            self._known_since = float("-inf")
            return find(await self.kinds(), kind, api_version)

    async def _ask(self) -> tuple[Resource, ...]:
        core, groups = await asyncio.gather(
            self._raw("/api", accept=_ACCEPT, doing="discovery"),
            self._raw("/apis", accept=_ACCEPT, doing="discovery"),
        )
        if core.get("kind") == groups.get("kind") == "APIGroupDiscoveryList":
            return (*aggregated(core), *aggregated(groups))
        paths = [f"/api/{version}" for version in core.get("versions") or []]
        for group in groups.get("groups") or []:
            versions = [entry["groupVersion"] for entry in group.get("versions") or []]
            preferred = str(at(group, "preferredVersion", "groupVersion", default=""))
            paths += [f"/apis/{version}" for version in sorted(versions, key=preferred.__ne__)]
        pages = await asyncio.gather(*(self._page(path) for path in paths))
        return tuple(preferring(entry for page in pages for entry in page))

    async def _page(self, path: str) -> list[Resource]:
        try:
            return listed(await self._raw(path, doing="discovery"))
        except (ServerError, NotFound):
            # An aggregated API whose server is down; its kinds are then not served, and nothing else is hurt.
            return []
