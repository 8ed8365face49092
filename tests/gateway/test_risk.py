"""How risky a change is, by table: the highest rule stands, and every reason is said."""

from typing import Any

import pytest

from skyflo_runbooks.gateway import risk
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import Request, Verb


def asked(
    verb: Verb = "patch", kind: str = "Deployment", namespace: str = "shop", name: str = "a", **more: Any
) -> Request:
    """A request about an object."""
    return Request(verb, ObjectRef(kind, name, namespace), f"/api/v1/namespaces/{namespace}/pods/a", [], **more)


@pytest.mark.parametrize(
    ("request_", "before", "expected", "reason"),
    [
        (asked(), {}, "low", "it changes no running pod"),
        (asked("create"), None, "low", "it changes no running pod"),
        (asked("delete"), {}, "high", "it deletes Deployment/shop/a"),
        (asked("run", "Pod", preview="none"), {}, "high", "it runs a program in Pod/shop/a"),
        (asked(preview="none"), {}, "high", "nothing can show beforehand what it does"),
        (asked(namespace="kube-system"), {}, "high", "kube-system is a system namespace"),
        (asked(namespace="gatekeeper-system"), {}, "high", "gatekeeper-system is a system namespace"),
        (asked(namespace="argocd"), {}, "high", "argocd is a system namespace"),
        (asked(kind="Namespace", namespace="", name="kube-public"), {}, "high", "kube-public is a system namespace"),
        (asked(kind="ClusterRole", namespace=""), {}, "high", "a ClusterRole concerns the whole cluster"),
        (asked(kind="StorageClass", namespace=""), {}, "high", "a StorageClass concerns the whole cluster"),
        (asked(kind="ConfigMap"), {}, "medium", "running pods use this ConfigMap"),
        (asked("create", kind="ConfigMap"), None, "low", "it changes no running pod"),
    ],
)
def test_each_rule_alone(request_: Request, before: Json | None, expected: str, reason: str) -> None:
    """A verb, a kind, a namespace, and what cannot be seen."""
    level, reasons = risk.assess((request_,), before=(before,), after=(before,), impacts=(Impact(),), irreversible="")
    assert level == expected
    assert any(said.startswith(reason) for said in reasons)


@pytest.mark.parametrize(
    ("impacts", "irreversible", "expected", "reasons"),
    [
        (((), ()), "", "low", ("it changes no running pod",)),
        (((("medium", "a"),), (("high", "b"), ("medium", "a"))), "", "high", ("a", "b")),
        (((("medium", "a"),), ()), "data is lost", "high", ("irreversible: data is lost", "a")),
    ],
)
def test_a_list_is_as_risky_as_its_worst_part(
    impacts: Any, irreversible: str, expected: str, reasons: tuple[str, ...]
) -> None:
    """Every reason is said once."""
    found = tuple(Impact(risks=one) for one in impacts)
    requests = (asked(), asked(name="b"))
    assert risk.assess(requests, before=({}, {}), after=({}, {}), impacts=found, irreversible=irreversible) == (
        expected,
        reasons,
    )


def volume(**claim: str) -> Json:
    """A volume and the claim that it is kept for, if any."""
    return {"kind": "PersistentVolume", "spec": {"claimRef": claim} if claim else {}}


KEPT = volume(namespace="shop", name="data", uid="old")


@pytest.mark.parametrize(
    ("after", "to"),
    [
        (volume(), "any claim that comes"),
        (volume(namespace="shop", name="data"), "the claim shop/data"),
        (volume(namespace="shop", name="data", uid="new"), "the claim shop/data"),
        (volume(namespace="payroll", name="data", uid="old"), "the claim payroll/data"),
    ],
)
def test_a_volume_that_goes_to_another_claim_does_not_come_back(after: Json, to: str) -> None:
    """What the next claim writes over the data is not undone by naming the earlier one again."""
    said = risk.one_way(asked(kind="PersistentVolume", namespace=""), KEPT, after)

    assert said.startswith(f"{to} may have the data of shop/data")


def test_a_volume_that_stays_with_its_claim_has_a_way_back() -> None:
    """A label, or a volume that nobody had."""
    request = asked(kind="PersistentVolume", namespace="")
    assert risk.one_way(request, KEPT, {**KEPT, "metadata": {"labels": {"a": "b"}}}) == ""
    assert risk.one_way(request, volume(), volume(namespace="shop", name="data")) == ""
    assert risk.one_way(asked(), KEPT, volume()) == ""


def released(policy: str, phase: str = "Released") -> Json:
    """A volume whose claim is gone."""
    spec = {"claimRef": KEPT["spec"]["claimRef"], "persistentVolumeReclaimPolicy": policy}
    return {"kind": "PersistentVolume", "spec": spec, "status": {"phase": phase}}


def test_a_released_volume_goes_with_its_data_when_the_policy_says_delete() -> None:
    """Nothing else is asked for it."""
    request = asked(kind="PersistentVolume", namespace="")
    assert "deleted at once, and its data" in risk.one_way(request, released("Retain"), released("Delete"))
    for before, after in (
        (released("Retain", "Bound"), released("Delete", "Bound")),
        (released("Delete"), released("Retain")),
        (released("Delete"), released("Delete")),
    ):
        assert risk.one_way(request, before, after) == ""


def database(replicas: int = 3, *, policy: str = "Delete", start: int = 0) -> Json:
    """A StatefulSet whose pods have two claims each."""
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {
            "replicas": replicas,
            "ordinals": {"start": start},
            "persistentVolumeClaimRetentionPolicy": {"whenScaled": policy, "whenDeleted": "Retain"},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}, {"metadata": {"name": "log"}}],
        },
    }


@pytest.mark.parametrize(
    ("before", "after", "claims"),
    [
        (database(), database(2), "data-db-2, log-db-2"),
        (database(start=5), database(1, start=5), "data-db-6, log-db-6, data-db-7, log-db-7"),
        (database(policy="Retain"), database(2), "data-db-2, log-db-2"),
    ],
    ids=["one less", "two less, from 5 on", "the policy comes with it"],
)
def test_claims_that_go_with_the_pods_do_not_come_back(before: Json, after: Json, claims: str) -> None:
    """Scaling up again makes new ones, without their data."""
    said = risk.one_way(asked(kind="StatefulSet"), before, after)
    assert f"deletes the claims {claims} with their pods" in said


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (database(), database(3)),
        (database(), database(5)),
        (database(), database(2, policy="Retain")),
        (database(policy="Retain"), database(2, policy="Retain")),
        ({**database(), "kind": "Deployment"}, database(0)),
        ({"kind": "StatefulSet"}, {"kind": "StatefulSet", "spec": {"replicas": 0}}),
    ],
    ids=["same", "more", "kept from now on", "kept", "no claims of its own", "no policy"],
)
def test_claims_that_stay_leave_a_way_back(before: Json, after: Json) -> None:
    """Nothing is lost."""
    assert risk.one_way(asked(kind="StatefulSet"), before, after) == ""
