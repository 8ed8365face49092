"""What the Gateway API sends where, before and after a change."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact.change import Change
from skyflo_runbooks.gateway.impact.routes import Backend, Parent, backends, parents
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import (
    Around,
    changed,
    created,
    deleted,
    level,
    lines,
    made,
    pod,
    service,
    told,
    workload,
)

API = "gateway.networking.k8s.io/v1"
PORT: dict[str, Any] = {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}


def to(name: str, **members: Any) -> Json:
    """A backend: a Service at port 80."""
    return {"name": name, "port": 80, **members}


def route(*sent: Json, name: str = "shop", gateway: Json | None = None, path: str = "/", **members: Any) -> Json:
    """An HTTPRoute of one rule for shop.example, attached to the Gateway `front`."""
    rules = [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": list(sent)}]
    spec = {"parentRefs": [gateway or {"name": "front"}], "hostnames": ["shop.example"], "rules": rules}
    return made("HTTPRoute", name, api=API, spec=spec, **members)


def gate(name: str = "front", *listeners: str, class_: str = "public") -> Json:
    """A Gateway with listeners of these names."""
    ports = [{"name": one, "port": 80, "protocol": "HTTP"} for one in listeners or ("web",)]
    return made("Gateway", name, api=API, spec={"gatewayClassName": class_, "listeners": ports})


def grant(name: str = "let", *, source: str, service_: str | None = None) -> Json:
    """A ReferenceGrant in namespace `other`: HTTPRoutes of `source` may send to its Services, or to one."""
    spec: Json = {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": source}],
        "to": [{"group": "", "kind": "Service", **({"name": service_} if service_ else {})}],
    }
    return made("ReferenceGrant", name, api="gateway.networking.k8s.io/v1beta1", namespace="other", spec=spec)


NS = route()["metadata"]["namespace"]
ELSEWHERE = to("far", namespace="other")
FAR = service("far", namespace="other", **PORT)


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (deleted(service()), f"HTTPRoute {NS}/shop (shop.example) would send to nothing", "high"),
        (
            changed(service(**PORT), spec__ports=[{"port": 81}]),
            f"HTTPRoute {NS}/shop (shop.example) sends to its port 80, which goes",
            "high",
        ),
        (
            changed(service(**PORT), metadata__labels={"a": "b"}),
            f"HTTPRoute {NS}/shop (shop.example) sends to it",
            "low",
        ),
        (
            changed(workload(), spec__replicas=0),
            f"Service web has NO endpoint left; behind it: HTTPRoute {NS}/shop (shop.example)",
            "high",
        ),
    ],
    ids=["deleted", "port", "label", "scaled to none"],
)
def test_what_lies_before_a_service(change: Change, said: str, risk: str) -> None:
    """As for an Ingress; a route of another Service is none of it."""
    around = Around(route(to("web")), route(to("cart"), name="cart"), pod("web-1"), service(**PORT))
    impact = told(change, around)
    assert said in lines(impact)
    assert "cart" not in lines(impact)
    assert level(impact) == risk


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (deleted(route(to("web"), path="/pay")), "No longer routed: shop.example/pay", "high"),
        (
            changed(route(to("web")), spec__hostnames=["new.example"]),
            "No longer routed: shop.example/",
            "high",
        ),
        (
            changed(route(to("web", weight=9), to("web-2", weight=1)), spec__rules=[{"backendRefs": [to("web-2")]}]),
            f"Service {NS}/web gets 0 % of what it sends (now 90 %)",
            "high",
        ),
        (
            changed(route(to("web", weight=9), to("web-2", weight=1)), spec__rules=route(
                to("web", weight=1), to("web-2", weight=1))["spec"]["rules"]),
            f"Service {NS}/web-2 gets 50 % of what it sends (now 10 %)",
            "medium",
        ),
        (created(route(to("web"))), f"Service {NS}/web gets 100 % of what it sends", "low"),
        (created(route(to("nobody"))), f"Service {NS}/nobody does not exist", "high"),
        (created(route(to("web", port=8080))), f"Service {NS}/web has no port 8080", "high"),
        (created(route(to("web"))), f"It is attached to Gateway {NS}/front", "low"),
        (created(route(to("web"), gateway={"name": "none"})), f"Gateway {NS}/none does not exist", "high"),
        (
            created(route(to("web"), gateway={"name": "front", "sectionName": "tls"})),
            f"Gateway {NS}/front, listener tls has no such listener",
            "high",
        ),
        (
            changed(route(to("web")), spec__parentRefs=[{"name": "inner"}]),
            f"It is no longer attached to Gateway {NS}/front",
            "high",
        ),
        (created(route(ELSEWHERE)), "No ReferenceGrant in other lets it send to Service far", "high"),
    ],
)  # fmt: skip
def test_a_route_that_changes(change: Change, said: str, risk: str) -> None:
    """What it answers to, where it sends, and who lets it."""
    around = Around(gate(), gate("inner"), service(**PORT), service("web-2", **PORT), FAR)
    impact = told(change, around)
    assert said in lines(impact)
    assert level(impact) == risk


@pytest.mark.parametrize(
    ("let", "lets"),
    [
        (grant(source=NS), True),
        (grant(source=NS, service_="far"), True),
        (grant(source=NS, service_="near"), False),
        (grant(source="elsewhere"), False),
    ],
)
def test_another_namespace_has_to_let_it(let: Json, lets: bool) -> None:
    """All its Services, or one by name."""
    impact = told(created(route(ELSEWHERE)), Around(gate(), FAR, let))
    assert ("No ReferenceGrant" in lines(impact)) != lets


def test_a_grant_that_goes_takes_the_way_of_its_routes() -> None:
    """Unless another one lets them as well."""
    around = (gate(), FAR, route(ELSEWHERE))
    gone = told(deleted(grant(source=NS)), Around(*around))
    assert f"HTTPRoute {NS}/shop (shop.example) may no longer send to Service far" in lines(gone)
    assert level(gone) == "high"
    kept = told(deleted(grant(source=NS)), Around(*around, grant("second", source=NS)))
    assert "may no longer" not in lines(kept)


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (deleted(gate()), f"Nothing comes in by it any more: HTTPRoute {NS}/shop (shop.example)", "high"),
        (deleted(gate("idle")), "no route is attached to it", "high"),
        (
            changed(gate("front", "web", "tls"), spec__listeners=[{"name": "web", "port": 80, "protocol": "HTTP"}]),
            f"Listener tls goes; attached there alone: HTTPRoute {NS}/shop (shop.example)",
            "high",
        ),
        (
            changed(gate(), spec__listeners=[{"name": "web", "port": 81, "protocol": "HTTP"}]),
            "Listener web changes",
            "medium",
        ),
        (
            changed(gate(), spec__gatewayClassName="inner"),
            "Another controller takes it over (class public → inner)",
            "high",
        ),
        (changed(gate(), metadata__labels={"a": "b"}), "1 route attached to it", "low"),
        (
            deleted(made("GatewayClass", "public", api=API, namespace="", spec={"controllerName": "x/y"})),
            f"Nobody serves Gateway {NS}/front any more",
            "high",
        ),
    ],
)
def test_a_gateway_that_changes(change: Change, said: str, risk: str) -> None:
    """Whoever is attached to it is named."""
    attached = route(to("web"), gateway={"name": "front", "sectionName": "tls"})
    impact = told(change, Around(attached, gate()))
    assert said in lines(impact)
    assert level(impact) == risk


def test_a_gateway_of_another_api_is_none_of_it() -> None:
    """Istio has a kind of that name."""
    other = made("Gateway", "front", api="networking.istio.io/v1", spec={"selector": {"istio": "ingress"}})
    assert "comes in by it" not in lines(told(deleted(other), Around(route(to("web")))))


def test_what_is_made_in_the_same_proposal_exists_by_then() -> None:
    """An apply of Gateway, Service and route, in that order."""
    made_too = [created(gate()).request, created(service(**PORT)).request]
    impact = told(created(route(to("web"))), Around(), *made_too)
    assert "does not exist" not in lines(impact)


def test_what_a_route_names_is_read_by_its_defaults() -> None:
    """Its own namespace, weight 1, a Service, a Gateway; what is something else is left out."""
    sent = [to("web"), to("far", namespace="other", weight=0), to("file", kind="Bucket", group="storage.example")]
    one = route(*sent, gateway={"name": "front", "sectionName": "web"})
    one["spec"]["parentRefs"].append({"group": "", "kind": "Service", "name": "web"})
    assert backends(one) == [Backend(NS, "web", 80, 1), Backend("other", "far", 80, 0)]
    assert parents(one) == [Parent(NS, "front", "web")]
