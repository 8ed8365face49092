"""Creations and deletions through the gate: dry run, what is bound, compare-and-swap, and the way back of each."""

from pathlib import Path

import msgspec
import pytest
from skyflo_mcp.kubernetes import NotFound

from skyflo_runbooks.model.errors import BadInput, OurBug, Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, World, world

SERVICES = "/api/v1/namespaces/checkout/services"
SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "front", "namespace": "checkout"},
    "spec": {"selector": {"app": "front"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


async def there(gate: World, ref: ObjectRef | None = None) -> Json | None:
    """Return the object as it is."""
    try:
        return await gate.gateway.cluster.get(ref or make.ref())
    except NotFound:
        return None


async def roll_back(gate: World, id_: str) -> Json:
    """Propose the way back, approve it, and return how it ended."""
    way = await gate.gateway.roll_back(id_, OPERATOR)
    done = await gate.approve(way)
    return {"state": done.state, "verbs": [request.verb for request in done.proposal.requests], "row": done}


async def test_a_creation_is_dry_run_then_made_once_and_undone_by_its_uid(tmp_path: Path) -> None:
    """The card shows the whole object; the way back deletes the object that was made."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        row = await gate.propose("t", {})
        assert await there(gate) is None
        assert "(new)" in row.proposal.diff
        assert "mode: slow" in row.proposal.diff
        assert "Delete ConfigMap/checkout/settings" in row.proposal.assessment.way_back
        done = await gate.approve(row)
        made = await there(gate)
        assert made is not None
        assert (done.state, made["data"]) == ("executed", {"mode": "slow"})
        assert done.attempt is not None
        assert done.attempt.applied[0]["uid"] == made["metadata"]["uid"]
        back = await roll_back(gate, row.proposal.id)
        assert (back["state"], back["verbs"], await there(gate)) == ("executed", ["delete"], None)
        assert gate.gateway.store.get(row.proposal.id).state == "rolled_back"


async def test_the_way_back_of_a_creation_never_deletes_another_object_of_that_name(tmp_path: Path) -> None:
    """Somebody deleted ours and made their own: the API server refuses the dry run already."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        row = await gate.propose("t", {})
        assert (await gate.approve(row)).state == "executed"
        await gate.gateway.cluster.send(make.delete(), dry_run=False, field_manager="somebody")
        theirs = await make.put(gate.gateway.cluster, make.settings(mode="theirs"))
        with pytest.raises(Refused, match="UID"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert await there(gate) == theirs


async def test_what_is_gone_already_has_nothing_to_be_undone(tmp_path: Path) -> None:
    """And that is said."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        row = await gate.propose("t", {})
        await gate.approve(row)
        await gate.gateway.cluster.send(make.delete(), dry_run=False, field_manager="somebody")
        with pytest.raises(Refused, match="gone already"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_a_name_that_is_taken_meanwhile_voids_a_creation(tmp_path: Path) -> None:
    """Nothing of what the other one made is touched."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        row = await gate.propose("t", {})
        theirs = await make.put(gate.gateway.cluster, make.settings(mode="theirs"))
        assert (await gate.approve(row)).state == "void"
        assert await there(gate) == theirs


async def test_what_exists_already_is_not_proposed_for_creation(tmp_path: Path) -> None:
    """Nor is the deletion of what does not."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        await make.put(gate.gateway.cluster)
        with pytest.raises(BadInput, match="exists already"):
            await gate.propose("t", {})
    async with world(tmp_path / "other", tools=make.tool([make.delete()])) as gate:
        with pytest.raises(BadInput, match="There is no ConfigMap"):
            await gate.propose("t", {})


async def test_a_deletion_is_dry_run_in_its_body_and_undone_by_a_creation(tmp_path: Path) -> None:
    """The proposal leaves the object; what comes back is what somebody had wanted, as a new object."""
    async with world(tmp_path, tools=make.tool([make.delete()])) as gate:
        before = await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        assert await there(gate) == before
        assert ("(deleted)" in row.proposal.diff, row.proposal.assessment.risk) == (True, "high")
        assert "Create ConfigMap/checkout/settings again" in row.proposal.assessment.way_back
        assert (await gate.approve(row)).state == "executed"
        assert await there(gate) is None
        back = await roll_back(gate, row.proposal.id)
        again = await there(gate)
        assert again is not None
        assert (back["state"], back["verbs"]) == ("executed", ["create"])
        assert (again["data"], again["metadata"]["labels"]) == (before["data"], before["metadata"]["labels"])
        assert again["metadata"]["uid"] != before["metadata"]["uid"]


async def test_a_deletion_of_an_object_that_moved_or_was_exchanged_is_void(tmp_path: Path) -> None:
    """By its desired state, or by its uid."""
    async with world(tmp_path, tools=make.tool([make.delete()])) as gate:
        await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        await gate.gateway.cluster.send(make.patch(), dry_run=False, field_manager="somebody")
        assert (await gate.approve(row)).state == "void"
        row = await gate.propose("t", {}, step="again")
        await gate.gateway.cluster.send(make.delete(), dry_run=False, field_manager="somebody")
        await make.put(gate.gateway.cluster, make.settings(mode="fast"))
        done = await gate.approve(row)
        assert done.state == "void"
        assert "another object" in (done.attempt.message if done.attempt else "")
        assert await there(gate) is not None


async def test_what_becomes_of_dependents_is_said_and_bound(tmp_path: Path) -> None:
    """A deletion that leaves the server the choice gets the usual one; another policy is another approval."""
    digests = []
    for number, policy in enumerate([None, "Background", "Foreground", "Orphan"]):
        body = {"propagationPolicy": policy} if policy else None
        request = msgspec.structs.replace(make.delete(), body=body)
        async with world(tmp_path / str(number), tools=make.tool([request])) as gate:
            await make.put(gate.gateway.cluster)
            (sent,) = (row := await gate.propose("t", {})).proposal.requests
            assert sent.body["propagationPolicy"] == (policy or "Background")
            digests.append(row.proposal.binding.requests[0].body)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [("Namespace", "/api/v1/namespaces", "checkout")],
)
async def test_what_a_deletion_loses_makes_it_irreversible(tmp_path: Path, kind: str, path: str, name: str) -> None:
    """The card says so in words, and there is no way back to ask for."""
    request = Request("delete", ObjectRef(kind, name, "", "v1"), f"{path}/{name}", None)
    async with world(tmp_path, tools=make.tool([request])) as gate:
        row = await gate.propose("t", {})
        assert "everything in it is gone" in row.proposal.assessment.irreversible
        assert row.proposal.assessment.way_back.startswith("None: ")
        assert (await gate.approve(row)).state == "executed"
        with pytest.raises(Refused, match="no way back"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_a_service_comes_back_without_the_address_that_the_server_gave(tmp_path: Path) -> None:
    """It was tried under another name at proposal time, where the address is taken."""
    request = make.delete("front", SERVICES, "Service")
    async with world(tmp_path, tools=make.tool([request])) as gate:
        await make.put(gate.gateway.cluster, SERVICE, SERVICES)
        row = await gate.propose("t", {})
        assert "Stored, but" not in row.proposal.assessment.way_back
        await gate.approve(row)
        assert (await roll_back(gate, row.proposal.id))["state"] == "executed"
        again = await there(gate, make.ref("front", "Service"))
        assert again is not None
        assert again["spec"]["selector"] == {"app": "front"}


@pytest.mark.parametrize(
    "request_",
    [
        Request("create", make.ref("other"), make.MAPS, make.SETTINGS),
        Request("create", make.ref(), make.MAPS.replace("checkout", "default"), make.SETTINGS),
        Request("delete", make.ref(), f"{make.MAPS}/other", None),
        Request("patch", make.ref(), f"{make.MAPS.replace('checkout', 'default')}/settings", [], "x"),
    ],
    ids=["manifest", "namespace", "name", "namespace of a patch"],
)
async def test_a_request_is_about_its_target_and_nothing_else(tmp_path: Path, request_: Request) -> None:
    """What the card names, the path and the body say alike, or nothing is proposed."""
    async with world(tmp_path, tools=make.tool([request_])) as gate:
        with pytest.raises(OurBug, match="the request says"):
            await gate.propose("t", {})
