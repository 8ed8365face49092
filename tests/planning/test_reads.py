"""The reads of a plan: they show the evidence, and they still work when the runbook is opened again."""

import pytest
from skyflo_mcp.kubernetes import checked

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import GatherStep, ReadCall, ReadStep, bind
from skyflo_runbooks.planning.reads import evidence_reads, overview_reads
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, Names

VALUES: dict[str, str | int | float | bool] = {"namespace": "checkout"}


def calls(fault: str) -> dict[str, ReadCall]:
    """Return the reads for a fault by name."""
    found = FAULTS[fault](Names())
    finding = diagnose(found, Incident("it fails")).findings[0]
    named: dict[str, ReadCall] = {}
    for step in evidence_reads(Graph(found), finding):
        if isinstance(step, GatherStep):
            named |= step.reads
        elif isinstance(step, ReadStep):
            named[step.id] = ReadCall(step.tool, step.arguments)
    return named


def bound(call: ReadCall) -> Json:
    """Return a read's arguments with the plan's parameters in them."""
    arguments = bind(call.arguments, VALUES)
    assert isinstance(arguments, dict)
    return arguments


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_read_is_a_call_that_its_tool_accepts(fault: str) -> None:
    """The tool's own check of arguments has nothing against it."""
    for call in calls(fault).values():
        assert checked(call.tool, bound(call))


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_no_read_names_a_pod(fault: str) -> None:
    """Pods come and go: a runbook that is opened again after the repair must still find what it reads."""
    found = FAULTS[fault](Names())
    pods = {item["metadata"]["name"] for item in found.objects["Pod"]}

    for call in calls(fault).values():
        assert not pods & {str(value) for value in bound(call).values()}


def test_the_flagship_reads_what_its_story_says() -> None:
    """Pods, events, revisions, ReplicaSets, ConfigMaps and usage; and the log before the last restart."""
    found = calls("CON-07")

    kinds = {str(call.arguments.get("kind")) for call in found.values() if call.tool == "k8s_get"}
    assert kinds == {"Pod", "ReplicaSet", "ConfigMap"}
    assert {"k8s_events", "k8s_top_pods", "k8s_rollout_history", "k8s_describe"} <= {
        call.tool for call in found.values()
    }
    assert found["last_words"].arguments["previous"] is True


def test_pods_are_narrowed_to_the_workloads_own() -> None:
    """By the labels that it selects."""
    assert calls("CON-07")["pods"].arguments["label_selector"] == "app=payment-service"


def test_a_services_reads_show_its_endpoints_and_the_pods_that_were_meant() -> None:
    """The slices of the Service, and the pods by the labels that they carry."""
    found = calls("NET-01")

    assert found["endpoints"].arguments["label_selector"] == "kubernetes.io/service-name=payment-service"
    assert found["pods"].arguments["label_selector"] == "app=payment-service"


def test_a_pod_without_a_place_is_read_with_the_nodes() -> None:
    """Where room is short the nodes are evidence."""
    assert calls("SCH-02")["nodes"] == ReadCall("k8s_get", {"kind": "Node"})


def test_an_object_of_another_kind_is_read_with_its_namespace() -> None:
    """A finding about a Node or a bare Pod has its surroundings read."""
    finding = Finding("NOD-01", "node is away", ObjectRef("Node", "node-a"), 0.9)

    (step,) = evidence_reads(Graph(world.healthy()), finding)

    assert isinstance(step, GatherStep)
    assert {"pods", "events", "usage"} == set(step.reads)


@pytest.mark.parametrize(("namespaces", "names"), [(("checkout",), 5), ((), 3)])
def test_an_overview_reads_a_namespace_or_the_cluster(namespaces: tuple[str, ...], names: int) -> None:
    """Without a namespace there is no parameter for one."""
    (step,) = overview_reads(namespaces)

    assert isinstance(step, GatherStep)
    assert len(step.reads) == names
    assert all(("namespace" in call.arguments) is bool(namespaces) for call in step.reads.values())
    assert all(checked(call.tool, bound(call)) for call in step.reads.values())
