"""Which pods restart, start and stop, and how few are available meanwhile."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.impact.workloads import lowest, surge_and_unavailable
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, level, made, told, workload

NEW = [{"name": "app", "image": "app:2"}]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, (1, 0)),
        ({"type": "Recreate"}, (0, 3)),
        ({"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": "50%"}}, (2, 1)),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}, (0, 2)),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}, (0, 1)),
        ({"rollingUpdate": {"maxSurge": "many", "maxUnavailable": None}}, (1, 0)),
    ],
)
def test_surge_and_unavailable_are_rounded_as_the_controller_does(strategy: Json, expected: tuple[int, int]) -> None:
    """Surge up, unavailable down, and never both zero; what is no number is the default."""
    assert surge_and_unavailable(workload(spec={"strategy": strategy})) == expected


parts: st.SearchStrategy[object] = (
    st.integers(-3, 200) | st.integers(-10, 400).map(lambda n: f"{n}%") | st.sampled_from(["", "%", "x", None, {}])
)


@given(
    st.sampled_from(["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"]),
    st.integers(-1, 300),
    parts,
    parts,
    st.sampled_from(["RollingUpdate", "Recreate", "OnDelete", None, 7]),
)
def test_the_lowest_number_is_between_none_and_all(
    kind: str, replicas: int, surge: object, unavailable: object, strategy: object
) -> None:
    """Whatever a strategy says, it is never negative, and never more than are wanted."""
    rolling = {"type": strategy, "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    manifest = workload(kind, replicas=replicas, spec={"strategy": rolling, "updateStrategy": rolling})
    assert 0 <= lowest(manifest) <= max(0, replicas)


@pytest.mark.parametrize(
    ("manifest", "said", "risk"),
    [
        (workload(), "3 pods restart one after another; at least 3 stay available (surge 1, unavailable 0)", "medium"),
        (workload(replicas=1), "1 pod restarts; at least 1 stay available (surge 1, unavailable 0)", "medium"),
        (
            workload(status={"readyReplicas": 1}),
            "what is ready now (1) stays up (surge 1, unavailable 0); 1 of 3",
            "medium",
        ),
        (workload(spec={"strategy": {"type": "Recreate"}}), "All 3 pods stop before new ones start", "high"),
        (workload("StatefulSet"), "3 pods restart one after another, last ordinal first; at least 2 stay", "medium"),
        (workload("StatefulSet", replicas=1), "1 pod restarts, last ordinal first; at least 0 stay", "high"),
        (
            workload("StatefulSet", spec={"updateStrategy": {"rollingUpdate": {"partition": 2}}}),
            "1 pod restarts, last ordinal first; at least 2 stay; ordinals below 2 keep the old template (partition)",
            "medium",
        ),
        (
            workload("StatefulSet", spec={"updateStrategy": {"rollingUpdate": {"partition": 3}}}),
            "No pod restarts: the partition 3 keeps every ordinal as it is",
            "medium",
        ),
        (
            workload("StatefulSet", status={"readyReplicas": 2}),
            "a pod that is not ready holds up the ones after",
            "medium",
        ),
        (
            workload("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}}),
            "No pod restarts by itself: each takes the new template when it is deleted",
            "low",
        ),
        (workload("DaemonSet", replicas=9), "The pods on all 9 nodes restart in turn, at most 1 missing", "medium"),
        (
            workload("DaemonSet", spec={"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}),
            "The pods on all 3 nodes restart in turn, 1 new ones first",
            "medium",
        ),
        (workload(spec={"paused": True}), "No pod restarts while the Deployment is paused", "low"),
    ],
)
def test_another_template_restarts_pods(manifest: Json, said: str, risk: str) -> None:
    """In the order and the width that the strategy gives."""
    impact = told(changed(manifest, spec__template__spec={"containers": NEW}), Around())
    assert said in impact.while_it_runs[0]
    assert level(impact) == risk


@pytest.mark.parametrize(
    ("manifest", "members", "said", "risk"),
    [
        (workload(), {"spec__replicas": 5}, "2 pods start: 3 → 5 replicas", "medium"),
        (workload(), {"spec__replicas": 2}, "1 pod stops: 3 → 2 replicas", "medium"),
        (workload(), {"spec__replicas": 0}, "3 pods stop: 3 → 0 replicas", "high"),
        (workload("StatefulSet"), {"spec__replicas": 1}, "3 → 1 replicas, the last ordinals first", "medium"),
        (workload(), {"spec__minReadySeconds": 9}, "No pod restarts", "low"),
        (workload(), {"spec__paused": True}, "Changes of its pod template wait from now on: it is paused", "low"),
        (
            workload(spec={"paused": True}),
            {"spec__paused": False},
            "What was changed while it was paused is rolled",
            "low",
        ),
        (
            workload("Job", status={"active": 2}),
            {"spec__suspend": True},
            "2 running pods of the Job are ended",
            "low",
        ),
        (workload("Job"), {"spec__suspend": False}, "No pod restarts", "low"),
        (workload("Job", spec={"suspend": True}), {"spec__suspend": False}, "The Job starts its pods", "low"),
    ],
)
def test_other_changes_of_a_workload(manifest: Json, members: dict[str, Any], said: str, risk: str) -> None:
    """Numbers, pauses and suspensions are said as what they do to pods."""
    impact = told(changed(manifest, **members), Around())
    assert said in "\n".join(impact.while_it_runs)
    assert level(impact) == risk


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"spec__suspend": True}, "No new run begins; 1 run that has begun go on"),
        ({"spec__suspend": False, "spec__schedule": "0 3 * * *"}, "The schedule changes: 0 1 * * * → 0 3 * * *"),
        (
            {"spec__jobTemplate": {"spec": {"template": {"spec": {"containers": NEW}}}}},
            "From the next run on; 1 run that began before keeps the old template",
        ),
    ],
)
def test_a_cron_job_changes_its_next_runs(members: dict[str, Any], said: str) -> None:
    """What runs already goes on."""
    manifest = made("CronJob", "nightly", spec={"schedule": "0 1 * * *"}, status={"active": [{"name": "nightly-1"}]})
    assert said in told(changed(manifest, **members), Around()).while_it_runs


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (workload(), "3 pods start"),
        (workload(replicas=1), "1 pod starts"),
        (workload("DaemonSet"), "One pod starts on every node that its selector and tolerations allow"),
        (workload("Job", spec={"suspend": True}), "No pod starts before it is resumed"),
    ],
)
def test_a_new_workload_starts_pods(manifest: Json, said: str) -> None:
    """As many as it wants."""
    assert told(created(manifest), Around()).while_it_runs == (said,)


CLAIMS = [{"metadata": {"name": "data"}}]


@pytest.mark.parametrize(
    ("policy", "replicas", "said"),
    [
        ("Delete", 1, "Their claims are DELETED with them (retention policy whenScaled): data-web-1, data-web-2"),
        ("Retain", 1, ""),
        ("Delete", 4, ""),
    ],
)
def test_claims_that_go_with_the_pods_are_named(policy: str, replicas: int, said: str) -> None:
    """Whoever reads "2 pods stop" does not think of data."""
    spec = {"volumeClaimTemplates": CLAIMS, "persistentVolumeClaimRetentionPolicy": {"whenScaled": policy}}
    impact = told(changed(workload("StatefulSet", spec=spec), spec__replicas=replicas), Around())
    assert [line for line in impact.while_it_runs if "claims" in line] == ([said] if said else [])
