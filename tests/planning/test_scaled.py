"""Plans for autoscalers and for a node that does not answer: their values are measured, and their checks bite."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis.snapshot import Usage
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import param
from tests.planning.test_bites import NOW, pod, seen, workload
from tests.planning.tries import change_of, checks_of, planned, value_of

AT_MOST = {
    "type": "ScalingLimited",
    "status": "True",
    "reason": "TooManyReplicas",
    "message": "the desired replica count is more than the maximum replica count",
    "lastTransitionTime": NOW,
}


def scaler(target: Json, current: Json, *, most: int = 2) -> Json:
    """An autoscaler at its maximum, with what it measured of the CPU."""
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "maxReplicas": most,
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
        "status": {
            "currentReplicas": most,
            "desiredReplicas": most,
            "conditions": [AT_MOST],
            "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": current}}][: len(current)],
        },
    }


@pytest.mark.parametrize(
    ("target", "current", "most", "said", "value"),
    [
        ({"averageUtilization": 70}, {"averageUtilization": 100}, 2, "wants 3", 4),
        ({"averageUtilization": 70}, {"averageUtilization": 77}, 10, "wants 11", 15),
        ({"averageUtilization": 50}, {"averageUtilization": 2000}, 2, "wants 80", 6),
        ({"averageValue": "500m"}, {"averageValue": "1"}, 3, "wants 6", 7),
        ({"averageUtilization": 70}, {}, 4, "wants more", 6),
    ],
    ids=["one-more-than-is-asked-for", "half-as-many-again", "within-three-times", "of-a-value", "not-measured"],
)
async def test_a_maximum_is_raised_by_what_the_load_asks_for(
    target: Json, current: Json, most: int, said: str, value: int
) -> None:
    """So that it stands below its maximum then; how far at most is bounded, and what is not measured is not told."""
    web = workload("Deployment", "web")
    made = await planned(seen(web, pod(web), scaler(target, current, most=most)), incident=Incident("slow", ("shop",)))

    assert said in made.findings[0].title
    assert value_of(made, "maximum") == value
    assert change_of(made).arguments["patch"] == {"spec": {"maxReplicas": param("maximum")}}
    assert checks_of(made)["below_maximum"] == {"name": "web", "namespace": param("namespace")}


async def test_an_autoscaler_has_to_get_its_figures_again() -> None:
    """The Deployment was rolled out and ready before it had a request, too."""
    web = workload("Deployment", "web")
    held = scaler({"averageUtilization": 70}, {})
    said = "failed to get cpu utilization: missing request for cpu in container main of Pod web-0"
    held["status"]["conditions"] = [
        {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric", "message": said}
    ]
    found = seen(web, pod(web), held)
    used = usage("web-0", cpu=0.06)
    incident = Incident("web does not scale", ("shop",))
    made = await planned(msgspec.structs.replace(found, usage=(used,)), incident=incident)

    assert value_of(made, "request") == "90m"
    measured = {"kind": "HorizontalPodAutoscaler", "name": "web", "namespace": param("namespace")}
    assert checks_of(made)["condition_true"] == {**measured, "condition": "ScalingActive"}


def usage(name: str, *, cpu: float) -> Usage:
    """What the pod's container was measured to use."""
    return Usage("shop", name, "main", 2**25, cpu, NOW, "metrics")


async def test_a_node_that_does_not_answer_is_cordoned_and_looked_at() -> None:
    """That its pods run elsewhere is true after a while without the change as well."""
    web = workload("Deployment", "web")
    lost = pod(web)
    lost["spec"] = {**lost["spec"], "nodeName": "node-a"}
    lost["status"]["conditions"] = [{"type": "Ready", "status": "False"}, {"type": "PodScheduled", "status": "True"}]
    said = {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."}
    node: Json = {"kind": "Node", "metadata": {"name": "node-a"}, "spec": {}, "status": {"conditions": [said]}}
    made = await planned(seen(web, lost, node), incident=Incident("web is down", ("shop",)))

    assert change_of(made).tool == "k8s_cordon"
    looked = checks_of(made)["field_equals"]
    assert (looked["kind"], looked["path"], looked["value"]) == ("Node", "/spec/unschedulable", True)
