"""The cluster as a server: TLS, tokens, kubectl, and a process in the background."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster
from skyflo_mcp.kubernetes.errors import BadRequest

from skyflo_runbooks.model.errors import BadInput, Unreachable
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request
from skyflo_runbooks.practice import PracticeCluster, fleet
from skyflo_runbooks.practice.server import Certificate, Server, client_of, write_private
from tests import needs

Kubectl = Callable[..., str]
# Twenty cluster seconds a second: waits for roll-outs are short.
SPEED = 20.0


@contextmanager
def serving(path: Path) -> Iterator[Path]:
    """Serve the flagship in a thread, with its kubeconfig files in this folder."""
    cluster = PracticeCluster("oomkilled-payment", speed=SPEED, token_required=True)
    server = Server(cluster)
    write_private(path / "kubeconfig", server.kubeconfig("admin"))
    write_private(path / "reader", server.kubeconfig("reader"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        with client_of(path / "kubeconfig", 20.0) as client:
            assert client.get("/version").status_code == 200
        yield path
    finally:
        server.stop()
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server that tests look at, and leave as it is."""
    with serving(tmp_path_factory.mktemp("server")) as path:
        yield path


def kubectl_of(folder: Path, cache: Path) -> Kubectl:
    """Return kubectl against a server; it must succeed unless `fails` is given."""
    program = needs.kubectl()

    def run(*words: str, config: str = "kubeconfig", fails: bool = False, given: str = "") -> str:
        # A cache of its own: discovery of another cluster at the same address must not be remembered.
        done = subprocess.run(
            [program, "--kubeconfig", str(folder / config), "--cache-dir", str(cache), *words],
            capture_output=True,
            text=True,
            timeout=60,
            input=given,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def kubectl(folder: Path, tmp_path: Path) -> Kubectl:
    """kubectl for looking."""
    return kubectl_of(folder, tmp_path)


@pytest.fixture
def changing(tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl with a server of its own, to change things."""
    with serving(tmp_path) as path:
        yield kubectl_of(path, tmp_path / "cache")


def test_kubectl_gets(kubectl: Kubectl) -> None:
    """The server's columns."""
    lines = kubectl("get", "deployments").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[2].split()[:2] == ["storefront", "2/2"]
    assert "node-c" in kubectl("get", "nodes", "-o", "name")
    assert json.loads(kubectl("get", "pods", "-l", "app=storefront", "-o", "json"))["kind"] == "List"


def test_kubectl_describes(kubectl: Kubectl) -> None:
    """A pod with its states and events, a Deployment with its revisions."""
    pod = kubectl("describe", "pods", "-l", "app=payment-service")
    assert "Reason:       OOMKilled" in pod
    assert "Exit Code:    137" in pod
    assert "Back-off restarting failed container payment-service in pod" in pod
    deployment = kubectl("describe", "deployment", "payment-service")
    assert "RollingUpdateStrategy:  25% max unavailable, 25% max surge" in deployment
    assert "release v2.4.1" in deployment


def test_kubectl_reads_logs_and_usage(kubectl: Kubectl) -> None:
    """logs, logs --previous, top."""
    pod = kubectl("get", "pods", "-l", "app=payment-service", "-o", "jsonpath={.items[0].metadata.name}")
    assert "payment-service v2.4.1 starting" in kubectl("logs", pod)
    assert "listening on :8080" in kubectl("logs", pod, "--previous", "--tail=50")
    assert "84Mi" in kubectl("top", "pods", "-l", "app=storefront")
    assert "node-a" in kubectl("top", "nodes")


def test_kubectl_shows_the_history(kubectl: Kubectl) -> None:
    """rollout history."""
    history = kubectl("rollout", "history", "deployment/payment-service")
    assert "release v2.4.0" in history
    assert "release v2.4.1" in history


def test_kubectl_applies_and_deletes(changing: Kubectl) -> None:
    """create -f, apply with a change, diff by server-side dry run, delete."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"a": "1"}}
    assert "configmap/made created" in changing("apply", "-f", "-", given=json.dumps(manifest))
    manifest["data"] = {"a": "2"}
    assert "configured (server dry run)" in changing("apply", "--dry-run=server", "-f", "-", given=json.dumps(manifest))
    assert changing("get", "cm", "made", "-o", "jsonpath={.data.a}") == "1"
    assert "configmap/made configured" in changing("apply", "-f", "-", given=json.dumps(manifest))
    assert changing("get", "cm", "made", "-o", "jsonpath={.data.a}") == "2"
    assert "strict decoding error" in changing(
        "apply", "-f", "-", given=json.dumps({**manifest, "dada": 1}), fails=True
    )
    assert 'configmap "made" deleted' in changing("delete", "cm", "made")
    assert "NotFound" in changing("get", "cm", "made", fails=True)


def test_kubectl_sets_scales_and_rolls(changing: Kubectl) -> None:
    """scale, set env, rollout status, undo, restart and delete pod on the storefront."""
    changing("scale", "deployment", "storefront", "--replicas=3")
    changing("rollout", "status", "deployment/storefront", "--timeout=30s")
    changing("set", "env", "deployment/storefront", "MODE=dark")
    changing("rollout", "status", "deployment/storefront", "--timeout=30s")
    changing("rollout", "undo", "deployment/storefront")
    changing("rollout", "restart", "deployment/storefront")
    changing("rollout", "status", "deployment/storefront", "--timeout=30s")
    pod = changing("get", "pods", "-l", "app=storefront", "-o", "jsonpath={.items[0].metadata.name}")
    assert "deleted" in changing("delete", "pod", pod, "--timeout=30s")
    changing("rollout", "status", "deployment/storefront", "--timeout=30s")


def test_kubectl_is_refused_in_the_servers_words(kubectl: Kubectl) -> None:
    """Quota-less limits, RBAC, tokens, unknown kinds."""
    low = kubectl("set", "resources", "deployment", "payment-service", "--limits=memory=64Mi", fails=True)
    assert 'Invalid value: "128Mi": must be less than or equal to memory limit of 64Mi' in low
    assert 'User "practice-reader" cannot list resource "secrets"' in kubectl(
        "get", "secrets", config="reader", fails=True
    )
    assert "Unauthorized" in kubectl("get", "pods", "--token=wrong", config="reader", fails=True)
    assert "doesn't have a resource type" in kubectl("get", "rollouts", fails=True)


def test_kubectl_repairs_the_flagship(changing: Kubectl) -> None:
    """The story's change, by hand."""
    patch = {
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "payment-service", "resources": {"limits": {"memory": "512Mi"}}}]}
            }
        }
    }
    changing("patch", "deployment", "payment-service", "-p", json.dumps(patch))
    changing("rollout", "status", "deployment/payment-service", "--timeout=30s")
    checkout = "/api/v1/namespaces/checkout/services/payment-service:http/proxy/checkout"
    assert "accepted" in changing("get", "--raw", checkout)


def test_a_client_library_watches_over_http(folder: Path) -> None:
    """Changes stream while the request is open."""
    path = "/api/v1/namespaces/default/configmaps"
    with client_of(folder / "kubeconfig", 20.0) as client:
        version = client.get(path).json()["metadata"]["resourceVersion"]
        with client.stream("GET", path, params={"watch": "true", "resourceVersion": version}) as stream:
            lines = stream.iter_lines()
            client.post(path, json={"metadata": {"name": "watched"}})
            event = json.loads(next(lines))
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "watched")


def test_the_kubernetes_client_lists_patches_and_watches(folder: Path) -> None:
    """The generated Python client, with its typed models."""
    # Untyped: its typed models are optional in every field.
    client, config, watch = (import_module(f"kubernetes.{name}") for name in ("client", "config", "watch"))
    api = config.new_client_from_config(str(folder / "kubeconfig"))
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    pods = core.list_namespaced_pod("checkout", label_selector="app=storefront").items
    assert all(pod.status.phase == "Running" for pod in pods)
    deployment = apps.read_namespaced_deployment("storefront", "checkout")
    assert deployment.spec.template.spec.containers[0].image == "storefront:v5.1.0"
    patch = {"metadata": {"labels": {"seen-by": "client"}}}
    assert apps.patch_namespaced_deployment("storefront", "checkout", patch).metadata.labels["seen-by"] == "client"
    seen = list(watch.Watch().stream(core.list_namespaced_config_map, "checkout", timeout_seconds=1))
    assert "payment-settings" in [event["object"].metadata.name for event in seen]
    with pytest.raises(client.ApiException) as refused:
        core.read_namespaced_pod("none", "checkout")
    assert refused.value.status == 404
    api.rest_client.pool_manager.clear()
    api.close()


def test_time_runs_at_the_servers_speed(folder: Path) -> None:
    """Without anybody stepping it, the clock moves on."""
    with client_of(folder / "kubeconfig", 20.0) as client:
        first = client.get("/version").headers["date"]
        for _ in range(2000):
            if client.get("/version").headers["date"] != first:
                return
    pytest.fail(f"the cluster's time stood at {first}")


def test_other_clients_do_not_trust_the_server(folder: Path) -> None:
    """Its certificate is its own; who does not hold the kubeconfig refuses it."""
    text = (folder / "kubeconfig").read_text()
    url = text.partition("server: ")[2].partition("\n")[0]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/version", trust_env=False)


def test_kubeconfigs_are_private(folder: Path) -> None:
    """Mode 0600."""
    assert stat.S_IMODE((folder / "kubeconfig").stat().st_mode) == 0o600


def test_a_port_in_use_is_said() -> None:
    """With the next step."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput) as refused:
            Server(PracticeCluster("healthy"), port=taken.getsockname()[1])
    assert "cannot be used" in str(refused.value)
    assert "another port" in refused.value.next_step


def test_a_certificate_does_not_show_its_key() -> None:
    """Not in a traceback either."""
    assert "PRIVATE" not in repr(Certificate(b"chain", b"-----BEGIN PRIVATE KEY-----"))


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    """Whole or not at all, and nothing left over."""
    path = tmp_path / "kubeconfig"
    write_private(path, "old")
    with suppress(UnicodeEncodeError):
        write_private(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# In the background


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose cluster is stopped in the end."""
    yield tmp_path
    fleet.stop(tmp_path)


def test_the_background_clusters_life(home: Path) -> None:
    """Start, a second start, another scenario, stop, a second stop."""
    started = fleet.start(home)
    assert (started.new, started.scenario, started.namespace) == (True, "oomkilled-payment", "checkout")
    assert started.kubeconfig == fleet.kubeconfig_path(home)
    with client_of(started.kubeconfig, 20.0) as client:
        assert len(client.get("/api/v1/namespaces/checkout/pods").json()["items"]) == 5
    again = fleet.start(home, "healthy")
    assert (again.new, again.pid, again.scenario) == (False, started.pid, "oomkilled-payment")
    broken = fleet.break_(home, "missing-env")
    assert (broken.scenario, broken.uid) == ("missing-env", started.uid)
    assert fleet.status(home) == broken
    assert fleet.stop(home) is True
    assert fleet.status(home) is None
    assert fleet.stop(home) is False
    assert not fleet.kubeconfig_path(home).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


def test_a_killed_cluster_is_not_taken_for_a_running_one(home: Path) -> None:
    """Its state is left over; the next start makes a new one."""
    first = fleet.start(home, "healthy")
    os.kill(first.pid, 9)
    os.waitpid(first.pid, 0)
    assert fleet.kubeconfig_path(home).exists()
    assert fleet.status(home) is None
    second = fleet.start(home, "healthy")
    assert (second.new, second.pid != first.pid) == (True, True)


def test_a_scenario_that_is_not_there_starts_nothing(home: Path) -> None:
    """BadInput before any process."""
    with pytest.raises(BadInput, match="There is no scenario 'nope'"):
        fleet.start(home, "nope")
    assert fleet.status(home) is None


def test_breaking_needs_a_running_cluster(home: Path) -> None:
    """And says how to start one."""
    with pytest.raises(Unreachable) as refused:
        fleet.break_(home, "healthy")
    assert "practice start" in refused.value.next_step


def test_a_port_in_use_is_reported_by_start(home: Path) -> None:
    """The process's own words come through."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="cannot be used"):
            fleet.start(home, port=taken.getsockname()[1])


def test_the_list_of_scenarios() -> None:
    """Each with its title and the operator's words."""
    shown = {item.name: item for item in fleet.scenarios()}
    assert "crash-looping" in shown["oomkilled-payment"].incident
    assert all(item.title for item in shown.values())


def test_the_command_refuses_an_unknown_scenario() -> None:
    """Exit code 2, one line, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "skyflo_runbooks.practice.serve", "nope"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("There is no scenario 'nope'.")
    assert "Traceback" not in done.stderr


async def test_nothing_is_run_in_a_simulated_container(folder: Path) -> None:
    """A stream into a pod is refused in words, over the same TLS and with the same credential as everything else."""
    pod = ObjectRef("Pod", "web-1", "checkout", "v1")
    body = {"container": "web", "command": ["ls"]}
    request = Request("run", pod, "/api/v1/namespaces/checkout/pods/web-1/exec", body)
    async with Cluster.from_kubeconfig(str(folder / "kubeconfig")) as cluster:
        with pytest.raises(BadRequest, match="simulates containers"):
            await cluster.run(request)
