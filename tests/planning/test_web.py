"""Where requests come in: named by the operator, routed by an Ingress, or asked by the kubelet; never invented."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.planning import plan
from skyflo_runbooks.planning.way import Probe, Web
from skyflo_runbooks.planning.web import entrance
from tests.diagnosis import world
from tests.planning.tries import Tries, checks_of

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


def logged(found: Snapshot, text: str, pod: int = 0) -> Snapshot:
    """Return the snapshot with a log of a pod."""
    name = found.objects["Pod"][pod]["metadata"]["name"]
    said = Log("checkout", name, "payment-service", previous=True, text=text)
    return msgspec.structs.replace(found, logs=(said,))


async def tried_in_vain(found: Snapshot, text: str = FLAGSHIP) -> tuple[str, bool]:
    """Return the path, and whether it is known to be one, where nothing answers."""
    web = await found_in(found, text, answering(None))
    assert web is not None
    return web.path, web.known


async def test_a_word_that_cannot_be_tried_now_is_not_known_to_be_a_path() -> None:
    """Nothing answers while all pods are down; "errors on checkout" may speak of a page, or of anything else."""
    assert await tried_in_vain(world.oom_killed()) == ("/checkout", False)


async def test_what_the_operator_wrote_as_a_path_is_one() -> None:
    """What was reported still has to work in the end."""
    said = "payment-service answers 500 to GET /checkout"

    assert await tried_in_vain(world.oom_killed(), said) == ("/checkout", True)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ('10.0.0.1 - "GET /checkout HTTP/1.1" 500', True),
        ("INFO POST /checkout?basket=7 500 41ms", True),
        ("INFO POST /checkouts 200 41ms", False),
        ("opened /var/run/checkout", False),
        ("see https://docs.example.com/checkout", False),
        ("checkout failed", False),
    ],
)
async def test_a_log_of_its_pods_knows_a_path(line: str, known: bool) -> None:
    """A server that wrote the path has it; a word, a file and another host's page are none of its own."""
    assert await tried_in_vain(logged(world.oom_killed(), line)) == ("/checkout", known)


async def test_an_ingress_or_a_probe_knows_a_path() -> None:
    """Somebody asks it every day."""
    routed = world.oom_killed()
    routed.objects["Ingress"] = [ingress("/checkout")]
    elsewhere = world.oom_killed()
    elsewhere.objects["Ingress"] = [ingress("/checkout", "storefront")]

    assert await tried_in_vain(routed) == ("/checkout", True)
    assert await tried_in_vain(with_probe_path(world.oom_killed(), "/checkout")) == ("/checkout", True)
    assert await tried_in_vain(elsewhere) == ("/checkout", False)


@pytest.mark.parametrize("path", ["/var/lib/data", "/etc/config.yaml", "/tmp"])
async def test_a_file_is_no_page(path: str) -> None:
    """No space left on a directory says nothing of what is served."""
    assert await found_in(world.oom_killed(), f"No space left on {path}", answering(None)) is None


async def test_a_page_that_nobody_knows_may_be_missing() -> None:
    """What is verified then is that an answer comes which is no error of the server."""
    found = world.oom_killed()
    words = Incident(FLAGSHIP)
    made = await plan(diagnose(found, words), words, found, Tries(), probe=answering(None))
    assert made is not None
    checks = checks_of(made)

    assert "http_ok" not in checks
    assert (checks["http_answers"]["path"], checks["http_answers"]["service"]) == ("/checkout", "payment-service")


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
