"""What verifies a repair looks at what was repaired and at who suffered, wherever those are, and can fail."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, param
from tests.diagnosis import added, scenes, world
from tests.diagnosis.scenes import event
from tests.diagnosis.world import Names
from tests.planning.test_too_much import forbidden
from tests.planning.tries import change_of, planned, prose_of

NAMES = Names()
HERE = NAMES.namespace


def checks(made: Plan) -> list[Check]:
    """The checks that follow the change."""
    return [check for step in made.steps if isinstance(step, VerifyStep) for check in step.checks]


def looks(made: Plan, name: str) -> list[Json]:
    """The arguments of the checks of one name."""
    return [check.arguments for check in checks(made) if check.name == name]


# Several namespaces ---------------------------------------------------------------------------------------------------


def dead_node(*kinds: str) -> Snapshot:
    """A node does not answer; pods of Deployments in two namespaces, and of other kinds, are on it."""
    other = Names(namespace="billing", workload="invoices", service="invoices")
    made = [*scenes.serving(NAMES, 1), *scenes.serving(other, 1)]
    for kind in kinds:
        spec = world.container(NAMES, "agent:v1")
        above = world.owned(kind, f"a-{kind.lower()}")
        pod = world.pod(scenes.beside(NAMES, f"a-{kind.lower()}"), spec, world.running())
        pod["metadata"]["ownerReferences"] = above
        owner = world.deployment(scenes.beside(NAMES, f"a-{kind.lower()}"), spec, replicas=1) | {"kind": kind}
        made = [owner, pod, *made]
    for item in made:
        if item["kind"] == "Pod":
            item["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    node = world.node()
    node["status"]["conditions"] = [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting"}]
    return world.snapshot([*made, node])


async def test_who_suffers_is_looked_at_in_its_own_namespace() -> None:
    """The plan's namespace is that of one of them."""
    made = await planned(dead_node(), incident=Incident("pods are not ready"))

    assert made.findings[0].fault == "NOD-01"
    seen = {str(found["name"]): found["namespace"] for found in looks(made, "pods_ready")}
    assert seen == {NAMES.workload: param("namespace"), "invoices": "billing"}


async def test_a_pod_that_stays_with_its_node_is_not_waited_for() -> None:
    """A DaemonSet's pod and one of a StatefulSet are not replaced elsewhere while nobody knows the node dead."""
    made = await planned(dead_node("DaemonSet", "StatefulSet"), incident=Incident("pods are not ready"))

    assert {found["kind"] for found in looks(made, "pods_ready")} == {"Deployment"}
    cordoned = {"kind": "Node", "name": "node-a", "path": "/spec/unschedulable", "value": True}
    assert any(cordoned.items() <= found.items() for found in looks(made, "field_equals"))


async def test_whose_pods_a_webhook_kept_away_is_looked_at() -> None:
    """That the webhook runs again is one thing; that the pods are made is what was asked for."""
    guard = Names(namespace="guards", workload="guard", service="guard")
    backend = scenes.serving(guard, 0)
    backend[0]["spec"]["replicas"] = 0
    made = scenes.serving(NAMES, 0)
    made[0]["spec"]["replicas"] = made[1]["spec"]["replicas"] = 2
    said = event(
        made[1],
        "FailedCreate",
        'Error creating: Internal error occurred: failed calling webhook "guard.example.com": failed to call webhook: '
        "no endpoints available for service guard",
    )
    client = {"service": {"name": "guard", "namespace": "guards"}}
    hook = added.webhook("guard", "ValidatingWebhookConfiguration", clientConfig=client)
    plan = await planned(world.snapshot([*backend, *made, said, hook, world.service(guard)]))

    assert plan.findings[0].fault == "ADM-05"
    assert {(found["name"], str(found["namespace"])) for found in looks(plan, "pods_ready")} == {
        ("guard", str(param("namespace"))),
        (NAMES.workload, HERE),
    }


# What was written, and what it is for ---------------------------------------------------------------------------------


def routed(port: Json) -> Snapshot:
    """An Ingress that sends to the Service at a port."""
    path = {"path": "/", "backend": {"service": {"name": NAMES.service, "port": port}}}
    made: Json = {
        "kind": "Ingress",
        "metadata": world.meta("front", HERE),
        "spec": {"rules": [{"http": {"paths": [path]}}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }
    return world.snapshot([*scenes.serving(NAMES), world.service(NAMES), made])


async def test_a_backends_port_is_looked_for() -> None:
    """The number at its place, and somebody who answers behind it."""
    made = await planned(routed({"number": 8443}))

    base = "/spec/rules/0/http/paths/0/backend/service/port"
    assert [(found["path"], found["value"]) for found in looks(made, "field_equals")] == [(f"{base}/number", 80)]
    assert [found["service"] for found in looks(made, "endpoints_ready")] == [NAMES.service]


async def test_a_services_port_is_asked_at() -> None:
    """That the field is what was written says nothing of whether anybody answers."""
    found = world.snapshot([*scenes.serving(NAMES), world.service(NAMES)])
    probe = {"httpGet": {"path": "/ready", "port": 8080}}
    found.objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    found.objects["Service"][0]["spec"]["ports"][0]["targetPort"] = 9999
    made = await planned(found, incident=Incident("errors on /checkout of payment-service"))

    assert made.findings[0].fault == "NET-02"
    assert looks(made, "endpoints_ready")
    assert [check["path"] for check in looks(made, "http_ok")] == ["/checkout"]


async def test_the_right_that_was_added_is_looked_for() -> None:
    """A program that goes on without it is ready before as well."""
    made = await planned(forbidden())

    paths = {found["path"]: found["value"] for found in looks(made, "field_equals")}
    assert paths == {"/rules/0/resources/0": "configmaps", "/rules/0/verbs/0": "list"}


async def test_the_identity_that_was_admitted_is_looked_for() -> None:
    """Who asks was ready before, too."""
    made = await planned(added.not_allowed(NAMES))

    (found,) = looks(made, "field_equals")
    assert (found["path"], found["value"]) == (
        "/spec/rules/1/from/0/source/principals/0",
        f"cluster.local/ns/{HERE}/sa/default",
    )


# AUT-04 ---------------------------------------------------------------------------------------------------------------


def at_most(cpu: str) -> Snapshot:
    """An autoscaler at its maximum of 4; each pod asks for 100m, and the node has this much."""
    scaler: Json = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": world.meta("scaler", HERE),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": NAMES.workload}, "maxReplicas": 4},
        "status": {
            "currentReplicas": 4,
            "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "TooManyReplicas"}],
        },
    }
    return world.snapshot([*scenes.serving(NAMES, 4), scaler, world.node(cpu=cpu)])


@pytest.mark.parametrize(("cpu", "most"), [("4", 6), ("500m", 5)])
async def test_a_maximum_is_raised_within_what_the_nodes_have(cpu: str, most: int) -> None:
    """Half as many again, where there is room for them; and it must want fewer than that afterwards."""
    made = await planned(at_most(cpu))

    assert [item.default for item in made.parameters if item.name == "maximum"] == [most]
    assert looks(made, "below_maximum") == [{"name": "scaler", "namespace": param("namespace")}]


async def test_a_maximum_is_not_raised_where_the_nodes_are_full() -> None:
    """More pods would find no node."""
    made = await planned(at_most("400m"))

    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "no room" in prose_of(made)


async def test_a_quota_is_not_lowered_by_an_old_event() -> None:
    """Its owner raised it since the pods were refused: what is computed from then would take that back."""
    made = await planned(quota("20"))

    assert made.findings[0].fault == "ADM-01"
    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert change_of(await planned(quota("4"))).arguments["patch"] == {"spec": {"hard": {"pods": "7"}}}


async def test_a_quota_is_raised_in_all_that_the_pods_to_come_ask_for() -> None:
    """The API server names what is used up; the next pod would be refused for what is nearly so."""
    nearly = {"requests.cpu": "1200m", "limits.memory": "10Gi", "services": "1", "requests.nvidia.com/gpu": "1"}

    made = await planned(quota("4", nearly, {"requests.cpu": "1100m", "limits.memory": "1Gi", "services": "1"}))

    asked = change_of(made).arguments["patch"]["spec"]["hard"]
    assert asked == {"pods": "7", "requests.cpu": "1400m"}


async def test_a_quota_that_allows_none_is_a_ban_and_is_not_raised() -> None:
    """Somebody keeps pods without requests out: with requests they are none of these."""
    found = quota("0")
    found.objects["ResourceQuota"][0]["spec"]["scopes"] = ["BestEffort"]
    made = await planned(found)

    assert made.findings[0].fault == "ADM-01"
    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "allows none of BestEffort: that is a ban. Give the containers requests" in prose_of(made)


@pytest.mark.parametrize("there", ["exporter-2", "somebody"])
async def test_of_a_cronjob_a_run_has_to_begin(there: str) -> None:
    """Its template lies deeper than a Deployment's; between two runs no pod of it tells anything."""
    template: Json = {"spec": {"serviceAccountName": "exporter", "containers": [{"name": "x", "image": "x:v1"}]}}
    cron: Json = {
        "kind": "CronJob",
        "metadata": world.meta("nightly", HERE),
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": template}}},
    }
    job: Json = {
        "kind": "Job",
        "metadata": world.meta("nightly-1", HERE, ownerReferences=world.owned("CronJob", "nightly")),
        "spec": {"template": template},
        "status": {},
    }
    account: Json = {"kind": "ServiceAccount", "metadata": world.meta(there, HERE)}
    said = event(
        job, "FailedCreate", f'error looking up service account {HERE}/exporter: serviceaccount "exporter" not found'
    )
    made = await planned(world.snapshot([cron, job, account, said, world.node()]))

    assert made.findings[0].fault == "ADM-10"
    assert looks(made, "run_began") == [{"name": "nightly", "namespace": param("namespace")}]
    change = change_of(made)
    assert change.tool == ("k8s_create" if there == "somebody" else "k8s_patch")
    if there != "somebody":
        assert change.arguments["patch"][0]["path"] == "/spec/jobTemplate/spec/template/spec/serviceAccountName"


def quota(hard: str, more: dict[str, str] | None = None, used: dict[str, str] | None = None) -> Snapshot:
    """Pods were refused because a quota of 4 Pods was used up; now it is of `hard`."""
    more, used = more or {}, used or {}
    made = scenes.serving(NAMES, 1)
    made[0]["spec"]["replicas"] = made[1]["spec"]["replicas"] = 3
    said = event(
        made[1],
        "FailedCreate",
        "pods is forbidden: exceeded quota: few, requested: pods=1, used: pods=4, limited: pods=4",
    )
    held: Json = {
        "kind": "ResourceQuota",
        "metadata": world.meta("few", HERE),
        "spec": {"hard": {"pods": hard, **more}},
        "status": {"hard": {"pods": hard, **more}, "used": {"pods": "4", **used}},
    }
    return world.snapshot([*made, said, held, world.service(NAMES)])


# AUT-03, API-01 -------------------------------------------------------------------------------------------------------


async def test_an_autoscaler_has_to_reach_its_new_target() -> None:
    """That the field says so is what was approved; that there is such a workload to scale, its controller says."""
    said = {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": "not found"}
    scaler: Json = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": world.meta("scaler", HERE),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": f"{NAMES.workload}s"}, "maxReplicas": 4},
        "status": {"conditions": [said]},
    }
    made = await planned(world.snapshot([*scenes.serving(NAMES), scaler]))

    (found,) = looks(made, "condition_true")
    assert (found["kind"], found["name"], found["condition"]) == ("HorizontalPodAutoscaler", "scaler", "AbleToScale")


async def test_an_api_has_to_be_available_again() -> None:
    """A ready pod behind it may still not answer for the API; the object is of no namespace."""
    made = await planned(scenes.SCENES["API-01"][0](NAMES))

    (found,) = looks(made, "condition_true")
    held = {"kind": "APIService", "name": "v1.reports.example.com", "namespace": "", "condition": "Available"}
    assert found == held
