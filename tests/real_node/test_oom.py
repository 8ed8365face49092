"""The flagship, for real: the kernel kills a container at its limit, and a sufficient limit recovers it."""

from __future__ import annotations

import re

import pytest

from skyflo_runbooks.practice import scenario
from tests.control_plane import stage
from tests.control_plane.command import FLAGSHIP
from tests.control_plane.practised import practised
from tests.control_plane.processes import wait_until
from tests.control_plane.stage import Staged, rolled_out
from tests.real_node.cluster import memory
from tests.real_node.node import RealNode

pytestmark = pytest.mark.real_node
PAYMENT = "app=payment-service"
KILLED = "lastState terminated OOMKilled 137"
MI = 2**20


@pytest.fixture(scope="module")
def flagship(real_node: RealNode) -> Staged:
    """The payment service of the flagship, in whatever state a test left it."""
    wanted = scenario.load(FLAGSHIP)
    stage.play(real_node.plane, wanted)
    return Staged(real_node.plane, wanted)


@pytest.fixture
def crashing(flagship: Staged) -> Staged:
    """The same, OOM-killed by the kernel at 256Mi."""
    flagship.set_limit("payment-service", "256Mi")
    stage.wait_shown(flagship.plane, flagship.scenario)
    return flagship


@pytest.fixture
def recovered(flagship: Staged) -> Staged:
    """The same, after its limit was raised to what it needs, with some room."""
    flagship.set_limit("payment-service", "512Mi")
    wait_until("rolled out", lambda: rolled_out(flagship.plane, flagship.deployment("payment-service")), within=90)
    return flagship


def test_the_status_is_the_only_place_that_says_oomkilled(crashing: Staged) -> None:
    """State and last state say why; there is no event about the kill."""
    wait_until("the kill in the last state", lambda: KILLED in crashing.seen("payment-service").states, within=60)
    assert not {
        line for line in crashing.seen("payment-service").events if re.search("oom|killed", line, re.IGNORECASE)
    }


async def test_its_words_are_the_practice_clusters(crashing: Staged) -> None:
    """The practice cluster prints what this kubelet prints: the more real one is right."""
    said = (await practised(FLAGSHIP, "payment-service")).lines
    crash = {line for line in said if "BackOff" in line or "OOMKilled" in line}
    assert len(crash) >= 3
    wait_until("the words of the crash", lambda: crash <= crashing.seen("payment-service").lines, within=90)


def test_customers_get_errors_while_it_is_killed(crashing: Staged) -> None:
    """No pod lives long enough to answer 200."""
    assert crashing.ask("payment-service", "/checkout").status_code >= 500


def test_a_limit_below_the_need_is_killed_again(flagship: Staged) -> None:
    """300Mi is more than 256Mi and still too little: nothing in the node knows the repair."""
    flagship.set_limit("payment-service", "300Mi")
    limited = {"memory": "300Mi"}

    def killed() -> bool:
        pods = [pod for pod in flagship.pods(PAYMENT) if pod["spec"]["containers"][0]["resources"]["limits"] == limited]
        return any("OOMKilled" in str(pod["status"].get("containerStatuses")) for pod in pods)

    wait_until("killed at 300Mi", killed, within=60)


def test_enough_memory_recovers_it(recovered: Staged) -> None:
    """512Mi: no restarts, the kubelet's own figure is near 340Mi, and customers get 200 through the API server."""
    wait_until("HTTP 200 on /checkout", lambda: recovered.ask("payment-service", "/checkout").status_code == 200)
    wait_until("the kubelet's figures", lambda: _settled(recovered), within=60)
    assert recovered.ask("payment-service", "/checkout").json() == {"order": "accepted"}
    pods = recovered.pods(PAYMENT)
    assert [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]] == [0, 0, 0]


def _settled(staged: Staged) -> bool:
    """The figures of all three pods are there, and of a process that took its memory."""
    names = {pod["metadata"]["name"] for pod in staged.pods(PAYMENT)}
    used = {pod: size for pod, size in memory(staged.plane, "checkout").items() if pod in names}
    return len(used) == 3 and all(335 * MI <= size <= 355 * MI for size in used.values())
