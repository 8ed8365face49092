"""What a budget that keeps a drain is answered with: never fewer pods, and never the only one let go."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep
from tests.diagnosis import scenes
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, planned, prose_of, value_of

NAMES = Names()


def kept(rule: Json, *, pods: int, wanted: int | None = None) -> Snapshot:
    """A node to be emptied, a budget with this rule that allows nothing, and so many pods, all of them well."""
    found = scenes.kept_on_node(NAMES)
    budget = found.objects["PodDisruptionBudget"][0]
    budget["spec"] = {"selector": budget["spec"]["selector"], **rule}
    budget["status"].update(currentHealthy=pods, desiredHealthy=pods, expectedPods=pods)
    found.objects["Deployment"][0]["spec"]["replicas"] = pods if wanted is None else wanted
    found.objects["Pod"] = found.objects["Pod"][:pods]
    return found


@pytest.mark.parametrize("pods", [1, 2])
async def test_one_pod_more_than_must_stay(pods: int) -> None:
    """Also where there is one pod: it has company before it goes."""
    plan = await planned(kept({"minAvailable": pods}, pods=pods))

    assert (change_of(plan).tool, value_of(plan, "replicas")) == ("k8s_scale", pods + 1)
    assert [item.title for item in plan.alternatives] == ["Allow one disruption at a time"][: pods - 1]


@pytest.mark.parametrize("wanted", [3, 5])
async def test_a_workload_is_never_scaled_down(wanted: int) -> None:
    """Somebody has just asked for more pods than the budget's status tells of."""
    plan = await planned(kept({"minAvailable": 2}, pods=2, wanted=wanted))

    assert change_of(plan).tool == "k8s_patch"
    assert plan.alternatives == ()


@pytest.mark.parametrize("rule", [{"maxUnavailable": 0}, {"maxUnavailable": "0%"}, {"minAvailable": "100%"}])
async def test_the_only_pod_is_not_let_go(rule: Json) -> None:
    """A budget that allows none of one says that it may not go unasked: a person decides."""
    alone = await planned(kept(rule, pods=1))
    assert not any(isinstance(step, ChangeStep) for step in alone.steps)
    assert "somebody agrees that it is away" in prose_of(alone)

    two = await planned(kept(rule, pods=2))
    assert change_of(two).arguments["patch"] == {"spec": {"maxUnavailable": 1, "minAvailable": None}}
