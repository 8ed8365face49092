"""An approval is for one cluster: on another one nothing is decided, applied or looked for."""

from pathlib import Path

import pytest

from skyflo_runbooks.gateway.patrol import OTHER_CLUSTER, Patrol
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import ProposalId
from skyflo_runbooks.practice.kinds import CONFIG_MAP
from tests.gateway.world import OPERATOR, World, world

MANIFEST: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made", "namespace": "checkout"}}
OTHER = "11111111-2222-3333-4444-555555555555"


async def never(id_: ProposalId) -> Row:
    """Settle nothing: there is nothing to settle."""
    raise AssertionError(id_)


def move(here: World, uid: str = OTHER) -> None:
    """Let the gateway serve another cluster from now on."""

    async def elsewhere() -> str:
        return uid

    here.gateway.cluster.uid = elsewhere  # type: ignore[method-assign]  # the other cluster of this test


async def test_a_proposal_for_another_cluster_is_not_decided(tmp_path: Path) -> None:
    """Its digest names a cluster, and this is not it: not even a creation, which finds nothing that had moved."""
    async with world(tmp_path) as here:
        row = await here.propose("k8s_create", {"manifest": MANIFEST})
        ballot = here.ballot(row)
        move(here)

        with pytest.raises(Refused, match="was proposed for cluster"):
            await here.gateway.decide(row.proposal.id, ballot, OPERATOR)

        assert here.gateway.store.get(row.proposal.id).state == "proposed"


async def test_what_was_approved_for_another_cluster_is_not_applied(tmp_path: Path) -> None:
    """An approval that the gateway finds when it starts is void where it serves another cluster by then."""
    async with world(tmp_path) as here:
        row = await here.propose("k8s_create", {"manifest": MANIFEST})
        await here.gateway.approvals.decide(row.proposal.id, here.ballot(row), OPERATOR)
        move(here)

        await here.gateway.settled(row.proposal.id, 10)

        done = here.gateway.store.get(row.proposal.id)
        assert done.state == "void"
        assert here.practice.store.find(CONFIG_MAP, "checkout", "made") is None


async def test_what_waits_for_another_cluster_is_void_at_the_start(tmp_path: Path) -> None:
    """The first round of a gateway compares what waits with the cluster that it serves."""
    async with world(tmp_path) as here:
        row = await here.propose("k8s_create", {"manifest": MANIFEST})
        move(here)
        patrol = Patrol(
            cluster=here.gateway.cluster,
            store=here.gateway.store,
            resume=never,
            moved=lambda row: None,
            policy=here.gateway.policy.name,
        )

        await patrol.round()

        done = here.gateway.store.get(row.proposal.id)
        assert done.state == "void"
        assert OTHER_CLUSTER in str([entry.body for entry in here.gateway.store.entries()])
