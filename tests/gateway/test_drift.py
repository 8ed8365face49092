"""What was approved is what is applied: pods may flap, but any foreign change of what somebody wants voids it."""

from pathlib import Path

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import MERGE_PATCH, Request
from tests.gateway.world import OPERATOR, RAISE, world

WHERE: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
REF = ObjectRef("Deployment", "payment-service", "checkout", "apps/v1")
PATH = "/apis/apps/v1/namespaces/checkout/deployments/payment-service"


async def somebody_changes(cluster: Cluster, patch: Json) -> None:
    """Another client writes to the Deployment."""
    await cluster.send(Request("patch", REF, PATH, patch, MERGE_PATCH), dry_run=False, field_manager="somebody")


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"replicas": 4}},
        {"metadata": {"labels": {"team": "others"}}},
        {"metadata": {"annotations": {"note": "hello"}}},
        {"spec": {"minReadySeconds": 5}},
    ],
    ids=["spec", "label", "annotation", "other field"],
)
async def test_a_foreign_change_voids_the_approval(tmp_path: Path, patch: Json) -> None:
    """Between proposal and dispatch: nothing is sent, and who wrote last is said."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        await somebody_changes(gate.gateway.cluster, patch)
        done = await gate.approve(row)
        assert done.state == "void"
        assert done.attempt is not None
        assert "somebody" in done.attempt.message
        assert (await gate.limit(), gate.writes()) == ("256Mi", 0)


async def test_flapping_pods_do_not_void_it(tmp_path: Path) -> None:
    """The pods crash and recover all through the decision; only status moves."""
    async with world(tmp_path, speed=300) as gate:
        row = await gate.propose()
        first = (await gate.gateway.cluster.get(REF))["metadata"]["resourceVersion"]
        while (await gate.gateway.cluster.get(REF))["metadata"]["resourceVersion"] == first:
            await gate.gateway.events.changed(0.05)
        done = await gate.approve(row)
        assert (done.state, gate.writes()) == ("executed", 1)


async def test_another_object_of_the_same_name_voids_it(tmp_path: Path) -> None:
    """Deleted and created again: the uid tells."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        live = await gate.gateway.cluster.get(REF)
        await gate.gateway.cluster.send(
            Request("delete", REF, PATH, {"propagationPolicy": "Background"}), dry_run=False, field_manager="somebody"
        )
        manifest = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "payment-service", "namespace": "checkout", "labels": live["metadata"].get("labels")},
            "spec": live["spec"],
        }
        create = Request("create", REF, PATH.rpartition("/")[0], manifest)
        await gate.gateway.cluster.send(create, dry_run=False, field_manager="somebody")
        done = await gate.approve(row)
        assert done.state == "void"
        assert "another object" in (done.attempt.message if done.attempt else "")


async def test_asked_again_the_open_proposal_is_the_same(tmp_path: Path) -> None:
    """A cell that runs twice makes one proposal; after a foreign change it makes a new one and voids the old."""
    async with world(tmp_path) as gate:
        first = await gate.propose()
        assert (await gate.propose()).proposal.id == first.proposal.id
        await somebody_changes(gate.gateway.cluster, {"metadata": {"labels": {"team": "others"}}})
        second = await gate.propose()
        assert second.proposal.id != first.proposal.id
        assert gate.gateway.store.get(first.proposal.id).state == "void"


async def test_what_is_there_already_is_in_place(tmp_path: Path) -> None:
    """An empty diff has nothing to decide."""
    async with world(tmp_path) as gate:
        row = await gate.propose(arguments={**RAISE, "limits": {"memory": "256Mi"}})
        assert (row.state, row.proposal.diff) == ("in_place", "")


async def test_a_modification_supersedes_and_carries_no_approval(tmp_path: Path) -> None:
    """The old id can no longer be approved; the new one has its own digest."""
    async with world(tmp_path) as gate:
        old = await gate.propose()
        new = await gate.gateway.modify(old.proposal.id, {"limits.memory": "768Mi"}, OPERATOR)
        assert new.proposal.supersedes == old.proposal.id
        assert new.proposal.digest != old.proposal.digest
        with pytest.raises(Exception, match="superseded"):
            await gate.gateway.decide(old.proposal.id, gate.ballot(old), OPERATOR)
        assert (await gate.approve(new)).state == "executed"
        assert await gate.limit() == "768Mi"


async def test_the_dry_run_leaves_the_object_as_it_was(tmp_path: Path) -> None:
    """Proposing and rehearsing write nothing, not even a new resourceVersion."""
    async with world(tmp_path) as gate:
        before = await gate.gateway.cluster.get(REF)
        await gate.propose()
        after = await gate.gateway.cluster.get(REF)
        assert before["spec"] == after["spec"]
        assert before["metadata"]["generation"] == after["metadata"]["generation"]
        assert gate.writes() == 0


def limited(memory: str) -> Json:
    """Somebody's patch of the very field that the change is about."""
    container = {"name": "payment-service", "image": "payment-svc:v2.4.1", "resources": {"limits": {"memory": memory}}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


async def test_a_roll_back_does_not_overwrite_what_somebody_changed_since(tmp_path: Path) -> None:
    """It says who and where, without the value, and nothing is proposed."""
    async with world(tmp_path) as gate:
        done = await gate.approve(await gate.propose())
        await somebody_changes(gate.gateway.cluster, limited("1Gi"))
        with pytest.raises(Refused) as caught:
            await gate.gateway.roll_back(done.proposal.id, OPERATOR)
        assert "payment-service was changed since (last writer: somebody" in caught.value.message
        assert "spec.template.spec.containers.0.resources.limits" in caught.value.message
        assert "write your own change" in caught.value.next_step
        assert (await gate.limit(), gate.gateway.store.get(done.proposal.id).state) == ("1Gi", "executed")


async def test_a_roll_back_after_a_change_elsewhere_undoes_its_own_part(tmp_path: Path) -> None:
    """Against the object as it is now: what others wrote stays."""
    async with world(tmp_path) as gate:
        done = await gate.approve(await gate.propose())
        await somebody_changes(gate.gateway.cluster, {"spec": {"replicas": 7}})
        back = await gate.approve(await gate.gateway.roll_back(done.proposal.id, OPERATOR))
        assert (back.state, await gate.limit(), await gate.replicas()) == ("executed", "256Mi", 7)


async def test_another_change_of_the_gateway_voids_it_and_is_not_called_somebody_else(tmp_path: Path) -> None:
    """Two proposals for one object: the first to be approved is applied, the other says by which change it is void."""
    async with world(tmp_path) as gate:
        first = await gate.propose()
        other = await gate.propose("k8s_scale", {**WHERE, "replicas": 5}, step="more")
        done = await gate.approve(first)
        assert done.attempt is not None
        late = await gate.approve(other)
        assert (late.state, await gate.replicas()) == ("void", 3)
        assert late.attempt is not None
        assert f"(last writer: another change of this gateway's, {done.attempt.id}," in late.attempt.message
