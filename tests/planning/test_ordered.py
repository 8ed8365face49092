"""A StatefulSet's broken pod keeps the old template until it is deleted: the plan deletes it where it has to."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, param
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import planned

NAMES = Names()


def changes(made: Plan) -> list[ChangeStep]:
    """The changes of a plan."""
    return [step for step in made.steps if isinstance(step, ChangeStep)]


def release(kind: str = "StatefulSet", *, serving: int = 1, **spec: Json | str) -> Snapshot:
    """A workload whose last pod got an image that does not exist; those before it still run the old one."""
    old, new = world.container(NAMES, f"{NAMES.image}:v1"), world.container(NAMES, f"{NAMES.image}:v2")
    above = world.deployment(NAMES, new, replicas=serving + 1, available=serving) | {"kind": kind}
    above["spec"] |= spec
    pods = [world.pod(NAMES, old, world.running(), index=place, serves=True) for place in range(serving)]
    said = {"waiting": {"reason": "ErrImagePull", "message": f"{NAMES.image}:v2: not found"}}
    pods.append(world.pod(NAMES, new, {"state": said}, index=serving))
    for place, pod in enumerate(pods):
        pod["metadata"] |= {"name": f"{NAMES.workload}-{place}", "ownerReferences": world.owned(kind, NAMES.workload)}
    return world.snapshot([above, *pods])


async def test_the_pod_that_holds_the_others_up_is_deleted_after_the_change() -> None:
    """By its name, as a change of its own with its own approval; what verifies comes after both."""
    made = await planned(release())

    first, second = changes(made)
    assert (first.tool, first.arguments["images"]) == ("k8s_set_image", {NAMES.container: param("image")})
    assert [item.default for item in made.parameters if item.name == "image"] == [f"{NAMES.image}:v1"]
    wanted = {"kind": "Pod", "namespace": param("namespace"), "name": f"{NAMES.workload}-1"}
    assert (second.tool, second.arguments) == ("k8s_delete", wanted)
    (verify,) = [step for step in made.steps if isinstance(step, VerifyStep)]
    assert verify.after == (first.id, second.id)


@pytest.mark.parametrize(
    "found",
    [
        release("Deployment"),
        release(podManagementPolicy="Parallel"),
        release(updateStrategy={"type": "OnDelete"}),
    ],
    ids=["a Deployment", "in parallel", "by hand"],
)
async def test_nothing_is_deleted_where_nothing_waits_for_it(found: Snapshot) -> None:
    """Others replace their pods by themselves, or wait for a person with each of them."""
    assert [step.tool for step in changes(await planned(found))] == ["k8s_set_image"]


async def test_the_first_of_several_is_the_one_that_is_waited_for() -> None:
    """By number and not as text: the tenth comes after the second."""
    found = release(serving=10)
    for pod in found.objects["Pod"][2:3]:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]

    assert changes(await planned(found))[1].arguments["name"] == f"{NAMES.workload}-2"
