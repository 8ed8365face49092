"""A check that passes on what is broken proves nothing: what a change adds is itself looked for afterwards."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import param
from tests.diagnosis import world
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, value_of

NOW = "2026-01-05T10:00:00Z"
SHOP: Json = {"kind": "Namespace", "metadata": {"name": "shop"}}
CONTAINER: Json = {"name": "main", "image": "web:v1", "ports": [{"containerPort": 3000}]}


def workload(kind: str, name: str, **spec: object) -> Json:
    """A workload of one pod that is rolled out."""
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER | dict(spec.pop("container", {}))]}}  # type: ignore[call-overload]  # an object
    counts = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), 1)
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "generation": 1, "creationTimestamp": NOW},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod, **spec},
        "status": {**counts, "observedGeneration": 1},
    }


def pod(owner: Json) -> Json:
    """The pod of a workload, Running and Ready."""
    name, template = owner["metadata"]["name"], owner["spec"]["template"]
    above = [{"kind": owner["kind"], "name": name, "controller": True}]
    meta = {"name": f"{name}-0", "namespace": "shop", **template["metadata"], "ownerReferences": above}
    ready = [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]
    return {
        "kind": "Pod",
        "metadata": meta,
        "spec": template["spec"],
        "status": {"phase": "Running", "conditions": ready},
    }


def seen(*objects: Json) -> Snapshot:
    """What was read of the namespace."""
    found: dict[str, list[Json]] = {"Namespace": [SHOP]}
    for item in objects:
        found.setdefault(str(item["kind"]), []).append(item)
    return Snapshot(NOW, ("shop",), found, elsewhere=())


async def test_the_governing_service_is_looked_for() -> None:
    """The StatefulSet was rolled out without it: that its pods are ready says nothing of it."""
    store = workload("StatefulSet", "store", serviceName="store-peers")
    made = await planned(seen(store, pod(store)), incident=Incident("peers do not find each other", ("shop",)))

    assert change_of(made).tool == "k8s_expose"
    assert checks_of(made)["endpoints_ready"] == {"service": "store-peers", "namespace": param("namespace")}


async def test_the_rule_that_admits_the_client_is_looked_for() -> None:
    """It is the last of the list, so another rule at its place is not it."""
    web = workload("Deployment", "web")
    shop = workload("Deployment", "shop", container={"env": [{"name": "WEB", "value": "http://web:80"}]})
    service: Json = {
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 3000}]},
    }
    other: Json = {"from": [{"podSelector": {"matchLabels": {"app": "backoffice"}}}]}
    policy: Json = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "web-in", "namespace": "shop"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": [other]},
    }
    made = await planned(
        seen(web, shop, pod(web), pod(shop), service, policy), incident=Incident("shop cannot reach web", ("shop",))
    )

    assert change_of(made).arguments["patch"][0]["path"] == "/spec/ingress/-"
    looked = checks_of(made)["field_equals"]
    assert (looked["path"], looked["value"]) == ("/spec/ingress/1/from/0/podSelector/matchLabels/app", "shop")


@pytest.mark.parametrize(
    ("fault", "check", "looked"),
    [
        ("STO-04", "claim_bound", {}),
        ("AUT-05", "eviction_allowed", {"name": "at-least-two"}),
        ("NET-11", "field_equals", {"value": "kube-system"}),
        ("CON-17", "field_equals", {"value": None}),
    ],
)
async def test_what_the_repair_leaves_is_looked_for(fault: str, check: str, looked: Json) -> None:
    """The claim itself, the rule itself, the entry that is gone: all else is well before the change, too."""
    checks = checks_of(await planned(SCENES[fault][0](Names())))

    assert looked.items() <= checks[check].items()


def waits(cordoned: bool) -> Snapshot:
    """Three replicas that must stand apart, on two nodes of which one may be cordoned; one has no node yet."""
    hosts = ["node-a", "node-b"]
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    web = workload("Deployment", "web")
    web["spec"] |= {"replicas": 3}
    web["spec"]["template"]["spec"] |= {"affinity": rule}
    waiting = pod(web)
    said = "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    waiting["status"] = {"phase": "Pending", "conditions": [unplaced]}
    nodes = [world.node(name) for name in hosts]
    for node in nodes:
        node["metadata"]["labels"] = {"kubernetes.io/hostname": node["metadata"]["name"]}
    nodes[1]["spec"] = {"unschedulable": cordoned}
    return seen(web, waiting, *nodes)


@pytest.mark.parametrize(("cordoned", "places"), [(False, 2), (True, 1)])
async def test_a_cordoned_node_is_no_place(cordoned: bool, places: int) -> None:
    """A plan that counts it would want a pod that can never be placed."""
    made = await planned(waits(cordoned), incident=Incident("web waits", ("shop",)))

    assert made.findings[0].fault == "SCH-06"
    assert value_of(made, "replicas") == places
