"""What could not be read is unknown, never healthy; what nothing explains is named."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, diagnose
from skyflo_runbooks.model.incident import Incident
from tests.diagnosis import world
from tests.diagnosis.world import Names

WORDS = Incident("payment-service in the checkout namespace is slow")


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "Service", "EndpointSlice", "ReplicaSet", "Node"])
def test_a_refused_list_is_unknown_and_not_healthy(kind: str) -> None:
    """Where a list that a rule needs was refused, nothing is called healthy and the refusal is said."""
    found = diagnose(world.without(world.healthy(), kind), WORDS)

    assert found.healthy == ()
    assert any(f"{kind} in namespace checkout could not be read: forbidden" in text for text in found.unknown)


def test_a_refused_list_that_no_rule_needs_is_a_note() -> None:
    """A refused read beside the point does not make the answer unknown, and is still said."""
    found = diagnose(world.without(world.healthy(), "PodDisruptionBudget"), WORDS)

    assert found.unknown == ()
    assert found.healthy
    assert found.notes == ("PodDisruptionBudget in namespace checkout could not be read: forbidden.",)


def test_findings_stand_beside_what_is_unknown() -> None:
    """A cause that the evidence shows is named even where something else was refused."""
    found = diagnose(world.without(world.oom_killed(), "Node"), WORDS)

    assert [item.fault for item in found.findings] == ["CON-07"]
    assert found.unknown


def test_an_unexplained_crash_loop_is_unknown() -> None:
    """A symptom that no rule explains is neither a finding nor healthy."""
    names = Names()
    spec = world.container(names, "payment-svc:v2.4.0")
    pods = [world.pod(names, spec, world.ended(2, "Error", restarts=9), number=1)]
    objects = [world.deployment(names, spec, replicas=1), world.replica_set(names, spec, 1), *pods]

    found = diagnose(world.snapshot(objects), WORDS)

    assert found.findings == ()
    assert found.healthy == ()
    assert any("CrashLoopBackOff; no rule knows the cause" in text for text in found.unknown)


def test_a_healthy_object_is_said_to_be_healthy_beside_anothers_failure() -> None:
    """A question about a healthy thing is answered; the failing neighbour is named and explained."""
    ill = world.oom_killed(Names(workload="ledger", service="ledger", container="ledger"))
    well = world.healthy()
    both = {kind: [*ill.objects.get(kind, []), *well.objects.get(kind, [])] for kind in {**ill.objects, **well.objects}}

    found = diagnose(msgspec.structs.replace(well, objects=both), WORDS)

    assert [str(item.object) for item in found.findings] == ["Deployment/checkout/ledger"]
    assert [text.split(":")[0] for text in found.healthy] == ["Deployment/checkout/payment-service"]


@pytest.mark.parametrize("kind", ["Pod", "EndpointSlice"])
def test_absence_that_was_not_read_is_no_evidence(kind: str) -> None:
    """A selector is not called wrong, nor a Service empty, where its pods or endpoints were refused."""
    found = diagnose(world.without(world.wrong_selector(), kind), WORDS)

    assert found.findings == ()
    assert not any("no rule knows" in text for text in found.unknown) or kind == "EndpointSlice"
    assert any("forbidden" in text for text in found.unknown)


def test_nothing_at_all_was_read() -> None:
    """A snapshot that is all gaps is unknown."""
    empty = msgspec.structs.replace(world.snapshot([]), gaps=(Gap("Pod", "", "no answer within 20 s"),))

    found = diagnose(empty, WORDS)

    assert found.unknown == ("Pod could not be read: no answer within 20 s",)
    assert found.healthy == ()
