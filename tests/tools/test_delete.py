"""Delete: what goes with an object, what is lost with it, and what could not be read."""

import pytest
from skyflo_mcp.kubernetes import dependents

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.tools import shelf
from tests.tools.shelf import held

WEB = held("Deployment", "web", spec={})
SET = held("ReplicaSet", "web-5d8f", owner=WEB)
PODS = [held("Pod", f"web-5d8f-{name}", owner=SET) for name in "ab"]
OTHER = held("Pod", "other", owner=held("ReplicaSet", "other-1"))
WHERE: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}


def of(manifest: Json, **more: object) -> Json:
    """Arguments that delete an object."""
    namespace = manifest["metadata"].get("namespace")
    return {
        "kind": manifest["kind"],
        "name": manifest["metadata"]["name"],
        **({"namespace": namespace} if namespace else {}),
        **more,
    }


async def test_a_deletion_says_what_goes_with_it_down_to_the_last() -> None:
    """Through whatever stands between, and nothing of others."""
    change = await shelf.rendered("k8s_delete", WHERE, WEB, SET, *PODS, OTHER)
    (request,) = change.requests
    assert (request.verb, request.path) == ("delete", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert request.body == {"propagationPolicy": "Background"}
    assert change.notes == (
        "2 Pods, 1 ReplicaSet are deleted with it: Pod/shop/web-5d8f-a, Pod/shop/web-5d8f-b, ReplicaSet/shop/web-5d8f.",
    )
    assert change.irreversible == ""
    assert change.equivalent == "kubectl -n shop delete deployment/web --cascade=background"


@pytest.mark.parametrize(
    ("cascade", "policy"), [("background", "Background"), ("foreground", "Foreground"), ("orphan", "Orphan")]
)
async def test_the_cascade_is_the_servers_propagation_policy(cascade: str, policy: str) -> None:
    """With orphan they stay."""
    change = await shelf.rendered("k8s_delete", {**WHERE, "cascade": cascade}, WEB, SET)
    assert change.requests[0].body == {"propagationPolicy": policy}
    assert ("stay, and belong to nothing" in change.notes[0]) == (cascade == "orphan")


async def test_many_dependents_are_counted_and_named_in_part() -> None:
    """The note stays readable."""
    pods = [held("Pod", f"p-{number:02}", owner=SET) for number in range(30)]
    change = await shelf.rendered("k8s_delete", WHERE, WEB, SET, *pods)
    assert change.notes[0].startswith("30 Pods, 1 ReplicaSet are deleted with it: Pod/shop/p-00")
    assert change.notes[0].endswith(" and 11 more.")


async def test_a_kind_that_could_not_be_read_is_named() -> None:
    """Its absence says nothing."""
    change = await shelf.rendered("k8s_delete", WHERE, WEB, SET, refused=["/pods", "/secrets"])
    assert change.notes[-1] == "Whether these have to do with it could not be read: pods, secrets."


async def test_owners_in_a_circle_come_to_an_end() -> None:
    """Somebody may write such references."""
    first, second = held("ConfigMap", "a"), held("ConfigMap", "b")
    first = held("ConfigMap", "a", owner=second)
    second = held("ConfigMap", "b", owner=first)
    async with shelf.cluster(first, second) as cluster:
        found = await dependents.read(cluster, first)
    assert [one.name for one in found.items] == ["b"]


async def test_a_namespace_takes_everything_in_it_along() -> None:
    """Whether owned or not, and nothing of another one; that cannot be undone."""
    space = held("Namespace", "old", namespace="")
    inside = [
        held("ConfigMap", "a", namespace="old"),
        held("Pod", "b", namespace="old"),
        held("Event", "e", namespace="old"),
    ]
    change = await shelf.rendered("k8s_delete", of(space), space, *inside, WEB)
    assert change.notes == ("1 ConfigMap, 1 Pod are deleted with it: ConfigMap/old/a, Pod/old/b.",)
    assert "everything in the namespace" in change.irreversible


async def test_a_definition_takes_every_object_of_its_kind_along() -> None:
    """In every namespace."""
    spec = {"group": "tests.skyflo.dev", "names": {"plural": "gadgets", "kind": "Gadget"}}
    crd = held("CustomResourceDefinition", "gadgets.tests.skyflo.dev", namespace="", spec=spec)
    change = await shelf.rendered(
        "k8s_delete", of(crd), crd, held("Gadget", "a"), held("Gadget", "b", namespace="x"), WEB
    )
    assert change.notes == ("2 Gadgets are deleted with it: Gadget/shop/a, Gadget/x/b.",)
    assert change.irreversible == "every object of its kind is deleted with it"


def volume(policy: str) -> Json:
    """The volume of the claim below."""
    return held("PersistentVolume", "pv-1", namespace="", spec={"persistentVolumeReclaimPolicy": policy})


CLAIM = held("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"})


@pytest.mark.parametrize(
    ("objects", "target", "said"),
    [
        ([volume("Delete")], CLAIM, "volume pv-1 is deleted with it, and with that the data"),
        ([volume("Retain")], CLAIM, "volume pv-1 keeps the data, but is released"),
        ([], CLAIM, "could not be read, so the data must be taken for lost"),
        ([], held("PersistentVolumeClaim", "new", spec={}), ""),
        ([], volume("Delete"), "storage may be deleted"),
        ([], volume("Retain"), ""),
        (
            [],
            held("StatefulSet", "db", spec={"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}),
            "claims are deleted with it",
        ),
        ([], held("StatefulSet", "db", spec={}), ""),
        ([], held("Secret", "s"), ""),
    ],
)
async def test_where_data_is_lost_it_is_irreversible(objects: list[Json], target: Json, said: str) -> None:
    """By what the volume says of itself."""
    change = await shelf.rendered("k8s_delete", of(target), target, *objects)
    assert bool(change.irreversible) == bool(said)
    assert said in change.irreversible


async def test_a_pod_that_nothing_makes_again_says_so() -> None:
    """And one that its controller makes again says that."""
    alone = await shelf.rendered("k8s_delete", of(held("Pod", "alone")), held("Pod", "alone"))
    owned = await shelf.rendered("k8s_delete", of(PODS[0]), *PODS)
    assert alone.notes == ("No controller owns it, so nothing makes it again.",)
    assert owned.notes == ("ReplicaSet web-5d8f owns it and may make it again.",)


async def test_finalizers_hold_it_back() -> None:
    """The deletion is only begun."""
    held_up = held("ConfigMap", "a", metadata={"finalizers": ["example.com/wait"]})
    change = await shelf.rendered("k8s_delete", of(held_up), held_up)
    assert change.notes == ("It is gone only when its finalizers are: example.com/wait.",)


GOING = held("Pod", "going", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/wait"]})


async def test_what_is_being_deleted_is_not_deleted_again() -> None:
    """Its finalizers are what it waits for."""
    with pytest.raises(BadInput, match=r"already, since 2026-01-01T00:00:00Z\. Its finalizers: example.com/wait"):
        await shelf.rendered("k8s_delete", of(GOING), GOING)


async def test_a_pod_on_a_dead_node_is_deleted_without_its_node() -> None:
    """By a grace period of nothing, and with a warning."""
    change = await shelf.rendered("k8s_delete", of(GOING, grace_period=0), GOING)
    assert change.requests[0].body["gracePeriodSeconds"] == 0
    assert "may still run" in change.notes[0]
    assert change.equivalent.endswith("--grace-period=0 --force")


async def test_a_grace_period_is_no_force_for_other_kinds() -> None:
    """They are not deleted a second time."""
    going = held("ConfigMap", "a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    with pytest.raises(BadInput, match="already"):
        await shelf.rendered("k8s_delete", of(going, grace_period=0), going)
