"""The ledger against the audit log of a real API server: they agree, and a write past the ledger is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.gateway import reconcile
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from tests.control_plane.harness import ControlPlane
from tests.control_plane.headless import Headless, headless

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(200)]
NAMESPACE = "reconcile"
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


def config_map(name: str) -> Json:
    """A ConfigMap of this test."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"a": "1"},
    }


def log_since(control_plane: ControlPlane, offset: int, folder: Path) -> Path:
    """Return what the API server has logged since, as a file: other tests write under the same user before."""
    file = folder / "audit.jsonl"
    file.write_bytes((control_plane.folder / "audit.log").read_bytes()[offset:])
    return file


def proposed(terminal: Headless) -> str:
    """Return a proposal to change the ConfigMap."""
    said = json.loads((terminal.folder / "home" / "run" / "gateway.json").read_text())
    gateway = Gateway(said["url"], said["token"])
    arguments: Json = {"kind": "ConfigMap", "namespace": NAMESPACE, "name": "settings"}
    arguments |= {"patch_type": "merge", "patch": {"data": {"a": "2"}}}
    view = gateway.post("/api/v1/proposals", {"tool": "k8s_patch", "arguments": arguments, "step": "change"})
    return str(view["id"])


def test_they_agree_until_somebody_writes_past_the_ledger(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A change through the gate: 0. One by hand with the gateway's user: 11, and the line that names it."""
    control_plane.apply(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, config_map("settings")]
    )
    offset = (control_plane.folder / "audit.log").stat().st_size
    with headless(tmp_path / "gateway", control_plane.kubeconfig("operator")) as terminal:
        id_ = proposed(terminal)
        assert terminal.command("approve", id_, "--yes").returncode == 0
        said = ("ledger", "reconcile", "--user", "operator", "--audit-log")
        whole = terminal.command(*said, str(log_since(control_plane, offset, tmp_path)))
        assert (whole.returncode, "they agree" in whole.stdout) == (0, True), whole.stdout + whole.stderr
        assert whole.stdout.startswith("1 writes of the gateway in the audit log, 1 attempts")
        with control_plane.http("operator") as client:
            headers = {"Content-Type": "application/merge-patch+json"}
            client.patch(f"{PATH}/settings", json={"data": {"a": "3"}}, headers=headers).raise_for_status()
        past = terminal.command(*said, str(log_since(control_plane, offset, tmp_path)))
        assert past.returncode == 11, past.stdout + past.stderr
        assert f"operator: patch {PATH}/settings, by no attempt" in past.stdout


async def test_a_delete_names_its_attempt_and_its_dry_run(control_plane: ControlPlane, tmp_path: Path) -> None:
    """A delete has no field manager: the audit log has it from the user agent, and the dry run is no write."""
    control_plane.apply(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, config_map("deleted")]
    )
    offset = (control_plane.folder / "audit.log").stat().st_size
    wanted = Request("delete", ObjectRef("ConfigMap", "deleted", NAMESPACE), f"{PATH}/deleted", {})
    async with Cluster.from_kubeconfig(str(control_plane.kubeconfig("operator"))) as cluster:
        for dry_run in (True, False):
            await cluster.send(wanted, dry_run=dry_run, field_manager="skyflo-at-0123456789")
    lines = log_since(control_plane, offset, tmp_path).read_text().splitlines()
    found = reconcile.read(lines, ("operator",)).writes
    assert [(one.attempt, one.what) for one in found] == [("at-0123456789", f"delete {PATH}/deleted")]
