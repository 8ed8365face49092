"""Server-side apply through the gate: whose fields it takes, what goes with a field, drift, ways back, lost answers."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import Conflict

from skyflo_runbooks.gateway import looking
from skyflo_runbooks.model.digest import BoundRequest, Digest
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import APPLY_PATCH, MERGE_PATCH, Request
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, Rendering, World, world


def apply(data: Json, *, force: bool = False) -> Request:
    """Apply the ConfigMap with this data."""
    manifest = {**make.SETTINGS, "data": data}
    return Request("apply", make.ref(), f"{make.MAPS}/settings", manifest, APPLY_PATCH, force=force)


def tool() -> dict[str, Rendering]:
    """A change tool that applies the data that it is given."""

    async def render(_: object, arguments: Json) -> object:
        return make.rendered([apply(arguments["data"], force=bool(arguments.get("force")))])

    return {"apply": render}  # type: ignore[dict-item]


async def data(gate: World) -> Json:
    """Return the ConfigMap's data."""
    return dict((await gate.gateway.cluster.get(make.ref()))["data"])


async def test_what_is_not_there_is_created_and_led_back_by_its_deletion(tmp_path: Path) -> None:
    """By one manager that stays the same."""
    async with world(tmp_path, tools=tool()) as gate:
        row = await gate.propose("apply", {"data": {"mode": "slow"}})
        assert "(new)" in row.proposal.diff
        assert (await gate.approve(row)).state == "executed"
        live = await gate.gateway.cluster.get(make.ref())
        assert [(e["manager"], e["operation"]) for e in live["metadata"]["managedFields"]] == [("skyflo", "Apply")]
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.verb for request in way.proposal.requests] == ["delete"]
        assert (await gate.approve(way)).state == "executed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Missing `content`"),
        ({"contents": "x"}, "There is no argument `contents`"),
        ({"content": None}, "content: "),
    ],
)
async def test_an_apply_without_manifests_says_which_argument_is_missing(
    tmp_path: Path, arguments: Json, said: str
) -> None:
    """As every other tool does, with what it takes."""
    async with world(tmp_path) as gate:
        with pytest.raises(BadInput) as caught:
            await gate.propose("k8s_apply", arguments)
    assert said in caught.value.message
    assert "It takes content" in caught.value.next_step


async def test_what_a_later_apply_leaves_out_goes_and_comes_back(tmp_path: Path) -> None:
    """Removal works, is shown in the diff, and is undone by the inverse patch."""
    async with world(tmp_path, tools=tool()) as gate:
        await gate.approve(await gate.propose("apply", {"data": {"mode": "slow", "size": "3"}}))
        row = await gate.propose("apply", {"data": {"mode": "slow"}}, step="again")
        assert "-  size: '3'" in row.proposal.diff
        assert (await gate.approve(row)).state == "executed"
        assert await data(gate) == {"mode": "slow"}
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert (await gate.approve(way)).state == "executed"
        assert await data(gate) == {"mode": "slow", "size": "3"}


async def test_a_field_that_somebody_else_manages_is_a_conflict(tmp_path: Path) -> None:
    """Nothing is proposed, and the next step is said."""
    async with world(tmp_path, tools=tool()) as gate:
        await make.put(gate.gateway.cluster)
        with pytest.raises(Conflict, match="somebody") as caught:
            await gate.propose("apply", {"data": {"mode": "fast"}})
        assert "force" in caught.value.next_step


async def test_with_force_the_card_names_whose_fields_are_taken(tmp_path: Path) -> None:
    """And the digest binds that it is so."""
    async with world(tmp_path, tools=tool()) as gate:
        await make.put(gate.gateway.cluster)
        row = await gate.propose("apply", {"data": {"mode": "fast"}, "force": True})
        assert any(".data.mode" in said and '"somebody"' in said for said in row.proposal.impact.ownership)
        assert "it takes fields that others manage" in row.proposal.assessment.reasons
        assert row.proposal.binding.requests[0].force
        assert (await gate.approve(row)).state == "executed"
        assert await data(gate) == {"mode": "fast"}


async def test_an_apply_is_void_when_the_object_moved_or_came_into_being(tmp_path: Path) -> None:
    """A creation that was approved merges into nobody's object."""
    async with world(tmp_path, tools=tool()) as gate:
        row = await gate.propose("apply", {"data": {"mode": "fast"}})
        await make.put(gate.gateway.cluster)
        assert (await gate.approve(row)).state == "void"
        row = await gate.propose("apply", {"data": {"mode": "fast"}, "force": True}, step="again")
        other = Request("patch", make.ref(), f"{make.MAPS}/settings", {"data": {"size": "9"}}, MERGE_PATCH)
        await gate.gateway.cluster.send(other, dry_run=False, field_manager="somebody")
        assert (await gate.approve(row)).state == "void"
        assert await data(gate) == {"mode": "slow", "size": "9"}


async def test_what_is_as_applied_already_is_in_place(tmp_path: Path) -> None:
    """Whoever manages it."""
    async with world(tmp_path, tools=tool()) as gate:
        await make.put(gate.gateway.cluster)
        assert (await gate.propose("apply", {"data": {"mode": "slow"}})).state == "in_place"


def losing() -> Callable[[httpx.Request], httpx.Response | None]:
    """A connection that breaks on the one real write, before it arrives."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PATCH" and "dryRun" not in str(request.url):
            raise httpx.ReadError("connection reset")
        return None

    return front


async def test_a_lost_request_that_never_arrived_is_void(tmp_path: Path) -> None:
    """The object's version did not move."""
    async with world(tmp_path, tools=tool(), front=losing()) as gate:
        await make.put(gate.gateway.cluster)
        done = await gate.approve(await gate.propose("apply", {"data": {"mode": "fast"}, "force": True}))
        while done.state == "unknown":
            await gate.gateway.events.changed(0.2)
            done = gate.gateway.store.get(done.proposal.id)
        assert done.state == "void"
        assert await data(gate) == {"mode": "slow"}


NOW: Json = {
    "metadata": {"resourceVersion": "9", "managedFields": [{"manager": "skyflo", "operation": "Apply", "time": "2"}]}
}
OTHERS: Json = {"metadata": {"resourceVersion": "9", "managedFields": [{"manager": "them", "operation": "Update"}]}}
BOUND = BoundRequest(make.ref(), "u", "apply", Digest("a"), Digest("b"))


@pytest.mark.parametrize(
    ("now", "before", "as_approved", "event"),
    [
        (NOW, {"resource_version": "8", "applied": ""}, True, "settle_executed"),
        (NOW, {"resource_version": "8", "applied": ""}, False, "settle_failed"),
        (NOW, {"resource_version": "9", "applied": ""}, True, "settle_void"),
        (OTHERS, {"resource_version": "8", "applied": ""}, False, "settle_void"),
        (OTHERS, {"resource_version": "8", "applied": ""}, True, "settle_failed"),
        (None, {"resource_version": "8", "applied": ""}, False, "settle_void"),
        (NOW, {}, True, "settle_executed"),
    ],
    ids=["ours", "ours, changed since", "never moved", "theirs", "theirs, as approved", "gone", "new"],
)
def test_a_lost_answer_is_settled_by_what_moved(now: Json | None, before: Json, as_approved: bool, event: str) -> None:
    """Executed only if the object is as approved and our manager's entry is a new one; never guessed."""
    found = looking.found(apply({}), BOUND, "at-1", now, before=before, as_approved=as_approved)
    assert found.event == event
