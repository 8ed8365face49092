"""What raw pods and workloads say: any part may be missing."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis.pods import (
    amount,
    condition,
    containers,
    each,
    pod_spec,
    quantity,
    replicas,
    surge,
    template_container,
    texts,
    whole,
)
from skyflo_runbooks.model.json import Json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def rolling(written: object, count: int = 4) -> Json:
    """Return a Deployment with this maxSurge."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": written}}
    return {"kind": "Deployment", "spec": {"replicas": count, "strategy": strategy}}


@pytest.mark.parametrize(
    ("workload", "extra"),
    [
        (rolling("25%"), 1),
        (rolling("25%", 5), 2),
        (rolling("0%"), 0),
        (rolling(3), 3),
        (rolling(None, 8), 2),
        ({"kind": "Deployment", "spec": {"replicas": 3}}, 1),
        ({"kind": "Deployment", "spec": {"replicas": 3, "strategy": {"type": "Recreate"}}}, 0),
        ({"kind": "StatefulSet", "spec": {"replicas": 3}}, 0),
    ],
)
def test_a_rolling_update_starts_so_many_pods_more(workload: Json, extra: int) -> None:
    """Percentages are rounded up; 25 % is the default; Recreate and StatefulSets start none."""
    assert surge(workload) == extra


@pytest.mark.parametrize(
    ("workload", "count"),
    [
        ({"kind": "Deployment", "spec": {"replicas": 0}}, 0),
        ({"kind": "Deployment", "spec": {}}, 1),
        ({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 7}}, 7),
        ({"kind": "DaemonSet"}, 0),
    ],
)
def test_how_many_pods_are_wanted(workload: Json, count: int) -> None:
    """Zero is a number; a missing one is one; a DaemonSet counts nodes."""
    assert replicas(workload) == count


def test_a_container_meets_its_status_by_name() -> None:
    """Statuses come in any order, and init containers have a list of their own."""
    pod: Json = {
        "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]},
        "status": {
            "containerStatuses": [{"name": "b", "restartCount": 3, "ready": True}, {"name": "a"}],
            "initContainerStatuses": [{"name": "i", "state": {"terminated": {"exitCode": 0}}}],
        },
    }
    first, a, b = containers(pod)

    assert (first.init, first.terminations[0]["exitCode"]) == (True, 0)
    assert (a.restarts, a.ready, a.waiting, a.runs) == (0, False, ("", ""), False)
    assert (b.index, b.restarts, b.ready) == (1, 3, True)


def test_the_newest_termination_comes_first() -> None:
    """The present state before the last one."""
    state = {"state": {"terminated": {"exitCode": 2}}, "lastState": {"terminated": {"exitCode": 1}}}
    (found,) = containers(
        {"spec": {"containers": [{"name": "a"}]}, "status": {"containerStatuses": [{"name": "a", **state}]}}
    )

    assert [item["exitCode"] for item in found.terminations] == [2, 1]


def test_limits_and_requests_in_their_base_unit() -> None:
    """Bytes and cores; what is no quantity is none."""
    spec: Json = {"resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "250m", "memory": "lots"}}}

    assert amount(spec, "limits", "memory") == 256 * 2**20
    assert amount(spec, "requests", "cpu") == Decimal("0.25")
    assert amount(spec, "requests", "memory") is None
    assert amount(spec, "limits", "cpu") is None
    assert quantity("-") is None


def test_a_templates_container_and_where_it_stands() -> None:
    """The list and the index are what a JSON Pointer needs."""
    spec = {"containers": [{"name": "proxy"}, {"name": "main"}], "initContainers": [{"name": "wait"}]}
    workload: Json = {"spec": {"template": {"spec": spec}}}

    assert template_container(workload, "main") == ("containers", 1, {"name": "main"})
    assert template_container(workload, "wait") == ("initContainers", 0, {"name": "wait"})
    assert template_container(workload, "other") is None


def test_a_condition_that_is_not_there_is_empty() -> None:
    """So that its status equals nothing."""
    manifest: Json = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}

    assert condition(manifest, "Ready")["status"] == "False"
    assert condition(manifest, "Other") == {}
    assert condition({}, "Ready") == {}


@given(JSON)
def test_any_json_is_read(value: object) -> None:
    """Whatever stands where a list, an object, a number or a text is expected."""
    manifest: Json = {"spec": value, "status": value, "metadata": value}

    assert all(isinstance(item, dict) for item in each(manifest, "spec"))
    assert all(isinstance(item, str) for item in texts(manifest, "spec").values())
    assert isinstance(whole(manifest, "spec"), int)
    assert isinstance(pod_spec(manifest), dict)
    assert isinstance(replicas(manifest), int)
    assert isinstance(surge({**manifest, "kind": "Deployment"}), int)
    assert isinstance(list(containers(manifest)), list)
    assert isinstance(condition(manifest, "Ready"), dict)
