"""What traffic sees of a change."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact.network import routes
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from tests.gateway.impact.scenes import (
    Around,
    changed,
    container,
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

PODS = [pod("web-1"), pod("web-2", ready=False), pod("cart-1", app="cart")]


def slices(name: str, *ready: bool) -> Json:
    """The endpoints of a Service."""
    points = [{"conditions": {"ready": one}} for one in ready]
    return made("EndpointSlice", f"{name}-x", labels={"kubernetes.io/service-name": name}, endpoints=points)


def ingress(name: str, host: str, backend: str, path: str = "/", **members: Any) -> Json:
    """An Ingress of one route."""
    route = {"path": path, "backend": {"service": {"name": backend}}}
    return made("Ingress", name, spec={"rules": [{"host": host, "http": {"paths": [route]}}]}, **members)


def test_a_service_says_what_is_ready() -> None:
    """From its slices, those of one Service only."""
    around = Around(service(), service("other", app="other"), slices("web", True, False), slices("other", True))
    impact = told(changed(workload(), spec__template__spec={"containers": []}), around)
    assert "Service web (1 of 2 endpoints ready)" in impact.also_touched
    assert "Service other" not in lines(impact)


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (
            changed(workload(), spec__replicas=0),
            "Service web has NO endpoint left; behind it: Ingress shop (a.example)",
            "high",
        ),
        (changed(workload(replicas=2), spec__replicas=1), "Service web keeps its 1 ready endpoint", "medium"),
        (deleted(workload()), "Service web has NO endpoint left; behind it: Ingress shop (a.example)", "high"),
        (deleted(PODS[0]), "Service web has NO endpoint left", "high"),
        (deleted(PODS[1]), "Service web keeps its 1 ready endpoint", "high"),
        (
            changed(workload(), spec__template__metadata__labels={"app": "new"}),
            "Service web no longer selects its pods: their labels change",
            "high",
        ),
        (created(workload()), "Service web will also send to its pods", "low"),
    ],
)
def test_endpoints_that_go_away(change: Any, said: str, risk: str) -> None:
    """What is left follows from the pods that are ready."""
    impact = told(change, Around(service(), ingress("shop", "a.example", "web"), *PODS))
    assert said in lines(impact)
    assert level(impact) == risk


def test_other_pods_behind_the_service_stay() -> None:
    """A canary and the stable one share a Service."""
    around = Around(service(), *PODS, pod("stable-1"), pod("stable-2"))
    canary = workload(name="canary", spec={"selector": {"matchLabels": {"track": "canary"}}})
    canary["spec"]["template"]["metadata"]["labels"] = {"app": "web", "track": "canary"}
    one = pod("canary-1", labels={"app": "web", "track": "canary"})
    impact = told(deleted(canary), Around(*around.objects, one))
    assert "Service web loses 1 of its 4 ready endpoints" in impact.also_touched


def named(port: str) -> Json:
    """A pod whose container declares a port."""
    return pod("web-9", spec={"containers": [container(ports=[{"name": port, "containerPort": 8080}])]})


@pytest.mark.parametrize(
    ("members", "pods", "said", "risk"),
    [
        (
            {"spec__selector": {"app": "cart"}},
            PODS,
            "Service web will have 1 of 1 endpoint ready (now 1 of 2)",
            "low",
        ),
        (
            {"spec__selector": {"app": "nobody"}},
            PODS,
            "Service web will have 0 of 0 endpoints ready (now 1 of 2)",
            "high",
        ),
        ({"spec__selector": None}, PODS, "It selects no pods any more", "high"),
        ({"metadata__labels": {"a": "b"}}, PODS, "Service web (1 of 2 endpoints ready)", "low"),
        (
            {"spec__ports": [{"port": 80, "targetPort": "web"}]},
            [named("http")],
            "Port 80 leads to the named port 'web', which no container of its pods declares",
            "high",
        ),
        ({"spec__ports": [{"port": 81, "targetPort": 8080}]}, PODS, "It no longer listens on port 80", "high"),
        ({"spec__type": "ClusterIP"}, PODS, "its external address is given up", "high"),
    ],
)
def test_a_service_that_changes(members: dict[str, Any], pods: list[Json], said: str, risk: str) -> None:
    """Its endpoints are computed from the pods there are."""
    before = service(spec={"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": 8080}]})
    impact = told(changed(before, **members), Around(*pods, ingress("shop", "a.example", "web")))
    assert said in lines(impact)
    assert "Ingress shop (a.example) sends to it" in lines(impact)
    assert level(impact) == risk


def test_a_new_service_says_whom_it_will_find() -> None:
    """None is no alarm: its pods may come next."""
    impact = told(created(service(app="nobody", spec={"ports": []})), Around(*PODS))
    assert impact.also_touched == ("Service web will have 0 of 0 endpoints ready",)
    assert level(impact) == "low"


def test_a_deleted_service_takes_its_address_along() -> None:
    """And what routes to it sends to nothing."""
    impact = told(deleted(service()), Around(slices("web", True), ingress("shop", "a.example", "web")))
    assert "Service web goes with its address; 1 of 1 endpoints are ready now" in impact.also_touched
    assert "Ingress shop (a.example) would send to nothing" in impact.also_touched


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (deleted(ingress("shop", "a.example", "web")), "No longer routed: a.example/", "high"),
        (created(ingress("new", "b.example", "web")), "b.example/ goes to Service web", "low"),
        (
            created(ingress("new", "b.example", "missing")),
            "b.example/ goes to Service missing, which does not exist",
            "high",
        ),
        (
            created(ingress("new", "a.example", "web")),
            "Ingress shop/shop routes a.example/ too: which one wins is up to the controller",
            "medium",
        ),
    ],
)
def test_an_ingress(change: Any, said: str, risk: str) -> None:
    """Addresses that go, routes that lead nowhere, and two for one address."""
    impact = told(change, Around(service(), ingress("shop", "a.example", "web")))
    assert said in lines(impact)
    assert level(impact) == risk


def test_a_service_of_the_same_proposal_exists_by_then() -> None:
    """An apply of a Service and its Ingress together is no dead route."""
    change = created(ingress("new", "b.example", "cart"))
    impact = told(change, Around(), Request("create", ObjectRef("Service", "cart", "shop"), "/", {}))
    assert "b.example/ goes to Service cart" in impact.also_touched


def test_the_default_backend_is_a_route() -> None:
    """For any host."""
    assert routes({"spec": {"defaultBackend": {"service": {"name": "web"}}}}) == [("*", "/", "web")]


NAMED: Json = {"from": [{"podSelector": {}}]}


def policy(name: str, app: str, **spec: Any) -> Json:
    """A NetworkPolicy about the pods of an application."""
    return made("NetworkPolicy", name, spec={"podSelector": {"matchLabels": {"app": app}}, **spec})


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (created(policy("deny", "web")), [], "It holds for 2 pods now there: web-1, web-2", "high"),
        (created(policy("deny", "web")), [], "Ingress: nothing is let through", "high"),
        (
            created(policy("some", "web", ingress=[NAMED, NAMED])),
            [],
            "Ingress: 2 rules let through what they name",
            "low",
        ),
        (created(policy("one", "web", ingress=[{"ports": [{"port": 80}]}])), [], "Ingress: 1 rule lets through", "low"),
        (created(policy("all", "web", ingress=[{}])), [], "a rule that names nobody lets everybody through", "medium"),
        (created(policy("out", "web", egress=[{}])), [], "Egress: a rule that names nobody lets everybody", "high"),
        (created(policy("out", "cart", policyTypes=["Egress"])), [], "Egress: nothing is let through", "high"),
        (created(policy("none", "x", ingress=[{}])), [], "It holds for no pod that is there now", "low"),
        (deleted(policy("deny", "web")), [], "no policy is left for 2 pods: open to all", "high"),
        (
            deleted(policy("deny", "web")),
            [policy("deny", "web"), policy("all", "web")],
            "It no longer holds for 2 pods: web-1, web-2",
            "high",
        ),
        (
            changed(workload(), spec__template__metadata__labels={"app": "new"}),
            [policy("deny", "web"), policy("new", "new")],
            "NetworkPolicy deny no longer holds for its pods",
            "medium",
        ),
    ],
)
def test_network_policies(change: Any, around: list[Json], said: str, risk: str) -> None:
    """Which pods one isolates, and which it leaves open."""
    impact = told(change, Around(*PODS, *around))
    assert said in lines(impact)
    assert level(impact) == risk


@pytest.mark.parametrize(("kind", "level_"), [("LoadBalancer", "medium"), ("NodePort", "medium"), ("ClusterIP", "low")])
def test_a_way_in_from_outside_is_said(kind: str, level_: str) -> None:
    """A Service that opens one, new or changed."""
    impact = told(created(service(spec={"type": kind, "ports": []})), Around(*PODS))
    assert ("It can be reached from outside" in lines(impact)) is (level_ == "medium")
    assert level(impact) == level_
