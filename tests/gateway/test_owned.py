"""What controllers write by themselves is neither drift nor approved; what anybody else writes there counts."""

import copy

import pytest

from skyflo_runbooks.gateway import owned
from skyflo_runbooks.gateway.impact import Scene
from skyflo_runbooks.gateway.impact.reads import ClusterLister
from skyflo_runbooks.model.digest import desired_digest
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from tests.tools.apiserver import status, with_discovery

NODE: Json = {"kind": "Node", "metadata": {"name": "node-a"}, "spec": {"unschedulable": True}}
CLAIM: Json = {
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "shop"},
    "spec": {"storageClassName": "shelf"},
}
LIFECYCLE = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": "2026-11-24T03:00:00Z"}
SOMEBODYS = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def paths(kind: str, now: Json | None, left: Json | None) -> tuple[owned.Path, ...]:
    """The paths that controllers own in a patch of this object; nothing around it is read."""
    target = ObjectRef(kind, "node-a" if kind == "Node" else "data", "" if kind == "Node" else "shop")
    request = Request("patch", target, "/x", {"spec": {}}, content_type="application/merge-patch+json")
    cluster = with_discovery(lambda asked: status(404, "nothing", "NotFound")).cluster()
    return owned.by_controllers(request, now, left, Scene(ClusterLister(cluster)))


def with_taints(*taints: Json) -> Json:
    """The node with these taints."""
    found = copy.deepcopy(NODE)
    if taints:
        found["spec"]["taints"] = list(taints)
    return found


def same(one: Json, other: Json, ignore: tuple[owned.Path, ...]) -> bool:
    """Whether two states of an object are wanted alike."""
    return desired_digest(one, ignore=ignore) == desired_digest(other, ignore=ignore)


def test_the_taint_of_a_cordoned_node_is_no_drift() -> None:
    """The controller adds it a moment after the cordon; a taint of somebody else, or another value, is drift."""
    ignore = paths("Node", NODE, NODE)
    assert same(with_taints(), with_taints(LIFECYCLE), ignore)
    assert same(with_taints(SOMEBODYS), with_taints(SOMEBODYS, LIFECYCLE), ignore)
    assert not same(with_taints(), with_taints(SOMEBODYS), ignore)
    assert not same(with_taints(SOMEBODYS), with_taints({**SOMEBODYS, "value": "cpu"}), ignore)
    assert not same(with_taints(), {**with_taints(LIFECYCLE), "spec": {"taints": [LIFECYCLE]}}, ignore)


def test_a_change_of_such_a_taint_is_a_change() -> None:
    """Who takes it off, sets it, or gives it another effect is not answered that it is in place already."""
    other = {**LIFECYCLE, "effect": "NoExecute"}
    for now, left in (((LIFECYCLE,), ()), ((), (LIFECYCLE,)), ((LIFECYCLE,), (other,))):
        before, after = with_taints(*now), with_taints(*left)
        assert not same(before, after, paths("Node", before, after))


def test_the_volume_of_a_claim_is_no_drift() -> None:
    """The binder chooses it once the claim has a class; the class itself is what was approved."""
    ignore = paths("PersistentVolumeClaim", CLAIM, CLAIM)
    bound = copy.deepcopy(CLAIM)
    bound["spec"]["volumeName"] = "shelf-1"
    bound["metadata"]["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    assert same(CLAIM, bound, ignore)
    bound["metadata"]["annotations"]["owner"] = "somebody"
    assert not same(CLAIM, bound, ignore)
    assert not same(CLAIM, {**CLAIM, "spec": {"storageClassName": "fast"}}, ignore)


@pytest.mark.parametrize("kind", ["Deployment", "ConfigMap"])
def test_other_kinds_have_no_such_fields(kind: str) -> None:
    """Nothing is left out of them."""
    assert paths(kind, NODE, NODE) == ()


def test_what_is_new_has_nothing_owned() -> None:
    """A creation binds all of its manifest."""
    assert paths("Node", None, NODE) == ()


@pytest.mark.parametrize("manifest", [CLAIM, NODE], ids=["claim", "node"])
def test_a_deletion_leaves_nothing_out(manifest: Json) -> None:
    """A claim that was bound since has data: it is not the empty one whose deletion was approved."""
    assert paths(str(manifest["kind"]), manifest, None) == ()


VOLUME: Json = {
    "kind": "PersistentVolume",
    "metadata": {"name": "disk-7"},
    "spec": {"claimRef": {"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data"}},
}


def with_claim(**more: str) -> Json:
    """The volume with more said of the claim that it is kept for."""
    found = copy.deepcopy(VOLUME)
    found["spec"]["claimRef"].update(more)
    return found


def test_the_binder_completes_the_claim_that_a_volume_is_kept_for() -> None:
    """It writes uid and resourceVersion after the change; another claim, or none, is somebody else's doing."""
    target = ObjectRef("PersistentVolume", "disk-7")
    wake = owned.in_its_wake(Request("patch", target, "/x", [], content_type="application/json-patch+json"))
    assert same(VOLUME, with_claim(uid="new", resourceVersion="17"), wake)
    assert not same(VOLUME, with_claim(uid="new", name="ledger"), wake)
    assert not same(VOLUME, with_claim(uid="new", namespace="payroll"), wake)
    assert not same(VOLUME, {**VOLUME, "spec": {}}, wake)


def test_before_the_change_all_of_it_counts() -> None:
    """Who removes the uid changes something, and what moves there before the change is drift."""
    before, after = with_claim(uid="old"), VOLUME
    assert paths("PersistentVolume", before, after) == ()
    assert not same(before, after, paths("PersistentVolume", before, after))


@pytest.mark.parametrize("kind", ["Deployment", "PersistentVolumeClaim", "Node"])
def test_no_other_kind_is_completed_afterwards(kind: str) -> None:
    """Nothing more is left out of them."""
    assert owned.in_its_wake(Request("patch", ObjectRef(kind, "a", "shop"), "/x", [])) == ()
