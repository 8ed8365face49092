"""What a workload asks in another namespace: read where it is not well, and felt where it is asked."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.dependencies import ASKED, MOST, asked
from skyflo_runbooks.diagnosis.snapshot import Gap
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.test_take import Memory
from tests.diagnosis.world import Names

FRONT = Names(namespace="shop", workload="web", service="web", container="web", image="web")
BACK = Names()
URL = "http://payment-service.checkout.svc.cluster.local:80/pay"


def endpoints(names: Names, *ready: bool) -> Json:
    """The slice of a Service."""
    labels = {"kubernetes.io/service-name": names.service}
    return {
        "kind": "EndpointSlice",
        "metadata": world.meta(f"{names.service}-x1", names.namespace, labels=labels),
        "endpoints": [{"conditions": {"ready": one}} for one in ready],
    }


def two(*, value: str = URL, ready: tuple[bool, ...] = (False, False), spec: Json | None = None) -> Snapshot:
    """A shop that is well asks a Service of another namespace, behind which nothing gets its image."""
    held: Json = {"env": [{"name": "PAY_URL", "value": value}]} | (spec or {})
    behind = copy.deepcopy(world.wrong_image(BACK))
    del behind.objects["Pod"][:3]
    behind.objects["Deployment"][0]["status"]["availableReplicas"] = 0
    kinds = ("Deployment", "ReplicaSet", "Pod", "Service")
    back = [item for kind in kinds for item in behind.objects[kind]]
    config = {
        "kind": "ConfigMap",
        "metadata": world.meta("settings", "shop", managedFields=[]),
        "data": {"pay": URL, "other": "x"},
    }
    front = scenes.serving(FRONT, **held)
    slices = [endpoints(FRONT, True, True), endpoints(BACK, *ready)]
    return world.snapshot([*front, world.service(FRONT), config, *back, *slices])


async def look(found: Snapshot, **errors: Exception) -> tuple[Memory, Diagnosis]:
    """Read the shop alone, and diagnose it."""
    reader = Memory(found, errors=errors)
    taken = await take(reader, ["shop"])
    return reader, diagnose(taken, Incident("the shop answers with 502 errors", ("shop",)))


async def test_a_cause_is_found_where_what_is_asked_stands() -> None:
    """It is felt by who asks, and says by which variable."""
    _, answer = await look(two())

    (finding,) = answer.findings
    assert (finding.fault, str(finding.object)) == ("IMG-01", "Deployment/checkout/payment-service")
    assert "Deployment/shop/web asks Service/checkout/payment-service by PAY_URL" in finding.consequences
    assert "Deployment/shop/web" in map(str, finding.explains)
    assert answer.unknown == ()


@pytest.mark.parametrize(
    "spec",
    [
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "pay"}}}]},
        {"envFrom": [{"configMapRef": {"name": "settings"}}]},
        {"env": [{"name": "A", "value": "kafka://user@payment-service.checkout:9092,other.elsewhere:9092"}]},
    ],
)
async def test_it_is_asked_by_any_value_that_can_be_read(spec: Json) -> None:
    """Outright, by a key of a ConfigMap, by all of its keys, or as one of several."""
    _, answer = await look(two(spec=spec))

    assert [one.fault for one in answer.findings] == ["IMG-01"]


async def test_a_service_that_is_well_costs_two_lists() -> None:
    """And nothing of its namespace is kept: its other workloads are nobody's here."""
    reader, answer = await look(two(ready=(True,)))

    assert {kind for kind, space in reader.asked if space == "checkout"} == {"Service", "EndpointSlice"}
    assert answer.findings == ()


@pytest.mark.parametrize("value", ["http://payment-service:80", "https://payment-service.example.com/", "checkout", ""])
async def test_what_names_no_namespace_is_not_followed(value: str) -> None:
    """A Service of one's own namespace, a host of the internet, any word."""
    reader, answer = await look(two(value=value))

    assert not [one for one in reader.asked if one[1] == "checkout"]
    assert answer.findings == ()


async def test_other_trouble_there_is_not_ones_own() -> None:
    """What stands before no Service that is asked is left to who asks about it."""
    found = two()
    found.objects["Service"][1]["spec"]["selector"] = {"app": "something-else"}
    reader, answer = await look(found)

    assert ("Pod", "checkout") in reader.asked
    assert [(one.fault, str(one.object)) for one in answer.findings] == []


async def test_a_refused_read_there_is_said_and_makes_nothing_unknown() -> None:
    """Nobody asked for that namespace; that it was not looked at is a note."""
    refused = NotAllowed("services is forbidden")

    class Refusing(Memory):
        async def _wait(self, kind: str) -> None:
            await super()._wait(kind)
            if self.asked and self.asked[-1][1] == "checkout":
                raise refused

    taken = await take(Refusing(two()), ["shop"])
    answer = diagnose(taken, Incident("the shop answers with 502 errors", ("shop",)))

    assert Gap(ASKED, "checkout", "services is forbidden") in taken.gaps
    assert (answer.findings, answer.unknown) == ((), ())
    assert any(ASKED in note for note in answer.notes)


async def test_few_namespaces_are_read() -> None:
    """Whoever names very many does not make every question one of the whole cluster."""
    names = [f"n{number}" for number in range(9)]
    found = two(spec={"env": [{"name": f"U{name}", "value": f"http://api.{name}.svc"} for name in names]})
    found.objects["Namespace"] += [{"kind": "Namespace", "metadata": world.meta(name)} for name in names]
    reader, _ = await look(found)

    assert len({space for _, space in reader.asked if space in names}) == MOST


def test_the_whole_cluster_has_no_elsewhere() -> None:
    """Where all was read the words decide what is first."""
    everywhere = msgspec.structs.replace(two(), namespaces=())

    assert list(asked(everywhere.objects, ())) == []
    (finding,) = diagnose(everywhere, Incident("?")).findings
    assert not any("asks" in one for one in finding.consequences)
