"""Whether the pods of a change are admitted and find a place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.impact.capacity import Room, completed, rooms
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import (
    Around,
    changed,
    container,
    created,
    level,
    lines,
    made,
    node,
    pod,
    told,
    workload,
)


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> Json:
    """A quota with its status."""
    return made("ResourceQuota", "all", spec={"hard": hard, **spec}, status={"hard": hard, "used": used})


def limits(**rule: dict[str, str]) -> Json:
    """A LimitRange of one rule for containers."""
    return made("LimitRange", "bounds", spec={"limits": [{"type": "Container", **rule}]})


def raised(memory: str, **members: Any) -> Any:
    """A Deployment of three pods of 256Mi gets another limit."""
    before = workload(pod={"containers": [container(memory="256Mi")]}, **members)
    return changed(before, spec__template__spec__containers=[container(memory=memory)])


@pytest.mark.parametrize(
    ("hard", "used", "said", "risk"),
    [
        (
            {"limits.memory": "4Gi"},
            {"limits.memory": "768Mi"},
            "Quota all: limits.memory up to 2Gi of 4Gi during the rollout, fits",
            "medium",
        ),
        (
            {"limits.memory": "1536Mi"},
            {"limits.memory": "768Mi"},
            "Quota all: limits.memory up to 2Gi of 1536Mi during the rollout, DOES NOT FIT",
            "high",
        ),
        ({"requests.memory": "1Gi"}, {"requests.memory": "768Mi"}, "requests.memory up to 2Gi of 1Gi", "high"),
        ({"memory": "1Gi"}, {"memory": "768Mi"}, "requests.memory up to 2Gi of 1Gi", "high"),
        ({"pods": "3"}, {"pods": "3"}, "Quota all: pods up to 4 of 3 during the rollout, DOES NOT FIT", "high"),
        (
            {"limits.cpu": "2"},
            {"limits.cpu": "0"},
            "wants limits.cpu of every container, and container app has",
            "high",
        ),
    ],
)
def test_a_quota_is_held_against_the_height_of_the_change(
    hard: dict[str, str], used: dict[str, str], said: str, risk: str
) -> None:
    """What is used, what all pods ask for more, and the pod that the rollout starts beyond."""
    impact = told(raised("512Mi"), Around(quota(hard, used)))
    assert said in lines(impact)
    assert level(impact) == risk


def test_a_quota_that_counts_some_pods_only_is_not_computed() -> None:
    """It says so instead of a wrong figure."""
    around = Around(quota({"limits.memory": "1Mi"}, {}, scopes=["BestEffort"]))
    assert "Quota all counts only some pods (scopes); it is not computed here" in lines(told(raised("512Mi"), around))


def test_a_quota_is_not_mentioned_where_nothing_more_is_asked() -> None:
    """Less memory fits wherever more did."""
    around = Around(quota({"limits.memory": "2Gi"}, {"limits.memory": "768Mi"}))
    assert "Quota" not in lines(told(raised("128Mi"), around))


def test_a_new_workload_and_more_replicas_ask_for_all_their_pods() -> None:
    """No pod of today is counted twice."""
    around = Around(quota({"limits.memory": "1Gi"}, {"limits.memory": "512Mi"}))
    two = workload(replicas=2, pod={"containers": [container(memory="256Mi")]})
    assert "limits.memory up to 1Gi of 1Gi, fits" in lines(told(created(two), around))
    assert "limits.memory up to 1280Mi of 1Gi, DOES NOT FIT" in lines(told(changed(two, spec__replicas=5), around))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            limits(max={"memory": "384Mi"}),
            "container app has limits.memory 512Mi, above the most that is allowed (384Mi)",
        ),
        (limits(min={"memory": "1Gi"}, defaultRequest={"memory": "64Mi"}), "requests.memory 512Mi, below the least"),
    ],
)
def test_a_limit_range_refuses_pods_that_a_dry_run_of_the_workload_accepts(found: Json, said: str) -> None:
    """The Deployment is admitted, its pods are not."""
    impact = told(raised("512Mi"), Around(found))
    assert said in lines(impact)
    assert "its pods are REFUSED" in lines(impact)
    assert level(impact) == "high"


def test_defaults_of_a_limit_range_count_as_asked_for() -> None:
    """A container's own limit stands for its request before any default does."""
    found = [limits(default={"memory": "1Gi"}, defaultRequest={"memory": "512Mi", "cpu": "100m"})]
    spec = completed({"containers": [container("a"), container("b", memory="2Gi")]}, found)
    assert [one["resources"] for one in spec["containers"]] == [
        {"limits": {"memory": "1Gi"}, "requests": {"memory": "512Mi", "cpu": "100m"}},
        {"limits": {"memory": "2Gi"}, "requests": {"memory": "2Gi", "cpu": "100m"}},
    ]
    around = Around(*found, quota({"limits.memory": "1Gi"}, {"limits.memory": "0"}))
    assert "limits.memory up to 3Gi of 1Gi, DOES NOT FIT" in lines(told(created(workload()), around))


FULL = pod("other", app="other", spec={"containers": [container(memory="7936Mi")]})


@pytest.mark.parametrize(
    ("change", "nodes", "said", "risk"),
    [
        (raised("512Mi"), [node("n1")], "Room for 16 such pods on the nodes, 1 needed (an estimate", "medium"),
        (
            raised("512Mi"),
            [node("n1"), FULL],
            "NO ROOM on the nodes for 1 of 1 pod beyond those of today: the r",
            "high",
        ),
        (
            raised("512Mi", spec={"strategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}}),
            [node("n1"), FULL],
            "they wait until old ones are gone",
            "medium",
        ),
        (raised("512Mi"), [node("n1", unschedulable=True)], "NO NODE takes such a pod", "high"),
        (
            changed(workload(pod={"containers": [container(memory="4Gi")]}), spec__replicas=6),
            [node("n1"), node("n2", memory="2Gi")],
            "NO ROOM on the nodes for 1 of 3 pods beyond those of today: they stay Pending",
            "high",
        ),
        (
            created(workload(pod={"priorityClassName": "urgent", "containers": [container(memory="9Gi")]})),
            [node("n1")],
            "pods of a lower priority than urgent are DRIVEN OFF for them, as far as there are any",
            "high",
        ),
        (created(workload()), [node("n1", taints=[{"key": "gpu", "effect": "NoSchedule"}])], "NO NODE takes", "high"),
        (
            created(workload(pod={"nodeSelector": {"disk": "ssd"}, "containers": [container()]})),
            [node("n1")],
            "NO NODE takes",
            "high",
        ),
    ],
)
def test_room_on_the_nodes(change: Any, nodes: list[Json], said: str, risk: str) -> None:
    """Only pods beyond those of today need a place; labels and taints are honoured."""
    impact = told(change, Around(*nodes))
    assert said in lines(impact)
    assert level(impact) == risk


def test_room_is_not_guessed_from_a_list_that_was_refused() -> None:
    """The pods of other namespaces could not be read: nothing is said of room, and that it is unknown."""
    impact = told(raised("512Mi"), Around(node("n1"), refused=("Pod",)))
    assert "oom" not in lines(impact).replace("OOM", "oom").replace("room", "oom").partition("Pod could not be read")[0]
    assert "Pod could not be read: Pod: forbidden" in impact.unknown


sizes = st.integers(0, 40).map(lambda n: f"{n * 128}Mi")


@given(st.lists(sizes, max_size=6), sizes, st.integers(0, 8))
def test_placing_a_pod_takes_its_room(placed: list[str], asked: str, cores: int) -> None:
    """What holds n pods holds n - 1 after one came; a full node holds none, and never less."""
    pods = [pod(f"p{n}", spec={"containers": [container(memory=size)]}) for n, size in enumerate(placed)]
    spec: Json = {"containers": [container(memory=asked, cpu=str(cores))]}
    (room,) = rooms([node("n1")], pods, spec)
    assert room.holds(spec) >= 0
    if room.holds(spec):
        (after,) = rooms([node("n1")], [*pods, pod("new", spec=spec)], spec)
        assert after.holds(spec) == room.holds(spec) - 1
        assert after == room.less(spec)
    (back,) = rooms([node("n1")], pods, spec, without=pods)
    assert isinstance(back, Room)
    assert back.holds(spec) >= room.holds(spec)
