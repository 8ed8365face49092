"""What runs in a pod: exec, cp, a text to a port, a debugging container. Rendered exactly, and never sent from here."""

import copy

import pytest
from skyflo_mcp.kubernetes import Cluster, call, running
from skyflo_mcp.kubernetes.running import Command, Exchange

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import STRATEGIC_PATCH, Rendered
from tests.control_plane.harness import ControlPlane
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery

UP: Json = {"running": {"startedAt": "2026-01-05T10:00:00Z"}}
POD: Json = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "web-1", "namespace": "shop", "uid": "p"},
    "spec": {"containers": [{"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}]},
    "status": {
        "phase": "Running",
        "containerStatuses": [{"name": "web", "state": UP}, {"name": "side", "state": {"waiting": {}}}],
    },
}
SERVICE: Json = {
    "kind": "Service",
    "apiVersion": "v1",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
}
SLICE: Json = {
    "ports": [{"name": "http", "port": 8080}],
    "endpoints": [
        {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "web-0"}},
        {"conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "web-1"}},
    ],
}
EXEC: Json = {"namespace": "shop", "name": "web-1", "container": "web"}
DEBUG: Json = {"namespace": "shop", "name": "web-1", "image": "busybox:1.37"}


def shop(pod: Json = POD, pieces: list[Json] | None = None) -> Scripted:
    """A server with one pod and one Service."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/endpointslices"):
            return Reply(body={"items": [SLICE] if pieces is None else pieces})
        objects = {"web-1": pod, "web": SERVICE}
        name = asked.path.rpartition("/")[2]
        return Reply(body=objects[name]) if name in objects else status(404, f"no {name}", "NotFound")

    return with_discovery(answer)


async def rendered(name: str, arguments: Json, server: Scripted | None = None) -> Rendered:
    """The change that a tool renders; nothing but GET goes out."""
    server = server or shop()
    async with server.cluster() as cluster:
        change = await call(cluster, name, arguments)
    assert {asked.method for asked in server.asked} == {"GET"}
    assert isinstance(change, Rendered)
    return change


def pod_with(**changed: object) -> Json:
    """The pod, with parts of its spec or metadata changed."""
    pod = copy.deepcopy(POD)
    for member in ("metadata", "spec", "status"):
        pod[member] |= changed.get(member, {})
    return pod


async def test_exec_is_a_run_that_nothing_previews_and_nothing_undoes() -> None:
    """What is approved is the argv, the container and the bounds."""
    change = await rendered("k8s_exec", {**EXEC, "command": ["sh", "-c", "rm -rf /tmp/x"]})
    (request,) = change.requests
    assert (request.verb, request.preview) == ("run", "none")
    assert request.path == "/api/v1/namespaces/shop/pods/web-1/exec"
    assert str(request.target) == "Pod/shop/web-1"
    assert running.body(request) == Command("web", ["sh", "-c", "rm -rf /tmp/x"], 30.0, 65_536)
    assert "cannot be undone" in change.irreversible
    assert change.equivalent == "kubectl -n shop exec web-1 -c web -- sh -c 'rm -rf /tmp/x'"


@pytest.mark.parametrize(
    "command", [[], [""], ["a\0b"], ["x"] * 201, ["x" * 40_000]], ids=["none", "empty", "NUL", "many", "long"]
)
async def test_what_can_be_no_command_is_refused_before_anything_is_read(command: list[str]) -> None:
    """And a text is no list of words."""
    server = shop()
    async with server.cluster() as cluster:
        with pytest.raises(BadInput):
            await call(cluster, "k8s_exec", {**EXEC, "command": command})
        with pytest.raises(BadInput, match="command"):
            await call(cluster, "k8s_exec", {**EXEC, "command": "ls -l"})
    assert server.asked == []


@pytest.mark.parametrize(
    ("pod", "container", "said"),
    [
        (POD, "nope", "no container named 'nope'"),
        (POD, "side", "is not running"),
        (POD, None, "several containers"),
        (pod_with(metadata={"annotations": {"kubectl.kubernetes.io/default-container": "side"}}), None, "side"),
    ],
)
async def test_a_container_is_one_that_is_there_and_runs(pod: Json, container: str | None, said: str) -> None:
    """Said before anybody is asked for an approval."""
    with pytest.raises(BadInput, match=said):
        await rendered("k8s_exec", {**EXEC, "container": container, "command": ["ls"]}, shop(pod))


@pytest.mark.parametrize(
    "pod",
    [
        pod_with(spec={"containers": [{"name": "web"}]}),
        pod_with(metadata={"annotations": {"kubectl.kubernetes.io/default-container": "web"}}),
    ],
)
async def test_without_a_name_it_is_the_only_container_or_the_pods_default(pod: Json) -> None:
    """As kubectl chooses."""
    change = await rendered("k8s_exec", {**EXEC, "container": None, "command": ["ls"]}, shop(pod))
    assert change.requests[0].body["container"] == "web"


async def test_a_container_added_for_debugging_can_be_run_in() -> None:
    """It is what it was added for."""
    spec = {"ephemeralContainers": [{"name": "debugger-1"}]}
    pod = pod_with(spec=spec, status={"ephemeralContainerStatuses": [{"name": "debugger-1", "state": UP}]})
    change = await rendered("k8s_exec", {**EXEC, "container": "debugger-1", "command": ["ls"]}, shop(pod))
    assert change.requests[0].body["container"] == "debugger-1"


async def test_cp_reads_the_beginning_of_one_file() -> None:
    """By a program that stops by itself, one byte after the last that is kept; and it says that it only reads."""
    change = await rendered("k8s_cp", {**EXEC, "path": "/etc/my app.conf", "limit_bytes": 100})
    assert running.body(change.requests[0]) == Command(
        "web", ["head", "-c", "101", "--", "/etc/my app.conf"], 30.0, 100
    )
    assert "it changes nothing" in change.irreversible


@pytest.mark.parametrize("path", ["etc/hosts", "", "/../etc/shadow", "/a/./b", "/a\nb", "-n", "/" + "x" * 2000])
async def test_a_path_is_a_whole_path(path: str) -> None:
    """Nothing relative, nothing that climbs, nothing that hides."""
    with pytest.raises(BadInput, match="path"):
        await rendered("k8s_cp", {**EXEC, "path": path})


async def test_a_text_to_a_port_is_part_of_what_is_approved() -> None:
    """No tunnel: one text, one answer."""
    arguments: Json = {"namespace": "shop", "name": "web-1", "port": 6379, "send": "PING\r\n"}
    change = await rendered("k8s_port_forward", arguments)
    (request,) = change.requests
    assert (request.verb, request.preview) == ("run", "none")
    assert request.path == "/api/v1/namespaces/shop/pods/web-1/portforward"
    assert running.body(request) == Exchange(6379, "PING\r\n", 10.0, 65_536)
    assert change.equivalent == "kubectl -n shop port-forward pod/web-1 :6379"


async def test_a_services_port_leads_to_a_ready_pod_behind_it() -> None:
    """At the pod's own port."""
    arguments: Json = {"namespace": "shop", "name": "web", "kind": "Service", "port": 80, "send": "x"}
    change = await rendered("k8s_port_forward", arguments)
    assert str(change.requests[0].target) == "Pod/shop/web-1"
    assert change.requests[0].body["port"] == 8080
    assert "behind service/web" in change.title
    with pytest.raises(BadInput, match="no port 82"):
        await rendered("k8s_port_forward", {**arguments, "port": 82})
    with pytest.raises(BadInput, match="No ready pod"):
        await rendered("k8s_port_forward", {**arguments, "port": 81})
    with pytest.raises(BadInput, match="No ready pod"):
        await rendered("k8s_port_forward", arguments, shop(pieces=[]))


async def test_a_pod_that_does_not_run_has_no_port() -> None:
    """Said before anybody decides."""
    arguments: Json = {"namespace": "shop", "name": "web-1", "port": 80, "send": ""}
    with pytest.raises(BadInput, match="is not running"):
        await rendered("k8s_port_forward", arguments, shop(pod_with(status={"phase": "Pending"})))


async def test_debug_adds_a_container_under_a_free_name() -> None:
    """Through the subresource, so a dry run previews it; it cannot be taken out again."""
    pod = pod_with(spec={"ephemeralContainers": [{"name": "debugger-1"}]})
    change = await rendered("k8s_debug", {**DEBUG, "command": ["sleep", "60"], "target_container": "web"}, shop(pod))
    (request,) = change.requests
    assert (request.verb, request.preview, request.content_type) == ("patch", "server", STRATEGIC_PATCH)
    assert request.path == "/api/v1/namespaces/shop/pods/web-1/ephemeralcontainers"
    (added,) = request.body["spec"]["ephemeralContainers"]
    assert (added["name"], added["targetContainerName"], added["command"]) == ("debugger-2", "web", ["sleep", "60"])
    assert "until the pod is deleted" in change.irreversible
    assert change.equivalent.endswith("--image=busybox:1.37 --container=debugger-2 --target=web -- sleep 60")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image": "--privileged"}, "image"),
        ({"container": "web"}, "already"),
        ({"target_container": "nope"}, "nope"),
        ({"container": "Not/One"}, "name"),
        ({"command": []}, "command"),
    ],
)
async def test_debug_refuses_what_cannot_be(wrong: Json, said: str) -> None:
    """With its name."""
    with pytest.raises(BadInput, match=said):
        await rendered("k8s_debug", {**DEBUG, **wrong})


async def test_debug_of_a_pod_that_ended_is_refused() -> None:
    """Nothing would start in it."""
    with pytest.raises(BadInput, match="has ended"):
        await rendered("k8s_debug", DEBUG, shop(pod_with(status={"phase": "Succeeded"})))


@pytest.mark.control_plane
async def test_a_real_server_previews_a_debugging_container(control_plane: ControlPlane) -> None:
    """The dry run shows it, and the pod is as it was; sent, it is there."""
    meta = {"name": "debugged", "namespace": "default"}
    spec = {"containers": [{"name": "web", "image": "web:1"}], "nodeSelector": {"tests.skyflo.dev/none": "yes"}}
    with control_plane.http() as client:
        client.post("/api/v1/namespaces/default/serviceaccounts", json={"metadata": {"name": "default"}})
    control_plane.apply([{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}])
    async with Cluster.from_kubeconfig(str(control_plane.kubeconfig("admin"))) as cluster:
        arguments: Json = {**DEBUG, "namespace": "default", "name": "debugged", "target_container": "web"}
        change = await call(cluster, "k8s_debug", arguments)
        assert isinstance(change, Rendered)
        (request,) = change.requests
        before = await cluster.get(request.target)
        who = {"uid": before["metadata"]["uid"], "resource_version": before["metadata"]["resourceVersion"]}
        shown = await cluster.send(request, dry_run=True, field_manager="tests", **who)
        assert [one["name"] for one in shown.object["spec"]["ephemeralContainers"]] == ["debugger-1"]
        assert await cluster.get(request.target) == before
        await cluster.send(request, dry_run=False, field_manager="tests", **who)
        assert len((await cluster.get(request.target))["spec"]["ephemeralContainers"]) == 1
