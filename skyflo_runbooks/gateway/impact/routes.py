"""What the Gateway API sends where: routes, the Services behind them, the Gateways before them. Pure.

Rules:
  1. A route sends to the backends of its rules, in its own namespace where none is named. One in another namespace
     needs a ReferenceGrant there (https://gateway-api.sigs.k8s.io/api-types/referencegrant/).
  2. A route is attached to the Gateways that its parentRefs name, at one listener where `sectionName` says so. What is
     attached to no listener is reached by nobody from there.
  3. Shares of traffic are weights beside one another; without a weight it is 1, and with 0 nothing is sent.
"""

from collections.abc import Iterable
from typing import NamedTuple

from skyflo_runbooks.diagnosis.pods import each, name_of, namespace_of, whole
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, listed, medium, plural, some, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact

GROUP = "gateway.networking.k8s.io"
KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")


class Backend(NamedTuple):
    """A Service that a route sends to, at a port, with a weight."""

    namespace: str
    name: str
    port: int
    weight: int


class Parent(NamedTuple):
    """A Gateway that a route is attached to; an empty listener is all of them."""

    namespace: str
    name: str
    listener: str


def needs(change: Change) -> Iterable[Need]:
    """The routes of all namespaces for what they lead to; for a route what it leads to, and what lets it."""
    if change.kind == "Service" and not change.creates:
        yield from map(Need, KINDS)
    elif change.kind in KINDS and _ours(change):
        yield from (Need("Service"), Need("Gateway"))
        if any(one.namespace != change.namespace for one in backends(change.will)):
            yield Need("ReferenceGrant")
    elif change.kind in ("Gateway", "ReferenceGrant") and _ours(change):
        yield from map(Need, KINDS)
        if change.kind == "ReferenceGrant":
            yield Need("ReferenceGrant", change.namespace)
    elif change.kind == "GatewayClass" and _ours(change):
        yield Need("Gateway")


def said(change: Change, scene: Scene) -> Impact:
    """Say what is no longer reached, and where it goes instead."""
    if change.kind == "Service" and not change.creates:
        return touched(_service(change, scene))
    questions = {"Gateway": _gateway, "GatewayClass": _class, "ReferenceGrant": _grant}
    ask = _route if change.kind in KINDS else questions.get(change.kind)
    return touched(ask(change, scene)) if ask is not None and _ours(change) else Impact()


def backends(route: Json) -> list[Backend]:
    """Return the Services that a route sends to, by rule 1."""
    named = [one for rule in each(route, "spec", "rules") for one in each(rule, "backendRefs")]
    return [
        Backend(
            str(one.get("namespace") or namespace_of(route)),
            str(one.get("name") or ""),
            whole(one, "port"),
            max(0, whole(one, "weight", default=1)),
        )
        for one in named
        if (one.get("group") or "", one.get("kind") or "Service") == ("", "Service")
    ]


def parents(route: Json) -> list[Parent]:
    """Return the Gateways that a route is attached to, by rule 2."""
    return [
        Parent(
            str(one.get("namespace") or namespace_of(route)), str(one.get("name")), str(one.get("sectionName") or "")
        )
        for one in each(route, "spec", "parentRefs")
        if (one.get("group") or GROUP, one.get("kind") or "Gateway") == (GROUP, "Gateway")
    ]


def leading_to(scene: Scene, namespace: str, service: str) -> list[str]:
    """Return the routes that send to a Service, by kind, place and hosts."""
    return [
        _called(route)
        for route in _routes(scene)
        if any((one.namespace, one.name) == (namespace, service) for one in backends(route))
    ]


def _ours(change: Change) -> bool:
    """Return whether the object is the Gateway API's: others have a Gateway, too."""
    version = str(change.live.get("apiVersion") or change.ref.api_version or "")
    return version.partition("/")[0] == GROUP


def _routes(scene: Scene) -> list[Json]:
    return [route for kind in KINDS for route in scene.of(kind)]


def _called(route: Json) -> str:
    hosts = [str(host) for host in listed(route, "spec", "hostnames")]
    return f"{route.get('kind')} {namespace_of(route)}/{name_of(route)}" + (f" ({some(hosts)})" if hosts else "")


def _service(change: Change, scene: Scene) -> Lines:
    mine = leading_to(scene, change.namespace, change.name)
    if not mine:
        return
    if change.deletes:
        yield high(f"{some(mine)} would send to nothing", "a route leads to a Service that goes")
        return
    yield Line(f"{some(mine)} {'sends' if len(mine) == 1 else 'send'} to it")
    sides = (change.was, change.will or change.was)
    before, after = ({whole(port, "port") for port in each(side, "spec", "ports")} for side in sides)
    for route in _routes(scene):
        asked = {one.port for one in backends(route) if one[:2] == (change.namespace, change.name)}
        lost = sorted(str(port) for port in asked & before - after)
        if lost:
            yield high(
                f"{_called(route)} sends to its port {some(lost)}, which goes", "a route leads to a port that goes"
            )


def _route(change: Change, scene: Scene) -> Lines:
    if change.deletes:
        yield high(f"No longer routed: {some(_addresses(change.was))}", "addresses are no longer served")
        return
    gone = [one for one in _addresses(change.was) if one not in _addresses(change.will)] if change.was else []
    if gone:
        yield high(f"No longer routed: {some(gone)}", "addresses are no longer served")
    yield from _shares(change)
    yield from _missing(change, scene)
    yield from _attached(change, scene)


def _addresses(route: Json) -> list[str]:
    """Return what a route answers to: each host with each path (or what else is matched); `*` for any host."""
    hosts = [str(host) for host in listed(route, "spec", "hostnames")] or ["*"]
    matches = [one for rule in each(route, "spec", "rules") for one in each(rule, "matches") or [{}]]
    places = [str(at(one, "path", "value") or at(one, "method", "service") or "/") for one in matches] or ["/"]
    return list(dict.fromkeys(host + place for host in hosts for place in places))


def _shares(change: Change) -> Lines:
    """Say how the traffic of each Service changes, by rule 3."""
    was, will = _share(change.was), _share(change.will)
    for name in dict.fromkeys((*was, *will)):
        before, after = was.get(name, 0), will.get(name, 0)
        if change.was and before != after:
            text = f"Service {name} gets {after} % of what it sends (now {before} %)"
            yield medium(text, "traffic goes elsewhere") if after else high(text, "a Service gets no traffic any more")
        elif not change.was:
            yield Line(f"Service {name} gets {after} % of what it sends")


def _share(route: Json) -> dict[str, int]:
    """Return the share of each Service in per cent, over the rules alike."""
    rules = [{**route, "spec": {"rules": [rule]}} for rule in each(route, "spec", "rules")]
    found: dict[str, float] = {}
    for rule in rules:
        sent = backends(rule)
        total = sum(one.weight for one in sent)
        for one in sent:
            name = f"{one.namespace}/{one.name}"
            found[name] = found.get(name, 0) + (one.weight / total / len(rules) if total else 0)
    return {name: round(100 * share) for name, share in found.items()}


def _missing(change: Change, scene: Scene) -> Lines:
    """Say which backend is not there, has no such port, or may not be sent to."""
    made = {(one.target.namespace, one.target.name) for one in scene.requests if one.target.kind == "Service"}
    for one in dict.fromkeys(backends(change.will)):
        service, place = scene.one("Service", one.name, one.namespace), f"{one.namespace}/{one.name}"
        if service is None and scene.knows("Service") and (one.namespace, one.name) not in made:
            yield high(f"Service {place} does not exist", "a route leads to a Service that does not exist")
        elif service is not None and one.port not in [whole(port, "port") for port in each(service, "spec", "ports")]:
            yield high(f"Service {place} has no port {one.port}", "a route leads to a port that does not exist")
        grants = scene.of("ReferenceGrant", one.namespace)
        asks = one.namespace != change.namespace and scene.knows("ReferenceGrant")
        if asks and not any(_grants(grant, change.ref, one.name) for grant in grants):
            text = f"No ReferenceGrant in {one.namespace} lets it send to Service {one.name}"
            yield high(text, "a route may not send to its backend")


def _attached(change: Change, scene: Scene) -> Lines:
    """Say which Gateways a route leaves and comes to, by rule 2."""
    was, will = parents(change.was), parents(change.will)
    for one in was:
        if one not in will:
            yield high(f"It is no longer attached to Gateway {_gate(one)}", "addresses are no longer served there")
    for one in will:
        gateway = scene.one("Gateway", one.name, one.namespace)
        if gateway is None:
            made = any((r.target.kind, r.target.name) == ("Gateway", one.name) for r in scene.requests)
            if scene.knows("Gateway") and not made:
                yield high(f"Gateway {_gate(one)} does not exist", "a route is attached to nothing")
        elif one.listener and one.listener not in _listeners(gateway):
            yield high(f"Gateway {_gate(one)} has no such listener", "a route is attached to nothing")
        elif one not in was:
            yield Line(f"It is attached to Gateway {_gate(one)}")


def _gate(parent: Parent) -> str:
    listener = f", listener {parent.listener}" if parent.listener else ""
    return f"{parent.namespace}/{parent.name}{listener}"


def _listeners(gateway: Json) -> dict[str, Json]:
    return {str(one.get("name")): one for one in each(gateway, "spec", "listeners")}


def _gateway(change: Change, scene: Scene) -> Lines:
    here = (change.namespace, change.name)
    attached = [(route, one) for route in _routes(scene) for one in parents(route) if one[:2] == here]
    called = list(dict.fromkeys(_called(route) for route, _ in attached))
    if change.deletes:
        behind = f": {some(called)}" if called else "; no route is attached to it"
        yield high(f"Nothing comes in by it any more{behind}", "addresses are no longer served")
        return
    was, will = _listeners(change.was), _listeners(change.will)
    for name in was:
        lost = [_called(route) for route, one in attached if one.listener == name or not will]
        if name not in will:
            by = f"; attached there alone: {some(lost)}" if lost else ""
            yield high(f"Listener {name} goes{by}", "addresses are no longer served")
        elif was[name] != will[name]:
            yield medium(f"Listener {name} changes", "how it is reached changes")
    if change.was and change.differs("spec", "gatewayClassName"):
        now, then = (at(side, "spec", "gatewayClassName") for side in (change.was, change.will))
        yield high(
            f"Another controller takes it over (class {now} → {then}): its address may change", "its address may change"
        )
    if called:
        yield Line(f"{plural(len(called), 'route')} attached to it: {some(called)}")


def _class(change: Change, scene: Scene) -> Lines:
    gates = [
        f"{namespace_of(one)}/{name_of(one)}"
        for one in scene.of("Gateway")
        if at(one, "spec", "gatewayClassName") == change.name
    ]
    if gates and change.deletes:
        yield high(f"Nobody serves Gateway {some(gates)} any more", "it concerns every Gateway of the class")
    elif gates and change.differs("spec"):
        yield high(f"It is the class of Gateway {some(gates)}", "it concerns every Gateway of the class")


def _grant(change: Change, scene: Scene) -> Lines:
    """Say which routes may no longer send into the namespace of a grant, by rule 1."""
    others = [one for one in scene.of("ReferenceGrant", change.namespace) if name_of(one) != change.name]
    after = [] if change.deletes else [change.will]
    for route in _routes(scene):
        ref = ObjectRef(str(route.get("kind")), name_of(route), namespace_of(route))
        for one in dict.fromkeys(backends(route)):
            if one.namespace != change.namespace or ref.namespace == change.namespace:
                continue
            let = any(_grants(grant, ref, one.name) for grant in [*others, *after])
            if not let and _grants(change.was, ref, one.name):
                yield high(
                    f"{_called(route)} may no longer send to Service {one.name}", "a route may not send to its backend"
                )


def _grants(grant: Json, route: ObjectRef, service: str) -> bool:
    """Return whether a ReferenceGrant lets a route send to a Service of its namespace."""
    asked = (GROUP, route.kind, route.namespace)
    froms = [(one.get("group"), one.get("kind"), one.get("namespace")) for one in each(grant, "spec", "from")]
    lets = asked in froms
    return lets and any(
        (one.get("group") or "", one.get("kind")) == ("", "Service") and one.get("name") in (None, "", service)
        for one in each(grant, "spec", "to")
    )
