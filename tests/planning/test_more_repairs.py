"""Repairs of the network, of storage, of disruption and of Jobs: the least change that lasts, and its check."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, RollbackStep
from tests.diagnosis import scenes, world
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of

NAMES = Names()
CHANGES = sorted(set(SCENES) - {"STO-06", "NOD-04"})


async def made(found: Snapshot) -> Plan:
    """Return the plan for what a snapshot shows."""
    return await planned(found)


def patch_of(plan: Plan) -> Json:
    """Return what the change patches."""
    found = change_of(plan).arguments["patch"]
    return found if isinstance(found, dict) else {"operations": found}


@pytest.mark.parametrize("fault", CHANGES)
async def test_a_change_is_followed_by_checks_and_a_way_back(fault: str) -> None:
    """Whatever the repair, it is verified, and there is a step that takes it back."""
    plan = await made(SCENES[fault][0](NAMES))

    assert change_of(plan).why
    assert checks_of(plan)
    assert [step.of for step in plan.steps if isinstance(step, RollbackStep)] == [change_of(plan).id]


@pytest.mark.parametrize("fault", ["STO-06", "NOD-04"])
async def test_where_no_change_is_safe_the_plan_advises(fault: str) -> None:
    """A driver that is not there and a kubelet's configuration are repaired where they are."""
    plan = await made(SCENES[fault][0](NAMES))

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert "Advice" in prose_of(plan)


async def test_the_selector_gets_one_label_more() -> None:
    """What it chose by stays; the label is one that no stranger carries."""
    plan = await made(scenes.too_broad(NAMES))

    assert patch_of(plan) == {"spec": {"selector": {"app": "payment-service"}}}
    assert "endpoints_ready" in checks_of(plan)


async def test_lookups_are_let_out_to_the_resolver_alone() -> None:
    """A rule is added; the others and the policy stay."""
    (operation,) = patch_of(await made(scenes.names_denied(NAMES)))["operations"]
    (first,) = patch_of(await made(scenes.names_denied(NAMES, [])))["operations"]

    assert operation["path"] == "/spec/egress/-"
    assert operation["value"]["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert operation["value"]["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert (first["path"], first["value"]) == ("/spec/egress", [operation["value"]])


async def test_the_resolver_gets_its_replicas_back() -> None:
    """As many as the event says that it had; else one."""
    found = scenes.no_resolver(NAMES)
    workload = next(item for item in found.objects["Deployment"] if item["metadata"]["name"] == "coredns")
    found.objects["Event"] = [
        scenes.event(workload, "ScalingReplicaSet", "Scaled down replica set coredns-1 from 3 to 0")
    ]

    assert value_of(await made(found), "replicas") == 3
    assert value_of(await made(scenes.no_resolver(NAMES)), "replicas") == 1
    assert change_of(await made(found)).arguments["name"] == "coredns"


async def test_one_word_of_the_corefile_is_put_right() -> None:
    """Everything else of it stays as it is."""
    (operation,) = patch_of(await made(scenes.misspelt_zone(NAMES)))["operations"]

    assert operation == {"op": "replace", "path": "/data/Corefile", "value": scenes.COREFILE}


async def test_the_old_pod_ends_before_the_new_one_starts() -> None:
    """Recreate is what a volume of one node wants; and it says what that costs."""
    plan = await made(scenes.held_by_old_pod(NAMES))

    assert patch_of(plan) == {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    assert checks_of(plan)["field_equals"]["value"] == "Recreate"
    assert "is away while its pod is replaced" in prose_of(plan)


async def test_a_released_volume_is_freed_only_as_it_was_seen() -> None:
    """The claim that it belonged to is tested, and the data's owner is named as the one to ask."""
    plan = await made(scenes.released_volume(NAMES))
    test, remove = patch_of(plan)["operations"]

    assert test == {"op": "test", "path": "/spec/claimRef/uid", "value": "uid-of-before"}
    assert remove == {"op": "remove", "path": "/spec/claimRef"}
    assert "only if the data's owner agrees" in prose_of(plan)


async def test_a_failed_volume_is_not_given_away() -> None:
    """Nobody knows what is on it."""
    found = scenes.released_volume(NAMES)
    found.objects["PersistentVolume"][0]["status"]["phase"] = "Failed"

    assert not any(isinstance(step, ChangeStep) for step in (await made(found)).steps)


async def test_a_class_is_let_grow_only_where_its_driver_is_seen_to() -> None:
    """Without another class of the provisioner that grows, the plan advises."""
    found = scenes.fixed_size(NAMES)
    assert patch_of(await made(found)) == {"allowVolumeExpansion": True}

    found.objects["StorageClass"] = found.objects["StorageClass"][:1]
    plan = await made(found)
    assert not any(isinstance(step, ChangeStep) for step in plan.steps)


async def test_one_pod_more_lets_one_leave() -> None:
    """The budget stays; the other way is offered beside it."""
    plan = await made(scenes.kept_on_node(NAMES))

    assert (change_of(plan).tool, value_of(plan, "replicas")) == ("k8s_scale", 3)
    assert [item.title for item in plan.alternatives] == ["Allow one disruption at a time"]


async def test_a_budget_that_allows_none_is_told_to_allow_one() -> None:
    """However many pods there are, it would never let one go."""
    found = scenes.kept_on_node(NAMES)
    found.objects["PodDisruptionBudget"][0]["spec"] = {
        "maxUnavailable": 0,
        "selector": {"matchLabels": {"app": "payment-service"}},
    }

    assert patch_of(await made(found)) == {"spec": {"maxUnavailable": 1, "minAvailable": None}}


async def test_what_an_autoscaler_owns_is_not_scaled() -> None:
    """It would be scaled back."""
    found = scenes.kept_on_node(NAMES)
    found.objects["HorizontalPodAutoscaler"] = [
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": world.meta("payment-service", "checkout"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "payment-service"}},
        }
    ]

    assert change_of(await made(found)).tool == "k8s_patch"


async def test_the_helper_is_moved_and_not_written_down() -> None:
    """The plan holds no word of its specification, which may hold secrets."""
    operations = patch_of(await made(scenes.job_with_helper(NAMES)))["operations"]
    base = "/spec/jobTemplate/spec/template/spec"

    assert operations == [
        {"op": "add", "path": f"{base}/initContainers", "value": []},
        {"op": "move", "from": f"{base}/containers/1", "path": f"{base}/initContainers/-"},
        {"op": "add", "path": f"{base}/initContainers/0/restartPolicy", "value": "Always"},
    ]


async def test_a_job_of_its_own_cannot_be_changed() -> None:
    """Its template is fixed."""
    plan = await made(scenes.job_with_helper(NAMES, by_cron=False))

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert "has to be made anew" in prose_of(plan)


async def test_the_entry_that_hides_is_taken_away() -> None:
    """By its place and its name; going back is the other way, because the revision before set it once."""
    plan = await made(scenes.set_twice(NAMES))

    assert patch_of(plan)["operations"] == [
        {"op": "test", "path": "/spec/template/spec/containers/0/env/1/name", "value": "MODE"},
        {"op": "remove", "path": "/spec/template/spec/containers/0/env/1"},
    ]
    assert [item.tool for item in plan.alternatives] == ["k8s_rollout_undo"]
    assert checks_of(plan)["env_set"]["variable"] == "MODE"
