"""Played nodes that are ill, and played figures: what a player of them does and serves, without a control plane."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kubelet import Remove, Report, SetStatus
from skyflo_runbooks.practice.remote import Endpoint
from skyflo_runbooks.practice.scenario import Scenario, load
from tests.control_plane.gets import Answer, Request
from tests.control_plane.metrics import Metrics
from tests.control_plane.troubled import TroubledPlayer, kept_waiting

TOLD: Scenario = load("healthy")
WHEN: Json = {"creationTimestamp": "2026-01-05T09:00:00Z"}
NO_NETWORK: Json = {"reason": "FailedCreatePodSandBox", "message": "no IP addresses available"}


def pod(name: str, node: str, **metadata: object) -> Json:
    """A pod that a scheduler gave to a node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "lab", "uid": name, "labels": {"app": name}, **WHEN, **metadata},
        "spec": {"nodeName": node, "containers": [{"name": "main", "image": "storefront:v5.1.0"}]},
        "status": {},
    }


def player(folder: Path, troubles: Json) -> tuple[TroubledPlayer, list[httpx.Request]]:
    """A player of the healthy scenario's nodes, and what it sends."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    file = folder / "troubles.json"
    file.write_text(json.dumps(troubles))
    api = httpx.AsyncClient(base_url="http://api", transport=httpx.MockTransport(answer))
    endpoints = {node.name: Endpoint("127.0.0.1", 1) for node in TOLD.nodes}
    return TroubledPlayer(api, TOLD, endpoints, "10.244", file), sent


async def test_a_silent_node_renews_and_writes_nothing(tmp_path: Path) -> None:
    """The others go on."""
    made, sent = player(tmp_path, {"node-a": {"silent": True}})
    now = datetime.now(UTC)
    await made._act(SetStatus(pod("one", "node-a"), {}), now)
    await made._act(Remove(pod("one", "node-a")), now)
    assert sent == []
    await made._act(SetStatus(pod("two", "node-b"), {}), now)

    assert [request.url.path for request in sent] == ["/api/v1/namespaces/lab/pods/two/status"]
    assert [node.name for node in made.answering()] == ["node-b", "node-c"]


def test_a_node_without_a_network_starts_no_new_pod(tmp_path: Path) -> None:
    """A pod that it has already is not touched; one of another node comes up."""
    made, _ = player(tmp_path, {"node-a": NO_NETWORK})
    made._observe(("ADDED", pod("new", "node-a")))
    made._observe(("ADDED", pod("elsewhere", "node-b")))

    assert set(made.kubelet.pods) == {"elsewhere"}
    assert [type(action) for action in made._early] == [SetStatus, Report]


def test_why_a_pod_is_kept_waiting_is_said_once() -> None:
    """In an event, with ContainerCreating in the status; a pod that is deleted may go."""
    first, said = kept_waiting(pod("new", "node-a"), NO_NETWORK)
    assert isinstance(first, SetStatus)
    assert first.status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert isinstance(said, Report)
    assert (said.reason, said.message) == (NO_NETWORK["reason"], NO_NETWORK["message"])
    assert list(kept_waiting({**pod("new", "node-a"), "status": first.status}, NO_NETWORK)) == []
    (gone,) = kept_waiting(pod("new", "node-a", deletionTimestamp="2026-01-05T10:00:00Z"), NO_NETWORK)
    assert isinstance(gone, Remove)


async def asked(made: TroubledPlayer, path: str, **query: str) -> Json:
    """What the played metrics-server answers."""
    answer: Answer = await Metrics(made.kubelet).answer(Request(f"/apis/metrics.k8s.io/v1beta1{path}", query, {}, None))
    assert (answer.status, answer.content_type) == (200, "application/json")
    return dict(json.loads(answer.body))


async def test_figures_are_of_pods_whose_containers_all_run(tmp_path: Path) -> None:
    """By namespace and by label; a node's figure holds its pods'."""
    made, _ = player(tmp_path, {})
    for name in ("one", "two"):
        made._observe(("ADDED", pod(name, "node-a")))
    assert (await asked(made, "/namespaces/lab/pods"))["items"] == []
    while due := made.kubelet.due(datetime.now(UTC)):
        list(made.kubelet.step(due))

    assert [item["metadata"]["name"] for item in (await asked(made, "/pods"))["items"]] == ["one", "two"]
    (two,) = (await asked(made, "/namespaces/lab/pods", labelSelector="app=two"))["items"]
    assert two["containers"][0]["usage"]["cpu"] == "60m"
    assert (await asked(made, "/namespaces/shop/pods"))["items"] == []
    nodes = {item["metadata"]["name"]: item["usage"]["cpu"] for item in (await asked(made, "/nodes"))["items"]}
    assert nodes == {"node-a": "220m", "node-b": "100m", "node-c": "100m"}
    assert {kind["name"] for kind in (await asked(made, ""))["resources"]} == {"pods", "nodes"}
