"""Laws of a diagnosis: it reads anything, the order of a list means nothing, and the same gives the same."""

import copy
import random
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.rules import RULES
from skyflo_runbooks.diagnosis.snapshot import dump, load
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.planning import plan
from tests.diagnosis import world
from tests.diagnosis.added import ADDED_SCENES
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import FAULTS, Names
from tests.planning.tries import Tries

WORDS = Incident("payment-service in the checkout namespace answers with errors")
BUILDS = FAULTS | {fault: scene[0] for fault, scene in (SCENES | ADDED_SCENES).items()}
WORLDS = sorted(BUILDS)


def _places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the path of every member below the names of objects, which every object has."""
    found: list[tuple[str | int, ...]] = []
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        here = (*path, key)
        if here[-1] not in ("name", "namespace", "metadata", "kind"):
            found.append(here)
        found += _places(member, here)
    return found


def _put(found: Snapshot, path: tuple[str | int, ...], value: object) -> None:
    parent: object = found.objects
    for key in path[:-1]:
        parent = parent[key]  # type: ignore[index]
    parent[path[-1]] = value  # type: ignore[index]


@pytest.mark.parametrize("fault", WORLDS)
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
async def test_half_written_objects_break_nothing(fault: str, seed: int) -> None:
    """Any member may be null or of another type: the answer may be less, and it is an answer and a plan."""
    chooser = random.Random(seed)
    found = load(dump(BUILDS[fault](Names())))
    kept = [path for path in _places(found.objects) if len(path) > 2]
    for path in chooser.sample(kept, 3):
        try:
            _put(found, path, chooser.choice((None, 3, "x", {}, [])))
        except (TypeError, KeyError, IndexError):
            continue  # a member of something that was replaced already

    answer = diagnose(found, WORDS)

    made = await plan(answer, WORDS, found, Tries(), insist=True)
    assert made is not None
    assert made.findings == answer.findings


@pytest.mark.parametrize("fault", WORLDS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_lists_means_nothing(fault: str, seed: int) -> None:
    """The API server lists in any order; cause, object and facts are the same."""
    found = BUILDS[fault](Names())
    mixed = {kind: list(items) for kind, items in found.objects.items()}
    for items in mixed.values():
        random.Random(seed).shuffle(items)

    one = diagnose(found, WORDS).findings
    other = diagnose(msgspec.structs.replace(found, objects=mixed), WORDS).findings

    assert [(item.fault, item.object, item.facts) for item in one] == [
        (item.fault, item.object, item.facts) for item in other
    ]


@pytest.mark.parametrize("fault", WORLDS)
def test_a_diagnosis_is_a_function_of_its_snapshot(fault: str) -> None:
    """Twice the same, and the snapshot is left as it was."""
    found = BUILDS[fault](Names())
    before = copy.deepcopy(found)

    assert diagnose(found, WORDS) == diagnose(found, WORDS)
    assert found == before


@pytest.mark.parametrize("fault", WORLDS)
def test_a_saved_snapshot_is_diagnosed_alike(fault: str) -> None:
    """Later and elsewhere the answer is the same, to the letter."""
    found = BUILDS[fault](Names())

    assert diagnose(load(dump(found)), WORDS) == diagnose(found, WORDS)


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_words_never_decide_the_cause(text: str) -> None:
    """Whatever is said, a healthy cluster has no finding, and the OOM kill is no other fault."""
    assert diagnose(world.healthy(), Incident(text)).findings == ()
    assert {item.fault for item in diagnose(world.oom_killed(), Incident(text)).findings} <= {"CON-07"}


def test_every_rule_has_an_id_of_its_own_and_says_what_it_needs() -> None:
    """The registry holds no fault twice."""
    faults = [rule.fault for rule in RULES]

    assert sorted(faults) == sorted(set(faults))
    assert set(BUILDS) <= set(faults)
    assert all(re.fullmatch(r"[A-Z]{3}-\d\d", fault) for fault in faults)
    assert all(rule.needs for rule in RULES)


@pytest.mark.parametrize("fault", WORLDS)
def test_evidence_names_objects_that_were_read(fault: str) -> None:
    """Every source of evidence begins with an object of the snapshot, and every related object is one."""
    found = BUILDS[fault](Names())
    there = {
        str(ObjectRef(kind, item["metadata"]["name"], item["metadata"].get("namespace", "")))
        for kind, items in found.objects.items()
        for item in items
    }
    finding = diagnose(found, WORDS).findings[0]

    assert {item.source.split(" ")[0] for item in finding.evidence} <= there
    assert {str(item) for item in finding.related} <= there
