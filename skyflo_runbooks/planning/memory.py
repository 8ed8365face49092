"""How far a memory limit may be raised: what quota, LimitRange and nodes allow, with the arithmetic said.

Rules:
  1. Candidates are the limit of the revision before, if that was higher, the next doubling, then smaller steps
     (1.75, 1.5 and 1.25 times). The first that fits everywhere is proposed.
  2. Quota: at the worst moment of a rolling update all wanted pods have the new limit and the surge pods are still
     there with the old one.
  3. Nodes: all wanted pods and the surge pods must find place at the size of the new limit, beside the requests of
     everybody else, so that a pod may really use what it is allowed to.
  4. What could not be read is said and does not count as room.
"""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from skyflo_runbooks.diagnosis.capacity import Room, holds, rooms
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.pods import (
    amount,
    each,
    name_of,
    namespace_of,
    pod_request,
    pod_spec,
    quantity,
    replicas,
    surge,
    template_container,
)
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_memory

_STEPS = (Decimal("2"), Decimal("1.75"), Decimal("1.5"), Decimal("1.25"))
_GRAIN = 16 * 2**20


class Raise(msgspec.Struct, frozen=True):
    """A new limit (bytes) with its reasons; or, with `limit` None, what stands against every one."""

    limit: Decimal | None
    reasons: tuple[str, ...] = ()


class Judged(msgspec.Struct, frozen=True):
    """What one bound says of a candidate: whether it allows it, and in words."""

    ok: bool
    text: str


def raised(graph: Graph, workload: Json, container: str, limit: Decimal) -> Raise:
    """Return the limit to propose instead of `limit` (bytes)."""
    against: list[str] = []
    for candidate, why in _candidates(graph, workload, container, limit):
        judged = list(_bounds(graph, workload, container, limit, candidate))
        if all(item.ok for item in judged):
            first = f"{format_memory(limit)} → {format_memory(candidate)}: {why}"
            return Raise(candidate, (first, *(item.text for item in judged), *against[:1]))
        against += [item.text for item in judged if not item.ok]
    return Raise(None, tuple(dict.fromkeys(against)))


def _candidates(graph: Graph, workload: Json, container: str, limit: Decimal) -> Iterator[tuple[Decimal, str]]:
    before = graph.previous(workload)
    found = template_container(before, container) if before else None
    earlier = amount(found[2], "limits", "memory") if found else None
    if earlier is not None and earlier > limit:
        yield earlier, "the limit of the revision before, which this one lowered"
    for factor in _STEPS:
        size = limit * factor if factor == 2 or limit < _GRAIN else Decimal(int(limit * factor) // _GRAIN * _GRAIN)
        if size > limit:
            yield (
                size,
                (
                    "the next doubling, because what the process needs cannot be seen while the limit kills it"
                    if factor == 2
                    else f"{factor} times the present limit, the largest step that fits"
                ),
            )


def _bounds(graph: Graph, workload: Json, container: str, old: Decimal, new: Decimal) -> Iterator[Judged]:
    yield from _quotas(graph, workload, old, new)
    yield from _ranges(graph, workload, container, new)
    yield _nodes(graph, workload, old, new)


def _quotas(graph: Graph, workload: Json, old: Decimal, new: Decimal) -> Iterator[Judged]:
    namespace = namespace_of(workload)
    for gap in graph.snapshot.gaps_in("ResourceQuota"):
        yield Judged(True, f"Whether a quota allows it is not known: {gap.reason}")
    wanted, above = replicas(workload), surge(workload)
    for quota in graph.all("ResourceQuota"):
        hard = quantity(at(quota, "status", "hard", "limits.memory") or at(quota, "spec", "hard", "limits.memory"))
        used = quantity(at(quota, "status", "used", "limits.memory", default="0"))
        if namespace_of(quota) != namespace or hard is None or used is None:
            continue
        extra = wanted * (new - old) + above * old
        words = (
            f"quota {name_of(quota)}: {format_memory(used)} of {format_memory(hard)} limits.memory are used; "
            f"{format_memory(new)} for {wanted} pods needs {format_memory(extra)} more at the worst moment"
            f"{f', {above} surge pod included' if above == 1 else f', {above} surge pods included' if above else ''}"
        )
        yield Judged(used + extra <= hard, words if used + extra <= hard else f"{words}: too much")


def _ranges(graph: Graph, workload: Json, container: str, new: Decimal) -> Iterator[Judged]:
    for gap in graph.snapshot.gaps_in("LimitRange"):
        yield Judged(True, f"Whether a LimitRange allows it is not known: {gap.reason}")
    found = template_container(workload, container)
    asked = (amount(found[2], "requests", "memory") if found else None) or new
    for limit_range in graph.all("LimitRange"):
        if namespace_of(limit_range) != namespace_of(workload):
            continue
        for item in each(limit_range, "spec", "limits"):
            most = quantity(at(item, "max", "memory"))
            ratio = quantity(at(item, "maxLimitRequestRatio", "memory"))
            where = f"LimitRange {name_of(limit_range)} ({item.get('type')})"
            if item.get("type") in ("Container", "Pod") and most is not None:
                yield Judged(new <= most, f"{where}: at most {format_memory(most)}, {format_memory(new)} asked")
            if item.get("type") == "Container" and ratio is not None and asked > 0:
                yield Judged(new / asked <= ratio, f"{where}: the limit may be {ratio} times the request")


def _nodes(graph: Graph, workload: Json, old: Decimal, new: Decimal) -> Judged:
    spec = pod_spec(workload)
    found = rooms(graph, spec, without=graph.pods(workload))
    if found is None:
        why = "; ".join(str(gap) for gap in graph.snapshot.gaps_in("Node", "Pod")) or "the nodes were not read"
        return Judged(True, f"Whether the nodes have room for it is not known: {why}")
    count = replicas(workload) + surge(workload)
    size = max(pod_request(spec, "memory"), _pod_limit(spec) - old + new)
    ok = holds(found, cpu=pod_request(spec, "cpu"), memory=size) >= count
    words = (
        f"{_names(found)} room for {count} pods of {format_memory(size)} each beside all other requests"
        if ok
        else f"the nodes have no room for {count} pods of {format_memory(size)} each (surge included)"
    )
    return Judged(ok, words)


def _pod_limit(spec: Json) -> Decimal:
    limits = [amount(container, "limits", "memory") for container in each(spec, "containers")]
    return sum((item for item in limits if item is not None), Decimal(0))


def _names(found: tuple[Room, ...]) -> str:
    return f"{found[0].node} has" if len(found) == 1 else f"{len(found)} nodes have"
