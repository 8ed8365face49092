"""A list of requests: in order, journaled one by one, stopping at the first failure, and led back in reverse."""

from pathlib import Path

import pytest
from skyflo_mcp.kubernetes import NotFound

from skyflo_runbooks.model.errors import Refused
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, World, world

NAMES = ("one", "two", "three")


async def names(gate: World) -> set[str]:
    """Return which of the ConfigMaps are there."""
    listed = await gate.gateway.cluster.list("ConfigMap", "checkout")
    return {item["metadata"]["name"] for item in listed.items} & {*NAMES, "settings"}


async def test_a_list_is_applied_in_order_and_led_back_in_reverse(tmp_path: Path) -> None:
    """Each request has its own entry in the journal; the roll-back is one proposal."""
    listed = [make.create(make.settings(name)) for name in NAMES]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        row = await gate.propose("t", {})
        done = await gate.approve(row)
        assert (done.state, await names(gate)) == ("executed", set(NAMES))
        journal = [e.body for e in gate.gateway.store.entries() if e.kind in ("sending", "applied")]
        assert [entry.get("request") for entry in journal] == [1, None, 2, None, 3, None]
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.target.name for request in way.proposal.requests] == list(reversed(NAMES))
        assert (await gate.approve(way)).state == "executed"
        assert await names(gate) == set()


async def test_a_failing_list_says_what_was_applied_and_only_that_is_undone(tmp_path: Path) -> None:
    """Somebody takes the second name: the first request stays applied, the third is never sent."""
    listed = [make.create(make.settings(name)) for name in NAMES]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        row = await gate.propose("t", {})
        await make.put(gate.gateway.cluster, make.settings("two", mode="theirs"))
        done = await gate.approve(row)
        assert done.state == "failed"
        assert done.attempt is not None
        assert done.attempt.message.startswith("1 of 3 requests were applied (create ConfigMap/checkout/one); then")
        assert await names(gate) == {"one", "two"}
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [str(request.target) for request in way.proposal.requests] == ["ConfigMap/checkout/one"]
        assert (await gate.approve(way)).state == "executed"
        assert await names(gate) == {"two"}
        assert gate.gateway.store.get(row.proposal.id).state == "rolled_back"


async def test_where_the_first_request_does_not_fit_nothing_is_sent(tmp_path: Path) -> None:
    """That is void, not failed."""
    listed = [make.create(make.settings(name)) for name in NAMES]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        row = await gate.propose("t", {})
        await make.put(gate.gateway.cluster, make.settings("one", mode="theirs"))
        done = await gate.approve(row)
        assert (done.state, await names(gate)) == ("void", {"one"})
        with pytest.raises(Refused, match="void"):
            await gate.gateway.roll_back(row.proposal.id, OPERATOR)


async def test_what_is_in_place_already_is_not_sent(tmp_path: Path) -> None:
    """The rest of the list is; and the way back leaves out what was as it was."""
    listed = [make.patch(mode="slow"), make.create(make.settings("one"))]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        before = await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        done = await gate.approve(row)
        assert done.state == "executed"
        assert done.attempt is not None
        assert [one["status"] for one in done.attempt.applied] == [0, 201]
        assert await gate.gateway.cluster.get(make.ref()) == before
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.target.name for request in way.proposal.requests] == ["one"]
        assert any("is as it was" in said for said in way.proposal.warnings)


async def test_different_verbs_in_one_list(tmp_path: Path) -> None:
    """A patch, a creation and a deletion; led back, everything is wanted as before."""
    listed = [make.patch(), make.create(make.settings("one")), make.delete("two")]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        await make.put(gate.gateway.cluster)
        await make.put(gate.gateway.cluster, make.settings("two", mode="old"))
        row = await gate.propose("t", {})
        assert (await gate.approve(row)).state == "executed"
        assert await names(gate) == {"settings", "one"}
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.verb for request in way.proposal.requests] == ["create", "delete", "patch"]
        assert (await gate.approve(way)).state == "executed"
        assert await names(gate) == {"settings", "two"}
        assert (await gate.gateway.cluster.get(make.ref()))["data"] == {"mode": "slow"}
        assert (await gate.gateway.cluster.get(make.ref("two")))["data"] == {"mode": "old"}
        with pytest.raises(NotFound):
            await gate.gateway.cluster.get(make.ref("one"))


async def test_of_a_list_what_somebody_changed_since_is_left_out(tmp_path: Path) -> None:
    """The rest is led back, and the card says what is not."""
    listed = [make.patch(mode="fast"), make.create(make.settings("one"))]
    async with world(tmp_path, tools=make.tool(listed)) as gate:
        await make.put(gate.gateway.cluster)
        row = await gate.propose("t", {})
        assert (await gate.approve(row)).state == "executed"
        theirs = make.patch(mode="theirs", was="fast")
        await gate.gateway.cluster.send(theirs, dry_run=False, field_manager="somebody")
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert [request.target.name for request in way.proposal.requests] == ["one"]
        assert any("settings was changed since" in said for said in way.proposal.warnings)
        assert (await gate.gateway.cluster.get(make.ref()))["data"]["mode"] == "theirs"
