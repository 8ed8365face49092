"""What is drawn leaves the fault as it is, and everything around it is new."""

from datetime import UTC, datetime
from random import Random

import pytest
import yaml

from skyflo_runbooks.practice import scenario
from tests.faults import kubelets, staging
from tests.scoreboard import names, run, vary

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
ON_NODE = list(kubelets.load(kubelets.families()).cases)
CASES = [case for family in staging.families() for case in staging.cases(family)] + ON_NODE


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
def test_nothing_keeps_its_name(case: staging.Case) -> None:
    """No own word of the case is left, and the object that has to be found is renamed with it."""
    drawn = vary.rename(case, Random(7), {})

    kept = names.own(case.finds.split("/")[1:]) & set(drawn.finds.split("/"))
    assert not kept
    assert drawn.namespace != case.namespace
    assert drawn.fault == case.fault
    assert drawn.finds.partition("/")[0] == case.finds.partition("/")[0]
    assert [item["kind"] for item in drawn.objects] == [item["kind"] for item in case.objects]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
def test_what_is_drawn_can_be_staged(case: staging.Case) -> None:
    """Each object has a name; a count that the case states is kept; no two containers have one name."""
    varied = vary.vary(case, Random(3), {}, NOW).case
    for item in varied.manifests():
        assert item["metadata"]["name"]
    if "replicas" in case.app:
        assert varied.app["replicas"] == case.app["replicas"]
    if case.app:
        made = staging.deployment(varied.namespace, varied.app)["spec"]["template"]["spec"]["containers"]
        assert len({each["name"] for each in made}) == len(made)


def test_a_seed_repeats_a_draw() -> None:
    """The same seed gives the same case, another gives another."""
    first = vary.vary(CASES[0], Random(5), {}, NOW)

    assert first == vary.vary(CASES[0], Random(5), {}, NOW)
    assert first != vary.vary(CASES[0], Random(6), {}, NOW)


def test_a_closed_namespace_gets_no_further_pods() -> None:
    """There every further pod would be part of the fault."""
    quota = next(case for case in CASES if case.fault == "ADM-01")

    assert vary.closed(quota)
    assert {item["kind"] for item in vary.neighbours(quota, Random(1))} == {"ConfigMap"}


def test_a_real_node_gets_no_more_than_it_has_room_for() -> None:
    """Two replicas at most where the case leaves the count open, and small images beside it."""
    drawn = [vary.vary(ON_NODE[0], Random(seed), {}, NOW, vary.REAL) for seed in range(12)]
    beside = [item for one in drawn for item in vary.neighbours(one.case, Random(1), vary.REAL)]
    deployments = [item["spec"] for item in beside if item["kind"] == "Deployment"]

    assert {one.case.app["replicas"] for one in drawn} == {1, 2}
    assert {spec["replicas"] for spec in deployments} == {1}
    assert {spec["template"]["spec"]["containers"][0]["image"] for spec in deployments} == {vary.SIDECAR}
    assert {one.drawn[-1] for one in drawn} == {"on a real node"}


def test_old_events_are_old_and_of_pods_that_are_gone() -> None:
    """At least three quarters of an hour before now, about pods that nobody stages."""
    events = list(vary.long_ago(CASES[0], Random(1), NOW))

    assert events
    assert all(str(event["lastTimestamp"]) < "2026-01-05T09:16:00Z" for event in events)


@pytest.mark.parametrize("wide", [False, True], ids=["first", "wide"])
def test_the_played_nodes_are_renamed(wide: bool) -> None:
    """As many as the plane has, none of its names, and the sidecar's image can be pulled."""
    taken: dict[str, str] = {}
    written = scenario.parse(yaml.safe_dump(vary.world(taken, Random(1), wide=wide)), "world")

    assert {node.name for node in written.nodes} == {taken[node["name"]] for node in staging.world(wide=wide)["nodes"]}
    assert not {node.name for node in written.nodes} & set(taken)
    assert vary.SIDECAR in written.registry


@pytest.mark.parametrize("name", run.shipped([]))
def test_a_shipped_scenario_is_told_under_other_names(name: str) -> None:
    """It can still be read, its images are those of the registry, and none of its namespaces or objects is left."""
    told = scenario.load(name)
    other = scenario.parse(yaml.safe_dump(vary.story(name, Random(4), {})), name)

    assert [image.image for image in other.images] == [image.image for image in told.images]
    assert other.namespace != told.namespace
    assert other.expect.fault == told.expect.fault
    assert not set(told.expect.object.split("/")[1:]) & set(other.expect.object.split("/"))
    assert other.namespace in other.expect.object
