"""With whom an object is deleted: an owner that a patch adds, and one that has been gone for long."""

import copy
from typing import Any

import pytest

from skyflo_runbooks.gateway.impact import Change
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, level, lines, made, request, told, workload

WEB = workload()
SETTINGS = made("ConfigMap", "settings", data={"mode": "slow"})
GONE = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "of-long-ago"}


def owner(manifest: Json, **other: Any) -> Json:
    """A reference to an owner, without controlling it."""
    metadata = manifest["metadata"]
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        **other,
    }


def owned(*references: Json, manifest: Json = SETTINGS) -> Json:
    """The object with these owners."""
    found = copy.deepcopy(manifest)
    found["metadata"]["ownerReferences"] = list(references)
    return found


def given(*references: Json, before: Json = SETTINGS) -> Change:
    """The patch that gives an object these owners."""
    return Change(request("patch", before), before, owned(*references))


def test_an_owner_that_is_there_is_said() -> None:
    """Who deletes it will delete this as well."""
    impact = told(given(owner(WEB)), Around(WEB))
    assert "From now on it is deleted with Deployment web" in impact.also_touched
    assert (level(impact), impact.irreversible) == ("medium", ())


def test_an_owner_that_is_gone_deletes_it_at_once() -> None:
    """Of that name there is another one; the uid counts. Nothing leads back, for the object is gone."""
    impact = told(given(GONE), Around(WEB))
    assert "No Deployment web of that uid was found: what has no owner left is DELETED" in lines(impact)
    assert impact.irreversible == ("the garbage collector deletes ConfigMap/shop/settings, of which no owner is there",)
    assert level(impact) == "high"


@pytest.mark.parametrize("first", [owned(owner(WEB)), SETTINGS], ids=["had one", "gets both"])
def test_one_owner_that_is_there_keeps_it(first: Json) -> None:
    """The other reference is taken away by Kubernetes."""
    impact = told(given(owner(WEB), GONE, before=first), Around(WEB))
    assert "1 owner that it names is not there" in impact.also_touched
    assert impact.irreversible == ()
    assert "DELETED" not in lines(impact)


def test_what_could_not_be_read_is_not_said_to_be_gone() -> None:
    """It is unknown, and raises the risk."""
    impact = told(given(GONE), Around(refused=("Deployment",)))
    assert "DELETED" not in lines(impact)
    assert impact.unknown == ("Deployment of shop could not be read: Deployment: forbidden",)
    assert impact.irreversible == ()


@pytest.mark.parametrize("kind", ["Secret", "secrets"])
def test_secrets_are_not_listed_to_find_an_owner(kind: str) -> None:
    """So whether it is there is not known."""
    around = Around(made("Secret", "db"))
    impact = told(given({**GONE, "apiVersion": "v1", "kind": kind, "name": "db"}), around)
    assert not any(kind.lower().startswith("secret") for kind, _ in around.read)
    assert f"From now on it is deleted with {kind} db" in impact.also_touched


def test_a_manifest_from_another_time_names_an_owner_that_is_gone() -> None:
    """Read from a cluster, kept, and applied again: it would be deleted as soon as it is there."""
    impact = told(created(owned(GONE)), Around(WEB))
    assert "DELETED by the garbage collector at once" in lines(impact)
    assert (level(impact), impact.irreversible) == ("high", ())


def test_a_creation_for_an_owner_is_nothing_unusual() -> None:
    """A Job that is made from a CronJob."""
    cron = made("CronJob", "nightly", api="batch/v1")
    impact = told(created(owned(owner(cron), manifest=made("Job", "now", api="batch/v1", spec={}))), Around(cron))
    assert "It is deleted with CronJob nightly" in impact.also_touched
    assert "another object's deletion will delete it" not in [reason for _, reason in impact.risks]


def test_an_owner_that_is_taken_away_is_said() -> None:
    """Then it stays."""
    before = owned(owner(WEB))
    impact = told(changed(before, metadata__ownerReferences=None), Around(WEB))
    assert "It is no longer deleted with Deployment web" in impact.also_touched


def test_an_added_kind_is_looked_up_in_its_own_group() -> None:
    """Another API may have a kind of that name."""
    around = Around()
    told(given({**GONE, "apiVersion": "shop.example.com/v1", "kind": "Order"}), around)
    assert ("Order.shop.example.com", "shop") in around.read


@pytest.mark.parametrize("change", [changed(SETTINGS, data__mode="fast"), changed(owned(owner(WEB)), data__mode="x")])
def test_nothing_is_read_where_no_owner_is_added(change: Change) -> None:
    """Most changes."""
    around = Around(WEB)
    told(change, around)
    assert "Deployment" not in [kind for kind, namespace in around.read if namespace == ""]


@pytest.mark.parametrize(
    "references", ["none", [7], [{"uid": {"a": 1}, "kind": ["x"]}], [{"uid": [[]]}], [{"kind": "Deployment"}]]
)
def test_half_written_references_break_nothing(references: object) -> None:
    """Anybody may have written them."""
    odd = copy.deepcopy(SETTINGS)
    odd["metadata"]["ownerReferences"] = references
    for before, after in ((SETTINGS, odd), (odd, SETTINGS), (odd, odd)):
        assert told(Change(request("patch", before), before, after), Around(WEB))
