"""Family K, the Gateway API: GWY-01.

Sources of the evidence: what Gateways and HTTPRoutes name (class, parents, backends) beside what there is, and the
conditions Accepted, Programmed and ResolvedRefs that a controller writes on them
(https://gateway-api.sigs.k8s.io/geps/gep-1364/). A condition that is Unknown is a controller at work.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import each, name_of, namespace_of
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_WRITTEN = ("Accepted", "Programmed", "ResolvedRefs")
_ABOUT = r"(?i)gateway|route|ingress|\b404\b|\b50\d\b|unreachable|traffic"


class Wrong(msgspec.Struct, frozen=True):
    """What a Gateway or route names that is not there: where, in words, and what was meant."""

    path: str
    text: str
    there: tuple[str, ...]
    meant: str | int | None = None
    related: tuple[ObjectRef, ...] = ()


def not_served(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Gateway and HTTPRoute that no controller can serve as it is written."""
    gateways: set[ObjectRef] = set()
    for gateway in graph.all("Gateway"):
        wrong = _class(graph, gateway)
        told = _conditions(graph, gateway, [gateway.get("status") or {}, *each(gateway, "status", "listeners")])
        if wrong or told:
            gateways.add(ref(gateway))
            yield _finding(graph, gateway, wrong, told)
    for route in graph.all("HTTPRoute"):
        parents = {_parent(route, item) for item in each(route, "spec", "parentRefs")}
        wrong = _parents(graph, route) or _backends(graph, route)
        told = _conditions(graph, route, each(route, "status", "parents"))
        # What ails the Gateway shows on its routes.
        if wrong or (told and not parents & gateways):
            yield _finding(graph, route, wrong, told)


def _conditions(graph: Graph, held: Json, places: list[Json]) -> list[Evidence]:
    return [
        evidence(
            held,
            f"condition {said.get('type')}",
            str(said.get("lastTransitionTime") or graph.snapshot.time),
            f"{said.get('status')}: {said.get('reason')}: {said.get('message', '')}",
        )
        for place in places
        for said in each(place, "conditions")
        if said.get("type") in _WRITTEN and said.get("status") == "False"
    ]


def _class(graph: Graph, gateway: Json) -> Wrong | None:
    wanted = str(at(gateway, "spec", "gatewayClassName", default=""))
    there = tuple(sorted(name_of(item) for item in graph.all("GatewayClass")))
    if wanted in there or graph.snapshot.gaps_in("GatewayClass"):
        return None
    text = f"its class {wanted} does not exist"
    return Wrong("/spec/gatewayClassName", text, there, there[0] if len(there) == 1 else _near(wanted, there))


def _near(wanted: str, there: tuple[str, ...]) -> str | None:
    from rapidfuzz import fuzz

    near = [name for name in there if fuzz.ratio(name, wanted) >= 70]
    return near[0] if len(near) == 1 else None


def _parent(route: Json, item: Json) -> ObjectRef:
    return ObjectRef(
        str(item.get("kind") or "Gateway"), str(item.get("name", "")), str(item.get("namespace") or namespace_of(route))
    )


def _parents(graph: Graph, route: Json) -> Wrong | None:
    for index, item in enumerate(each(route, "spec", "parentRefs")):
        parent = _parent(route, item)
        read = not graph.snapshot.namespaces or parent.namespace in graph.snapshot.namespaces
        if (
            parent.kind != "Gateway"
            or not read
            or graph.get(parent)
            or graph.snapshot.unread(parent.namespace, "Gateway")
        ):
            continue
        there = tuple(sorted(name_of(g) for g in graph.all("Gateway") if namespace_of(g) == parent.namespace))
        text = f"its parent {parent} does not exist"
        return Wrong(f"/spec/parentRefs/{index}/name", text, there, _near(parent.name, there))
    return None


def _backends(graph: Graph, route: Json) -> Wrong | None:
    """Return the first Service, or port of one, that a route sends to and that is not there."""
    for index, rule in enumerate(each(route, "spec", "rules")):
        for place, item in enumerate(each(rule, "backendRefs")):
            space = str(item.get("namespace") or namespace_of(route))
            read = not graph.snapshot.namespaces or space in graph.snapshot.namespaces
            if item.get("kind", "Service") != "Service" or not read or graph.snapshot.unread(space, "Service"):
                continue
            named = ObjectRef("Service", str(item.get("name", "")), space)
            service, base = graph.get(named), f"/spec/rules/{index}/backendRefs/{place}"
            if service is None:
                there = tuple(sorted(name_of(s) for s in graph.all("Service") if namespace_of(s) == space))
                text = f"its backend {named} does not exist"
                return Wrong(f"{base}/name", text, there, _near(named.name, there), (named,))
            ports = [port.get("port") for port in each(service, "spec", "ports")]
            if item.get("port") not in ports:
                text = f"its backend {named} has no port {item.get('port')}"
                meant = ports[0] if len(ports) == 1 and isinstance(ports[0], int) else None
                return Wrong(f"{base}/port", text, tuple(str(port) for port in ports), meant, (named,))
    return None


def _finding(graph: Graph, held: Json, wrong: Wrong | None, told: list[Evidence]) -> Finding:
    why = wrong.text if wrong is not None else told[0].text
    pieces: list[Evidence] = []
    facts: dict[str, str] = {}
    if wrong is not None:
        text = f"{wrong.text}; there are: {', '.join(wrong.there[:10]) or 'none'}"
        pieces.append(evidence(held, wrong.path, graph.snapshot.time, text))
        facts = {"path": wrong.path, "why": wrong.text}
        if wrong.meant is not None:
            facts |= {"meant": str(wrong.meant), "is": "number" if isinstance(wrong.meant, int) else "text"}
    return Finding(
        fault="GWY-01",
        title=f"{ref(held)} is not served: {why}",
        object=ref(held),
        confidence=0.94 if wrong is not None else 0.85,
        evidence=(*pieces, *told[:4]),
        facts=facts,
        related=(*(wrong.related if wrong is not None else ()), *_around(graph, held)),
        explains=(ref(held), *(_attached(graph, held))),
        advice="Name a class, a Gateway, a Service and a port that exist, or make what is named.",
    )


def _around(graph: Graph, held: Json) -> tuple[ObjectRef, ...]:
    named = [
        ObjectRef("Service", str(item.get("name")), str(item.get("namespace") or namespace_of(held)))
        for rule in each(held, "spec", "rules")
        for item in each(rule, "backendRefs")
    ]
    return tuple(dict.fromkeys(one for one in named if graph.get(one) is not None))


def _attached(graph: Graph, gateway: Json) -> tuple[ObjectRef, ...]:
    return tuple(
        ref(route)
        for route in graph.all("HTTPRoute")
        if any(_parent(route, item) == ref(gateway) for item in each(route, "spec", "parentRefs"))
    )


_KINDS = ("Gateway", "GatewayClass", "HTTPRoute")
RULES = (Rule(fault="GWY-01", needs=("Service",), find=not_served, wants=_KINDS, about=_ABOUT),)

__all__ = ["RULES"]
