"""A StatefulSet's broken pod keeps the old template until it is deleted: the plan deletes it where it has to."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, param
from skyflo_runbooks.planning.ordered import MOST, by_hand
from skyflo_runbooks.planning.way import Case
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import planned, prose_of

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


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_who_replaces_pods_by_hand_is_told_to(kind: str) -> None:
    """The change reaches none of them by itself, and the verdict would be about the old ones."""
    made = await planned(release(kind, updateStrategy={"type": "OnDelete"}))

    assert [step.tool for step in changes(made)] == ["k8s_set_image"]
    assert f"until somebody deletes them, {NAMES.workload}-1 first" in prose_of(made)


@pytest.mark.parametrize(
    "found", [release(), release("DaemonSet"), release("Deployment")], ids=["set", "daemons", "web"]
)
async def test_nobody_is_told_to_delete_what_is_replaced_anyway(found: Snapshot) -> None:
    """By the controller, or by the plan's own deletions."""
    assert "until somebody deletes them" not in prose_of(await planned(found))


def test_what_is_not_there_yet_updates_nothing() -> None:
    """A plan that makes what is missing has no workload to look at."""
    missing = ObjectRef("Service", "ledger", NAMES.namespace)
    finding = Finding("NET-04", "there is no Service", missing, 0.9, ())
    case = Case(finding, Graph(world.healthy()), Incident("it is not reached"))
    change = ChangeStep(id="expose", tool="k8s_expose", arguments={"kind": "Deployment", "name": "ledger"}, why="")

    assert by_hand(case, change) == ()


async def test_each_of_several_is_waited_for() -> None:
    """The first by number and not as text: the tenth comes after the second."""
    found = release(serving=10)
    for pod in found.objects["Pod"][2:3]:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]

    deleted = [one.arguments["name"] for one in changes(await planned(found))[1:]]
    assert deleted == [f"{NAMES.workload}-2", f"{NAMES.workload}-10"]


async def test_a_plan_deletes_few_pods() -> None:
    """Who has more looks again after these."""
    found = release(serving=10)
    for pod in found.objects["Pod"][:9]:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]

    assert len(changes(await planned(found))) == 1 + MOST


def of_revisions(*, current: str, update: str, **pods: str) -> Snapshot:
    """A StatefulSet whose pods crash, each of a revision of its own."""
    spec = world.container(NAMES, f"{NAMES.image}:v1", command=["/no/such"])
    above = world.deployment(NAMES, world.container(NAMES, f"{NAMES.image}:v1"), replicas=len(pods))
    above |= {"kind": "StatefulSet"}
    above["status"] |= {"currentRevision": current, "updateRevision": update}
    said = {"exitCode": 128, "reason": "StartError", "message": "exec: /no/such: no such file or directory"}
    state: Json = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": said}}
    made = []
    for place, held in enumerate(pods.values()):
        pod = world.pod(NAMES, spec, state | {"restartCount": 3}, index=place)
        pod["metadata"] |= {
            "name": f"{NAMES.workload}-{place}",
            "ownerReferences": world.owned("StatefulSet", NAMES.workload),
            "labels": {NAMES.label: NAMES.workload, "controller-revision-hash": held},
        }
        made.append(pod)
    return world.snapshot([above, *made])


@pytest.mark.parametrize("current", ["good", "broken"])
async def test_a_template_that_is_right_again_needs_nothing_but_the_deletion(current: str) -> None:
    """Its pods still have the broken one, also where the set says that it is back at its current revision."""
    made = await planned(of_revisions(current=current, update="good", first="broken", second="broken"))

    assert [one.fault for one in made.findings] == ["ROL-05"]
    assert [(one.tool, one.arguments["name"]) for one in changes(made)] == [
        ("k8s_delete", f"{NAMES.workload}-0"),
        ("k8s_delete", f"{NAMES.workload}-1"),
    ]


@pytest.mark.parametrize("strategy", [{"type": "OnDelete"}, {"rollingUpdate": {"partition": 1}}])
async def test_pods_that_the_update_leaves_alone_fail_by_their_own_template(strategy: Json) -> None:
    """Nobody makes them anew, so what ails them is told."""
    found = of_revisions(current="broken", update="good", first="broken")
    found.objects["StatefulSet"][0]["spec"]["updateStrategy"] = strategy
    made = await planned(found)

    assert "CON-03" in [one.fault for one in made.findings]


async def test_a_command_or_a_probe_is_of_the_template_too() -> None:
    """The pod that has the wrong one is deleted after it was set right."""
    found = of_revisions(current="good", update="broken", first="broken")
    found.objects["StatefulSet"][0]["spec"]["template"]["spec"]["containers"][0]["command"] = ["/no/such"]
    made = await planned(found)

    assert [one.tool for one in changes(made)] == ["k8s_set_command", "k8s_delete"]


async def test_a_pod_that_is_ready_between_two_ends_stands_in_the_way() -> None:
    """Without a readiness probe it counts as ready for a moment after each start."""
    found = of_revisions(current="good", update="broken", first="broken")
    found.objects["StatefulSet"][0]["spec"]["template"]["spec"]["containers"][0]["command"] = ["/no/such"]
    pod = found.objects["Pod"][0]
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    (status,) = pod["status"]["containerStatuses"]
    status["state"] = {"running": {"startedAt": world.NOW}}
    status["lastState"]["terminated"] |= {"startedAt": "2026-05-04T10:21:58Z", "finishedAt": "2026-05-04T10:21:59Z"}
    made = await planned(found)

    assert [one.tool for one in changes(made)] == ["k8s_set_command", "k8s_delete"]
