"""Delete: one request, and what the way of deleting means."""

from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.gateway.world import world as world_of
from tests.tools import shelf
from tests.tools.shelf import held

WEB = held("Deployment", "web", spec={})
SET = held("ReplicaSet", "web-5d8f", owner=WEB)
PODS = [held("Pod", f"web-5d8f-{name}", owner=SET) for name in "ab"]
WHERE: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}


def of(manifest: Json, **more: object) -> Json:
    """Arguments that delete an object."""
    namespace = manifest["metadata"].get("namespace")
    return {
        "kind": manifest["kind"],
        "name": manifest["metadata"]["name"],
        **({"namespace": namespace} if namespace else {}),
        **more,
    }


async def test_a_deletion_is_one_request_with_its_propagation_policy() -> None:
    """What goes with it the proposal says."""
    change = await shelf.rendered("k8s_delete", WHERE, WEB, SET, *PODS)
    (request,) = change.requests
    assert (request.verb, request.path) == ("delete", "/apis/apps/v1/namespaces/shop/deployments/web")
    assert request.body == {"propagationPolicy": "Background"}
    assert (change.notes, change.irreversible) == ((), "")
    assert change.equivalent == "kubectl -n shop delete deployment/web --cascade=background"


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
async def test_the_cascade_is_the_servers_propagation_policy(cascade: str) -> None:
    """With orphan what belongs to it stays."""
    change = await shelf.rendered("k8s_delete", {**WHERE, "cascade": cascade}, WEB)
    assert change.requests[0].body == {"propagationPolicy": cascade.capitalize()}
    assert change.equivalent.endswith(f"--cascade={cascade}")


async def test_the_proposal_says_what_goes_with_it_once(tmp_path: Path) -> None:
    """And what stays where that was asked for."""
    async with world_of(tmp_path) as gate:
        where: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
        row = await gate.propose("k8s_delete", where, step="delete")
        said = [line for line in row.proposal.impact.also_touched if line.startswith("Deleted with it")]
        assert len(said) == 1
        assert "ReplicaSet" in said[0]
        assert "3 Pods" in said[0]
        assert row.proposal.warnings == ()
        kept = await gate.propose("k8s_delete", {**where, "cascade": "orphan"}, step="keep")
        assert any(line.startswith("Stays, and nothing looks after it") for line in kept.proposal.impact.also_touched)


async def test_a_pod_that_nothing_makes_again_says_so() -> None:
    """And one that its controller makes again says that."""
    alone = await shelf.rendered("k8s_delete", of(held("Pod", "alone")), held("Pod", "alone"))
    owned = await shelf.rendered("k8s_delete", of(PODS[0]), *PODS)
    assert alone.notes == ("No controller owns it, so nothing makes it again.",)
    assert owned.notes == ("ReplicaSet web-5d8f owns it and may make it again.",)


GOING = held("Pod", "going", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/wait"]})


async def test_what_is_being_deleted_is_not_deleted_again() -> None:
    """Its finalizers are what it waits for."""
    with pytest.raises(BadInput, match=r"already, since 2026-01-01T00:00:00Z\. Its finalizers: example.com/wait"):
        await shelf.rendered("k8s_delete", of(GOING), GOING)


async def test_a_pod_on_a_dead_node_is_deleted_without_its_node() -> None:
    """By a grace period of nothing, and with a warning."""
    change = await shelf.rendered("k8s_delete", of(GOING, grace_period=0), GOING)
    assert change.requests[0].body["gracePeriodSeconds"] == 0
    assert "may still run" in change.notes[0]
    assert change.equivalent.endswith("--grace-period=0 --force")


async def test_a_grace_period_is_no_force_for_other_kinds() -> None:
    """They are not deleted a second time."""
    going = held("ConfigMap", "a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    with pytest.raises(BadInput, match="already"):
        await shelf.rendered("k8s_delete", of(going, grace_period=0), going)
