"""A value that an operator types: it reaches the cluster, and shows nowhere else."""

from pathlib import Path

import pytest

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from tests.gateway.world import KERNEL, OPERATOR, World, world

TYPED = "correct horse battery staple"
POINTER = "/set/SIGNING"
SET: Json = {
    "kind": "Deployment",
    "namespace": "checkout",
    "name": "payment-service",
    "container": "payment-service",
    "set": {"SIGNING": ENTRY, "MODE": "strict"},
}


async def in_cluster(gate: World) -> str:
    """The variable's value in the cluster."""
    live = await gate.gateway.cluster.get(ObjectRef("Deployment", "payment-service", "checkout"))
    env = at(live, "spec", "template", "spec", "containers", 0, "env", default=[])
    return next((str(one["value"]) for one in env if one["name"] == "SIGNING"), "")


async def test_what_was_typed_is_applied_and_shown_nowhere(tmp_path: Path) -> None:
    """The new proposal has another digest and a reference; view, ledger and database files never hold the value."""
    async with world(tmp_path) as gate:
        asked = await gate.propose("k8s_set_env", SET)
        assert gate.gateway.view(asked)["entries"] == [POINTER]
        row = await gate.gateway.enter(asked.proposal.id, {POINTER: TYPED}, OPERATOR)
        assert (row.proposal.supersedes, row.proposal.digest != asked.proposal.digest) == (asked.proposal.id, True)
        assert gate.gateway.view(row)["entries"] == []
        assert gate.gateway.store.get(asked.proposal.id).state == "superseded"
        done = await gate.approve(row)
        assert (done.state, await in_cluster(gate)) == ("executed", TYPED)
        assert TYPED not in str([gate.gateway.view(gate.gateway.store.get(one.proposal.id)) for one in (asked, row)])
        assert TYPED not in str(list(gate.gateway.store.entries()))
    held = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and TYPED.encode() in path.read_bytes()]
    assert held == []


async def test_nothing_is_approved_while_a_value_is_missing(tmp_path: Path) -> None:
    """A rightly signed approval is refused; a rejection is not."""
    async with world(tmp_path) as gate:
        row = await gate.propose("k8s_set_env", SET)
        with pytest.raises(Refused, match="waits for a value: SIGNING"):
            await gate.gateway.decide(row.proposal.id, gate.ballot(row), OPERATOR)
        assert (gate.gateway.store.get(row.proposal.id).state, await in_cluster(gate)) == ("proposed", "")
        await gate.gateway.decide(row.proposal.id, gate.ballot(row, "reject", "no"), OPERATOR)
        with pytest.raises(Refused, match="is rejected"):
            await gate.gateway.enter(row.proposal.id, {POINTER: TYPED}, OPERATOR)


@pytest.mark.parametrize("values", [{}, {POINTER: ""}, {POINTER: TYPED, "/name": "x"}, {"/set/MODE": TYPED}], ids=str)
async def test_exactly_the_open_entries_are_typed(tmp_path: Path, values: dict[str, str]) -> None:
    """None missing, none empty, and nothing else is changed under the name of an entry."""
    async with world(tmp_path) as gate:
        row = await gate.propose("k8s_set_env", SET)
        with pytest.raises(BadInput, match="SIGNING") as refused:
            await gate.gateway.enter(row.proposal.id, values, OPERATOR)
        assert TYPED not in str(refused.value)
        assert gate.gateway.store.get(row.proposal.id).state == "proposed"


@pytest.mark.parametrize("who", [KERNEL, Identity("agent", "a")], ids=str)
async def test_only_an_operator_types(tmp_path: Path, who: Identity) -> None:
    """A kernel that has the value has no need of an entry, and one that has not cannot guess into it."""
    async with world(tmp_path) as gate:
        row = await gate.propose("k8s_set_env", SET)
        with pytest.raises(NotAllowed):
            await gate.gateway.enter(row.proposal.id, {POINTER: TYPED}, who)


async def test_each_request_of_a_proposal_has_its_own_diff(tmp_path: Path) -> None:
    """The parts say to which object, how, and what differs; together they are the whole diff."""
    async with world(tmp_path) as gate:
        view = gate.gateway.view(await gate.propose())
        [part] = view["parts"]
        assert (part["object"], part["verb"], part["preview"]) == (
            "Deployment/checkout/payment-service", "patch", "server",
        )  # fmt: skip
        assert part["diff"] == view["diff"]
        assert "+            memory: 512Mi" in part["diff"]
