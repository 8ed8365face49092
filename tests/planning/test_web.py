"""Where requests come in: named by the operator, routed by an Ingress, or asked by the kubelet; never invented."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.planning.way import Probe, Web
from skyflo_runbooks.planning.web import entrance
from tests.diagnosis import world

FLAGSHIP = (
    "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."
)


def answering(status: int | None) -> Probe:
    """Return a probe that always comes to this status."""

    async def probe(namespace: str, service: str, path: str) -> int | None:
        assert (namespace, service) == ("checkout", "payment-service")
        assert path.startswith("/")
        return status

    return probe


def with_probe_path(found: Snapshot, path: str) -> Snapshot:
    """Return the snapshot with a readiness probe in the template."""
    made = copy.deepcopy(found)
    spec = made.objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    spec["readinessProbe"] = {"httpGet": {"path": path, "port": "http"}}
    return made


def ingress(path: str, service: str = "payment-service") -> Json:
    """Return an Ingress that routes a path to a Service."""
    backend = {"service": {"name": service, "port": {"number": 80}}}
    rules = [{"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]
    return {"kind": "Ingress", "metadata": world.meta("shop", "checkout"), "spec": {"rules": rules}}


async def found_in(found: Snapshot, text: str, probe: Probe | None = None) -> Web | None:
    """Return where requests come in for the snapshot's first finding."""
    incident = Incident(text)
    return await entrance(Graph(found), diagnose(found, incident).findings[0], incident, probe)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (FLAGSHIP, "/checkout"),
        ("GET /api/v2/orders gives 502 since noon", "/api/v2/orders"),
        ("timeouts on the basket page", "/basket"),
    ],
)
async def test_the_operators_path_is_asked(text: str, path: str) -> None:
    """What was reported to fail is what has to work."""
    assert await found_in(world.oom_killed(), text, answering(500)) == Web(
        "payment-service", path, None, "the incident"
    )


async def test_a_path_that_the_service_does_not_have_is_not_taken() -> None:
    """A word of the incident that is no path of the service gives way to the readiness probe."""
    found = with_probe_path(world.oom_killed(), "/healthz")

    assert await found_in(found, FLAGSHIP, answering(404)) == Web(
        "payment-service", "/healthz", None, "the readiness probe"
    )


async def test_a_path_that_cannot_be_tried_now_is_taken_at_the_operators_word() -> None:
    """Nothing answers while all pods are down; what was reported still has to work in the end."""
    web = await found_in(world.oom_killed(), FLAGSHIP, answering(None))

    assert web is not None
    assert web.path == "/checkout"


async def test_an_ingress_comes_before_the_readiness_probe() -> None:
    """What the outside asks says more than what the kubelet asks."""
    found = with_probe_path(world.oom_killed(), "/healthz")
    found.objects["Ingress"] = [ingress("/other", "storefront"), ingress("/pay")]

    assert await found_in(found, "pods restart") == Web("payment-service", "/pay", None, "Ingress shop")


async def test_without_any_evidence_there_is_no_path() -> None:
    """A root path would be a guess."""
    assert await found_in(world.oom_killed(), "pods restart") is None


async def test_without_a_service_nothing_can_be_asked() -> None:
    """Workloads that serve nobody are judged by their pods."""
    found = with_probe_path(world.oom_killed(), "/healthz")
    found.objects["Service"] = []

    assert await found_in(found, FLAGSHIP, answering(200)) is None


async def test_of_several_ports_the_one_that_speaks_http_is_asked() -> None:
    """A metrics or gRPC port is not where customers come in."""
    found = with_probe_path(world.oom_killed(), "/healthz")
    found.objects["Service"][0]["spec"]["ports"] = [{"name": "grpc", "port": 9000}, {"name": "http", "port": 80}]

    web = await found_in(found, "pods restart")

    assert web is not None
    assert web.port == 80


async def test_the_operators_word_is_about_what_they_asked_for() -> None:
    """A Service of another namespace, which what they asked for depends on, need not have that page."""
    elsewhere = msgspec.structs.replace(world.oom_killed(), namespaces=("shop",))

    assert await found_in(elsewhere, FLAGSHIP, answering(None)) is None
