"""Half-written objects, refused reads, and what is read at all."""

import asyncio
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyflo_runbooks.gateway import risk
from skyflo_runbooks.gateway.impact import Change, Scene, assess, needs
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request, Verb
from tests.gateway.impact.scenes import (
    Around,
    container,
    deleted,
    level,
    lines,
    made,
    node,
    pod,
    service,
    told,
    workload,
)

KINDS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "Pod",
    "Service",
    "EndpointSlice",
    "Ingress",
    "NetworkPolicy",
    "HTTPRoute",
    "Gateway",
    "GatewayClass",
    "ReferenceGrant",
    "ConfigMap",
    "Secret",
    "HorizontalPodAutoscaler",
    "ScaledObject",
    "VerticalPodAutoscaler",
    "PodDisruptionBudget",
    "ResourceQuota",
    "LimitRange",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "ServiceAccount",
    "Namespace",
    "Node",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "PriorityClass",
    "IngressClass",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "Database",
)
WORDS = (
    "spec",
    "status",
    "metadata",
    "template",
    "selector",
    "matchLabels",
    "labels",
    "containers",
    "resources",
    "limits",
    "requests",
    "memory",
    "cpu",
    "replicas",
    "rules",
    "verbs",
    "subjects",
    "webhooks",
    "ports",
    "volumes",
    "env",
    "hard",
    "used",
    "scaleTargetRef",
    "metrics",
    "taints",
    "allocatable",
    "conditions",
    "name",
    "kind",
    "ownerReferences",
    "data",
    "rollingUpdate",
    "strategy",
    "maxSurge",
    "matchExpressions",
    "roleRef",
    "uid",
    "managedFields",
    "finalizers",
    "items",
)
scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(
        [
            "",
            "web",
            "64Mi",
            "-1",
            "25%",
            "1e400",
            "NaN",
            "*",
            "DELETE",
            "NoExecute",
            "Utilization",
            "Container",
            "uid-x",
        ]
    )
)
trees = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from(WORDS), v, max_size=4), max_leaves=20
)
WEB: Json = {"matchLabels": {"app": "web"}}
TARGET: Json = {"kind": "Deployment", "name": "web"}
ROUTE: Json = {"host": "a", "http": {"paths": [{"backend": {"service": {"name": "web"}}}]}}
EVERYTHING: Json = {"verbs": ["*"], "resources": ["*"], "apiGroups": ["*"]}
BINDING: Json = {"roleRef": {"kind": "ClusterRole", "name": "admin"}, "subjects": [{"kind": "User", "name": "a"}]}
MOST: Json = {"type": "Container", "max": {"memory": "1Gi"}}
HARD: Json = {"hard": {"limits.memory": "1Gi"}}
CLAIMED: Json = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
GATEWAYS = "gateway.networking.k8s.io/v1"
WAY: Json = {
    "parentRefs": [{"name": "web"}],
    "hostnames": ["a"],
    "rules": [{"backendRefs": [{"name": "web", "port": 80, "weight": 1, "namespace": "shop"}]}],
}
LET: Json = {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}], "to": [{"kind": "Service"}]}
HOOK: Json = {"name": "a", "rules": [{"resources": ["*"]}]}
COMPLETE: tuple[Json, ...] = (
    workload(),
    workload("StatefulSet", spec=CLAIMED),
    pod("web-1", owner=workload("ReplicaSet", "web-5d")),
    service(),
    node("n1", taints=[{"key": "a", "effect": "NoExecute"}], unschedulable=True),
    made("HorizontalPodAutoscaler", "web", spec={"scaleTargetRef": TARGET, "metrics": []}),
    made("PodDisruptionBudget", "web", spec={"selector": WEB}, status={"desiredHealthy": 2}),
    made("ResourceQuota", "all", spec=HARD, status=HARD),
    made("LimitRange", "all", spec={"limits": [MOST]}),
    made("Ingress", "shop", spec={"rules": [ROUTE]}),
    made("HTTPRoute", "shop", api=GATEWAYS, spec=WAY),
    made("Gateway", "web", api=GATEWAYS, spec={"gatewayClassName": "web", "listeners": [{"name": "web"}]}),
    made("ReferenceGrant", "web", api=GATEWAYS, spec=LET),
    made("ClusterRole", "admin", namespace="", rules=[EVERYTHING]),
    made("RoleBinding", "admins", **BINDING),
    made("MutatingWebhookConfiguration", "hook", namespace="", webhooks=[HOOK]),
)


@st.composite
def half_written(draw: st.DrawFn) -> Json:
    """An object with members missing, or of another form."""
    base = draw(st.sampled_from(COMPLETE) | st.builds(lambda kind: {"kind": kind}, st.sampled_from(KINDS)))
    found = _torn(draw, base)
    return {**(found if isinstance(found, dict) else {}), "kind": base["kind"]}


def _torn(draw: st.DrawFn, value: Any) -> Any:
    """Take parts of a value out, or put something else there."""
    if draw(st.integers(0, 11)) == 0:
        return draw(trees)
    if isinstance(value, dict):
        torn = {key: _torn(draw, item) for key, item in value.items() if draw(st.integers(0, 11))}
        if draw(st.integers(0, 7)) == 0:
            torn[draw(st.sampled_from(WORDS))] = draw(trees)
        return torn
    return [_torn(draw, item) for item in value] if isinstance(value, list) else value


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(get_args(Verb)),
    st.none() | half_written(),
    st.none() | half_written(),
    st.lists(half_written() | scalars, max_size=6),
)
def test_nothing_breaks_on_half_written_objects(
    kind: str, verb: Verb, before: Json | None, after: Json | None, around: list[Any]
) -> None:
    """A malformed object, of the change or around it, never breaks a proposal; what is said is text."""
    ref = ObjectRef(kind, "web", "shop", "apps/v1")
    request = Request(verb, ref, "/apis/apps/v1/namespaces/shop/deployments/web", after or {})
    change = Change(request, before and {**before, "kind": kind}, after and {**after, "kind": kind})
    impact = told(change, Around(*around))
    assert all(isinstance(line, str) and line for line in lines(impact).splitlines())
    assert all(line in ("low", "medium", "high") and reason for line, reason in impact.risks)


@pytest.mark.parametrize("base", COMPLETE, ids=lambda one: str(one["kind"]))
@pytest.mark.parametrize("verb", get_args(Verb))
def test_every_read_may_be_refused(base: Json, verb: Verb) -> None:
    """Each list that was needed and refused is said to be unknown, no number is made up, and the risk rises."""
    change = Change(Request(verb, ObjectRef.of(base), "/", {}), base, None if verb in ("delete", "evict") else base)
    kinds = {need.kind for need in needs(change)}
    impact = told(change, Around(refused=tuple(kinds)))
    assert len(impact.unknown) >= len(kinds)
    assert not kinds or level(impact) != "low"
    assert "0 of 0" not in lines(impact)


def test_a_list_is_read_once_for_all_requests_of_a_proposal() -> None:
    """A drain of thirty pods reads six lists, not a hundred and eighty."""
    pods = [pod(f"web-{number}") for number in range(30)]
    requests = tuple(Request("evict", ObjectRef.of(one), "/", {}) for one in pods)
    around = Around(*pods)

    async def prepared() -> None:
        scene = Scene(around, requests)
        for request, one in zip(requests, pods, strict=True):
            await scene.read(needs(Change(request, one, None)))
            assess(Change(request, one, None), scene)

    asyncio.run(prepared())
    assert len(around.read) == len(set(around.read)) == 6


def test_the_flagship_stays_cheap() -> None:
    """Raising a limit reads these lists and no others, all at once."""
    before = workload()
    after = workload(pod={"containers": [container(memory="512Mi")]})
    change = Change(Request("patch", ObjectRef.of(before), "/", []), before, after)
    assert sorted((need.kind, need.namespace) for need in needs(change)) == [
        ("EndpointSlice", "shop"),
        ("HorizontalPodAutoscaler", "shop"),
        ("LimitRange", "shop"),
        ("Node", ""),
        ("Pod", ""),
        ("PodDisruptionBudget", "shop"),
        ("ResourceQuota", "shop"),
        ("ScaledObject", "shop"),
        ("Service", "shop"),
        ("VerticalPodAutoscaler", "shop"),
    ]


def test_what_is_unknown_raises_the_risk() -> None:
    """It is no reason to be calm."""
    change = Change(Request("patch", ObjectRef.of(workload()), "/", []), workload(), workload(spec={"paused": True}))
    assert level(told(change, Around())) == "low"
    impact = told(change, Around(refused=("Service",)))
    assert impact.unknown == ("Service of shop could not be read: Service: forbidden",)
    assert level(impact) == "medium"
    assert risk.assess((change.request,), before=({},), after=({},), impacts=(impact,), irreversible="")[0] == "medium"


def test_objects_that_are_no_objects_are_left_out() -> None:
    """A list may hold anything."""
    impact = told(deleted(workload()), Around("odd", 7, None, pod("web-1", owner=workload())))
    assert "Deleted with it: 1 Pod (web-1)" in impact.also_touched
