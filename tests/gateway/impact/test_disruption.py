"""What budgets hold back, and what leaves a node in a drain."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact import Change
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Impact
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
    request,
    service,
    told,
    workload,
)

NEW: Json = {"spec__template__spec__containers": [container(memory="1Gi")]}


def budget(name: str = "web", app: str = "web", allowed: int | None = 1, needed: int = 2, **spec: Any) -> Json:
    """A disruption budget with its status."""
    status: Json = {"desiredHealthy": needed} | ({} if allowed is None else {"disruptionsAllowed": allowed})
    selector = {"matchLabels": {"app": app}}
    return made("PodDisruptionBudget", name, spec={"selector": selector, **spec}, status=status)


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (changed(workload(), **NEW), [budget()], "PodDisruptionBudget web (disruptions allowed now: 1)", "medium"),
        (changed(workload(), **NEW), [budget(app="cart")], "No PodDisruptionBudget", "medium"),
        (
            changed(workload("StatefulSet"), **NEW),
            [budget(needed=3)],
            "wants 3 pods; this may go down to 2: it holds back evictions only",
            "medium",
        ),
        (changed(workload(), spec__replicas=1), [budget()], "wants 2 pods; this may go down to 1", "medium"),
        (changed(workload(), spec__paused=True), [budget(allowed=None)], "disruptions allowed now: unknown", "low"),
    ],
)
def test_a_budget_is_named_for_what_it_is(change: Change, around: list[Json], said: str, risk: str) -> None:
    """It holds back evictions, and no rollout."""
    impact = told(change, Around(*around))
    assert said in lines(impact)
    assert level(impact) == risk


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (deleted(budget()), [], "2 pods may then be evicted all at once, as in a drain", "high"),
        (created(budget(allowed=None)), [], "It is about 2 pods (1 ready)", "low"),
        (changed(budget(minAvailable=1), spec__minAvailable=0), [], "All of its 2 pods may then be evicted", "medium"),
        (changed(budget(minAvailable=1), spec__minAvailable=2), [], "It is about 2 pods (1 ready)", "low"),
        (changed(budget(maxUnavailable="100%"), metadata__labels={"a": "b"}), [], "It is about 2 pods", "low"),
        (created(budget(maxUnavailable=0)), [], "It lets no eviction through: a drain would wait for ever", "high"),
        (
            created(budget("b")),
            [budget("a")],
            "a is about the same pods: no eviction of a pod with two budgets",
            "high",
        ),
    ],
)
def test_a_budget_that_changes(change: Change, around: list[Json], said: str, risk: str) -> None:
    """Which pods it protects, and whether it lets anything through."""
    impact = told(change, Around(pod("web-1"), pod("web-2", ready=False), *around))
    assert said in lines(impact)
    assert level(impact) == risk


WEB = workload("ReplicaSet", "web-5d", owner=workload())
CART = workload("StatefulSet", "cart")


def drain(pods: list[Json], *around: Json, refused: tuple[str, ...] = ()) -> Impact:
    """The impact of evicting pods, as the proposal of all of them gets it."""
    requests = [request("evict", one) for one in pods]
    change = Change(requests[0], pods[0], None)
    others = [one for one in (WEB, CART) if one["kind"] not in {item["kind"] for item in around}]
    return told(change, Around(*pods, *others, *around, refused=refused), *requests[1:])


def test_a_drain_is_told_once_with_its_first_eviction() -> None:
    """The pods by their owner: the Deployment behind a ReplicaSet."""
    pods = [pod("web-1", owner=WEB), pod("web-2", owner=WEB), pod("cart-0", app="cart", owner=CART)]
    stays = [pod("web-3", owner=WEB, node="n2"), pod("cart-1", app="cart", owner=CART, node="n2")]
    impact = drain(pods, *stays, node("n1"), node("n2"))
    assert impact.while_it_runs == ("3 pods leave one after another",)
    assert impact.also_touched == (
        "Deployment/shop/web: 2 pods; 1 of 3 ready ones stay",
        "StatefulSet/shop/cart: 1 pod; 1 of 2 ready ones stay",
        "Room for all 3 on 1 other node (an estimate by requests)",
    )
    assert level(impact) == "medium"
    second = Change(request("evict", pods[1]), pods[1], None)
    assert told(second, Around(*pods), request("evict", pods[0])).also_touched != impact.also_touched
    again = Change(request("evict", pods[0]), pods[0], None)
    assert told(again, Around(*pods, WEB, CART, *stays, node("n2"))).while_it_runs == ("1 pod leaves",)


def test_only_nodes_that_take_one_of_the_pods_are_counted_as_room() -> None:
    """A node that was cordoned before, or is not ready, is no other node to go to."""
    pods = [pod("web-1", owner=WEB)]
    away = {**node("n4"), "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    said = drain(pods, node("n1"), node("n2"), node("n3", unschedulable=True), away).also_touched
    assert said[-1] == "Room for all 1 on 1 other node (an estimate by requests)"


def mounted(volume: Json) -> Json:
    """A pod specification with one volume."""
    return {"volumes": [{"name": "data", **volume}], "containers": [container()]}


@pytest.mark.parametrize(
    ("leaving", "around", "said", "risk"),
    [
        ([pod("web-1", owner=WEB)], [], "Deployment/shop/web: 1 pod, ALL of its 1 ready ones", "high"),
        ([pod("lone")], [], "No controller: shop/lone; nothing starts it again", "high"),
        (
            [pod("web-1", owner=WEB), pod("web-2", owner=WEB)],
            [budget(allowed=1), pod("web-3", owner=WEB, node="n2")],
            "PodDisruptionBudget shop/web allows 1 at a time and 2 leave: the drain stops until new ones are ready",
            "medium",
        ),
        (
            [pod("web-1", owner=WEB)],
            [budget(allowed=0)],
            "PodDisruptionBudget shop/web allows no disruption now: the eviction of shop/web-1 is REFUSED",
            "high",
        ),
        ([pod("web-1", owner=WEB)], [budget(allowed=None)], "does not say how many disruptions it allows", "high"),
        (
            [pod("web-1", owner=WEB)],
            [budget("a"), budget("b")],
            "shop/web-1 has two budgets, a, b: no eviction",
            "high",
        ),
        ([pod("web-1", owner=WEB)], [service()], "Service shop/web has NO endpoint left until", "high"),
        (
            [pod("web-1", owner=WEB, spec=mounted({"emptyDir": {}}))],
            [],
            "Local storage (emptyDir) is lost: shop/web-1",
            "high",
        ),
        (
            [pod("web-1", owner=WEB, spec=mounted({"hostPath": {"path": "/var"}}))],
            [],
            "Data in hostPath stays on the node: shop/web-1",
            "high",
        ),
        (
            [pod("web-1", owner=WEB, spec=mounted({"persistentVolumeClaim": {"claimName": "data"}}))],
            [
                made(
                    "PersistentVolume",
                    "pv",
                    namespace="",
                    spec={"local": {}, "claimRef": {"namespace": "shop", "name": "data"}},
                )
            ],
            "On a local volume of this node, can start nowhere else: shop/web-1",
            "high",
        ),
        (
            [pod("web-1", owner=WEB, spec={"containers": [container(memory="6Gi")]})],
            [node("n2", memory="4Gi")],
            "NO ROOM elsewhere for shop/web-1 (an estimate by requests): Pending",
            "high",
        ),
    ],
)
def test_what_a_drain_breaks(leaving: list[Json], around: list[Json], said: str, risk: str) -> None:
    """Each thing that stops it, and each that it loses."""
    nodes = [] if any(one["kind"] == "Node" for one in around) else [node("n2")]
    impact = drain(leaving, *around, node("n1"), *nodes)
    assert said in lines(impact)
    assert level(impact) == risk


def test_pods_find_room_one_after_another() -> None:
    """Two that fit alone, and not together."""
    pods = [pod(f"web-{n}", owner=WEB, spec={"containers": [container(memory="3Gi")]}) for n in (1, 2)]
    impact = drain(pods, node("n1"), node("n2", memory="4Gi"))
    assert "NO ROOM elsewhere for shop/web-2 (an estimate by requests): Pending" in impact.also_touched


def test_what_cannot_come_back_makes_it_irreversible() -> None:
    """A pod that nobody starts again, and what lay in its scratch space."""
    impact = drain([pod("lone", spec=mounted({"emptyDir": {}}))], node("n1"), node("n2"))
    assert impact.irreversible == (
        "shop/lone has no controller: nothing starts it again",
        "what lies in emptyDir volumes of shop/lone is lost",
    )


def test_a_drain_without_reads_says_what_it_does_not_know() -> None:
    """No owner, no room, no number is made up."""
    impact = drain([pod("web-1", owner=WEB)], refused=("Pod", "Node", "PodDisruptionBudget"))
    assert impact.also_touched == ()
    assert len(impact.unknown) == 3
    assert level(impact) == "medium"
