"""What belongs to an object and goes with it: dependents by ownerReferences, a namespace's contents, a CRD's objects.

Rules:
  1. An owner is known by uid. Dependents of dependents count, down to the last.
  2. Every kind that the cluster lists is looked through, metadata only, at most `MOST` objects of each.
  3. What could not be read is named; its absence says nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable

import msgspec

from skyflo_mcp.kubernetes.client import PAGE, Cluster
from skyflo_mcp.kubernetes.errors import ApiError
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_mcp.kubernetes.workload import uid
from skyflo_runbooks.model.errors import Unreachable
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

MOST = 5_000
AT_ONCE = 8
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
# They come and go by themselves.
_NOT_SAID = {"Event", "Lease", "PodMetrics", "NodeMetrics"}


class Dependents(msgspec.Struct, frozen=True):
    """What goes with an object, in the order of their kinds, and the kinds that could not be read."""

    items: tuple[ObjectRef, ...] = ()
    unknown: tuple[str, ...] = ()

    def counted(self) -> str:
        """Return `3 Pods, 1 ReplicaSet`."""
        counts = Counter(one.kind for one in self.items)
        return ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(counts.items()))


class _Found(msgspec.Struct, frozen=True):
    ref: ObjectRef
    uid: str
    owners: frozenset[str]


async def read(cluster: Cluster, manifest: Json) -> Dependents:
    """Return what goes with an object when it is deleted."""
    kind, namespace = manifest.get("kind"), str(at(manifest, "metadata", "namespace", default=""))
    kinds = [one for one in await cluster.kinds() if "list" in one.verbs and one.kind not in _NOT_SAID]
    if kind == "CustomResourceDefinition":
        group, plural = at(manifest, "spec", "group"), at(manifest, "spec", "names", "plural")
        kinds = [one for one in kinds if (one.group, one.plural) == (group, plural)]
    elif kind == "Namespace":
        namespace = str(at(manifest, "metadata", "name", default=""))
    if namespace:
        kinds = [one for one in kinds if one.namespaced]
    found, unknown = await _search(cluster, kinds, namespace)
    if kind not in ("CustomResourceDefinition", "Namespace"):
        found = owned(found, uid(manifest))
    return Dependents(tuple(sorted(one.ref for one in found)), tuple(unknown))


def owned(found: Iterable[_Found], owner: str) -> list[_Found]:
    """Return those that belong to `owner`, through whatever stands between. Pure."""
    known = {one.uid: one for one in found}
    mine: dict[str, _Found] = {}
    grown = {owner}
    while grown:
        fresh = {key: one for key, one in known.items() if key not in mine and one.owners & grown}
        mine |= fresh
        grown = set(fresh)
    mine.pop(owner, None)
    return list(mine.values())


async def _search(cluster: Cluster, kinds: list[Resource], namespace: str) -> tuple[list[_Found], list[str]]:
    places = asyncio.Semaphore(AT_ONCE)

    async def one(resource: Resource) -> tuple[list[_Found], str]:
        async with places:
            try:
                return await _list(cluster, resource, namespace)
            except (ApiError, Unreachable):
                return [], resource.plural

    answers = await asyncio.gather(*(one(resource) for resource in kinds))
    return [item for items, _ in answers for item in items], [gap for _, gap in answers if gap]


async def _list(cluster: Cluster, resource: Resource, namespace: str) -> tuple[list[_Found], str]:
    found: list[_Found] = []
    query: dict[str, str | int | bool] = {"limit": PAGE}
    while True:
        path = resource.collection(namespace)
        page = await cluster.raw(path, query, accept=_METADATA, doing=f"list {resource.plural}")
        found += [_found(resource, item) for item in page.get("items") or []]
        token = at(page, "metadata", "continue", default="")
        if not token:
            return found, ""
        if len(found) >= MOST:
            return found, f"{resource.plural} beyond the first {len(found)}"
        query = {"limit": PAGE, "continue": token}


def _found(resource: Resource, item: Json) -> _Found:
    metadata = item.get("metadata") or {}
    return _Found(
        ref=ObjectRef(resource.kind, metadata.get("name", ""), metadata.get("namespace") or "", resource.api_version),
        uid=metadata.get("uid", ""),
        owners=frozenset(one.get("uid", "") for one in metadata.get("ownerReferences") or []),
    )
