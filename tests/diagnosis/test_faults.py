"""Each fault is named first, with the right object and its evidence, whatever things are called; nothing else is."""

from collections.abc import Callable

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, RENAMED, Names

Build = Callable[[Names], Snapshot]
OBJECTS = {"NET-01": "Service"}


def looked(snapshot: Snapshot, text: str = "something is wrong, customers see errors") -> Diagnosis:
    """Return the diagnosis of a snapshot for vague words."""
    return diagnose(snapshot, Incident(text))


@pytest.mark.parametrize("names", [Names(), RENAMED], ids=["as-usual", "renamed"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_the_cause_is_named_with_its_object(fault: str, names: Names) -> None:
    """One finding, of the right fault and object, whose evidence has ids, sources and times."""
    found = looked(FAULTS[fault](names))

    assert [item.fault for item in found.findings] == [fault]
    finding = found.findings[0]
    kind = OBJECTS.get(fault, "Deployment")
    name = names.service if kind == "Service" else names.workload
    assert str(finding.object) == f"{kind}/{names.namespace}/{name}"
    assert finding.confidence >= 0.9
    assert [item.id for item in finding.evidence] == [f"e{number}" for number in range(1, len(finding.evidence) + 1)]
    assert all(item.source and item.at and item.text for item in finding.evidence)
    assert found.unknown == ()


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_symptoms_are_consequences_and_no_findings(fault: str) -> None:
    """What is visibly wrong hangs on the cause."""
    finding = looked(FAULTS[fault](Names())).findings[0]

    assert any("Service/checkout/payment-service" in text for text in finding.consequences)


@pytest.mark.parametrize(("fault", "down"), [("CON-07", True), ("NET-01", True), ("IMG-01", False)])
def test_a_report_is_a_consequence_only_where_something_is_down(fault: str, down: bool) -> None:
    """Errors that customers see are explained by a Service without enough pods, and else named as not explained."""
    found = looked(FAULTS[fault](Names()))

    assert down is any(
        "reported: “something is wrong, customers see errors”" in c for c in found.findings[0].consequences
    )
    assert down is not any("does not explain the report" in note for note in found.notes)


def test_a_good_moment_between_two_kills_explains_nothing_away() -> None:
    """Pods that were killed minutes ago and are ready just now do not serve fully: the report is a consequence."""
    found = looked(world.between_kills())

    assert [item.fault for item in found.findings] == ["CON-07"]
    assert any(text.startswith("reported: ") for text in found.findings[0].consequences)
    assert not any("does not explain the report" in note for note in found.notes)


@pytest.mark.parametrize("names", [Names(), RENAMED], ids=["as-usual", "renamed"])
def test_nothing_is_found_where_nothing_is_wrong(names: Names) -> None:
    """A healthy namespace has no finding, nothing unknown, and a sentence that says what is well."""
    found = looked(world.healthy(names))

    assert found.findings == ()
    assert found.unknown == ()
    assert found.healthy == (
        f"Deployment/{names.namespace}/{names.workload}: 3 of 3 replicas available, 3 pods Ready, 0 restarts",
    )


def test_two_faults_at_once_are_two_findings() -> None:
    """Independent causes stay apart, the one that the words name first."""
    first, second = world.oom_killed(Names()), world.wrong_image(RENAMED)
    both = Snapshot(
        time=world.NOW,
        objects={
            kind: [*first.objects.get(kind, []), *second.objects.get(kind, [])]
            for kind in {**first.objects, **second.objects}
        },
        elsewhere=(),
    )

    assert [item.fault for item in diagnose(both, Incident("otter does not start")).findings] == ["IMG-01"]
    assert [item.fault for item in looked(both).findings] == ["CON-07", "IMG-01"]
