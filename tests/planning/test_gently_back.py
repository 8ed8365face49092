"""ROL-04: the rollout that took every pod down is taken back, and the next one may not do it again."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned

NAMES = Names()
ALL_AT_ONCE: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}


def down(**before: object) -> Snapshot:
    """Return a workload whose two new pods are not ready; `before` is what the revision before had otherwise."""
    new = world.container(NAMES, "payment-svc:v2.4.1")
    old = world.container(NAMES, "payment-svc:v2.4.0", **before)
    pods = [world.pod(NAMES, new, world.ended(1, "Error", restarts=3), index=index) for index in range(2)]
    sets = [world.replica_set(NAMES, old, 1, replicas=0), world.replica_set(NAMES, new, 2, replicas=2)]
    return world.snapshot([world.deployment(NAMES, new, replicas=2, strategy=ALL_AT_ONCE), *sets, *pods])


async def test_images_and_strategy_are_taken_back_in_one_change() -> None:
    """Nothing else of the template moves, both are checked, and the whole revision is the alternative."""
    made = await planned(down())

    assert {item["path"]: item["value"] for item in change_of(made).arguments["patch"]} == {
        "/spec/strategy/rollingUpdate/maxUnavailable": "25%",
        "/spec/strategy/rollingUpdate/maxSurge": "25%",
        "/spec/template/spec/containers/0/image": "payment-svc:v2.4.0",
    }
    assert {"rollout_complete", "field_equals"} <= set(checks_of(made))
    assert [item.tool for item in made.alternatives] == ["k8s_rollout_undo"]


@pytest.mark.parametrize("other", [{"env": [{"name": "A", "value": "1"}]}, {"command": ["/bin/serve"]}])
async def test_where_more_than_images_differs_the_whole_revision_is_taken_back(other: Json) -> None:
    """Values of variables are not written into a plan; that the strategy needs a repair is said beside it."""
    assert change_of(await planned(down(**other))).tool == "k8s_rollout_undo"
