"""NET-01: a Service whose selector misses the pods it was meant for."""

import copy

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import Names


def selecting(selector: dict[str, str], names: Names = Names()) -> Diagnosis:  # noqa: B008  (a frozen value)
    """Return the diagnosis of a healthy workload behind a Service with this selector."""
    found = world.healthy(names)
    found.objects["Service"] = [world.service(names, selector)]
    return diagnose(found, Incident("nobody answers"))


@pytest.mark.parametrize(
    ("selector", "meant"),
    [
        ({"app": "payment-svc"}, {"app": "payment-service"}),
        ({"app": "paymentservice"}, {"app": "payment-service"}),
        ({"app.kubernetes.io/name": "payment-service"}, {"app": "payment-service"}),
        ({"app": "payment-service", "version": "v2"}, {"app": "payment-service"}),
    ],
)
def test_the_selector_is_repaired_by_one_label(selector: dict[str, str], meant: dict[str, str]) -> None:
    """A misspelt value, a wrong key, or a label too many: the pods' own labels say what was meant."""
    finding = selecting(selector).findings[0]

    assert {key[6:]: value for key, value in finding.facts.items() if key.startswith("meant:")} == meant
    assert finding.facts["workload"] == "Deployment/checkout/payment-service"


def test_a_service_that_comes_near_nothing_is_no_fault_of_its_own() -> None:
    """A selector that resembles no workload is a visible symptom without a known cause."""
    found = selecting({"app": "quite-different"}, Names(service="legacy"))

    assert found.findings == ()
    assert any("Service/checkout/legacy selects no pod" in text for text in found.unknown)


def test_a_service_of_a_workload_that_is_scaled_to_zero_is_well() -> None:
    """No pods are wanted, so nothing is missing."""
    found = copy.deepcopy(world.healthy())
    found.objects["Deployment"][0]["spec"]["replicas"] = 0
    found.objects["Deployment"][0]["status"] = {"availableReplicas": 0}
    found.objects["Pod"] = []

    assert diagnose(found, Incident("is it well?")).findings == ()
    assert diagnose(found, Incident("is it well?")).unknown == ()


def test_endpoints_that_somebody_else_wrote_are_endpoints() -> None:
    """A Service may have EndpointSlices of its own making; then it answers."""
    found = copy.deepcopy(world.wrong_selector())
    piece: Json = {
        "kind": "EndpointSlice",
        "metadata": world.meta("x", "checkout", labels={"kubernetes.io/service-name": "payment-service"}),
        "endpoints": [{"addresses": ["10.0.0.9"]}],
    }
    found.objects["EndpointSlice"] = [piece]

    assert diagnose(found, Incident("nobody answers")).findings == ()


def _two_candidates() -> Snapshot:
    found = world.healthy(Names(workload="payment-blue", service="payment"))
    other = world.healthy(Names(workload="payment-grey", service="payment"))
    for kind in ("Deployment", "ReplicaSet", "Pod"):
        found.objects[kind] += other.objects[kind]
    found.objects["Service"] = [world.service(Names(service="payment"), {"app": "payment"})]
    return found


def test_two_workloads_that_come_equally_near_leave_the_choice_to_a_person() -> None:
    """Where it is not clear which pods were meant, both are named and none is chosen."""
    finding = diagnose(_two_candidates(), Incident("nobody answers")).findings[0]

    assert not any(key.startswith("meant:") for key in finding.facts)
    assert "payment-blue" in finding.advice
    assert "payment-grey" in finding.advice
    assert finding.confidence <= 0.5


def test_a_headless_or_external_service_has_no_selector_to_miss() -> None:
    """Services without a selector, and ExternalName, are somebody else's business."""
    for spec in ({"ports": [{"port": 80}]}, {"type": "ExternalName", "selector": {"app": "x"}}):
        found = world.healthy()
        found.objects["Service"] = [
            {"kind": "Service", "metadata": world.meta("payment-service", "checkout"), "spec": spec}
        ]
        assert diagnose(found, Incident("nobody answers")).findings == ()
