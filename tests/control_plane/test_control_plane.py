"""The real control plane answers, controls and remembers."""

from __future__ import annotations

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane.builds import KUBERNETES
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until

pytestmark = pytest.mark.control_plane


def test_it_is_the_version_that_was_built(control_plane: ControlPlane) -> None:
    """The API server says the version that the harness pins."""
    assert control_plane.get("/version")["gitVersion"] == f"v{KUBERNETES}"


def test_the_reader_sees_pods_and_no_secrets(control_plane: ControlPlane) -> None:
    """The reader's token reads workloads; Secrets and writes are refused by the server itself."""
    with control_plane.http("reader") as client:
        assert client.get("/api/v1/pods").status_code == 200
        assert client.get("/api/v1/namespaces/default/secrets/any").status_code == 403
        refused = client.delete("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
        assert refused.json()["reason"] == "Forbidden"


def test_a_wrong_token_is_refused(control_plane: ControlPlane) -> None:
    """Without a known token there is no answer."""
    with control_plane.http() as client:
        answer = client.get("/api/v1/pods", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_the_certificate_is_the_clusters(control_plane: ControlPlane) -> None:
    """A client that trusts only public authorities does not speak to it."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{control_plane.server}/readyz", trust_env=False)


def test_controllers_make_pods_of_a_deployment(control_plane: ControlPlane) -> None:
    """The real controllers turn a Deployment into a ReplicaSet and pods; the real scheduler says why they wait."""
    control_plane.apply([_namespace("controllers"), _deployment("controllers")])
    pods = "/api/v1/namespaces/controllers/pods"
    wait_until("two pods", lambda: len(control_plane.get(pods)["items"]) == 2, within=30)
    wait_until("their events", lambda: bool(_messages(control_plane, "controllers", "FailedScheduling")), within=30)
    assert _messages(control_plane, "controllers", "FailedScheduling") == {
        "no nodes available to schedule pods",
    }


def test_the_audit_log_tells_a_dry_run_from_a_write(control_plane: ControlPlane) -> None:
    """Both are recorded with their user; only one of them says that it changed something."""
    control_plane.apply([_namespace("audit")])
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    with control_plane.http("operator") as client:
        for parameters in ({"dryRun": "All"}, {}):
            created = client.post("/api/v1/namespaces/audit/configmaps", params=parameters, json=settings)
            assert created.status_code == 201
    written = [each for each in control_plane.writes("operator") if each.namespace == "audit"]
    assert [(each.verb, each.resource, each.dry_run, each.code) for each in written] == [
        ("create", "configmaps", True, 201),
        ("create", "configmaps", False, 201),
    ]


def test_a_delete_with_a_body_is_dry_only_if_the_body_says_so(control_plane: ControlPlane) -> None:
    """The trap that our tools must know: beside a DeleteOptions body the query parameter is ignored."""
    control_plane.apply([_namespace("traps"), _config_map("traps", "kept"), _config_map("traps", "lost")])
    base = "/api/v1/namespaces/traps/configmaps"
    with control_plane.http("operator") as client:
        dry = {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]}
        client.request("DELETE", f"{base}/kept", json=dry).raise_for_status()
        wet = {"kind": "DeleteOptions", "apiVersion": "v1"}
        client.request("DELETE", f"{base}/lost", params={"dryRun": "All"}, json=wet).raise_for_status()
        assert client.get(f"{base}/kept").status_code == 200
        assert client.get(f"{base}/lost").status_code == 404


def _messages(plane: ControlPlane, namespace: str, reason: str) -> set[str]:
    events = plane.get(f"/api/v1/namespaces/{namespace}/events")["items"]
    return {each["message"] for each in events if each["reason"] == reason}


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _config_map(namespace: str, name: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def _deployment(namespace: str) -> Json:
    labels = {"app": "api"}
    container = {"name": "api", "image": "api:v1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
