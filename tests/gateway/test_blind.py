"""What no dry run can show: objects that wait for a request before them, and webhooks that take no part."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes.errors import BadRequest

from skyflo_runbooks.gateway.step import Patience
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.part import previews
from skyflo_runbooks.model.request import MERGE_PATCH, STRATEGIC_PATCH, Request
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, World, world

SPACE: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
INSIDE: Json = {**make.SETTINGS, "metadata": {"name": "settings", "namespace": "fresh"}}
IN_FRESH = ObjectRef("ConfigMap", "settings", "fresh", "v1")


def both(manifest: Json = INSIDE) -> list[Request]:
    """A namespace, and an object in it."""
    later = Request("create", IN_FRESH, "/api/v1/namespaces/fresh/configmaps", manifest, preview="later")
    return [make.create(SPACE, "/api/v1/namespaces"), later]


async def test_an_object_in_a_namespace_that_comes_first(tmp_path: Path) -> None:
    """The card says what could not be tried; it is tried right before it is sent, and both are led back."""
    async with world(tmp_path, tools=make.tool(both())) as gate:
        row = await gate.propose("t", {})
        assert previews(gate.gateway.view(row)) == [
            "Not to be tried before what stands ahead was applied: ConfigMap/fresh/settings."
        ]
        assert not any("tried" in said for said in (*row.proposal.impact.unknown, *row.proposal.warnings))
        assert [bound.seen for bound in row.proposal.binding.requests] == [True, False]
        assert "mode: slow" in row.proposal.diffs[1]
        assert (await gate.approve(row)).state == "executed"
        assert (await gate.gateway.cluster.get(IN_FRESH))["data"] == {"mode": "slow"}
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.target.kind for request in way.proposal.requests] == ["ConfigMap", "Namespace"]
        assert way.proposal.assessment.irreversible


async def test_what_admission_says_then_stops_the_list(tmp_path: Path) -> None:
    """The namespace is there, the object is not, and both are said."""
    bad = {**INSIDE, "data": {"mode": 7}}
    async with world(tmp_path, tools=make.tool(both(bad))) as gate:
        row = await gate.propose("t", {})
        done = await gate.approve(row)
        assert done.state == "failed"
        assert done.attempt is not None
        assert done.attempt.message.startswith("1 of 2 requests were applied (create Namespace/fresh); then")
        assert (await gate.gateway.cluster.get(ObjectRef("Namespace", "fresh")))["kind"] == "Namespace"


async def test_what_was_to_come_later_and_is_there_already_stops_the_list(tmp_path: Path) -> None:
    """It was approved as a creation."""
    async with world(tmp_path, tools=make.tool(both())) as gate:
        row = await gate.propose("t", {})
        made = {**INSIDE, "data": {"mode": "theirs"}}

        await gate.gateway.cluster.send(make.create(SPACE, "/api/v1/namespaces"), dry_run=False, field_manager="them")
        await make.put(gate.gateway.cluster, made, "/api/v1/namespaces/fresh/configmaps")
        assert (await gate.approve(row)).state == "void"
        assert (await gate.gateway.cluster.get(IN_FRESH))["data"] == {"mode": "theirs"}


async def test_what_is_served_a_moment_later_is_waited_for(tmp_path: Path) -> None:
    """A new kind takes a while; a bounded one."""
    refusals = iter([404, 404])

    def front(request: httpx.Request) -> httpx.Response | None:
        late = request.method == "POST" and request.url.path.startswith("/api/v1/namespaces/fresh/configmaps")
        code = next(refusals, None) if late else None
        return httpx.Response(code, json={"kind": "Status", "message": "not yet"}) if code else None

    patience = Patience(served=5, served_pause=0.01)
    async with world(tmp_path, tools=make.tool(both()), front=front, patience=patience) as gate:
        assert (await gate.approve(await gate.propose("t", {}))).state == "executed"
        assert next(refusals, None) is None


def refusing(method: str) -> Callable[[httpx.Request], httpx.Response | None]:
    """An API server with a webhook of side effects: it takes no part in dry runs."""

    def front(request: httpx.Request) -> httpx.Response | None:
        body = request.content.decode()
        dry = "dryRun=All" in str(request.url) or '"dryRun"' in body
        if request.method != method or not dry:
            return None
        said = 'admission webhook "mutate.corp.example" does not support dry run'
        return httpx.Response(400, json={"kind": "Status", "code": 400, "reason": "BadRequest", "message": said})

    return front


@pytest.mark.parametrize(
    ("request_", "method", "shown"),
    [
        (make.patch(), "PATCH", "+  mode: fast"),
        (
            Request("patch", make.ref(), f"{make.MAPS}/settings", {"data": {"mode": "fast"}}, MERGE_PATCH),
            "PATCH",
            "+  mode: fast",
        ),
        (
            Request("patch", make.ref(), f"{make.MAPS}/settings", {"data": {"mode": "fast"}}, STRATEGIC_PATCH),
            "PATCH",
            "asked for, not tried",
        ),
        (make.create(make.settings("new")), "POST", "+  mode: slow"),
        (make.delete(), "DELETE", "(deleted)"),
    ],
    ids=["json patch", "merge patch", "strategic patch", "create", "delete"],
)
async def test_a_webhook_that_takes_no_part_in_dry_runs_is_named(
    tmp_path: Path, request_: Request, method: str, shown: str
) -> None:
    """The proposal stands, of high risk, with what is asked for; the write itself is as exact as any."""
    async with world(tmp_path, tools=make.tool([request_]), front=refusing(method)) as gate:
        await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        assert any("mutate.corp.example" in said for said in row.proposal.impact.unknown)
        assert (row.proposal.assessment.risk, row.proposal.requests[0].preview) == ("high", "none")
        assert shown in row.proposal.diff
        assert (await gate.approve(row)).state == "executed"


async def test_drift_voids_what_nobody_could_try(tmp_path: Path) -> None:
    """The desired state is compared all the same."""
    async with world(tmp_path, tools=make.tool([make.patch()]), front=refusing("PATCH")) as gate:
        await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        other = Request("patch", make.ref(), f"{make.MAPS}/settings", {"data": {"size": "3"}}, MERGE_PATCH)
        await gate.gateway.cluster.send(other, dry_run=False, field_manager="somebody")
        assert (await gate.approve(row)).state == "void"
        assert await mode(gate) == "slow"


async def test_other_bad_requests_still_end_the_proposal(tmp_path: Path) -> None:
    """What the server cannot read is nobody's to approve."""

    def front(request: httpx.Request) -> httpx.Response | None:
        said = {"kind": "Status", "code": 400, "message": "the body is not understood"}
        return httpx.Response(400, content=json.dumps(said)) if request.method == "PATCH" else None

    async with world(tmp_path, tools=make.tool([make.patch()]), front=front) as gate:
        await make.put(gate.gateway.cluster)
        with pytest.raises(BadRequest, match="not understood"):
            await gate.propose("t", {})


async def mode(gate: World) -> str:
    """Return the ConfigMap's mode."""
    return str((await gate.gateway.cluster.get(make.ref()))["data"]["mode"])
