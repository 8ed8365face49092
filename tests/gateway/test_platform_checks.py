"""The checks of nodes, quotas, autoscalers, claims and certificates: yes, no, and what is not known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from skyflo_runbooks.gateway.checks.observe import observe
from skyflo_runbooks.gateway.checks.view import Observation, View
from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json
from tests.curated.certificates import pem, secret
from tests.tools.apiserver import DISCOVERY, Asked, Reply, Scripted, status

MEASURES = check.condition_true("HorizontalPodAutoscaler", "h", namespace="shop", condition="ScalingActive")
NOW = datetime(2026, 11, 24, 3, 0, 0, 500_000, tzinfo=UTC)


def _kind(kind: str, plural: str) -> Json:
    return {"kind": kind, "name": plural, "namespaced": True, "verbs": ["get", "list"]}


_ADDED = [
    {"name": "autoscaling", "versions": [{"groupVersion": "autoscaling/v2", "version": "v2"}]},
    {"name": "policy", "versions": [{"groupVersion": "policy/v1", "version": "v1"}]},
]
KINDS: dict[str, Json] = {
    **DISCOVERY,
    "/apis": {"groups": [*DISCOVERY["/apis"]["groups"], *_ADDED]},
    "/api/v1": {
        **DISCOVERY["/api/v1"],
        "resources": [
            *(one for one in DISCOVERY["/api/v1"]["resources"] if one["kind"] not in ("ResourceQuota", "Secret")),
            _kind("ResourceQuota", "resourcequotas"),
            _kind("PersistentVolumeClaim", "persistentvolumeclaims"),
            _kind("Secret", "secrets"),
        ],
    },
    "/apis/autoscaling/v2": {
        "groupVersion": "autoscaling/v2",
        "resources": [_kind("HorizontalPodAutoscaler", "horizontalpodautoscalers")],
    },
    "/apis/policy/v1": {
        "groupVersion": "policy/v1",
        "resources": [_kind("PodDisruptionBudget", "poddisruptionbudgets")],
    },
}


async def look(claim: Check, *known: Json) -> Observation:
    """Look once at a cluster that holds these objects."""

    def answer(asked: Asked) -> Reply:
        last = asked.path.rpartition("/")[2]
        found = [one for one in known if one["metadata"]["name"] == last]
        if found:
            return Reply(body=found[0])
        if last == "pods":
            return Reply(body={"items": [one for one in known if one.get("kind") == "Pod"]})
        return status(404, f"no {last}", "NotFound")

    cluster = Scripted(lambda asked: Reply(body=KINDS[asked.path]) if asked.path in KINDS else answer(asked)).cluster()
    view = View(cluster, now=NOW, since=NOW)
    try:
        return await observe(claim, view)
    finally:
        await view.close()


def thing(kind: str, name: str = "x", **parts: Any) -> Json:
    """An object with conditions written shortly."""
    said = parts.pop("conditions", {})
    conditions = [{"type": key, "status": value} for key, value in said.items()]
    found: Json = {"kind": kind, "metadata": {"name": name, "namespace": "shop"}, **parts}
    if conditions:
        found.setdefault("status", {})["conditions"] = conditions
    return found


def pod(name: str, node: str = "", *, made: float = -3600, phase: str = "Running", **metadata: Any) -> Json:
    """A pod on a node, made so many seconds after the change."""
    created = (NOW + timedelta(seconds=made)).strftime("%Y-%m-%dT%H:%M:%SZ")
    head = {"name": name, "namespace": "shop", "creationTimestamp": created, **metadata}
    return {"kind": "Pod", "metadata": head, "spec": {"nodeName": node} if node else {}, "status": {"phase": phase}}


OWNED: dict[str, Any] = {"ownerReferences": [{"kind": "DaemonSet", "controller": True}]}
STATIC: dict[str, Any] = {"annotations": {"kubernetes.io/config.mirror": "x"}}
CORDONED = thing("Node", "n", spec={"unschedulable": True}, conditions={"Ready": "True"})


@pytest.mark.parametrize(
    ("conditions", "spec", "schedulable", "holds", "said"),
    [
        ({"Ready": "True"}, {}, True, "yes", "Ready, takes pods"),
        ({"Ready": "True", "DiskPressure": "False"}, {}, True, "yes", "Ready"),
        ({"Ready": "True"}, {"unschedulable": True}, False, "yes", "cordoned"),
        ({"Ready": "True"}, {"unschedulable": True}, True, "no", "it is cordoned"),
        ({"Ready": "True"}, {}, False, "no", "it is not cordoned"),
        ({"Ready": "False"}, {}, True, "no", "Ready False"),
        ({"Ready": "Unknown"}, {}, True, "no", "Ready Unknown"),
        ({"Ready": "True", "MemoryPressure": "True"}, {}, True, "no", "MemoryPressure True"),
        ({"Ready": "True", "NetworkUnavailable": "Unknown"}, {}, True, "no", "NetworkUnavailable Unknown"),
        ({}, {}, True, "unknown", "has not said"),
        ({"DiskPressure": "False"}, {}, True, "unknown", "has not said"),
    ],
)
async def test_node_ready(conditions: dict[str, str], spec: Json, schedulable: bool, holds: str, said: str) -> None:
    """What a node says of itself, and whether it takes pods."""
    node = thing("Node", "n", spec=spec, conditions=conditions)
    found = await look(check.node_ready("n", schedulable=schedulable), node)
    assert (found.holds, said in found.observed) == (holds, True), found


@pytest.mark.parametrize(
    ("pods", "holds"),
    [
        ([], "yes"),
        ([pod("a", "other")], "yes"),
        ([pod("a", "n", **OWNED), pod("b", "n", **STATIC), pod("c", "n", phase="Succeeded")], "yes"),
        ([pod("a", "n")], "no"),
        ([pod("a", "n", phase="Pending")], "no"),
        ([pod("a", made=-60, phase="Pending")], "yes"),
        ([pod("a", made=0, phase="Pending")], "no"),
        ([pod("a", made=5, phase="Pending")], "no"),
        ([pod("a", made=5, phase="Pending", deletionTimestamp="2026-11-24T03:00:06Z")], "yes"),
    ],
    ids=["empty", "elsewhere", "stays", "left", "starting", "older-waits", "same-second", "newer-waits", "going"],
)
async def test_node_drained(pods: list[Json], holds: str) -> None:
    """Empty but for what stays; and what was evicted has found a place. What waited before is another matter."""
    assert (await look(check.node_drained("n"), CORDONED, *pods)).holds == holds


async def test_an_empty_node_that_takes_pods_is_not_drained() -> None:
    """The next pod would go there."""
    found = await look(check.node_drained("n"), thing("Node", "n", spec={}))
    assert (found.holds, "not cordoned" in found.observed) == ("no", True)


def quota(hard: Json, counted: Json | None, used: Json) -> Json:
    """A quota, its limits as the controller counted them, and what is used."""
    return thing("ResourceQuota", "q", spec={"hard": hard}, status={"hard": counted, "used": used})


@pytest.mark.parametrize(
    ("held", "holds"),
    [
        (quota({"pods": "5"}, {"pods": "5"}, {"pods": "5"}), "yes"),
        (quota({"requests.memory": "1Gi"}, {"requests.memory": "1024Mi"}, {"requests.memory": "1000Mi"}), "yes"),
        (quota({"pods": "5"}, {"pods": "5"}, {"pods": "6"}), "no"),
        (quota({"pods": "6"}, {"pods": "5"}, {"pods": "5"}), "no"),
        (quota({"pods": "6", "services": "1"}, {"pods": "6"}, {"pods": "5"}), "no"),
        (quota({"pods": "5"}, {"pods": "5"}, {}), "unknown"),
        (quota({"pods": "5"}, None, {}), "unknown"),
        (thing("ResourceQuota", "q", spec={"hard": {"pods": "5"}}), "unknown"),
    ],
    ids=["full", "in-other-units", "beyond", "stale", "new-limit", "not-used-yet", "not-counted", "no-status"],
)
async def test_quota_kept(held: Json, holds: str) -> None:
    """Figures of before the change are not those of after it."""
    assert (await look(check.quota_kept("q", namespace="shop"), held)).holds == holds


@pytest.mark.parametrize(
    ("active", "wants", "holds"),
    [
        ("True", 3, "yes"),
        ("True", 5, "no"),
        ("False", 3, "unknown"),
        ("Unknown", 3, "unknown"),
        ("True", None, "unknown"),
    ],
)
async def test_below_maximum(active: str, wants: int | None, holds: str) -> None:
    """One that cannot measure wants what it has, and that proves nothing."""
    scaler = thing(
        "HorizontalPodAutoscaler",
        "h",
        spec={"maxReplicas": 5},
        status={"desiredReplicas": wants},
        conditions={"ScalingActive": active},
    )
    assert (await look(check.below_maximum("h", namespace="shop"), scaler)).holds == holds


@pytest.mark.parametrize(
    ("status", "reason", "holds"),
    [("True", "TooManyReplicas", "no"), ("True", "TooFewReplicas", "yes"), ("False", "DesiredWithinRange", "yes")],
)
async def test_below_a_maximum_that_was_raised_a_moment_ago(status: str, reason: str, holds: str) -> None:
    """What it wanted by the old maximum says nothing: it has to have looked again."""
    said = [
        {"type": "ScalingActive", "status": "True"},
        {"type": "ScalingLimited", "status": status, "reason": reason},
    ]
    scaler = thing("HorizontalPodAutoscaler", "h", spec={"maxReplicas": 5}, status={"desiredReplicas": 2})
    scaler["status"]["conditions"] = said
    assert (await look(check.below_maximum("h", namespace="shop"), scaler)).holds == holds


@pytest.mark.parametrize(
    ("active", "holds"), [("True", "yes"), ("False", "no"), ("Unknown", "unknown"), ("", "unknown")]
)
async def test_what_a_controller_says(active: str, holds: str) -> None:
    """What its controller has not said yet is not known; a request that is missing is a no."""
    scaler = thing("HorizontalPodAutoscaler", "h", conditions={"ScalingActive": active} if active else {})
    assert (await look(MEASURES, scaler)).holds == holds


@pytest.mark.parametrize(
    ("place", "of", "holds"),
    [("said", 2, "no"), ("status", 2, "no"), ("said", 3, "yes"), ("status", "2", "no"), ("status", "3", "yes")],
)
async def test_what_was_said_of_an_older_generation_is_not_said_of_this_one(
    place: str, of: int | str, holds: str
) -> None:
    """A True of before the repair is no outcome of it, be it the condition or the status that says so, as text too."""
    scaler = thing("HorizontalPodAutoscaler", "h", conditions={"ScalingActive": "True"})
    scaler["metadata"]["generation"] = 3
    where = scaler["status"] if place == "status" else scaler["status"]["conditions"][0]
    where["observedGeneration"] = of
    assert (await look(MEASURES, scaler)).holds == holds


@pytest.mark.parametrize(
    ("phase", "capacity", "holds"),
    [
        ("Bound", "10Gi", "yes"),
        ("Bound", "20Gi", "yes"),
        ("Bound", "5Gi", "no"),
        ("Pending", "0", "no"),
        ("Lost", "10Gi", "no"),
        ("", "0", "unknown"),
    ],
)
async def test_claim_bound(phase: str, capacity: str, holds: str) -> None:
    """Bound, and as large as was asked."""
    claim = thing(
        "PersistentVolumeClaim",
        "c",
        spec={"volumeName": "pv-1", "resources": {"requests": {"storage": "10Gi"}}},
        status={"phase": phase, "capacity": {"storage": capacity}},
    )
    found = await look(check.claim_bound("c", namespace="shop"), claim)
    assert found.holds == holds, found


@pytest.mark.parametrize(
    ("left", "days", "holds"), [(30, 14, "yes"), (14, 14, "yes"), (13, 14, "no"), (-1, 0, "no"), (1, 0, "yes")]
)
async def test_certificate_valid(left: int, days: int, holds: str) -> None:
    """By the cluster's clock, and the evidence says until when; the key is nowhere in it."""
    held = secret("tls", "shop", ends=NOW + timedelta(days=left, seconds=1))
    found = await look(check.certificate_valid("tls", namespace="shop", days=days), held)
    assert found.holds == holds, found
    assert "until 20" in " ".join(found.evidence)
    assert held["data"]["tls.key"][:40] not in str(found)


async def test_a_chain_is_as_good_as_its_worst() -> None:
    """An issuer's certificate that has expired breaks it."""
    issuer, _ = pem(ends=NOW - timedelta(days=1), host="issuer.example.com")
    held = secret("tls", "shop", issuer, ends=NOW + timedelta(days=90))
    found = await look(check.certificate_valid("tls", namespace="shop"), held)
    assert (found.holds, "issuer.example.com" in found.observed) == ("no", True)


def budget(allowed: int, healthy: int, least: int, expected: int, *, seen: int = 2) -> Json:
    """A PodDisruptionBudget as its controller counted it, last at generation `seen`."""
    status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": least}
    found = thing("PodDisruptionBudget", "b", status={**status, "expectedPods": expected, "observedGeneration": seen})
    found["metadata"]["generation"] = 2
    return found


@pytest.mark.parametrize(
    ("held", "holds"),
    [
        (budget(1, 3, 2, 3), "yes"),
        (budget(0, 2, 2, 3), "yes"),
        (budget(0, 2, 2, 2), "no"),
        (budget(0, 1, 2, 2), "no"),
        (budget(0, 1, 2, 3), "no"),
        (budget(0, 0, 0, 0), "no"),
        (budget(1, 2, 1, 2, seen=1), "no"),
        (thing("PodDisruptionBudget", "b", status={}), "unknown"),
        (thing("PodDisruptionBudget", "b"), "unknown"),
    ],
    ids=["allowed", "one-away", "as-many-as-needed", "ill", "too-few", "no-pods", "not-counted", "empty", "no-status"],
)
async def test_eviction_allowed(held: Json, holds: str) -> None:
    """One may go, or has just gone; before the repair neither, however well the pods are."""
    assert (await look(check.eviction_allowed("b", namespace="shop"), held)).holds == holds
