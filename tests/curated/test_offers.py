"""Which curated runbooks an answer names, and with which parameters."""

import pytest

from skyflo_runbooks.model.finding import Diagnosis, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Alternative, ChangeStep, Parameter, Plan, param
from skyflo_runbooks.planning.curated.offer import Offer, offers

WEB = ObjectRef("Deployment", "web", "shop")
SAID = Incident("web is broken")


def finding(fault: str, subject: ObjectRef = WEB, **facts: str) -> Finding:
    """Return a finding with these facts."""
    return Finding(fault=fault, title=fault, object=subject, confidence=0.9, facts=facts)


def offered(*findings: Finding, plan: Plan | None = None) -> tuple[Offer, ...]:
    """Return what is offered for findings."""
    return offers(Diagnosis(findings), SAID, plan)


def test_the_plans_value_is_the_books() -> None:
    """The limit that the plan's change would set is offered for the same call; nothing is missing then."""
    change = ChangeStep(
        "raise_memory",
        "k8s_set_resources",
        {"kind": "Deployment", "namespace": param("namespace"), "name": "web", "limits": {"memory": param("limit")}},
    )
    parameters = (Parameter("namespace", "str", "shop"), Parameter("limit", "str", "768Mi"))
    plan = Plan("rb-1", SAID, (change,), parameters)
    (offer,) = offered(finding("CON-07", container="web"), plan=plan)
    assert offer.runbook == "oom"
    given = {"namespace": "shop", "name": "web", "container": "web", "memory_limit": "768Mi"}
    assert {key: offer.parameters[key] for key in given} == given
    assert offer.missing == ()


def test_what_nobody_knows_is_missing() -> None:
    """Without a plan the limit is left to a person."""
    (offer,) = offered(finding("CON-07", container="web"))
    assert offer.missing == ("memory_limit",)


def test_an_alternative_gives_the_revision() -> None:
    """The way back among the plan's alternatives names the revision."""
    back = Alternative("back", "k8s_rollout_undo", {"kind": "Deployment", "name": "web", "to_revision": 7})
    (offer,) = offered(finding("CON-05", container="web"), plan=Plan("rb-1", SAID, (), alternatives=(back,)))
    assert (offer.runbook, offer.parameters["to_revision"], offer.missing) == ("crash-loop", "7", ())


def test_a_good_image_is_offered() -> None:
    """The image that the finding knows to exist."""
    (offer,) = offered(finding("IMG-01", container="web", good_image="web:v1"))
    assert offer.parameters["image"] == "web:v1"


@pytest.mark.parametrize(
    ("selector", "meant", "label"),
    [
        ({"app": "wbe"}, {"app": "web"}, "/spec/selector/app"),
        ({"app.io/name": "wbe", "tier": "x"}, {"app.io/name": "web", "tier": "x"}, "/spec/selector/app.io~1name"),
        ({"app": "wbe"}, {"app": "web", "tier": "x"}, None),
        ({"app": "a", "tier": "b"}, {"app": "c", "tier": "d"}, None),
        ({"app": "wbe"}, {}, None),
    ],
)
def test_a_selector_that_misses_by_one_label(
    selector: dict[str, str], meant: dict[str, str], label: str | None
) -> None:
    """The path is a JSON Pointer; what one replacement cannot repair is left to a person."""
    facts = {f"selector:{k}": v for k, v in selector.items()} | {f"meant:{k}": v for k, v in meant.items()}
    (offer,) = offered(finding("NET-01", ObjectRef("Service", "web", "shop"), **facts))
    assert offer.parameters.get("label") == label
    assert ("value" in offer.missing) == (label is None)


def test_the_limit_of_a_quota_that_is_used_up() -> None:
    """Of several limits the one that what is asked for goes beyond."""
    facts = {
        "quota": "q",
        "asked": "requests.cpu=100m,requests.memory=128Mi",
        "used": "requests.cpu=200m,requests.memory=256Mi",
        "hard": "requests.cpu=4,requests.memory=300Mi",
    }
    (offer,) = offered(finding("ADM-01", WEB, **facts))
    assert offer.parameters["limit"] == "/spec/hard/requests.memory"
    assert offer.missing == ("amount",)


def test_a_quota_whose_figures_cannot_be_read() -> None:
    """What is no quantity is left to a person."""
    (offer,) = offered(finding("ADM-01", quota="q", asked="pods=many", used="pods=?", hard="x"))
    assert offer.missing == ("limit", "amount")


@pytest.mark.parametrize(
    ("classes", "known"), [("standard", True), ("fast, standard", False), ("none", False), ("", False)]
)
def test_the_only_class_is_offered(classes: str, known: bool) -> None:
    """Of several a person chooses."""
    claim = ObjectRef("PersistentVolumeClaim", "data", "shop")
    (offer,) = offered(finding("STO-02", claim, classes=classes))
    assert ("storage_class" in offer.parameters) == known


def test_the_target_of_an_autoscaler() -> None:
    """Its kind is only said where it is not the default."""
    scaler = ObjectRef("HorizontalPodAutoscaler", "web", "shop")
    found = Finding("AUT-04", "at maximum", scaler, 0.9, related=(ObjectRef("StatefulSet", "db", "shop"),))
    (offer,) = offered(found)
    assert offer.parameters == {"namespace": "shop", "autoscaler": "web", "name": "db", "kind": "StatefulSet"}
    assert offer.missing == ("maximum",)


def test_a_cordoned_node() -> None:
    """Everything is known."""
    (offer,) = offered(finding("SCH-05", ObjectRef("Node", "node-a"), node="node-a"))
    assert (offer.runbook, offer.parameters, offer.missing) == ("node-return", {"node": "node-a"}, ())


def test_a_fault_without_a_book_brings_none() -> None:
    """And the words then bring none either: the finding is the answer."""
    assert offers(Diagnosis((finding("SCH-04"),)), Incident("oom in web")) == ()


def test_several_causes_bring_several_books() -> None:
    """Each once, in the order of the findings, and the plan speaks for the first only."""
    found = offered(finding("CON-07", container="web"), finding("CON-07", container="api"), finding("SCH-02"))
    assert [offer.runbook for offer in found] == ["oom", "pending"]


@pytest.mark.parametrize(
    ("text", "books"),
    [
        ("is web out of memory?", ["oom"]),
        ("pods say OOMKilled", ["oom"]),
        ("we will drain a node tonight", ["node-drain"]),
        ("certificate expired, x509 errors", ["certificate"]),
        ("names are not resolved, DNS is down", ["dns"]),
        ("payment-service pods are crash-looping", ["crash-loop"]),
        ("the quota of the team, and the hpa", ["hpa-max", "quota"]),
        ("bloom filters and roomy atlases", []),
        ("checkout is slow", []),
    ],
)
def test_without_a_finding_the_words_bring_what_is_worth_reading(text: str, books: list[str]) -> None:
    """Whole words only; nothing is claimed by it."""
    found = offers(Diagnosis(healthy=("fine",)), Incident(text))
    assert [offer.runbook for offer in found] == books
    assert all(offer.why == "the words speak of it" for offer in found)


def test_the_words_objects_fill_the_parameters() -> None:
    """One workload and one Service of that name, in one namespace."""
    objects = (WEB, ObjectRef("Service", "web", "shop"))
    (offer,) = offers(Diagnosis(unknown=("x",)), Incident("web has no endpoints"), objects=objects)
    assert (offer.runbook, offer.parameters) == ("no-endpoints", {"namespace": "shop", "service": "web"})
    assert offer.missing == ("label", "value")


def test_two_namespaces_are_not_guessed() -> None:
    """Where the words could mean two, none is filled in."""
    objects = (WEB, ObjectRef("Deployment", "web", "stage"))
    (offer,) = offers(Diagnosis(), Incident("web oomkilled"), objects=objects)
    assert offer.parameters == {}
