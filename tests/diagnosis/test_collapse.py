"""One cause with what it explains, instead of many findings."""

from skyflo_runbooks.diagnosis.collapse import collapse, told_by_who_waits
from skyflo_runbooks.diagnosis.symptoms import Symptom
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.objects import ObjectRef

SHOP = ObjectRef("Deployment", "shop", "web")
CART = ObjectRef("Deployment", "cart", "web")
FRONT = ObjectRef("Service", "shop", "web")
POD = ObjectRef("Pod", "shop-1", "web")


def cause(subject: ObjectRef = SHOP, *, fault: str = "CON-07", confidence: float = 0.9, **facts: str) -> Finding:
    """Return a finding of an object."""
    return Finding(fault, f"{fault} of {subject}", subject, confidence, facts=facts, related=(POD, FRONT))


def symptom(subject: ObjectRef, *touches: ObjectRef) -> Symptom:
    """Return a symptom of an object that others would explain."""
    return Symptom(subject, f"{subject} is ill", frozenset({subject, *touches}))


def test_a_cause_explains_its_own_object_and_what_leads_to_it() -> None:
    """The Deployment above and the Service in front are consequences."""
    (found,), left = collapse([cause()], [symptom(SHOP), symptom(FRONT, SHOP)])

    assert found.consequences == ("Deployment/web/shop is ill", "Service/web/shop is ill")
    assert left == []


def test_what_a_cause_does_not_reach_stays() -> None:
    """Another workload's trouble is not explained by it."""
    other = symptom(CART)
    (found,), left = collapse([cause()], [symptom(SHOP), other])

    assert found.consequences == ("Deployment/web/shop is ill",)
    assert left == [other]


def test_two_causes_can_explain_one_symptom() -> None:
    """A Service whose pods are of two workloads suffers from both."""
    found, left = collapse([cause(SHOP), cause(CART)], [symptom(FRONT, SHOP, CART)])

    assert [item.consequences for item in found] == [("Service/web/shop is ill",)] * 2
    assert left == []


def test_two_findings_of_one_container_are_one_cause() -> None:
    """The more certain one stands; the other is named as its consequence."""
    sure, unsure = cause(container="main"), cause(fault="CON-04", confidence=0.6, container="main")

    (found,), _ = collapse([unsure, sure], [])

    assert found.fault == "CON-07"
    assert found.consequences == ("CON-04 of Deployment/web/shop",)


def test_two_containers_of_one_workload_are_two_causes() -> None:
    """They are repaired apart."""
    found, _ = collapse([cause(container="main"), cause(container="proxy")], [])

    assert len(found) == 2


def test_a_service_that_chooses_no_pod_explains_only_itself() -> None:
    """It says nothing about the health of the pods that it was meant for."""
    wrong = Finding("NET-01", "no pod", FRONT, 0.9, related=(SHOP, POD))
    ill = symptom(SHOP)

    (found,), left = collapse([wrong], [symptom(FRONT), ill])

    assert found.consequences == ("Service/web/shop is ill",)
    assert left == [ill]


def test_nothing_collapses_to_nothing() -> None:
    """No findings: every symptom stays."""
    alone = symptom(SHOP)

    assert collapse([], [alone]) == ([], [alone])


def test_what_a_container_answers_its_probe_yields_to_any_cause() -> None:
    """It is not ready for the reason that another finding has, of the same object or of one that explains it."""
    answered = cause(fault="CON-10", confidence=0.7, container="main", answered="503")
    same = cause(fault="CON-16", container="main")
    above = Finding("ADM-11", "no right", ObjectRef("Role", "shop", "web"), 0.9, explains=(SHOP,))
    stuck = cause(fault="ROL-01", confidence=0.7)

    for other in (same, above):
        found, _ = collapse([answered, other], [])
        assert [item.fault for item in found] == [other.fault]
    for order in ([answered, stuck], [stuck, answered]):
        assert [item.fault for item in collapse(order, [])[0]] == ["CON-10"]
    assert [item.fault for item in collapse([answered, cause(CART)], [])[0]] == ["CON-07", "CON-10"]


def test_what_is_scaled_to_zero_is_told_by_the_cause_that_misses_it() -> None:
    """A webhook or an API whose server somebody stopped is one incident; without such a cause the zero is named."""
    zero = cause(fault="ROL-03", confidence=0.6, intended="spec.replicas")
    (found,), _ = collapse([zero, cause(fault="ADM-05")], [])

    assert found.fault == "ADM-05"
    assert found.consequences == ("ROL-03 of Deployment/web/shop",)
    assert [one.fault for one in collapse([zero], [])[0]] == ["ROL-03"]
    assert {one.fault for one in collapse([zero, cause(CART, fault="ADM-05")], [])[0]} == {"ROL-03", "ADM-05"}
    known = cause(fault="ROL-03", confidence=0.93)
    assert {one.fault for one in collapse([known, cause(fault="CON-07")], [])[0]} == {"ROL-03", "CON-07"}


def test_a_namespace_that_waits_for_an_api_does_not_hide_who_serves_it() -> None:
    """Elsewhere it is the API's own incident; where the namespace is asked about, the namespace tells of it."""
    api, space = ObjectRef("APIService", "v1.example.com"), ObjectRef("Namespace", "old")
    served = Finding("API-01", "nobody serves it", SHOP, 0.92, explains=(api, space, SHOP))
    bare = Finding("API-01", "it is not served", api, 0.92, explains=(api, space))
    stuck = Finding("DEL-01", "it does not go", api, 0.92, explains=(space,))

    found, _ = collapse([served, stuck], [])
    assert [one.fault for one in found] == ["API-01", "DEL-01"]
    assert told_by_who_waits(served, found)
    assert not told_by_who_waits(stuck, found)
    assert [one.fault for one in collapse([bare, stuck], [])[0]] == ["DEL-01"]
    assert not told_by_who_waits(served, [served])
