"""The real node is a node as people run them: closed to strangers, and the machine around it is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from tests.control_plane.builds import KUBERNETES
from tests.control_plane.processes import wait_until
from tests.real_node import machine
from tests.real_node.cluster import deploy, metrics
from tests.real_node.node import RealNode

pytestmark = pytest.mark.real_node


def test_the_node_says_what_it_is(real_node: RealNode) -> None:
    """Version and runtime are the real ones."""
    node = real_node.plane.get(f"/api/v1/nodes/{real_node.name}")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{KUBERNETES}"
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://")
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == real_node.port


def test_the_reader_reads_the_kubelets_figures(real_node: RealNode) -> None:
    """With the right to nodes/metrics, a bearer token is enough, and the cluster's authority vouches for the server."""
    assert "node_memory_working_set_bytes" in metrics(real_node)


def test_strangers_read_nothing(real_node: RealNode) -> None:
    """No token and a wrong token are refused; trusting public authorities only, there is not even a connection."""
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        metrics(real_node, token="wrong")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{real_node.kubelet}/metrics/resource", trust_env=False)


def test_the_figures_are_not_the_way_to_run_programs(real_node: RealNode) -> None:
    """The reader's right to figures gives no way into a container."""
    headers = {"Authorization": f"Bearer {real_node.plane.token('reader')}"}
    answer = httpx.post(f"{real_node.kubelet}/run/x/y/z", headers=headers, verify=real_node.plane.tls, trust_env=False)
    assert answer.status_code == 403


def test_a_wrong_tag_fails_like_a_real_pull(real_node: RealNode) -> None:
    """The registry does not know the tag, and the kubelet says so in its own words."""
    workload = deploy(real_node, "tags", "cart", "payment-svc:v9.9.9", "64Mi")

    def said() -> str:
        waiting = [each["state"].get("waiting", {}) for each in workload.containers()]
        return " ".join(each.get("message", "") for each in waiting)

    reference = "docker.io/library/payment-svc:v9.9.9"
    wait_until(
        "the failed pull", lambda: f'failed to resolve reference "{reference}": {reference}: not found' in said()
    )


def test_logs_come_through_the_api_server(real_node: RealNode) -> None:
    """The reader reads what the container really wrote."""
    workload = deploy(real_node, "logs", "payment-service", "payment-svc:v2.4.0", "256Mi")
    workload.wait_rolled_out()
    pod = workload.pods()[0]["metadata"]["name"]
    with real_node.plane.http("reader") as client:
        path = f"/api/v1/namespaces/logs/pods/{pod}/log"
        wait_until("the log line", lambda: "listening on :8080" in client.get(path).text, within=30)


def test_the_machine_keeps_its_settings(real_node: RealNode) -> None:
    """The kubelet believes that it set them; outside its namespace they are as they were."""
    inside = real_node.plane.folder / "sysctl"
    assert (inside / "panic").read_text().strip() == "10"
    assert Path("/proc/sys/kernel/panic").read_text().strip() != "10"


def test_a_slot_is_given_back_clean() -> None:
    """A second node takes another slot; afterwards its bridge and control groups are gone."""
    with machine.slot() as held:
        assert Path("/sys/class/net", held.bridge).exists()
        shown = subprocess.run(["ip", "-br", "addr", "show", held.bridge], capture_output=True, text=True, check=True)
        assert held.address in shown.stdout
    assert not Path("/sys/class/net", held.bridge).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{held.cgroup[1:]}"))
