"""Changes that others build upon: nodes, namespaces, quotas, classes, definitions."""

from typing import Any

import pytest

from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import (
    Around,
    changed,
    container,
    created,
    deleted,
    level,
    lines,
    made,
    node,
    pod,
    told,
    workload,
)

HERE = [pod("web-1"), pod("web-2", spec={"tolerations": [{"operator": "Exists"}]}), pod("far", node="n2")]


def taint(effect: str) -> Json:
    """A taint."""
    return {"key": "gpu", "value": "yes", "effect": effect}


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (
            changed(node("n1"), spec__unschedulable=True),
            [node("n1"), node("n2")],
            "No new pod comes to it; what runs there stays: 2 pods",
            "low",
        ),
        (changed(node("n1"), spec__unschedulable=True), [node("n1"), node("n2")], "1 of 2 nodes stay open", "low"),
        (changed(node("n1"), spec__unschedulable=True), [node("n1")], "0 of 1 node stay open for new pods", "high"),
        (changed(node("n1", unschedulable=True), spec__unschedulable=None), [], "New pods may come to it again", "low"),
        (
            changed(node("n1"), spec__taints=[taint("NoExecute")]),
            [],
            "Taint gpu=yes:NoExecute EVICTS 1 pod at once, whatever budgets say: shop/web-1",
            "high",
        ),
        (changed(node("n1"), spec__taints=[taint("NoSchedule")]), [], "1 such pods run there on", "low"),
        (changed(node("n3"), spec__taints=[taint("NoExecute")]), [], "nothing that runs there is evicted", "low"),
        (changed(node("n1", taints=[taint("NoSchedule")]), spec__taints=[]), [], "no longer keeps pods away", "low"),
        (deleted(node("n1")), [], "The pods on it are deleted with it: 2 pods (shop/web-1, shop/web-2)", "high"),
    ],
)
def test_a_node_that_changes(change: Any, around: list[Json], said: str, risk: str) -> None:
    """What runs there, and where else pods can go."""
    impact = told(change, Around(*HERE, *around))
    assert said in lines(impact)
    assert level(impact) == risk


def test_a_label_of_a_node_that_pods_and_daemon_sets_want() -> None:
    """Pods stay and would not come again; a DaemonSet takes its pod away at once."""
    before = node("n1")
    before["metadata"]["labels"] = {"disk": "ssd"}
    wanting = {"nodeSelector": {"disk": "ssd"}, "containers": []}
    around = Around(pod("web-1", spec=wanting), workload("DaemonSet", "agent", pod=wanting))
    impact = told(changed(before, metadata__labels={"disk": "hdd"}), around)
    assert "1 pod there wants the label disk, and would not come here again" in impact.also_touched
    assert "DaemonSet agent takes its pod away from this node" in impact.also_touched
    assert level(impact) == "high"


SHOP = made("Namespace", "shop", namespace="")


@pytest.mark.parametrize(
    ("label", "said", "risk"),
    [
        (
            "pod-security.kubernetes.io/enforce",
            "New pods that break the pod security level restricted are refused; 3",
            "high",
        ),
        ("team", "Webhooks, network policies and quotas that choose by team may hold otherwise for it", "medium"),
    ],
)
def test_a_label_of_a_namespace(label: str, said: str, risk: str) -> None:
    """Others choose by it."""
    impact = told(changed(SHOP, metadata__labels={label: "restricted"}), Around(*HERE))
    assert said in lines(impact)
    assert level(impact) == risk


def quota(hard: dict[str, str], used: dict[str, str]) -> Json:
    """A quota with its status."""
    return made("ResourceQuota", "all", spec={"hard": hard}, status={"hard": hard, "used": used})


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (
            changed(quota({"pods": "9"}, {"pods": "3"}), spec__hard={"pods": "2"}),
            "pods: 3 is used of 2: nothing more is ADMITTED",
            "high",
        ),
        (
            created(quota({"limits.memory": "4Gi"}, {})),
            "limits.memory: 3 pods there say nothing of it and would not start again: shop/web-1",
            "high",
        ),
        (created(quota({"pods": "9"}, {})), "Nothing else that was found", "low"),
        (deleted(quota({"pods": "9"}, {})), "Nothing bounds what the namespace asks for", "high"),
        (
            created(made("LimitRange", "b", spec={"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]})),
            "It holds for pods that start from now on",
            "low",
        ),
        (deleted(made("LimitRange", "b", spec={})), "New containers get no defaults and no bounds from it", "high"),
    ],
)
def test_a_quota_or_a_limit_range_that_changes(change: Any, said: str, risk: str) -> None:
    """What runs goes on; what starts again may be refused."""
    impact = told(change, Around(*HERE))
    assert said in lines(impact)
    assert level(impact) == risk


def test_pods_outside_a_new_limit_range_would_not_start_again() -> None:
    """They run on until then."""
    rule = {"type": "Container", "max": {"memory": "1Gi"}}
    large = pod("large", spec={"containers": [container(memory="2Gi")]})
    impact = told(created(made("LimitRange", "b", spec={"limits": [rule]})), Around(large))
    assert "1 pod there would not start again: shop/large" in impact.also_touched
    assert level(impact) == "high"


def storage(name: str, default: bool = False) -> Json:
    """A StorageClass."""
    notes = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return made("StorageClass", name, namespace="", annotations=notes)


CLAIMS = [
    made("PersistentVolumeClaim", "a", spec={"storageClassName": "fast"}, status={"phase": "Bound"}),
    made("PersistentVolumeClaim", "b", spec={"storageClassName": "fast"}, status={"phase": "Pending"}),
]


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (deleted(storage("fast", default=True)), [], "2 claims name it, 1 not bound yet", "high"),
        (deleted(storage("fast", default=True)), [], "There is no default class any more", "high"),
        (
            changed(storage("fast"), metadata__annotations=storage("x", default=True)["metadata"]["annotations"]),
            [storage("slow", default=True)],
            "slow is a default class too: the newest one is taken",
            "medium",
        ),
        (
            deleted(made("PriorityClass", "urgent", namespace="")),
            [pod("p", spec={"priorityClassName": "urgent"})],
            "1 pod names it; new pods that name it are refused",
            "high",
        ),
        (
            deleted(made("IngressClass", "nginx", namespace="")),
            [made("Ingress", "shop", spec={"ingressClassName": "nginx"})],
            "1 Ingress names it: shop/shop",
            "high",
        ),
    ],
)
def test_classes(change: Any, around: list[Json], said: str, risk: str) -> None:
    """Who names one, and what happens to them."""
    impact = told(change, Around(*CLAIMS, *around))
    assert said in lines(impact)
    assert level(impact) == risk


def definition(*versions: str) -> Json:
    """A definition that serves these versions."""
    names = {"plural": "databases", "kind": "Database"}
    served = [{"name": one, "served": True} for one in versions]
    return made(
        "CustomResourceDefinition", "d", namespace="", spec={"group": "e.com", "names": names, "versions": served}
    )


def test_a_version_that_is_no_longer_served() -> None:
    """With the number of objects that are there."""
    impact = told(
        changed(definition("v1", "v2"), spec__versions=definition("v2")["spec"]["versions"]),
        Around(made("databases.e.com", "a")),
    )
    assert impact.also_touched == (
        "1 object of this kind in the cluster",
        "No longer served: v1; programs that ask for it fail",
    )
    assert level(impact) == "high"


def test_a_claim_that_grows() -> None:
    """Who uses it, and that it may take a restart."""
    before = made("PersistentVolumeClaim", "data", spec={"resources": {"requests": {"storage": "1Gi"}}})
    user = pod("db-0", spec={"volumes": [{"persistentVolumeClaim": {"claimName": "data"}}]})
    said = lines(told(changed(before, spec__resources={"requests": {"storage": "2Gi"}}), Around(user)))
    assert "The claim grows: 1Gi → 2Gi (used by shop/db-0)" in said


def test_a_custom_resource_is_in_its_controllers_hands() -> None:
    """What that makes of it is not known, and no calm is read from it."""
    impact = told(changed(made("Database", "db", api="example.com/v1"), spec={"size": 3}), Around())
    assert impact.unknown == ("What the controller of Database makes of this is not known here",)
    assert level(impact) == "medium"
