"""A webhook or an API server that quotes a Secret's value: wherever its words go, the value does not go along."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import Invalid

from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.check import field_equals
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, Request
from skyflo_runbooks.practice.kinds import SECRET
from tests.gateway import requests as make
from tests.gateway.test_secrets import FORMS, OLD, PATH, REQUESTS, VAULT, coded, key, leaks
from tests.gateway.world import Front, world

LIVE = "unmoved-value-51"
ENV = "/apis/apps/v1/namespaces/checkout/deployments/payment-service"


def refusing(said: str, when: Callable[[httpx.Request], bool]) -> Front:
    """Return what refuses the writes for which `when` holds, in these words."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if request.method in ("GET", "HEAD") or "reviews" in request.url.path or not when(request):
            return None
        return httpx.Response(422, json={"kind": "Status", "code": 422, "reason": "Invalid", "message": said})

    return front


def dry(request: httpx.Request) -> bool:
    """Whether it is a dry run."""
    return "dryRun" in str(request.url)


async def test_what_is_said_against_a_way_back_quotes_nothing(tmp_path: Path) -> None:
    """Its trial carries the value as it is today, which nobody asked about."""
    front = refusing(f"webhook: value {OLD} ({coded(OLD)}) is weak", lambda r: coded(OLD).encode() in r.content)
    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as gate:
        await make.put(gate.gateway.cluster, {**VAULT, "data": {}}, PATH)
        gate.practice.store.get(SECRET, "checkout", "vault")["data"] = VAULT["data"]
        row = await gate.propose("t", {})
        assert "would not be admitted again" in row.proposal.assessment.way_back
        assert "is weak" in row.proposal.assessment.way_back
        assert leaks(gate, tmp_path, row.proposal.id) == []


async def test_a_refusal_that_quotes_the_live_object_is_masked(tmp_path: Path) -> None:
    """The request does not hold that value; the object does."""
    front = refusing(f'data.other: Invalid value: "{LIVE}"', lambda r: dry(r) and r.method == "PATCH")
    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        with pytest.raises(Invalid) as caught:
            await gate.propose("t", {})
        assert "data.other" in caught.value.message
        assert not any(form in str(caught.value) for form in FORMS)


async def test_a_gateway_that_started_again_masks_it_too(tmp_path: Path) -> None:
    """It knows the values of what it is about to change, not only those that it has seen proposed."""
    refused: list[bool] = []
    front = refusing(f"data.other: {LIVE} is too old", lambda r: bool(refused) and dry(r))
    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        row = await gate.propose("t", {})
        gate.gateway.redactor._known.clear()  # what a process knows ends with it
        gate.gateway.redactor._values.clear()
        gate.gateway.redactor._given.clear()
        refused.append(True)
        done = await gate.approve(row)
        assert done.state == "void"
        assert "is too old" in done.message
        assert leaks(gate, tmp_path, row.proposal.id) == []
        assert await key(gate) == OLD


async def test_a_variable_in_a_patch_by_place_is_known_by_its_name_in_the_object(tmp_path: Path) -> None:
    """An operation says where, and only the object says that a password stands there."""
    first = [{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": [_password(OLD)]}]
    then = [{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "ocean-next-7731"}]
    ref = ObjectRef("Deployment", "payment-service", "checkout", "apps/v1")
    front = refusing("env[0]: ocean-next-7731 is refused", lambda r: b"ocean-next" in r.content)
    async with world(tmp_path, tools=make.tool([Request("patch", ref, ENV, then, JSON_PATCH)]), front=front) as gate:
        was = Request("patch", ref, ENV, first, JSON_PATCH)
        await gate.gateway.cluster.send(was, dry_run=False, field_manager="somebody")
        with pytest.raises(Invalid) as caught:
            await gate.propose("t", {})
        assert "ocean-next-7731" not in str(caught.value)


def _password(value: str) -> Json:
    return {"name": "DB_PASSWORD", "value": value}


async def test_a_warning_and_an_observation_quote_nothing(tmp_path: Path) -> None:
    """Admission warns, and a check reads the object: both end on the card and in the record."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if request.method == "GET" and request.url.path.endswith("/configmaps/mirror"):
            said = f"etcd: value {LIVE} cannot be decoded"
            return httpx.Response(500, json={"kind": "Status", "code": 500, "message": said})
        return None

    check = field_equals("ConfigMap", "mirror", namespace="checkout", path="data.a", value="b")
    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        row = await gate.propose("t", {}, checks=(check,))
        assert (await gate.approve(row)).state == "executed"
        task = Task("recovered", (row.proposal.id,), (check,), within="1s")
        judged, _ = await gate.gateway.verify(task, (), 20)
        assert "cannot be decoded" in judged.checks[0].observed
        assert leaks(gate, tmp_path, row.proposal.id) == []


@pytest.mark.parametrize("value", ["high", "medium"])
async def test_a_value_that_is_an_ordinary_word_breaks_no_card(tmp_path: Path, value: str) -> None:
    """The risk is still a risk."""
    vault = {**VAULT, "data": {"key": coded(value)}}
    async with world(tmp_path, tools=make.tool([REQUESTS["delete"]])) as gate:
        await make.put(gate.gateway.cluster, vault, PATH)
        assert (await gate.propose("t", {})).proposal.assessment.risk == "high"


def test_a_value_that_a_message_cuts_is_known_by_its_beginning() -> None:
    """Long messages are cut, also in the midst of a value; what only looks alike stays."""
    redactor = Redactor()
    mark = redactor.reference("meadow-new-2286")
    assert redactor.error("it was meadow-new") == f"it was {mark}"
    assert redactor.error("it was meadow-n…") == f"it was {mark}"
    for text in ("it was meadow", "meadow-blue", "it was meadow-news", "it was meado"):
        expected = text.replace("meadow", mark) if text.endswith("meadow") else text
        assert redactor.error(text) == expected
