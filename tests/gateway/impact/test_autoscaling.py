"""Who will fight the change over the number of pods or their size."""

from typing import Any

import pytest

from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import (
    Around,
    changed,
    container,
    created,
    deleted,
    level,
    lines,
    made,
    told,
    workload,
)


def hpa(name: str = "web", **spec: Any) -> Json:
    """A HorizontalPodAutoscaler of the Deployment web, between 2 and 10."""
    target = {"kind": "Deployment", "name": "web"}
    members = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 10, **spec}
    return made("HorizontalPodAutoscaler", name, spec=members)


def scaled(**spec: Any) -> Json:
    """A KEDA ScaledObject of the Deployment web."""
    return made("ScaledObject", "web", spec={"scaleTargetRef": {"name": "web"}, "maxReplicaCount": 20, **spec})


SHARE: dict[str, Any] = {
    "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization"}}}]
}
OTHER = {"spec__template__spec__containers": [container(memory="512Mi")]}
BARE = {"spec__template__spec__containers": [container()]}


@pytest.mark.parametrize(
    ("members", "around", "said", "risk"),
    [
        (
            {"spec__replicas": 5},
            [hpa()],
            "HorizontalPodAutoscaler web scales it and will set replicas again between 2 and 10;"
            " change its bounds to make it last",
            "medium",
        ),
        (
            {"spec__replicas": 0},
            [hpa()],
            "HorizontalPodAutoscaler web stops scaling while there are 0 replicas",
            "high",
        ),
        (
            {"spec__replicas": 5},
            [scaled()],
            "ScaledObject web scales it and will set replicas again between 0 and 20",
            "medium",
        ),
        (OTHER, [hpa()], "HorizontalPodAutoscaler web scales it and will set replicas again", "medium"),
        (
            OTHER,
            [hpa(**SHARE)],
            "measures memory as a share of the request, which changes: it will scale otherwise",
            "medium",
        ),
        (BARE, [hpa(**SHARE)], "measures memory as a share of the request, and there is none after this", "high"),
        (
            OTHER,
            [made("VerticalPodAutoscaler", "web", spec={"targetRef": {"kind": "Deployment", "name": "web"}})],
            "VerticalPodAutoscaler web sets the requests of its pods again",
            "medium",
        ),
        (
            {"spec__replicas": 5},
            [hpa("other", scaleTargetRef={"kind": "StatefulSet", "name": "web"})],
            "No Horiz",
            "medium",
        ),
        ({"spec__paused": True}, [], "No HorizontalPodAutoscaler", "low"),
    ],
)
def test_an_autoscaler_sets_it_again(members: dict[str, Any], around: list[Json], said: str, risk: str) -> None:
    """Within its bounds, and where it lasts."""
    before = workload(pod={"containers": [container(memory="256Mi")]})
    impact = told(changed(before, **members), Around(*around))
    assert said in lines(impact)
    assert level(impact) == risk


def test_kedas_own_autoscaler_is_not_told_twice() -> None:
    """The ScaledObject stands for the HorizontalPodAutoscaler that it makes."""
    keda = scaled()
    own = hpa("keda-hpa-web")
    own["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "web"}]
    said = lines(told(changed(workload(), spec__replicas=5), Around(keda, own)))
    assert "ScaledObject web scales it" in said
    assert "keda-hpa-web" not in said


def test_a_deleted_workload_leaves_its_autoscaler_idle() -> None:
    """It is said once, and is no risk of its own."""
    assert "HorizontalPodAutoscaler web then scales nothing" in lines(told(deleted(workload()), Around(hpa())))


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (
            changed(hpa(), spec__minReplicas=5),
            [workload()],
            "Deployment web is scaled at once: 3 → 5 replicas",
            "medium",
        ),
        (
            changed(hpa(), spec__maxReplicas=2),
            [workload()],
            "Deployment web is scaled at once: 3 → 2 replicas",
            "medium",
        ),
        (created(hpa()), [workload()], "Deployment web has 3 replicas, within the bounds 2 to 10", "low"),
        (created(hpa()), [], "There is no Deployment web: it would scale nothing", "medium"),
        (deleted(hpa()), [workload()], "Deployment web keeps the number of pods that it has now", "high"),
        (
            created(scaled(minReplicaCount=4)),
            [workload()],
            "Deployment web is scaled at once: 3 → 4 replicas",
            "medium",
        ),
    ],
)
def test_an_autoscaler_that_changes(change: Any, around: list[Json], said: str, risk: str) -> None:
    """What it does to the workload at once."""
    impact = told(change, Around(*around))
    assert said in lines(impact)
    assert level(impact) == risk
