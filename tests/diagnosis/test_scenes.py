"""Each fault of the other families is named alone, with its object, whatever things are called."""

import pytest

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.model.incident import Incident
from tests.diagnosis.added import ADDED_SCENES
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import RENAMED, Names

WORDS = Incident("something is wrong")
ALL = SCENES | ADDED_SCENES


@pytest.mark.parametrize("names", [Names(), RENAMED], ids=["as-usual", "renamed"])
@pytest.mark.parametrize("fault", sorted(ALL))
def test_the_cause_is_named_alone(fault: str, names: Names) -> None:
    """One finding, of the right fault and object, with evidence; nothing stays unexplained."""
    build, kind, name = ALL[fault]
    found = diagnose(build(names), WORDS)

    assert [item.fault for item in found.findings] == [fault]
    subject = found.findings[0].object
    assert (subject.kind, subject.name) == (kind, getattr(names, name, name))
    assert all(item.source and item.text and item.at for item in found.findings[0].evidence)
    assert found.unknown == ()
