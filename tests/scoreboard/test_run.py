"""What a run stages: each case alone, pairs in one namespace, and the controls."""

from __future__ import annotations

from random import Random

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from tests.control_plane.processes import wait_until
from tests.faults import staging
from tests.scoreboard import controls, run, vary
from tests.scoreboard.run import Draw


def test_every_case_is_in_a_run() -> None:
    """None is left out, and each is expected under its new names."""
    found = run.cases([])
    given = run.alone(found, Draw(Random(1)))

    assert len(given.varied) == len(found) >= 37
    assert all(expected == (f"{one.case.fault} {one.case.finds}",) for one, expected in given.varied)
    assert len({one.case.namespace for one, _ in given.varied}) == len(found)


def test_some_faults_alone() -> None:
    """Those that are asked for, and no others."""
    assert {case.fault for case in run.cases(["NET-02", "ADM-01"])} == {"NET-02", "ADM-01"}
    assert run.shipped(["CON-07"]) == ("oomkilled-payment",)


def test_what_a_node_shows_is_in_a_run_with_its_images() -> None:
    """All cases of `node`, those that are asked for, and every image that they or the noise need once."""
    found, some = run.of_a_node([]), run.of_a_node(["CON-03"])
    held = [image.image for image in found.stock.images]

    assert {case.fault for case in found.cases} >= {"CON-01", "CON-03", "IMG-04"}
    assert {case.fault for case in some.cases} == {"CON-03"}
    assert {vary.SIDECAR, vary.TASK, staging.IMAGE} <= set(held)
    assert len(held) == len(set(held))


@pytest.mark.parametrize("seed", range(5))
def test_two_faults_are_in_one_namespace(seed: int) -> None:
    """Everything of both, and what is expected names both objects there."""
    for varied, expected in run.in_pairs(run.cases([]), Draw(Random(seed)), 6).varied:
        case = varied.case
        assert case.fault == "+".join(one.partition(" ")[0] for one in expected)
        assert len(set(expected)) == 2
        named = [one.partition(" ")[2].split("/") for one in expected]
        assert {parts[1] for parts in named if len(parts) == 3} == {case.namespace}
        namespaces = {item["metadata"].get("namespace", case.namespace) for item in case.manifests()}
        assert namespaces == {case.namespace}


def test_what_does_not_come_to_its_incident_in_time_ends_no_round() -> None:
    """It is named with what was waited for, and the others are brought to theirs."""
    done: list[str] = []

    def never() -> None:
        wait_until("web runs", lambda: False, within=0)

    slow = run.late([("shop", never), ("till", lambda: done.append("till"))])

    assert slow == {"shop": "not staged: expected within 0 s: web runs"}
    assert done == ["till"]


def test_a_case_that_closes_its_namespace_is_in_no_pair() -> None:
    """Its quota, its limits or its policy would be a part of the other's fault."""
    closed = {case.fault for case in run.cases([]) if vary.closed(case)}
    drawn = run.in_pairs(run.cases([]), Draw(Random(2)), 30).varied

    assert {"ADM-01", "ADM-04", "ADM-05"} <= closed
    assert not {part for one, _ in drawn for part in one.case.fault.split("+")} & closed


def test_the_controls_are_the_catalogues_and_as_many_again() -> None:
    """Six and at least six, each in a namespace of its own."""
    ids = [control.id for control in controls.CONTROLS]

    assert [one for one in ids if one.startswith("NEG")] == [f"NEG-0{number}" for number in range(1, 7)]
    assert len([one for one in ids if one.startswith("OWN")]) >= 6
    assert len({control.namespace for control in controls.CONTROLS}) == len(ids)
    for control in controls.CONTROLS:
        assert [item["metadata"].get("namespace", control.namespace) for item in controls.manifests(control)]


def test_figures_that_cannot_be_staged_are_set_in_the_snapshot() -> None:
    """An autoscaler at its minimum, and a Job whose first pod failed: what a cluster says of them is no fault."""
    scaler = next(one for one in controls.CONTROLS if one.id == "NEG-02")
    items = {item["kind"]: [item] for item in scaler.objects}
    said = scaler.edit(Snapshot("2026-01-05T10:00:00Z", (scaler.namespace,), {**items, "Event": []}))
    conditions = said.objects["HorizontalPodAutoscaler"][0]["status"]["conditions"]

    assert {one["reason"] for one in conditions} == {"ReadyForNewScale", "ValidMetricFound", "TooFewReplicas"}
    found = diagnose(said, Incident("is it well?", (scaler.namespace,))).findings
    assert [one for one in found if one.fault.startswith("AUT")] == []
