"""A real control plane while somebody decides: status may flap as it likes; a foreign change of what is wanted voids.

There are no nodes. The test itself says of the pods, as a kubelet would, that they are ready and that they are not.
"""

from __future__ import annotations

import itertools
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until
from tests.story.home import Home, home

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(200)]
MERGE = {"Content-Type": "application/strategic-merge-patch+json"}
FLIPS = 6
FOREIGN: dict[str, Json] = {
    "spec": {"spec": {"minReadySeconds": 3}},
    "template": {"spec": {"template": {"metadata": {"annotations": {"by": "somebody-else"}}}}},
    "label": {"metadata": {"labels": {"touched": "by-somebody-else"}}},
    "annotation": {"metadata": {"annotations": {"touched": "by-somebody-else"}}},
}


class Workload:
    """A Deployment of two pods in a namespace of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.namespace = f"flap-{uuid.uuid4().hex[:6]}"
        self.path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/app"
        self.pods = f"/api/v1/namespaces/{self.namespace}/pods"
        limits = {"limits": {"memory": "256Mi"}}
        labels = {"app": "app"}
        pod = {"containers": [{"name": "app", "image": "example.com/app:1", "resources": limits}]}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}}
        plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}])
        plane.apply([{
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "namespace": self.namespace},
            "spec": {**spec, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }])  # fmt: skip
        wait_until("two pods", lambda: len(plane.get(self.pods)["items"]) == 2, within=40)

    def read(self) -> Json:
        """The Deployment as it is now."""
        return self.plane.get(self.path)

    @property
    def version(self) -> str:
        """Its resourceVersion."""
        return str(self.read()["metadata"]["resourceVersion"])

    def attempts(self) -> list[str]:
        """The field managers of the gateway's attempts."""
        entries = self.read()["metadata"]["managedFields"]
        return sorted({each["manager"] for each in entries if each["manager"].startswith("skyflo-at-")})

    def limit(self) -> str:
        """The memory limit that it has."""
        return str(self.read()["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])

    @contextmanager
    def flapping(self) -> Iterator[list[str]]:
        """Pods become ready and unready all the time; the Deployment's versions that were seen come one by one."""
        over, seen = threading.Event(), [self.version]
        thread = threading.Thread(target=self._flap, args=(over, seen))
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join(30)
            assert not thread.is_alive()

    def _flap(self, over: threading.Event, seen: list[str]) -> None:
        with self.plane.http() as client:
            for ready in itertools.cycle(("True", "False")):
                for pod in client.get(self.pods).json()["items"]:
                    self._say(client, pod["metadata"]["name"], ready)
                if (now := self.version) != seen[-1]:
                    seen.append(now)
                if over.wait(0.1):
                    return

    def _say(self, client: httpx.Client, pod: str, ready: str) -> None:
        status = {"conditions": [{"type": "Ready", "status": ready}]}
        # A pod of the old ReplicaSet may be gone by now: 404 is as good.
        client.patch(f"{self.pods}/{pod}/status", json={"status": status}, headers=MERGE)


@pytest.fixture(scope="module")
def gateway(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A gateway on the control plane, and a terminal that is an operator."""
    with home(tmp_path_factory.mktemp("home")) as mine:
        yield mine.open(control_plane.kubeconfig("operator"))


def _propose(mine: Home, workload: Workload) -> str:
    """Propose more memory, as a kernel does; the proposal's id."""
    place = {"kind": "Deployment", "namespace": workload.namespace, "name": "app", "container": "app"}
    body = {"tool": "k8s_set_resources", "arguments": {**place, "limits": {"memory": "512Mi"}}, "why": "a test"}
    view: Json = mine.kernel.post("/api/v1/proposals", body)
    assert view["state"] == "proposed"
    return str(view["id"])


def test_pods_flap_all_through_the_decision(gateway: Home, control_plane: ControlPlane) -> None:
    """The Deployment's resourceVersion moves and moves; the approval is good, is used once, and no second time."""
    workload = Workload(control_plane)
    with workload.flapping() as seen:
        id_ = _propose(gateway, workload)
        proposed = len(seen)
        wait_until(f"{FLIPS} moves of the Deployment", lambda: len(seen) >= proposed + FLIPS, within=60)
        approved = gateway.command("approve", id_, "--yes")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        again = gateway.command("approve", id_, "--yes")
        assert again.returncode == 13, again.stdout + again.stderr
    assert workload.limit() == "512Mi"
    assert len(workload.attempts()) == 1
    written = [each for each in control_plane.writes("operator") if each.namespace == workload.namespace]
    # A compare-and-swap that lost against a status is answered 409, and was no write.
    assert [each.code for each in written if not each.dry_run and each.code != 409] == [200]


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_change_voids_the_approval(what: str, gateway: Home, control_plane: ControlPlane) -> None:
    """Somebody else changes it between the card and the click: exit 13, void, and nothing is sent."""
    workload = Workload(control_plane)
    id_ = _propose(gateway, workload)
    control_plane.merge(workload.path, FOREIGN[what])
    approved = gateway.command("approve", id_, "--yes")
    assert approved.returncode == 13, approved.stdout + approved.stderr
    assert gateway.json("show", id_)["state"] == "void"
    assert workload.limit() == "256Mi"
    assert workload.attempts() == []


def test_an_api_server_that_restarts_in_between_changes_nothing(gateway: Home, control_plane: ControlPlane) -> None:
    """The object is the same one in the same state, so the approval is good; the gateway finds the server again."""
    workload = Workload(control_plane)
    id_ = _propose(gateway, workload)
    control_plane.restart_api_server()
    approved = gateway.command("approve", id_, "--yes")
    assert approved.returncode == 0, approved.stdout + approved.stderr
    assert workload.limit() == "512Mi"
    assert len(workload.attempts()) == 1
