"""What a deletion takes with it, and what can never come back."""

from typing import Any

import pytest

from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, deleted, level, lines, made, pod, told, workload

WEB = workload()
SET = workload("ReplicaSet", "web-5d", owner=WEB)
PODS = [pod("web-1", owner=SET), pod("web-2", owner=SET), pod("cart-1", app="cart")]


def test_what_belongs_to_it_goes_with_it() -> None:
    """By the owner's uid, through what is in between."""
    impact = told(deleted(WEB), Around(SET, *PODS, workload("ReplicaSet", "other")))
    assert impact.while_it_runs == ("Deployment web is deleted",)
    assert "Deleted with it: 1 ReplicaSet (web-5d); 2 Pods (web-1, web-2)" in impact.also_touched
    assert level(impact) == "high"


def test_a_name_is_no_owner() -> None:
    """An object of the same name that was there before has another uid."""
    other = workload()
    other["metadata"]["uid"] = "another"
    before = deleted(other)
    assert "Deleted with it" not in lines(told(before, Around(SET, *PODS)))


def test_orphans_stay() -> None:
    """With that policy nothing goes, and nothing looks after it."""
    impact = told(deleted(workload(), propagationPolicy="Orphan"), Around(SET, *PODS))
    assert "Stays, and nothing looks after it any more: 1 ReplicaSet (web-5d); 2 Pods" in lines(impact)


def test_a_circle_of_owners_ends() -> None:
    """Two objects that own each other."""
    one, other = made("ReplicaSet", "a"), made("Pod", "b")
    one["metadata"]["ownerReferences"] = [{"uid": other["metadata"]["uid"]}, {"uid": WEB["metadata"]["uid"]}]
    other["metadata"]["ownerReferences"] = [{"uid": one["metadata"]["uid"]}]
    assert "Deleted with it: 1 ReplicaSet (a); 1 Pod (b)" in lines(told(deleted(workload()), Around(one, other)))


def test_a_pod_of_a_controller_comes_again() -> None:
    """That is why people delete it."""
    assert (
        "ReplicaSet web-5d (of Deployment web) controls it and will make another"
        in told(deleted(PODS[0]), Around(SET, WEB)).ownership
    )


def test_a_custom_resource_takes_what_its_operator_made() -> None:
    """As far as it can be listed; what the operator does besides is not known."""
    database = made("Database", "db", api="example.com/v1")
    impact = told(deleted(database), Around(workload("StatefulSet", "db", owner=database)))
    assert "Deleted with it: 1 StatefulSet (db)" in impact.also_touched
    assert impact.unknown == ("What the controller of Database does when this one is deleted is not known here",)


def test_a_namespace_takes_everything() -> None:
    """By kind and number, most first."""
    namespace = made("Namespace", "shop", namespace="")
    impact = told(
        deleted(namespace), Around(namespace, WEB, *PODS, made("Secret", "db"), made("Pod", "x", namespace="other"))
    )
    assert "Everything in it is deleted: 3 Pod, 1 Deployment, 1 Secret" in impact.also_touched
    assert impact.irreversible == (
        "everything in the namespace shop is deleted; creating it again brings nothing back",
    )


def test_what_could_not_be_counted_is_said() -> None:
    """A kind that may not be listed is not nothing."""
    namespace = made("Namespace", "shop", namespace="")
    impact = told(deleted(namespace), Around(WEB, refused=("Secret",)))
    assert impact.unknown == ("The contents of shop could not be counted: Secret: forbidden",)


DEFINITION = made(
    "CustomResourceDefinition",
    "databases.example.com",
    namespace="",
    spec={"group": "example.com", "names": {"plural": "databases", "kind": "Database"}},
)


@pytest.mark.parametrize(
    ("around", "said", "lost"),
    [
        ([made("databases.example.com", "a"), made("databases.example.com", "b")], "2 Database of the whole", True),
        ([], "0 Database of the whole cluster", False),
    ],
)
def test_a_definition_takes_all_its_objects(around: list[Json], said: str, lost: bool) -> None:
    """Then there is no way back; without any there is."""
    impact = told(deleted(DEFINITION), Around(*around))
    assert said in lines(impact)
    assert bool(impact.irreversible) is lost


def test_a_definition_whose_objects_could_not_be_counted() -> None:
    """May take all of them."""
    impact = told(deleted(DEFINITION), Around(refused=("databases.example.com",)))
    assert impact.irreversible
    assert impact.unknown


CLAIM = made("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1"})


def volume(policy: str) -> Json:
    """The volume of the claim."""
    return made("PersistentVolume", "pv-1", namespace="", spec={"persistentVolumeReclaimPolicy": policy})


@pytest.mark.parametrize(
    ("around", "said", "lost", "unknown"),
    [
        ([volume("Delete")], "The data of data is deleted with its volume (reclaim policy Delete)", True, False),
        ([volume("Retain")], "stays on the volume pv-1 (reclaim policy Retain), which is Released then", False, False),
        ([], "What becomes of the data on the volume pv-1 is not known", False, True),
    ],
)
def test_data_goes_by_the_reclaim_policy(around: list[Json], said: str, lost: bool, unknown: bool) -> None:
    """Which is not always known."""
    impact = told(deleted(CLAIM), Around(*around))
    assert said in lines(impact)
    assert bool(impact.irreversible) is lost
    assert bool(impact.unknown) is unknown


def test_a_claim_in_use_waits() -> None:
    """Kubernetes keeps it until no pod uses it."""
    spec = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]}
    said = lines(told(deleted(CLAIM), Around(volume("Retain"), pod("web-1", spec=spec))))
    assert "web-1 uses it: it is deleted when no pod does any more" in said


@pytest.mark.parametrize(
    ("spec", "said", "lost"),
    [
        ({}, "Its claims stay, with their data: data-db-0, data-db-1", False),
        (
            {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
            "Its claims are deleted too (retention policy): data-db-0, data-db-1",
            True,
        ),
    ],
)
def test_the_claims_of_a_stateful_set(spec: dict[str, Any], said: str, lost: bool) -> None:
    """Stay, unless it says otherwise."""
    claims = [made("PersistentVolumeClaim", name) for name in ("data-db-0", "data-db-1", "data-other-0")]
    templates = [{"metadata": {"name": "data"}}]
    impact = told(
        deleted(workload("StatefulSet", "db", spec={"volumeClaimTemplates": templates, **spec})), Around(*claims)
    )
    assert said in lines(impact)
    assert bool(impact.irreversible) is lost


def test_finalizers_hold_it_up() -> None:
    """The deletion begins, and ends when somebody has done its part."""
    held = workload()
    held["metadata"]["finalizers"] = ["example.com/backup"]
    said = lines(told(deleted(held), Around()))
    assert "It stays in deletion until its finalizers are done: example.com/backup" in said


def test_a_volume_that_goes() -> None:
    """Names the claim that it is bound to."""
    bound = made("PersistentVolume", "pv-1", namespace="", spec={"claimRef": {"namespace": "shop", "name": "data"}})
    assert "The volume of the claim shop/data is no longer known to the cluster" in lines(
        told(deleted(bound), Around())
    )
