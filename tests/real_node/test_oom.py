"""The flagship's heart, for real: the kernel kills a container at its limit, and a sufficient limit recovers it."""

from __future__ import annotations

import re

import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane.processes import wait_until
from tests.real_node.cluster import Workload, deploy
from tests.real_node.node import RealNode

pytestmark = pytest.mark.real_node
MI = 2**20


@pytest.fixture(scope="module")
def payment(real_node: RealNode) -> Workload:
    """The flagship's Deployment, which needs 340Mi and has 256Mi."""
    return deploy(real_node, "oom", "payment-service", "payment-svc:v2.4.1", "256Mi", replicas=3)


@pytest.fixture(scope="module")
def killed(payment: Workload) -> Json:
    """The status of one of its containers after the kernel killed it again."""
    return payment.wait_killed()


def test_the_status_is_the_only_place_that_says_oomkilled(payment: Workload, killed: Json) -> None:
    """State and last state say why; there is no event about the kill on the pod."""
    terminated = killed["lastState"]["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)
    assert re.fullmatch(
        r"back-off \d+s restarting failed container=payment-service pod=payment-service-\S+_oom\(\S+\)",
        killed["state"]["waiting"]["message"],
    )
    events = payment.node.plane.get("/api/v1/namespaces/oom/events")["items"]
    assert {each["reason"] for each in events if each["involvedObject"]["kind"] == "Pod"} <= {
        "Scheduled", "Pulling", "Pulled", "Created", "Started", "BackOff", "Unhealthy",
    }  # fmt: skip


def test_customers_get_errors_while_it_is_killed(payment: Workload, killed: Json) -> None:
    """No pod lives long enough to answer 200."""
    assert payment.ask("/checkout").status_code >= 500


def test_a_limit_below_the_need_is_killed_again(real_node: RealNode) -> None:
    """300Mi is more than 256Mi and still too little: nothing in the node knows the repair."""
    small = deploy(real_node, "oom-300", "payment-service", "payment-svc:v2.4.1", "300Mi")
    assert small.wait_killed()["lastState"]["terminated"]["reason"] == "OOMKilled"


def test_enough_memory_recovers_it(payment: Workload, killed: Json) -> None:
    """512Mi: rolled out, no restarts, the kubelet's own figure is near 340Mi, and customers get 200."""
    payment.set_limit("512Mi")
    payment.wait_rolled_out()
    wait_until("HTTP 200 on /checkout", lambda: payment.ask("/checkout").status_code == 200, within=30)
    wait_until("the kubelet's figures", lambda: _settled(payment), within=60)
    assert [each["restartCount"] for each in payment.containers()] == [0, 0, 0]
    assert payment.ask("/checkout").text == '{"order": "accepted"}\n'


def _settled(payment: Workload) -> bool:
    """The figures of all three pods are there, and of a process that took its memory."""
    names = {pod["metadata"]["name"] for pod in payment.pods()}
    used = {pod: size for pod, size in payment.memory().items() if pod in names}
    return len(used) == 3 and all(335 * MI <= size <= 355 * MI for size in used.values())
