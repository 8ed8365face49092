"""CON-20: the emptyDir that is full gets more, by what the revision before gave it or twice as much."""

import copy

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from tests.diagnosis import scenes
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of

FULL = 'Usage of EmptyDir volume "spool" exceeds the limit "4Mi". '
PATH = "/spec/template/spec/volumes/0/emptyDir/sizeLimit"


def before(size: str | None) -> Snapshot:
    """Return the evicted workload with a revision before it that gave the volume this size, or no limit."""
    found = scenes.evicted(Names(), FULL)
    old = copy.deepcopy(found.objects["ReplicaSet"][0])
    old["metadata"]["name"] += "-before"
    found.objects["ReplicaSet"][0]["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    old["spec"]["template"]["spec"]["volumes"][0]["emptyDir"] = {"sizeLimit": size} if size else {}
    found.objects["ReplicaSet"].insert(0, old)
    return found


async def test_without_a_revision_before_it_is_doubled() -> None:
    """One field changes, and it is checked."""
    made = await planned(scenes.evicted(Names(), FULL))

    assert change_of(made).arguments["patch"] == [{"op": "replace", "path": PATH, "value": "8Mi"}]
    assert "field_equals" in checks_of(made)


@pytest.mark.parametrize(("size", "value"), [("64Mi", "64Mi"), ("2Mi", "8Mi"), (None, "8Mi")])
async def test_what_the_revision_before_gave_comes_first(size: str | None, value: str) -> None:
    """A greater limit of before is given back; a smaller one says nothing."""
    made = await planned(before(size))

    assert change_of(made).arguments["patch"][0]["value"] == value
    assert [item.tool for item in made.alternatives] == (["k8s_rollout_undo"] if size == "64Mi" else [])


async def test_a_disk_that_nothing_names_is_advice() -> None:
    """Which of a pod's files fill the disk cannot be read."""
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
    assert "Rotate or remove what fills it" in prose_of(await planned(scenes.evicted(Names(), said)))
