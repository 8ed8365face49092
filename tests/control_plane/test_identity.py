"""On a real API server: what an approver may not do there is not approved; its audit log has the approver's name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway, open_store
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.harness import ControlPlane
from tests.gateway.test_approvals import ALICE, BOB, paired, vote
from tests.gateway.world import World

pytestmark = pytest.mark.control_plane
NAMESPACE = "approvers"
RBAC = "rbac.authorization.k8s.io/v1"
ALICE_AT_CLUSTER, TEAM = "alice@example.com", "payments-team"
POLICY: Json = {
    "operators": {
        "alice": {"kubernetes_user": ALICE_AT_CLUSTER, "groups": [TEAM, "system:authenticated"]},
        "bob": {"kubernetes_user": "bob@example.com", "groups": ["system:authenticated"]},
    },
    "impersonate": True,
}


def manifests() -> list[Json]:
    """A namespace in which alice's group may patch one ConfigMap, and bob may nothing."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"], "resourceNames": ["settings"]}
    subject = {"kind": "Group", "name": TEAM, "apiGroup": "rbac.authorization.k8s.io"}
    place = {"name": "patchers", "namespace": NAMESPACE}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patchers"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": NAMESPACE},
         "data": {"level": "1"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "others", "namespace": NAMESPACE},
         "data": {"level": "1"}},
        {"apiVersion": RBAC, "kind": "Role", "metadata": place, "rules": [rule]},
        {"apiVersion": RBAC, "kind": "RoleBinding", "metadata": place, "roleRef": ref, "subjects": [subject]},
    ]  # fmt: skip


@asynccontextmanager
async def served(plane: ControlPlane, folder: Path) -> AsyncIterator[World]:
    """A gateway on the control plane, which writes in its approvers' names."""
    plane.apply(manifests())
    cluster, redactor = Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))), Redactor()
    gate = Gate(cluster, redactor)
    gateway = Gateway(
        cluster=cluster,
        store=open_store(folder / "data"),
        render=gate.render,
        redactor=redactor,
        life=timedelta(minutes=30),
        rules=compose(msgspec.convert(POLICY, PolicyFile)),
    )
    gate.events = gateway.events
    async with gateway:
        yield World(gateway, PracticeCluster("healthy"), gate)


async def proposed(here: World, name: str) -> Row:
    """Propose another value in a ConfigMap."""
    change: Json = {"kind": "ConfigMap", "namespace": NAMESPACE, "name": name, "patch": {"data": {"level": "2"}}}
    return await here.gateway.propose(Wish("k8s_patch", change, Origin(requester="kernel:notebook", step=name)))


async def test_the_cluster_says_who_may_approve_and_writes_in_their_name(
    tmp_path: Path, control_plane: ControlPlane
) -> None:
    """Alice may patch the one ConfigMap and not the other, bob neither; the write is hers in the audit log."""
    async with served(control_plane, tmp_path) as here:
        alice, bob = paired(here, ALICE), paired(here, BOB)
        mine, others = await proposed(here, "settings"), await proposed(here, "others")
        with pytest.raises(NotAllowed, match=r"bob@example\.com may not patch configmaps settings in approvers"):
            await vote(here, mine, BOB, bob)
        with pytest.raises(NotAllowed, match="may not patch configmaps others"):
            await vote(here, others, ALICE, alice)
        done = await vote(here, mine, ALICE, alice)
        assert done.state == "executed", done.message
        assert here.gateway.view(done)["receipt"]["executor"] == ALICE_AT_CLUSTER
    lines = [json.loads(line) for line in (control_plane.folder / "audit.log").read_text().splitlines()]
    writes = [
        (user["username"], TEAM in user["groups"], "dryRun" in line["requestURI"])
        for line in lines
        if line["verb"] == "patch" and line.get("objectRef", {}).get("namespace") == NAMESPACE
        and (user := line.get("impersonatedUser"))
    ]  # fmt: skip
    assert writes == [(ALICE_AT_CLUSTER, True, True), (ALICE_AT_CLUSTER, True, False)]


async def test_rights_that_the_cluster_takes_back_stop_the_write(tmp_path: Path, control_plane: ControlPlane) -> None:
    """Between the proposal and the approval the binding goes: it is not approved any more."""
    async with served(control_plane, tmp_path) as here:
        key = paired(here, ALICE)
        row = await proposed(here, "settings")
        with control_plane.http() as client:
            path = f"/apis/{RBAC}/namespaces/{NAMESPACE}/rolebindings/patchers"
            client.delete(path).raise_for_status()
        with pytest.raises(NotAllowed, match="may not patch"):
            await vote(here, row, ALICE, key)
        assert here.gateway.store.get(row.proposal.id).state == "proposed"
