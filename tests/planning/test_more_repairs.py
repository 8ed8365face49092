"""Repairs of the network, of storage, of disruption and of Jobs: the least change that lasts, and its check."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.snapshot import Log, Usage
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, RollbackStep
from tests.diagnosis import added, scenes, world
from tests.diagnosis.added import ADDED_SCENES
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of

NAMES = Names()
ALL = SCENES | ADDED_SCENES
ADVICE = ["ADM-08", "DLV-01", "MES-01", "NET-09", "NOD-04", "STO-06"]
CHANGES = sorted(set(ALL) - set(ADVICE))


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
    plan = await made(ALL[fault][0](NAMES))

    assert change_of(plan).why
    assert checks_of(plan)
    assert [step.of for step in plan.steps if isinstance(step, RollbackStep)] == [change_of(plan).id]


@pytest.mark.parametrize("fault", ADVICE)
async def test_where_no_change_is_safe_the_plan_advises(fault: str) -> None:
    """A driver that is not there, a kubelet's configuration, a certificate: they are repaired where they come from."""
    plan = await made(ALL[fault][0](NAMES))

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


@pytest.mark.parametrize("known", [False, True], ids=["not-read", "cached-by-the-nodes"])
async def test_lookups_are_not_let_out_to_a_resolver_that_pods_do_not_ask(known: bool) -> None:
    """Where kube-dns was not read, or a cache of each node answers before it, the plan advises."""
    found = scenes.names_denied(NAMES, known=known)
    found.objects["DaemonSet"] = [{"kind": "DaemonSet", "metadata": world.meta("node-local-dns", "kube-system")}]
    plan = await made(found)

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert "169.254.20.10" in prose_of(plan)


@pytest.mark.parametrize("zone", ["mycluster.local", "cluster2.local", "k8s.cluster.local"])
async def test_a_domain_of_its_own_is_left_in_the_corefile(zone: str) -> None:
    """Who asks for another is told so; the cluster's names stay."""
    plan = await made(scenes.other_zone(NAMES, zone))

    assert not any(step.arguments.get("name") == "coredns" for step in plan.steps if isinstance(step, ChangeStep))


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
    """The claim that it belonged to is tested, and the data's owner is named as the one to ask.

    It stays reserved: whatever claim comes meanwhile does not get it.
    """
    found = scenes.released_volume(NAMES)
    plan = await made(found)
    test, remove = patch_of(plan)["operations"]

    assert test == {"op": "test", "path": "/spec/claimRef/uid", "value": "uid-of-before"}
    assert remove == {"op": "remove", "path": "/spec/claimRef/uid"}
    assert "only if the data's owner agrees" in prose_of(plan)
    assert checks_of(plan)["claim_bound"]["name"] == "data"

    found.objects["PersistentVolume"][0]["spec"]["claimRef"]["resourceVersion"] = "17"
    removed = [one["path"] for one in patch_of(await made(found))["operations"] if one["op"] == "remove"]
    assert removed == ["/spec/claimRef/uid", "/spec/claimRef/resourceVersion"]


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


@pytest.mark.parametrize("fault", ["CON-18", "CON-19"])
async def test_pods_are_made_anew_with_what_is_there_now(fault: str) -> None:
    """The value itself is neither changed nor shown."""
    change = change_of(await made(ALL[fault][0](NAMES)))

    assert change.tool == "k8s_rollout_restart"
    assert set(change.arguments) == {"kind", "namespace", "name"}


async def test_a_cpu_limit_is_doubled_within_what_a_node_has() -> None:
    """The largest node and the LimitRange bound it; what is at the bound is only advised on."""
    found = scenes.waits_for_cpu(NAMES)
    assert value_of(await made(found), "cpu_limit") == "400m"

    limits = [{"type": "Container", "max": {"cpu": "300m"}}]
    found.objects["LimitRange"] = [
        {"kind": "LimitRange", "metadata": world.meta("most", "checkout"), "spec": {"limits": limits}}
    ]
    assert value_of(await made(found), "cpu_limit") == "300m"

    limits[0]["max"] = {"cpu": "200m"}
    assert not any(isinstance(step, ChangeStep) for step in (await made(found)).steps)


async def test_another_certificate_serves_where_one_is_for_the_same_hosts() -> None:
    """The Ingress names it; no Secret is touched."""
    found = scenes.out_of_date(NAMES)
    found.objects["Secret"].append(scenes.certificate(NAMES, "next", ends="2027-01-01T00:00:00Z"))
    plan = await made(found)

    assert change_of(plan).arguments["kind"] == "Ingress"
    assert patch_of(plan)["operations"] == [{"op": "replace", "path": "/spec/tls/0/secretName", "value": "next"}]
    assert checks_of(plan)["certificate_valid"]["secret"] == "next"


def _refused_right(rules: list[Json]) -> Snapshot:
    found = world.missing_variable()
    line = (
        'pods is forbidden: User "system:serviceaccount:checkout:default" cannot list resource "pods" in API group "" '
        'in the namespace "checkout"'
    )
    logs = tuple(Log(log.namespace, log.pod, log.container, True, line) for log in found.logs)
    role: Json = {"kind": "Role", "metadata": world.meta("app", "checkout"), "rules": rules}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": "checkout"}
    binding: Json = {
        "kind": "RoleBinding",
        "metadata": world.meta("app", "checkout"),
        "roleRef": {"kind": "Role", "name": "app"},
        "subjects": [subject],
    }
    for item in found.objects["ReplicaSet"]:
        item["spec"]["template"]["spec"]["containers"][0]["env"] = []
    objects = {**found.objects, "Role": [role], "RoleBinding": [binding]}
    return msgspec.structs.replace(found, objects=objects, logs=logs)


async def test_a_role_gets_the_one_right_and_no_more() -> None:
    """The verb and the resource of the refusal, appended; never a wildcard."""
    had = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    right = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}

    assert patch_of(await made(_refused_right([had])))["operations"] == [
        {"op": "add", "path": "/rules/-", "value": right}
    ]
    assert patch_of(await made(_refused_right([])))["operations"] == [{"op": "add", "path": "/rules", "value": [right]}]


def _scaled_by_cpu(cpu: float | None) -> Snapshot:
    found = world.healthy()
    for item in (*found.objects["Deployment"], *found.objects["Pod"]):
        spec = item["spec"].get("template", item)["spec"]["containers"][0]
        spec["resources"] = {"requests": {"memory": "128Mi"}}
    said = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}
    said["message"] = "failed to get cpu utilization: missing request for cpu in container payment-service"
    scaler: Json = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": world.meta("payment-service", "checkout"),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "payment-service"}},
        "status": {"conditions": [said]},
    }
    uses = [
        Usage("checkout", pod["metadata"]["name"], "payment-service", memory=2**26, cpu=cpu)
        for pod in found.objects["Pod"]
    ]
    return msgspec.structs.replace(
        found, objects={**found.objects, "HorizontalPodAutoscaler": [scaler]}, usage=tuple(uses)
    )


async def test_a_request_comes_from_what_was_measured() -> None:
    """Half as much again as the most that was used; without a measurement the plan advises."""
    assert value_of(await made(_scaled_by_cpu(0.12)), "request") == "180m"
    assert not any(isinstance(step, ChangeStep) for step in (await made(_scaled_by_cpu(None))).steps)


def _daemon(node: Json, **spec: object) -> Snapshot:
    held: Json = {"containers": [{"name": "agent", "image": "agent:v1"}], **spec}
    daemon: Json = {
        "kind": "DaemonSet",
        "metadata": world.meta("agent", "checkout"),
        "spec": {"template": {"metadata": {"labels": {"app": "agent"}}, "spec": held}},
        "status": {"desiredNumberScheduled": 0},
    }
    return world.snapshot([daemon, node])


async def test_a_daemon_set_tolerates_the_one_taint() -> None:
    """By its key, value and effect, never everything."""
    node = world.node()
    node["spec"]["taints"] = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    change = change_of(await made(_daemon(node)))

    assert change.tool == "k8s_tolerate"
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    assert {part: change.arguments[part] for part in taint} == taint


@pytest.mark.parametrize(("wanted", "chosen"), [("linus", "linux"), ("windows-server", None)])
async def test_a_daemon_set_selects_what_nodes_carry(wanted: str, chosen: str | None) -> None:
    """A slip of the pen is put right; a wish for other nodes is not."""
    node = world.node()
    node["metadata"]["labels"] = {"os": "linux"}
    asked = Incident("the agent runs nowhere", ("checkout",))
    plan = await planned(_daemon(node, nodeSelector={"os": wanted}), incident=asked)
    changes = [step for step in plan.steps if isinstance(step, ChangeStep)]

    assert [step.arguments["patch"]["spec"]["template"]["spec"]["nodeSelector"]["os"] for step in changes] == (
        [chosen] if chosen else []
    )


async def test_the_slowest_webhook_gets_less_time() -> None:
    """So little that all of them fit; where even none of it would do, the plan advises."""
    found = added.late_webhooks(NAMES)
    (operation,) = patch_of(await made(found))["operations"]
    assert (operation["op"], operation["path"]) == ("replace", "/webhooks/0/timeoutSeconds")
    assert operation["value"] == 5

    found.objects["MutatingWebhookConfiguration"] += [added.webhook(f"more-{number}") for number in range(4)]
    assert not any(isinstance(step, ChangeStep) for step in (await made(found)).steps)


async def test_a_degraded_rollout_gets_its_stable_image_again() -> None:
    """The image alone, where nothing else of the template differs."""
    found = added.degraded(NAMES)
    (operation,) = patch_of(await made(found))["operations"]
    assert (operation["path"], operation["value"]) == (
        "/spec/template/spec/containers/0/image",
        "payment-svc:v2.4.0",
    )

    found.objects["Rollout"][0]["spec"]["template"]["spec"]["containers"][0]["command"] = ["other"]
    assert not any(isinstance(step, ChangeStep) for step in (await made(found)).steps)


async def test_one_identity_is_admitted() -> None:
    """The client's own, at the port that the Service sends to; nobody else, and nothing else."""
    (operation,) = patch_of(await made(added.not_allowed(NAMES)))["operations"]

    assert operation["path"] == "/spec/rules/-"
    assert operation["value"] == {
        "from": [{"source": {"principals": ["cluster.local/ns/checkout/sa/default"]}}],
        "to": [{"operation": {"ports": ["8080"]}}],
    }


@pytest.mark.parametrize("spec", [{}, {"rules": [{"from": [{"source": {"namespaces": ["billing"]}}]}]}], ids=str)
async def test_a_policy_of_a_whole_namespace_is_not_opened(spec: Json) -> None:
    """Every workload of it is behind it."""
    held = added.policy(NAMES, "AuthorizationPolicy", "allow-nothing", spec)
    plan = await made(added.in_mesh(NAMES, held, client=True))

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert "Advice" in prose_of(plan)


async def test_mutual_tls_is_not_loosened() -> None:
    """The plan says what would help, and changes no policy."""
    plan = await made(added.strict(NAMES))

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert "sidecar.istio.io/inject" in prose_of(plan)


async def test_names_that_exist_take_the_place_of_those_that_do_not() -> None:
    """A class, a port as a number, a subset."""
    patches = [
        patch_of(await made(build(NAMES)))["operations"][0]
        for build in (added.no_gateway_class, added.wrong_port, added.lost_subset)
    ]

    assert [(item["path"], item["value"]) for item in patches] == [
        ("/spec/gatewayClassName", "edge"),
        ("/spec/rules/0/backendRefs/0/port", 80),
        ("/spec/http/0/route/0/destination/subset", "stable"),
    ]


def _driven_out(*, before: bool) -> Snapshot:
    """Return a workload whose new priority drove a neighbour's pod from its node."""
    old = world.container(NAMES, "payment-svc:v2.4.0")
    pod = world.pod(NAMES, old, world.running(), serves=True)
    pod["spec"] |= {"priority": 1000000, "priorityClassName": "urgent"}
    pod["metadata"]["uid"] = "uid-urgent"
    workload = world.deployment(NAMES, old, replicas=1, available=1)
    workload["spec"]["template"]["spec"]["priorityClassName"] = "urgent"
    sets = [world.replica_set(NAMES, old, 1, replicas=0)] if before else []
    victims = scenes.serving(scenes.beside(NAMES, "ledger"), 1)
    victims[2]["status"]["conditions"][0]["status"] = "False"
    said = scenes.event(victims[2], "Preempted", "Preempted by pod uid-urgent on node node-a")
    new = world.replica_set(NAMES, old, 2, replicas=1)
    return world.snapshot([workload, *sets, new, pod, *victims, said, world.service(NAMES)])


async def test_a_priority_that_drives_others_out_goes_back() -> None:
    """To the revision before it had that priority; without one a person decides."""
    plan = await made(_driven_out(before=True))
    alone = await made(_driven_out(before=False))

    assert plan.findings[0].fault == "SCH-13"
    assert change_of(plan).tool == "k8s_rollout_undo"
    assert not any(isinstance(step, ChangeStep) for step in alone.steps)
    assert "the priority that it had" in prose_of(alone)
