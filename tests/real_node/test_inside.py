"""What runs in a container really runs, and what it says comes back: over WebSockets, to a real kubelet."""

from __future__ import annotations

import asyncio
import time

import pytest
from skyflo_mcp.kubernetes import Cluster, call
from skyflo_mcp.kubernetes.streams import Ran

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered
from tests.control_plane.processes import wait_until
from tests.real_node.cluster import containers, deploy
from tests.real_node.node import RealNode

pytestmark = pytest.mark.real_node


@pytest.fixture(scope="module")
def pod(real_node: RealNode) -> Json:
    """A pod that runs: its namespace and name."""
    plane = real_node.plane
    deploy(plane, "inside", "payment-service", "payment-svc:v2.4.0")
    wait_until("its container", lambda: any("running" in each["state"] for each in containers(plane, "inside")))
    name = plane.get("/api/v1/namespaces/inside/pods")["items"][0]["metadata"]["name"]
    with plane.http("reader") as client:
        log = f"/api/v1/namespaces/inside/pods/{name}/log"
        wait_until("its port", lambda: "listening on :8080" in client.get(log).text, within=30)
    return {"namespace": "inside", "name": name}


async def ran(node: RealNode, tool: str, arguments: Json) -> Ran:
    """What comes of a change tool's one request, as the administrator."""
    async with Cluster.from_kubeconfig(str(node.plane.kubeconfig("admin"))) as cluster:
        change = await call(cluster, tool, arguments)
        assert isinstance(change, Rendered)
        (request,) = change.requests
        return await cluster.run(request)


async def test_exec_answers_with_both_outputs_and_the_exit_code(real_node: RealNode, pod: Json) -> None:
    """As the program ended; and a program that is not there has no exit code."""
    found = await ran(real_node, "k8s_exec", {**pod, "command": ["/service", "say", "yes, sir", "careful", "3"]})
    assert (found.code, found.stdout, found.stderr) == (3, "yes, sir\n", "careful\n")
    found = await ran(real_node, "k8s_exec", {**pod, "command": ["/service", "say", "a", "b", "0"]})
    assert (found.code, found.message) == (0, "")
    found = await ran(real_node, "k8s_exec", {**pod, "command": ["nothing-like-it"]})
    assert found.code is None or found.code > 100
    assert "nothing-like-it" in found.message + found.stderr


async def test_a_command_that_does_not_end_is_left_in_time(real_node: RealNode, pod: Json) -> None:
    """Its exit code stays unknown."""
    found = await ran(real_node, "k8s_exec", {**pod, "command": ["/service", "sleep", "60"], "seconds": 0.5})
    assert (found.code, found.timed_out) == (None, True)
    assert found.seconds < 10


async def test_a_file_is_copied_out_to_the_byte(real_node: RealNode, pod: Json) -> None:
    """And one that is not there is the program's own error."""
    found = await ran(real_node, "k8s_cp", {**pod, "path": "/etc/hostname"})
    assert (found.code, found.stdout.strip()) == (0, pod["name"])
    found = await ran(real_node, "k8s_cp", {**pod, "path": "/etc/hostname", "limit_bytes": 7})
    assert found.stdout == pod["name"][:7]
    found = await ran(real_node, "k8s_cp", {**pod, "path": "/etc/nothing"})
    assert (found.code, "no such file" in found.stderr) == (1, True)


async def test_a_text_to_a_port_is_answered_by_the_program_behind_it(real_node: RealNode, pod: Json) -> None:
    """One connection; a port on which nobody listens refuses."""
    asked = {**pod, "port": 8080, "send": "GET /checkout HTTP/1.0\r\n\r\n"}
    found = await ran(real_node, "k8s_port_forward", asked)
    assert found.stdout.startswith("HTTP/1.0 "), found
    assert found.seconds < 5
    found = await ran(real_node, "k8s_port_forward", {**asked, "port": 9})
    assert "refused" in found.message, found


async def test_the_kubelets_own_statistics_are_read_by_who_only_reads(real_node: RealNode, pod: Json) -> None:
    """Disks of the node, what the pod wrote, and the node's use, without the right to run anything."""
    async with Cluster.from_kubeconfig(str(real_node.plane.kubeconfig("reader"))) as cluster:

        async def disks() -> Json:
            answer = await call(cluster, "k8s_disk_usage", pod)
            assert isinstance(answer, dict)
            return answer

        end = time.monotonic() + 30
        while not (found := await disks())["uses"]["rows"]:
            assert time.monotonic() < end, f"expected figures of the pod within 30 s: {found}"
            await asyncio.sleep(0.5)
        assert found["unknown"] == []
        assert {row[1] for row in found["uses"]["rows"]} == {pod["name"]}
        node = await call(cluster, "k8s_disk_usage", {"node": real_node.name})
        assert isinstance(node, dict)
        assert node["disks"]["rows"][0][:2] == [real_node.name, "root"]
        assert 0 < node["disks"]["rows"][0][4] <= 100
        top = await call(cluster, "k8s_top_nodes", {})
        assert isinstance(top, dict)
        (row,) = top["rows"]
        assert row[0] == real_node.name
        assert row[6] > 0, top
        shown = await call(cluster, "k8s_environment", {**pod, "container": "payment-service"})
        assert isinstance(shown, dict)
        assert shown["container"] == "payment-service"
