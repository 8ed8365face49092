"""Who will undo a change by hand, and where it lasts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.impact.change import UNMANAGED
from skyflo_runbooks.gateway.impact.ownership import FOLLOWING, changed_fields
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, deleted, level, made, node, pod, told, workload


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {"annotations": {"meta.helm.sh/release-name": "shop"}},
            "Helm release shop: will be reverted by its next upgrade; change its values to make it last",
        ),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm a release that is not named: will be reverted"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/y"}},
            "Argo CD application shop: will be reverted by its next sync; change it in git to make it last",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "front"}}, "Argo CD application front"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux Kustomization apps: will be reverted"),
        (
            {
                "labels": {"helm.toolkit.fluxcd.io/name": "shop", "app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "shop"},
            },
            "Flux HelmRelease shop: will be reverted by it; change its values in git to make it last",
        ),
        (
            {"owner": made("Database", "db")},
            "Database db controls it: will be reverted by it; change the Database db to make it last",
        ),
    ],
)
def test_marks_say_who_manages_it(metadata: Json, said: str) -> None:
    """With the lasting place to change it; each once."""
    impact = told(changed(workload(**metadata), spec__replicas=4), Around())
    assert len(impact.ownership) == 1
    assert impact.ownership[0].startswith(said)
    assert level(impact) == "medium"


def test_nobody_manages_it() -> None:
    """Then a change by hand lasts."""
    impact = told(changed(workload(), spec__paused=True), Around())
    assert impact.ownership == ("Not managed by Helm, Argo CD, Flux or an owner",)
    assert level(impact) == "low"


def test_the_deployment_behind_a_pod_is_named() -> None:
    """Through its ReplicaSet, from one list."""
    deployment = workload()
    replica_set = workload("ReplicaSet", "web-5d", owner=deployment)
    one = pod("web-5d-x", owner=replica_set)
    around = Around(replica_set, deployment)
    impact = told(changed(one, metadata__labels={"app": "other"}), around)
    assert impact.ownership == (
        "ReplicaSet web-5d (of Deployment web) controls it: will be reverted by it; change the Deployment web"
        " to make it last",
    )
    assert told(deleted(one), around).ownership == (
        "ReplicaSet web-5d (of Deployment web) controls it and will make another",
    )


def written(manager: str, fields: Json, **more: Any) -> Json:
    """An entry of managedFields."""
    return {"manager": manager, "operation": "Apply", "fieldsV1": fields, **more}


REPLICAS: Json = {"f:spec": {"f:replicas": {}}}
IMAGE: Json = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {".": {}, "f:image": {}}}}}}}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            written("argocd-controller", REPLICAS),
            "argocd-controller wrote spec.replicas: will be reverted by Argo CD; change it in git to make it last",
        ),
        (written("helm", REPLICAS), "helm wrote spec.replicas: will be reverted by Helm; change it in the release's"),
        (
            written("shop-operator", REPLICAS),
            "shop-operator wrote spec.replicas: will be reverted by its manager shop-op",
        ),
        (written("argocd-controller", IMAGE), "Not managed"),
        (written("kubectl-client-side-apply", REPLICAS), "Not managed"),
        (written("skyflo-at-1", REPLICAS), "Not managed"),
        (written("kube-controller-manager", REPLICAS), "Not managed"),
        (written("argocd-controller", REPLICAS, subresource="status"), "Not managed"),
    ],
)
def test_the_manager_of_the_changed_fields_is_named(entry: Json, said: str) -> None:
    """Only of those fields; people's tools and Kubernetes' own controllers aside."""
    manifest = workload()
    manifest["metadata"]["managedFields"] = [entry]
    assert told(changed(manifest, spec__replicas=4), Around()).ownership[0].startswith(said)


def test_an_element_of_a_list_is_found_by_its_key() -> None:
    """The field of one container, not of the other."""
    before = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "a:1"}, {"name": "b"}]}}}}
    after = {"spec": {"template": {"spec": {"containers": [{"name": "b"}, {"name": "app", "image": "a:2"}]}}}}
    assert changed_fields(IMAGE, before, after) == [("spec", "template", "spec", "containers", "app", "image")]
    assert changed_fields({"f:finalizers": {'v:"a"': {}}}, {"finalizers": ["a"]}, {}) == [("finalizers", "a")]


leaves: st.SearchStrategy[object] = st.none() | st.integers() | st.text(max_size=3) | st.just([])
trees = st.recursive(
    leaves,
    lambda v: (
        st.lists(v, max_size=2)
        | st.dictionaries(st.sampled_from(["f:a", "k:{", 'k:{"name":"a"}', "v:1", ".", "a", "name"]), v, max_size=3)
    ),
    max_leaves=8,
)


@given(trees, trees, trees)
def test_odd_field_sets_break_nothing(fields: object, before: object, after: object) -> None:
    """And equal objects have no changed field."""
    changed_fields(fields, before, after)
    assert changed_fields(fields, before, before) == []


def _following(name: str, effect: str = "NoSchedule") -> Json:
    """A taint that the node controller writes."""
    return {"key": f"node.kubernetes.io/{name}", "effect": effect}


def _node(*taints: Json, ready: str = "True", **spec: Any) -> Json:
    """A node with taints, and a condition Ready of that status."""
    made_ = node("n1", taints=list(taints), **spec)
    made_["status"]["conditions"] = [{"type": "Ready", "status": ready}]
    return made_


@pytest.mark.parametrize(
    ("before", "members", "said"),
    [
        (_node(), {"spec__taints": [_following("unschedulable")]}, "cordon or uncordon the node to make it last"),
        (_node(_following("unschedulable"), unschedulable=True), {"spec__taints": []}, "cordon or uncordon"),
        (_node(), {"spec__taints": [_following("not-ready")]}, "mend what its condition Ready tells"),
        (_node(_following("not-ready"), ready="False"), {"spec__taints": []}, "mend what its condition Ready tells"),
        (_node(_following("unreachable"), ready="Unknown"), {"spec__taints": []}, "mend what its condition Ready"),
        (_node(), {"spec__taints": [_following("memory-pressure")]}, "mend what its condition MemoryPressure tells"),
    ],
)
def test_the_node_controller_undoes_a_taint_that_it_writes(before: Json, members: Json, said: str) -> None:
    """Set without what it follows from, or taken off in spite of it."""
    impact = told(changed(before, **members), Around())
    [owned] = [one for one in impact.ownership if "node controller" in one]
    assert "will be reverted by it" in owned
    assert said in owned
    assert ("medium", "something else manages the object") in impact.risks


@pytest.mark.parametrize(
    ("before", "members"),
    [
        (_node(), {"spec__taints": [_following("unschedulable")], "spec__unschedulable": True}),
        (_node(_following("unschedulable")), {"spec__taints": []}),
        (_node(_following("not-ready")), {"spec__taints": []}),
        (_node(ready="False"), {"spec__taints": [_following("not-ready")]}),
        (_node(), {"spec__taints": [_following("unschedulable", "PreferNoSchedule")]}),
        (_node(), {"spec__taints": [{"key": "gpu", "effect": "NoSchedule"}]}),
        (_node(_following("unschedulable")), {"spec__taints": [_following("unschedulable"), _following("x")]}),
        (_node(_following("unschedulable")), {"metadata__labels": {"a": "b"}}),
    ],
)
def test_what_agrees_with_the_node_controller_or_is_none_of_its_taints_stays(before: Json, members: Json) -> None:
    """Then nobody undoes it, and none is named."""
    assert told(changed(before, **members), Around()).ownership == (UNMANAGED,)


def test_every_taint_of_the_node_controller_is_named_by_what_it_follows_from() -> None:
    """The one of a cordon by a field, each other by a condition of the node."""
    assert [key for key, (condition, _) in FOLLOWING.items() if not condition] == ["node.kubernetes.io/unschedulable"]
    assert all(status in ("True", "False", "Unknown") for condition, status in FOLLOWING.values() if condition)
