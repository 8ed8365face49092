"""What a plan leaves alone: a change that nothing decides, that is undone at once, or that gives away rights."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.lines import lost_host
from skyflo_runbooks.diagnosis.pods import quantity
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from tests.diagnosis import scenes, world
from tests.diagnosis.test_of_the_cluster import node, waits
from tests.diagnosis.world import Names
from tests.planning.test_bites import pod, workload
from tests.planning.test_room_to_evict import kept
from tests.planning.test_starting import unstartable
from tests.planning.tries import change_of, planned, prose_of, value_of

NAMES = Names()
WORDS = Incident("something is wrong", ("shop",))
WORDS_HERE = Incident("something is wrong", (NAMES.namespace,))


def unchanged(plan: Plan) -> bool:
    """Whether a plan advises only."""
    return not any(isinstance(step, ChangeStep) for step in plan.steps)


# CON-03 ---------------------------------------------------------------------------------------------------------------


async def test_a_worker_of_a_web_image_does_not_become_a_second_web() -> None:
    """What the image starts is what its neighbour runs; every pod would be ready."""
    found = unstartable()
    web = scenes.serving(scenes.beside(NAMES, "web", image="payment-svc"))
    both = world.snapshot([item for items in found.objects.values() for item in items] + web)
    plan = await planned(both)

    assert plan.findings[0].fault == "CON-03"
    assert unchanged(plan)
    assert "Deployment/checkout/web runs the same image" in prose_of(plan)


async def test_a_container_that_nobody_asks_keeps_its_command() -> None:
    """Neither a Service, nor probes, nor ports: nothing shows what the image's own command would be for."""
    found = unstartable()
    found.objects["Service"] = []
    for item in (*found.objects["Deployment"], *found.objects["Pod"], *found.objects["ReplicaSet"]):
        spec = item["spec"]["template"]["spec"] if item["kind"] != "Pod" else item["spec"]
        spec["containers"][0].pop("ports", None)

    assert unchanged(await planned(found))


# AUT-05 ---------------------------------------------------------------------------------------------------------------


def of_a_set(found: Snapshot) -> Snapshot:
    """The same with a StatefulSet."""
    more = copy.deepcopy(found)
    more.objects["StatefulSet"] = [item | {"kind": "StatefulSet"} for item in more.objects.pop("Deployment")]
    for one in more.objects["Pod"]:
        one["metadata"]["ownerReferences"] = world.owned("StatefulSet", NAMES.workload)
    return more


async def test_a_database_gets_no_member_for_a_drain() -> None:
    """The budget is offered; where there is one pod, a person decides."""
    two = await planned(of_a_set(kept({"minAvailable": 2}, pods=2)))
    assert [change_of(two).tool, two.alternatives] == ["k8s_patch", ()]
    assert change_of(two).arguments["kind"] == "PodDisruptionBudget"

    one = await planned(of_a_set(kept({"minAvailable": 1}, pods=1)))
    assert unchanged(one)
    assert "a member more" in prose_of(one)


def scaler(kind: str, name: str, space: str, *, least: int = 1, owner: str = "") -> Json:
    """An autoscaler of a workload."""
    above = [{"kind": "ScaledObject", "name": owner, "controller": True}] if owner else []
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": world.meta("scaler", space, ownerReferences=above),
        "spec": {"minReplicas": least, "maxReplicas": 10, "scaleTargetRef": {"kind": kind, "name": name}},
    }


async def test_what_an_autoscaler_has_is_not_scaled_for_a_drain() -> None:
    """It would be back within seconds."""
    found = kept({"minAvailable": 2}, pods=2)
    found.objects["HorizontalPodAutoscaler"] = [scaler("Deployment", NAMES.workload, NAMES.namespace)]
    plan = await planned(found)

    assert [change_of(plan).tool, plan.alternatives] == ["k8s_patch", ()]


# SCH-06, SCH-07 -------------------------------------------------------------------------------------------------------


def too_close(*more: Json) -> Snapshot:
    """Three pods that must stand apart, and two nodes."""
    web = workload("Deployment", "web")
    web["spec"]["replicas"] = 3
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    web["spec"]["template"]["spec"]["affinity"] = rule
    lacks = waits(web, "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.")
    nodes = [node(name, labels={"kubernetes.io/hostname": name}) for name in ("node-a", "node-b")]
    return world.snapshot([web, lacks, *nodes, *more])


async def test_a_number_that_an_autoscaler_has_is_changed_there() -> None:
    """Without one the workload is scaled."""
    alone = await planned(too_close(), incident=WORDS)
    plan = await planned(too_close(scaler("Deployment", "web", "shop")), incident=WORDS)

    assert (change_of(alone).tool, value_of(alone, "replicas")) == ("k8s_scale", 2)
    assert (change_of(plan).tool, change_of(plan).arguments["kind"]) == ("k8s_patch", "HorizontalPodAutoscaler")
    assert value_of(plan, "maximum") == 2


async def test_a_member_is_not_taken_away_because_it_has_no_place() -> None:
    """A StatefulSet's pods are not of one kind: what would be lost is said, and where a place could come from."""
    found = too_close()
    found.objects["StatefulSet"] = [made := found.objects["Deployment"].pop()]
    made["kind"] = found.objects["Pod"][0]["metadata"]["ownerReferences"][0]["kind"] = "StatefulSet"
    plan = await planned(found, incident=WORDS)

    assert (plan.findings[0].fault, plan.findings[0].object.kind) == ("SCH-06", "StatefulSet")
    assert unchanged(plan)
    assert "add 1 node, each with a kubernetes.io/hostname of its own" in prose_of(plan)


def on_a_port(kind: str, *rivals: str) -> Snapshot:
    """A pod that waits for host port 9100 on a node where these DaemonSets have it."""
    said = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    agent = workload(kind, "agent")
    others = [workload("DaemonSet", name) for name in rivals]
    for one in (agent, *others):
        ports = [{"containerPort": 9100, "hostPort": 9100}]
        one["spec"]["template"]["spec"]["containers"] = [{"name": "main", "image": "agent:v1", "ports": ports}]
    held = [pod(one) for one in others]
    for one in held:
        one["spec"] = {**one["spec"], "nodeName": "node-a"}
    return world.snapshot([agent, *others, *held, waits(agent, said), node("node-a")])


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment", "StatefulSet"])
async def test_who_has_the_port_is_named(kind: str) -> None:
    """Nobody is scaled away for it; whose port it is, people decide."""
    plan = await planned(on_a_port(kind, "exporter"), incident=WORDS)

    assert plan.findings[0].fault == "SCH-08"
    assert "taken by DaemonSet/shop/exporter" in plan.findings[0].title
    assert unchanged(plan)
    assert "DaemonSet/shop/exporter on node-a has it: give one of the two another host port" in prose_of(plan)


async def test_a_port_whose_holder_was_not_read_is_looked_for_elsewhere() -> None:
    """A program of the node, or a pod of another namespace."""
    plan = await planned(on_a_port("DaemonSet"), incident=WORDS)

    assert plan.findings[0].fault == "SCH-08"
    assert unchanged(plan)
    assert "Who has host port 9100 was not read" in prose_of(plan)


@pytest.mark.parametrize(
    ("more", "why"), [({"least": 3}, "at least 3"), ({"owner": "k"}, "ScaledObject")], ids=["wants-more", "owned"]
)
async def test_an_autoscaler_that_has_to_want_more_is_left(more: dict[str, Any], why: str) -> None:
    """Or that something else writes: the plan says where."""
    plan = await planned(too_close(scaler("Deployment", "web", "shop", **more)), incident=WORDS)

    assert unchanged(plan)
    assert why in prose_of(plan)


async def test_an_autoscaler_that_could_not_be_read_is_said() -> None:
    """The number may be undone."""
    plan = await planned(world.without(too_close(), "HorizontalPodAutoscaler"), incident=WORDS)

    assert "Whether an autoscaler scales it is not known" in prose_of(plan)


def spread(*rules: tuple[str, int]) -> Snapshot:
    """A pod with these hard constraints (key, maxSkew), and two nodes of one zone, one of which has a pod."""
    web = workload("Deployment", "web")
    about = {"matchLabels": dict(web["spec"]["template"]["metadata"]["labels"])}
    hard = [
        {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": about}
        for key, skew in rules
    ]
    web["spec"]["template"]["spec"]["topologySpreadConstraints"] = hard
    lacks = waits(web, "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.")
    labels = {"zone": "one"}
    nodes = [node(name, labels=labels | {"host": name}) for name in ("node-a", "node-b")]
    return world.snapshot([web, lacks, *nodes])


@pytest.mark.parametrize(
    ("rules", "softened"),
    [
        ([("zone", 1), ("rack", 1)], [1]),
        ([("rack", 1), ("host", 1)], [0]),
        ([("rack", 1), ("row", 1), ("zone", 1)], [0, 1]),
    ],
)
async def test_only_the_spread_that_cannot_be_met_becomes_a_wish(
    rules: list[tuple[str, int]], softened: list[int]
) -> None:
    """The zones stay a condition where it is the racks that no node names."""
    plan = await planned(spread(*rules), incident=WORDS)
    paths = [item["path"] for item in change_of(plan).arguments["patch"]]

    assert plan.findings[0].fault == "SCH-07"
    assert paths == [f"/spec/template/spec/topologySpreadConstraints/{index}/whenUnsatisfiable" for index in softened]


# CON-21 ---------------------------------------------------------------------------------------------------------------


def limited(hard: str, used: str, key: str = "limits.cpu", *, request: bool = True) -> Snapshot:
    """A container that waits for CPU at 200m, and a quota."""
    found = scenes.waits_for_cpu(NAMES)
    spec = {"hard": {key: hard}}
    held = {"kind": "ResourceQuota", "metadata": world.meta("team", NAMES.namespace), "spec": spec}
    found.objects["ResourceQuota"] = [held | {"status": {"hard": {key: hard}, "used": {key: used}}}]
    found.objects["Deployment"][0]["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    for item in (*found.objects["Deployment"], *found.objects["Pod"]) if not request else ():
        spec_ = item["spec"]["template"]["spec"] if item["kind"] == "Deployment" else item["spec"]
        spec_["containers"][0]["resources"].pop("requests", None)
    return found


async def test_a_limit_is_raised_as_far_as_the_quota_has_room() -> None:
    """And not at all where it has none; a request that is not set follows the limit."""
    assert value_of(await planned(limited("1", "200m")), "cpu_limit") == "400m"
    assert value_of(await planned(limited("300m", "200m")), "cpu_limit") == "300m"
    assert unchanged(await planned(limited("200m", "200m")))
    assert value_of(await planned(limited("250m", "200m", "requests.cpu")), "cpu_limit") == "400m"
    assert value_of(await planned(limited("250m", "200m", "requests.cpu", request=False)), "cpu_limit") == "250m"


@given(hard=st.integers(100, 900), used=st.integers(100, 900))
async def test_no_limit_passes_a_quota(hard: int, used: int) -> None:
    """Whatever it has used, what is added fits."""
    plan = await planned(limited(f"{hard}m", f"{used}m"))
    if not unchanged(plan):
        size = quantity(value_of(plan, "cpu_limit"))
        assert size is not None
        assert 200 < size * 1000 <= min(400, 200 + hard - used)


async def test_a_quota_that_was_not_read_is_said() -> None:
    """It is not called fine."""
    plan = await planned(world.without(scenes.waits_for_cpu(NAMES), "ResourceQuota"))

    assert "Whether a quota leaves room for it is not known" in prose_of(plan)


# NET-13 ---------------------------------------------------------------------------------------------------------------


def resolves(line: str) -> Snapshot:
    """A workload whose pods ask the node's resolvers, and what it says."""
    made = scenes.serving(NAMES, 1)
    for item in (made[0], made[2]):
        spec = item["spec"]["template"]["spec"] if item["kind"] == "Deployment" else item["spec"]
        spec["dnsPolicy"] = "Default"
    made[2]["status"]["conditions"][0]["status"] = "False"
    log = Log(NAMES.namespace, made[2]["metadata"]["name"], NAMES.container, False, line)
    return world.snapshot([*made, world.service(NAMES)], logs=(log,))


@pytest.mark.parametrize(
    ("line", "host", "sure"),
    [
        ("dial tcp: lookup ledger on 10.1.1.1:53: no such host", "ledger", 0.9),
        ("Error: getaddrinfo ENOTFOUND ledger.shop.svc", "ledger.shop.svc", 0.9),
        ("java.net.UnknownHostException: ledger.checkout: Name or service not known", "ledger.checkout", 0.9),
        (
            'could not translate host name "db.x.svc.cluster.local" to address: Name or service not known',
            "db.x.svc.cluster.local",
            0.9,
        ),
        ("temporary failure in name resolution", "", 0.6),
        ("lookup failed: no such host", "", 0.6),
        ("could not resolve host: api.stripe.com", "api.stripe.com", 0.0),
        ("DNS lookup failed for example.com: no such host", "example.com", 0.0),
        ("lookup db.corp.example.com: no such host", "db.corp.example.com", 0.0),
    ],
)
def test_only_a_name_of_the_cluster_is_the_policy_s_fault(line: str, host: str, sure: float) -> None:
    """Its own resolvers may have lost any other, and the cluster's know it no better."""
    found = [one.confidence for one in diagnose(resolves(line), WORDS_HERE).findings if one.fault == "NET-13"]

    assert lost_host(line) == host
    assert found == ([sure] if sure else [])


@given(st.text(max_size=200))
def test_any_line_has_at_most_one_lost_host(line: str) -> None:
    """And it stands in the line."""
    assert lost_host(line) in line.lower()


# ADM-10 ---------------------------------------------------------------------------------------------------------------


def without_account(*, others: bool, before: bool = False) -> Snapshot:
    """A workload whose ServiceAccount does not exist, and one that reads like it."""
    made = scenes.serving(NAMES, 0)
    made[0]["spec"]["replicas"] = made[1]["spec"]["replicas"] = 2
    made[0]["spec"]["template"]["spec"]["serviceAccountName"] = "report-runner"
    made[1]["spec"]["template"]["spec"]["serviceAccountName"] = "report-runner"
    there = {"kind": "ServiceAccount", "metadata": world.meta("reports-runner", NAMES.namespace)}
    text = 'pods "x-1" is forbidden: error looking up service account checkout/report-runner: serviceaccount '
    said = scenes.event(made[1], "FailedCreate", f'Error creating: {text}"report-runner" not found')
    more = scenes.serving(scenes.beside(NAMES, "reports")) if others else []
    for item in more:
        spec = item["spec"] if item["kind"] == "Pod" else item["spec"]["template"]["spec"]
        spec["serviceAccountName"] = "reports-runner"
    if before:
        old = world.replica_set(NAMES, world.container(NAMES, "payment-svc:v2.4.0"), 0, replicas=0)
        old["spec"]["template"]["spec"]["serviceAccountName"] = "reports-runner"
        more.append(old)
    return world.snapshot([*made, there, said, world.service(NAMES), *more])


@pytest.mark.parametrize(
    ("others", "before", "taken"), [(False, False, True), (True, False, False), (True, True, True)]
)
async def test_the_account_of_another_workload_is_not_taken(others: bool, before: bool, taken: bool) -> None:
    """Its rights were given to that one; where the revision before had it, it is this one's too."""
    plan = await planned(without_account(others=others, before=before), incident=WORDS_HERE)

    assert plan.findings[0].fault == "ADM-10"
    assert (change_of(plan).tool == "k8s_patch") is taken
    assert "k8s_create" in [change_of(plan).tool, *(item.tool for item in plan.alternatives)]
