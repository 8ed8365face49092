"""Changing a Secret: bound by HMAC, shown as `(changed)`, led back from what lies sealed, its values nowhere else."""

import base64
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import Invalid

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Request
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, World, world

PATH = "/api/v1/namespaces/checkout/secrets"
REF = ObjectRef("Secret", "vault", "checkout", "v1")
OLD, NEW = "lantern-old-9417", "meadow-new-2286"


def coded(text: str) -> str:
    """As a Secret holds it."""
    return base64.b64encode(text.encode()).decode()


VAULT: Json = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {
        "name": "vault",
        "namespace": "checkout",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": f'{{"stringData":{{"key":"{OLD}"}}}}'},
    },
    "data": {"key": coded(OLD), "other": coded("unmoved-value-51")},
}
FORMS = {OLD, NEW, coded(OLD), coded(NEW), "unmoved-value-51", coded("unmoved-value-51")}
REPLACE = [
    {"op": "test", "path": "/data/key", "value": coded(OLD)},
    {"op": "replace", "path": "/data/key", "value": coded(NEW)},
]
REQUESTS = {
    "json patch": Request("patch", REF, f"{PATH}/vault", REPLACE, JSON_PATCH),
    "merge patch": Request("patch", REF, f"{PATH}/vault", {"data": {"key": coded(NEW)}}, MERGE_PATCH),
    "strategic patch": Request("patch", REF, f"{PATH}/vault", {"stringData": {"key": NEW}}, STRATEGIC_PATCH),
    "apply": Request(
        "apply",
        REF,
        f"{PATH}/vault",
        {**VAULT, "metadata": {"name": "vault", "namespace": "checkout"}, "data": {"key": coded(NEW)}},
        APPLY_PATCH,
        force=True,
    ),
    "delete": Request("delete", REF, f"{PATH}/vault", None),
    "create": Request(
        "create",
        ObjectRef("Secret", "fresh", "checkout", "v1"),
        PATH,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fresh"}, "stringData": {"key": NEW}},
    ),
}


async def key(gate: World) -> str:
    """Return the Secret's value in the cluster."""
    return base64.b64decode((await gate.gateway.cluster.get(REF))["data"]["key"]).decode()


def leaks(gate: World, tmp_path: Path, *ids: str) -> list[str]:
    """Return where a value stands that has no place there: views, ledger, events, and every file of the gateway."""
    rows = [gate.gateway.store.get(id_) for id_ in ids]
    shown = {
        "view": str([gate.gateway.view(row) for row in rows]),
        "proposal": str([row.proposal for row in rows]),
        "attempt": str([row.attempt for row in rows]),
        "ledger": str(list(gate.gateway.store.entries())),
        "events": str(list(gate.gateway.events._kept)),
    }
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    found = [f"{form} in {name}" for form in FORMS for name, text in shown.items() if form in text]
    return found + [f"{form} in {path}" for form in FORMS for path in files if form.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_secret_is_changed_and_led_back_and_no_value_is_anywhere(tmp_path: Path, name: str) -> None:
    """Whatever the form of the request, and that of its way back."""
    async with world(tmp_path, tools=make.tool([REQUESTS[name]])) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        said = {} if name == "delete" else {"patch": {"data": {"key": coded(NEW)}}, "note": f"now {NEW}"}
        row = await gate.propose("t", {"kind": "Secret", **said})
        assert "masked" in row.proposal.diff or "(changed)" in row.proposal.diff
        done = await gate.approve(row)
        assert done.state == "executed", done.attempt
        assert name in ("delete", "create") or await key(gate) == NEW
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert (await gate.approve(way)).state == "executed"
        assert await key(gate) == OLD
        assert leaks(gate, tmp_path, row.proposal.id, way.proposal.id) == []


async def test_a_changed_value_reads_changed_and_another_value_is_another_digest(tmp_path: Path) -> None:
    """The digest holds an HMAC of it."""
    other = [{**REPLACE[1], "value": coded("a third value")}]
    digests = []
    for number, operations in enumerate((REPLACE, other)):
        request = Request("patch", REF, f"{PATH}/vault", operations, JSON_PATCH)
        async with world(tmp_path / str(number), tools=make.tool([request])) as gate:
            await make.put(gate.gateway.cluster, VAULT, PATH)
            row = await gate.propose("t", {})
            assert "+  key: (changed)" in row.proposal.diff
            digests.append(row.proposal.binding.requests[0].body)
    assert digests[0] != digests[1]


@pytest.mark.parametrize("named", ["api-key", "password", "ordinary"])
async def test_whatever_a_key_is_called_its_change_reads_changed(tmp_path: Path, named: str) -> None:
    """Our own word is no value: a reference to it would look like one to the secret, and stand for a word."""
    held = {**VAULT, "data": {named: coded(OLD)}}
    request = Request("patch", REF, f"{PATH}/vault", {"data": {named: coded(NEW)}}, MERGE_PATCH)
    async with world(tmp_path, tools=make.tool([request])) as gate:
        await make.put(gate.gateway.cluster, held, PATH)
        row = await gate.propose("t", {})
    assert f"+  {named}: (changed)" in row.proposal.diff
    assert "«masked" not in row.proposal.diff


@pytest.mark.parametrize("form", ["json patch", "merge patch"])
async def test_a_label_that_is_set_on_a_secret_is_seen(tmp_path: Path, form: str) -> None:
    """Who approves reads it; the value that stands in one all the same is hidden."""
    notes = {"team": "payments", "quoted": OLD}
    operations: list[Json] = [{"op": "add", "path": f"/metadata/annotations/{k}", "value": v} for k, v in notes.items()]
    whole = Request("patch", REF, f"{PATH}/vault", operations, JSON_PATCH)
    if form == "merge patch":
        whole = Request("patch", REF, f"{PATH}/vault", {"metadata": {"annotations": notes}}, MERGE_PATCH)
    async with world(tmp_path, tools=make.tool([whole])) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        row = await gate.propose("t", {})
        assert leaks(gate, tmp_path, row.proposal.id) == []
    assert "+    team: payments" in row.proposal.diff
    assert "+    quoted: «masked:" in row.proposal.diff


async def test_drift_of_a_value_voids_the_approval(tmp_path: Path) -> None:
    """Though nothing of it is shown."""
    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]])) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        row = await gate.propose("t", {})
        theirs = Request("patch", REF, f"{PATH}/vault", {"data": {"other": coded("theirs now")}}, MERGE_PATCH)
        await gate.gateway.cluster.send(theirs, dry_run=False, field_manager="somebody")
        assert (await gate.approve(row)).state == "void"
        assert await key(gate) == OLD


@pytest.mark.parametrize("dry", [True, False], ids=["at the dry run", "at the write"])
async def test_an_error_that_repeats_a_value_is_masked(tmp_path: Path, dry: bool) -> None:
    """Admission quotes what it refuses."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH" or ("dryRun" in str(request.url)) != dry:
            return None
        said = f'Secret "vault" is invalid: data.key: Invalid value: "{NEW}", in base64 {coded(NEW)}'
        return httpx.Response(422, json={"kind": "Status", "code": 422, "reason": "Invalid", "message": said})

    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as gate:
        await make.put(gate.gateway.cluster, VAULT, PATH)
        if dry:
            with pytest.raises(Invalid) as caught:
                await gate.propose("t", {})
            assert not any(form in str(caught.value) for form in FORMS)
            return
        row = await gate.propose("t", {})
        done = await gate.approve(row)
        assert done.state == "failed"
        assert leaks(gate, tmp_path, row.proposal.id) == []


async def test_a_variable_that_is_named_like_a_secret_shows_its_value_nowhere(tmp_path: Path) -> None:
    """In a diff, in a test of the value before, and in the line of the way back, nothing but the value tells."""
    place = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "container": "payment-service"}
    async with world(tmp_path) as gate:
        first = await gate.propose("k8s_set_env", {**place, "set": {"DB_PASSWORD": OLD}}, step="first")
        assert (await gate.approve(first)).state == "executed"
        second = await gate.propose("k8s_set_env", {**place, "set": {"DB_PASSWORD": NEW}}, step="second")
        assert "DB_PASSWORD" in second.proposal.diff
        assert (await gate.approve(second)).state == "executed"
        way = await gate.gateway.roll_back(second.proposal.id, OPERATOR)
        assert (await gate.approve(way)).state == "executed"
        ids = [row.proposal.id for row in (first, second, way)]
        assert leaks(gate, tmp_path, *ids) == []
