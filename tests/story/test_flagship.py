"""One story on three rungs: named, proposed, approved in another process, applied once, measured, in the record."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.story.conftest import Stories
from tests.story.rungs import RungName

FLAGSHIP = "oomkilled-payment"
IMAGE = "wrong-image-tag"
RUNGS = [
    "practice",
    pytest.param("control_plane", marks=pytest.mark.control_plane),
    pytest.param("real_node", marks=pytest.mark.real_node),
]
pytestmark = pytest.mark.timeout(280)


@pytest.mark.parametrize("rung", RUNGS)
def test_the_memory_limit_is_named_raised_once_and_verified(rung: RungName, stories: Stories) -> None:
    """CON-07 and nothing else; 256Mi to 512Mi; exit 0 and VERIFIED, with every check passed."""
    told = stories(rung, FLAGSHIP)
    assert told.diagnosed.faults == (("CON-07", "Deployment/checkout/payment-service"),)
    (finding,) = told.diagnosed.answer["findings"]
    assert any("OOMKilled" in each["text"] for each in finding["evidence"])
    assert any("500" in each for each in finding["consequences"])
    assert told.diagnosed.change["limits"] == {"memory": "512Mi"}
    assert [line.split() for line in told.diff.splitlines() if line[:1] in "+-" and "memory" in line] == [
        ["-", "memory:", "256Mi"],
        ["+", "memory:", "512Mi"],
    ]
    assert told.code == 0, told.answer
    assert told.outcome[0] == "verified"
    assert {result for _, result in told.outcome[1]} == {"PASS"}
    # Where no pod answers in the moment of the diagnosis, that the word is a page is not known.
    assert any(check.startswith(("http_ok", "http_answers")) for check, _ in told.outcome[1])
    assert told.container["resources"]["limits"] == {"memory": "512Mi"}
    assert len(told.attempts) == 1


@pytest.mark.control_plane
@pytest.mark.parametrize("scenario", [FLAGSHIP, IMAGE])
def test_practice_and_a_real_control_plane_agree(scenario: str, stories: Stories) -> None:
    """Findings, change, diff, checks and verdict of the simulation are those of the real API server."""
    practised, real = stories("practice", scenario), stories("control_plane", scenario)
    assert practised.diagnosed.faults == real.diagnosed.faults
    assert practised.diagnosed.change == real.diagnosed.change
    assert practised.diff == real.diff
    assert practised.outcome[0] == real.outcome[0]
    assert _asked_alike(practised.outcome[1]) == _asked_alike(real.outcome[1])


def _asked_alike(outcome: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the outcomes with one word for both ways to ask a page: a pod that answered in that moment decides."""
    return [(check.replace("http_answers(", "http_ok("), result) for check, result in outcome]


def test_a_wrong_image_tag_goes_back_to_the_one_that_ran(stories: Stories) -> None:
    """The second scenario: IMG-01, and the tag of the ReplicaSet that still serves."""
    told = stories("practice", IMAGE)
    assert told.diagnosed.faults == (("IMG-01", "Deployment/shop/catalog"),)
    assert told.code == 0, told.answer
    assert told.outcome[0] == "verified"
    assert told.container["image"] == "registry.example.com/shop/catalog:v3.1.0"
    assert len(told.attempts) == 1
