"""The real node is a node as people run them: closed to strangers, and the machine around it is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import httpx
import pytest

from skyflo_runbooks.practice.kubelet import texts
from tests.control_plane.builds import KUBERNETES
from tests.control_plane.processes import wait_until
from tests.real_node import machine
from tests.real_node.cluster import containers, deploy, kubelet, metrics
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
    assert kubelet(real_node.plane) == real_node.kubelet
    assert "node_memory_working_set_bytes" in metrics(real_node.plane)


def test_strangers_read_nothing(real_node: RealNode) -> None:
    """A wrong token is refused; trusting public authorities only, there is not even a connection."""
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        metrics(real_node.plane, token="wrong")
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{real_node.kubelet}/metrics/resource", trust_env=False)


def test_the_figures_are_not_a_way_to_run_programs(real_node: RealNode) -> None:
    """The reader's right to figures gives no way into a container."""
    headers = {"Authorization": f"Bearer {real_node.plane.token('reader')}"}
    answer = httpx.post(f"{real_node.kubelet}/run/x/y/z", headers=headers, verify=real_node.plane.tls, trust_env=False)
    assert answer.status_code == 403


async def test_a_wrong_tag_reads_as_in_practice(real_node: RealNode) -> None:
    """The registry does not know the tag; the kubelet says so in the words that the practice cluster prints."""
    deploy(real_node.plane, "tags", "cart", "payment-svc:v9.9.9")
    reference = "docker.io/library/payment-svc:v9.9.9"
    said = texts.NO_TAG.format(full=reference)

    def waits(reason: str, message: str) -> bool:
        waiting = [each["state"].get("waiting", {}) for each in containers(real_node.plane, "tags")]
        return {"reason": reason, "message": message} in waiting

    backing_off = f"{texts.BACKOFF_PULL.format(image='payment-svc:v9.9.9')}: ErrImagePull: {said}"
    wait_until("the failed pull", lambda: waits("ImagePullBackOff", backing_off))


def test_logs_come_through_the_api_server(real_node: RealNode) -> None:
    """The reader reads what the container really wrote."""
    deploy(real_node.plane, "logs", "payment-service", "payment-svc:v2.4.0")
    wait_until("its container", lambda: any("running" in each["state"] for each in containers(real_node.plane, "logs")))
    pod = real_node.plane.get("/api/v1/namespaces/logs/pods")["items"][0]["metadata"]["name"]
    with real_node.plane.http("reader") as client:
        path = f"/api/v1/namespaces/logs/pods/{pod}/log"
        wait_until("the log line", lambda: "INFO  listening on :8080" in client.get(path).text, within=30)


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
