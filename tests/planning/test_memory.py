"""CON-07's repair: how far the limit is raised, and what stands against it."""

import copy
from decimal import Decimal

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, Snapshot
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.planning.memory import Raise, raised
from tests.diagnosis import world
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of

MI = 2**20


def quota(hard: str, used: str) -> Json:
    """Return a quota on limits.memory."""
    return {
        "kind": "ResourceQuota",
        "metadata": world.meta("small", "checkout"),
        "spec": {"hard": {"limits.memory": hard}},
        "status": {"hard": {"limits.memory": hard}, "used": {"limits.memory": used}},
    }


def limits(**item: object) -> Json:
    """Return a LimitRange for containers."""
    spec = {"limits": [{"type": "Container", **item}]}
    return {"kind": "LimitRange", "metadata": world.meta("range", "checkout"), "spec": spec}


def with_objects(*items: Json, nodes: list[Json] | None = None) -> Snapshot:
    """Return the OOM world with these objects, and other nodes."""
    found = copy.deepcopy(world.oom_killed())
    for item in items:
        found.objects.setdefault(item["kind"], []).append(item)
    if nodes is not None:
        found.objects["Node"] = nodes
    return found


def raised_in(found: Snapshot) -> Raise:
    """Return what is proposed instead of 256Mi."""
    return raised(Graph(found), found.objects["Deployment"][0], "payment-service", Decimal(256 * MI))


def test_the_next_doubling_where_everything_has_room() -> None:
    """256Mi becomes 512Mi, with the reasons in words."""
    found = raised_in(with_objects(quota("4Gi", "768Mi"), limits(max={"memory": "1Gi"})))

    assert found.limit == 512 * MI
    assert "256Mi → 512Mi: the next doubling" in found.reasons[0]
    assert "1 surge pod included" in " ".join(found.reasons)
    assert "room for 4 pods of 512Mi" in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("free", "limit"),
    [
        (3 * 256 + 256, 512),  # three pods grow by 256Mi while one surge pod with 256Mi is still there
        (3 * 256 + 255, 448),
        (3 * 192 + 256, 448),
        (3 * 128 + 256, 384),
        (3 * 64 + 256, 320),
    ],
)
def test_the_quota_must_hold_the_surge_pod(free: int, limit: int) -> None:
    """The largest step that fits beside the surge pod is taken."""
    found = raised_in(with_objects(quota(f"{768 + free}Mi", "768Mi")))

    assert found.limit == limit * MI


def test_no_room_in_the_quota_is_said() -> None:
    """Where not even the smallest step fits nothing is proposed, and the arithmetic is shown."""
    found = raised_in(with_objects(quota("900Mi", "768Mi")))

    assert found.limit is None
    assert any("quota small: 768Mi of 900Mi limits.memory are used" in text for text in found.reasons)


def test_a_limit_range_bounds_the_limit() -> None:
    """A maximum, and a greatest ratio of limit to request (128Mi here)."""
    assert raised_in(with_objects(limits(max={"memory": "400Mi"}))).limit == 384 * MI
    assert raised_in(with_objects(limits(maxLimitRequestRatio={"memory": "3"}))).limit == 384 * MI


def test_the_nodes_must_have_room_for_what_is_allowed() -> None:
    """A limit that no node could honour is not proposed."""
    assert raised_in(with_objects(nodes=[world.node(memory="1700Mi")])).limit == 384 * MI
    none = raised_in(with_objects(nodes=[world.node(memory="900Mi")]))
    assert none.limit is None
    assert any("no room for 4 pods" in text for text in none.reasons)


@pytest.mark.parametrize("kind", ["ResourceQuota", "LimitRange", "Node"])
def test_a_bound_that_could_not_be_read_is_said(kind: str) -> None:
    """An unread quota is not an absent one: the proposal stands and says so."""
    found = raised_in(world.without(with_objects(), kind))

    assert found.limit == 512 * MI
    assert any("not known" in text and "forbidden" in text for text in found.reasons)


def test_the_limit_of_the_revision_before_comes_first() -> None:
    """Where the new revision lowered the limit, the old one is what it needs."""
    found = with_objects()
    before = found.objects["ReplicaSet"][0]["spec"]["template"]["spec"]["containers"][0]
    before["resources"] = {"limits": {"memory": "768Mi"}}

    answer = raised_in(found)

    assert answer.limit == 768 * MI
    assert "the limit of the revision before" in answer.reasons[0]


async def test_the_flagship_plan() -> None:
    """The change, its parameters and the checks that encode the invariant."""
    made = await planned(world.oom_killed())

    assert [item.name for item in made.parameters] == ["namespace", "memory_limit", "settle"]
    assert value_of(made, "memory_limit") == "512Mi"
    assert change_of(made).arguments["limits"] == {"memory": {"$param": "memory_limit"}}
    assert "after 14 restarts together" in change_of(made).why
    checks = checks_of(made)
    assert {"rollout_complete", "pods_ready", "no_restarts", "no_oom_kills", "memory_below"} <= set(checks)
    assert checks["no_restarts"]["window"] == {"$param": "settle"}
    assert checks["field_equals"]["value"] == {"$param": "memory_limit"}


async def test_use_is_checked_only_where_it_can_be_measured() -> None:
    """A check that nobody can measure would make every verdict inconclusive."""
    found = msgspec.structs.replace(world.oom_killed(), usage=(), gaps=(Gap("Usage", "", "no metrics.k8s.io"),))

    assert "memory_below" not in checks_of(await planned(found))


async def test_where_no_limit_fits_rolling_back_is_proposed() -> None:
    """The way that remains becomes the change, and why the other is none is said."""
    made = await planned(with_objects(quota("900Mi", "768Mi")))

    assert change_of(made).id == "roll_back"
    assert "cannot be raised safely" in prose_of(made)
