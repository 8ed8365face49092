"""Where traffic is led past the pods that a selector finds: addresses that are taken over, endpoints by hand."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact import Change
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, deleted, level, lines, made, service, told

WEB = service("web")
SLICE = made(
    "EndpointSlice",
    "web-x1",
    api="discovery.k8s.io/v1",
    labels={"kubernetes.io/service-name": "web"},
    endpoints=[{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
)
POINTS = made("Endpoints", "web", subsets=[{"addresses": [{"ip": "10.0.0.1"}]}])
ELSEWHERE: Json = {"addresses": ["203.0.113.9"]}


@pytest.mark.parametrize(
    "change",
    [
        changed(WEB, spec__externalIPs=["10.96.0.1"]),
        created({**WEB, "spec": {**WEB["spec"], "externalIPs": ["10.96.0.1"]}}),
    ],
    ids=["patch", "create"],
)
def test_an_address_that_a_service_takes_over_is_of_high_risk(change: Change) -> None:
    """The address of the API itself, for one."""
    impact = told(change, Around())
    assert "What is sent to 10.96.0.1 within the cluster comes to it" in lines(impact)
    assert ("high", "it takes over addresses that may be somebody else's") in impact.risks


def test_an_address_that_it_has_or_gives_up_is_not_mentioned() -> None:
    """Nobody else is hurt."""
    before = {**WEB, "spec": {**WEB["spec"], "externalIPs": ["10.96.0.1"]}}
    for change in (changed(before, spec__sessionAffinity="ClientIP"), changed(before, spec__externalIPs=None)):
        assert "externalIPs" not in lines(told(change, Around()))


@pytest.mark.parametrize(
    ("change", "to"),
    [
        (changed(SLICE, endpoints=[*SLICE["endpoints"], ELSEWHERE]), "203.0.113.9"),
        (created({**SLICE, "endpoints": [ELSEWHERE]}), "203.0.113.9"),
        (changed(POINTS, subsets=[{"addresses": [{"ip": "203.0.113.9"}]}]), "203.0.113.9"),
    ],
    ids=["slice", "new slice", "endpoints"],
)
def test_endpoints_by_hand_lead_callers_anywhere(change: Change, to: str) -> None:
    """Whoever calls the Service does not see it."""
    impact = told(change, Around(WEB))
    assert f"Service web sends to {to}, which no selector found: it is written by hand" in impact.also_touched
    assert level(impact) == "high"


@pytest.mark.parametrize("change", [changed(SLICE, endpoints=[]), deleted(SLICE)], ids=["emptied", "deleted"])
def test_endpoints_that_go_are_said(change: Change) -> None:
    """A Service has fewer pods."""
    impact = told(change, Around(WEB))
    assert "Service web no longer sends to 10.0.0.1" in impact.also_touched
    assert ("medium", "a Service loses endpoints") in impact.risks


def test_a_slice_of_no_service_says_so() -> None:
    """Without the label nobody uses it."""
    lonely = made("EndpointSlice", "x", endpoints=[ELSEWHERE])
    assert "No Service (it names none) sends to 203.0.113.9" in lines(told(created(lonely), Around()))


def test_a_label_of_a_slice_changes_no_traffic() -> None:
    """Its addresses are as before."""
    assert "sends to" not in lines(told(changed(SLICE, metadata__annotations={"a": "b"}), Around(WEB)))


def test_another_host_behind_a_name_is_said() -> None:
    """The Service is a name for it."""
    outside = made("Service", "db", spec={"type": "ExternalName", "externalName": "db.example.com"})
    impact = told(changed(outside, spec__externalName="db.evil.example"), Around())
    assert "Who calls it is sent to the host db.evil.example" in impact.also_touched
    assert level(impact) == "medium"
    assert "is sent to the host" not in lines(told(changed(outside, metadata__annotations={"a": "b"}), Around()))


SNIPPET = "nginx.ingress.kubernetes.io/server-snippet"
REWRITE = "nginx.ingress.kubernetes.io/rewrite-target"


def ingress(**annotations: str) -> Json:
    """An Ingress without routes."""
    return made("Ingress", "shop", api="networking.k8s.io/v1", spec={"rules": []}, annotations=annotations)


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (changed(ingress(), metadata__annotations={SNIPPET: "return 200;"}), "configuration as it is", "high"),
        (created(ingress(**{SNIPPET: "return 200;"})), "configuration as it is", "high"),
        (changed(ingress(), metadata__annotations={REWRITE: "/"}), f"makes of {REWRITE} is not known here", "medium"),
        (changed(ingress(**{SNIPPET: "x"}), metadata__annotations={}), f"makes of {SNIPPET} is not known", "medium"),
        (changed(ingress(), metadata__annotations={"team": "web"}), "Nothing else that was found", "low"),
    ],
    ids=["snippet", "new snippet", "rewrite", "snippet taken out", "a note"],
)
def test_annotations_of_an_ingress_are_its_controllers_language(change: Change, said: str, risk: str) -> None:
    """One of them is a program."""
    impact = told(change, Around())
    assert said in lines(impact)
    assert level(impact) == risk


@pytest.mark.parametrize("odd", [None, 7, "x", [7], [{"addresses": 7}], [{"addresses": [{"ip": {}}]}]])
def test_odd_endpoints_break_nothing(odd: Any) -> None:
    """Anybody may have written them."""
    for manifest, member in ((SLICE, "endpoints"), (POINTS, "subsets")):
        assert told(changed(manifest, **{member: odd}), Around(WEB))
