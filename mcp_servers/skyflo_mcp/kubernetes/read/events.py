"""k8s_events: what happened, merged, counted and in order of time."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes import family
from skyflo_mcp.kubernetes.answers import cut, stamp, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

COLUMNS = ("LAST SEEN", "FIRST SEEN", "COUNT", "TYPE", "REASON", "OBJECT", "MESSAGE")
Limit = Annotated[int, Meta(ge=1, le=1000)]


class Happening(msgspec.Struct, frozen=True):
    """Events that say the same of the same object: how often, and first and last when (RFC 3339)."""

    object: str
    type: str
    reason: str
    message: str
    count: int
    first: str
    last: str


async def k8s_events(
    cluster: Cluster,
    *,
    namespace: str | None = None,
    kind: str | None = None,
    name: str | None = None,
    type: Literal["Normal", "Warning"] | None = None,  # noqa: A002  (the field's word)
    related: bool = False,
    limit: Limit = 100,
) -> Json:
    """List events, oldest first: of a namespace, or of one object, and with `related` of its ReplicaSets and Pods."""
    if name is not None and kind is None:
        raise BadInput("A name was given without its kind.", next_step='Say kind, as in kind="Pod".')
    if related and name is None:
        raise BadInput("related needs an object.", next_step="Say kind and name.")
    refs: list[ObjectRef] = []
    if kind is not None and name is not None:
        resource = await cluster.resource(kind)
        refs = [ObjectRef(resource.kind, name, namespace or "", resource.api_version)]
        if related:
            refs = await _family(cluster, refs[0])
    elif kind is not None:
        kind = (await cluster.resource(kind)).kind
    found = await read(cluster, namespace, refs, kind=kind)
    if namespace and not found:
        await check_there(cluster, namespace)
    kept = [one for one in merged(found) if type in (None, one.type)]
    now = await cluster.now()
    return rows(kept, limit=limit, namespace=namespace, at=stamp(now))


async def read(
    cluster: Cluster, namespace: str | None, refs: list[ObjectRef], *, kind: str | None = None
) -> list[Json]:
    """Return the events about the objects named, or of the whole namespace (of one kind) where none is."""
    if not refs:
        selector = f"involvedObject.kind={kind}" if kind else ""
        return list((await cluster.list("events", namespace, field_selector=selector)).items)
    if len(refs) > 5:
        names = {(ref.kind, ref.name) for ref in refs}
        everything = (await cluster.list("events", refs[0].namespace or None)).items
        return [
            one for one in everything if (at(one, "involvedObject", "kind"), at(one, "involvedObject", "name")) in names
        ]
    pages = await asyncio.gather(
        *(
            cluster.list(
                "events",
                # Events about objects without a namespace lie in `default`.
                ref.namespace or None,
                field_selector=f"involvedObject.kind={ref.kind},involvedObject.name={ref.name}",
            )
            for ref in refs
        )
    )
    return [one for page in pages for one in page.items]


async def _family(cluster: Cluster, ref: ObjectRef) -> list[ObjectRef]:
    found = await family.read(cluster, await cluster.get(ref))
    return list(dict.fromkeys([ref, *map(ObjectRef.of, found.between), *map(ObjectRef.of, found.pods)]))


def merged(events: Iterable[Json]) -> list[Happening]:
    """Return events with those that say the same counted together, by the time they were last seen."""
    groups: dict[tuple[str, str, str, str], list[Json]] = {}
    for one in events:
        involved = one.get("involvedObject") or one.get("regarding") or {}
        parts = (involved.get("kind", ""), involved.get("namespace", ""), involved.get("name", ""))
        key = (
            "/".join(part for part in parts if part),
            str(one.get("type", "")),
            str(one.get("reason", "")),
            str(one.get("message") or one.get("note") or "").strip(),
        )
        groups.setdefault(key, []).append(one)
    found = [
        Happening(*key, count=sum(map(_count, group)), first=min(map(_first, group)), last=max(map(_last, group)))
        for key, group in groups.items()
    ]
    return sorted(found, key=lambda one: (one.last, one.object, one.reason))


def rows(found: list[Happening], *, limit: int, **more: object) -> Json:
    """Return the last `limit` of them as a table."""
    shown = found[-limit:]
    cells: list[list[Value]] = [
        [one.last, one.first, one.count, one.type, one.reason, one.object, one.message] for one in shown
    ]
    how = f"The last {limit} of {len(found)} are shown: raise limit, or say a kind, a name or a type."
    return table(COLUMNS, cells, **cut(len(found) > limit, how), **more)


def _count(event: Json) -> int:
    return int(at(event, "series", "count", default=0) or event.get("count") or 1)


def _first(event: Json) -> str:
    return _seconds(event.get("firstTimestamp") or event.get("eventTime") or _created(event))


def _last(event: Json) -> str:
    series = at(event, "series", "lastObservedTime", default="")
    return _seconds(series or event.get("lastTimestamp") or event.get("eventTime") or _created(event))


def _created(event: Json) -> str:
    return str(at(event, "metadata", "creationTimestamp", default=""))


def _seconds(text: str) -> str:
    """`2026-01-01T10:00:00.123456Z` to the second, so that times of both kinds of event compare."""
    whole, dot, _ = text.partition(".")
    return f"{whole}Z" if dot else text
