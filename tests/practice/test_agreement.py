"""The practice cluster's API answers as the real API server does: the same requests, the same answers.

Each request goes to both; code, reason, message and, where it is accepted, the object that comes back are compared.
Left out are what a server allots (uid, version, times, addresses, managed fields) and what no scenario looks at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.kubelet import node_object
from tests.control_plane.fixtures import control_plane
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until
from tests.practice.client import JSON_PATCH, MERGE, STRATEGIC, Client, client_of, deployment, pod, small
from tests.practice.test_workloads import NODES

__all__ = ["control_plane"]
pytestmark = pytest.mark.control_plane

MAPS = "/api/v1/namespaces/lab/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/lab/deployments"
PODS = "/api/v1/namespaces/lab/pods"
SERVICES = "/api/v1/namespaces/lab/services"
ALLOTTED = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "clusterIP", "clusterIPs", "selfLink"}
# What controllers add at a moment of their own.
ALLOTTED |= {"deployment.kubernetes.io/revision", "generation"}
# The service account's token volume, which only a real server mounts.
TOKEN = "kube-api-access-"


@dataclass(frozen=True)
class Ask:
    """One request; `first` are made before it, on both."""

    name: str
    method: str
    path: str
    body: object = None
    content: str = "application/json"
    query: dict[str, str] = field(default_factory=dict)
    first: tuple[tuple[str, Json], ...] = ()


def bad(**container: object) -> Json:
    """Return a Deployment whose container is changed."""
    return deployment(container=dict(container))


SETTINGS: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}
FULL = deployment(
    container={
        "resources": {"limits": {"memory": "1024Mi", "cpu": "0.5"}, "requests": {"memory": "128Mi"}},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ok", "port": "http"}},
    }
)
TOO_MUCH = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}
CHANGED = {"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}}
MADE = (DEPLOYMENTS, FULL)
HELD = (MAPS, SETTINGS)
DRY = {"dryRun": "All"}

ASKS = [
    Ask("create a Deployment", "POST", DEPLOYMENTS, FULL),
    Ask("create a Deployment dry", "POST", DEPLOYMENTS, FULL, query=DRY),
    Ask("create a pod", "POST", PODS, pod(container={"resources": {"limits": {"memory": "64Mi"}}})),
    Ask("create a Service", "POST", SERVICES, SERVICE),
    Ask("create a ConfigMap", "POST", MAPS, SETTINGS),
    Ask("create again", "POST", MAPS, SETTINGS, first=(HELD,)),
    Ask("get what is not there", "GET", f"{DEPLOYMENTS}/none"),
    Ask("get from no namespace", "GET", "/api/v1/namespaces/nowhere/pods/x"),
    Ask("create in no namespace", "POST", "/api/v1/namespaces/nowhere/configmaps", SETTINGS),
    Ask("negative replicas", "POST", DEPLOYMENTS, deployment(replicas=-1)),
    Ask("requests over limits", "POST", DEPLOYMENTS, bad(resources=TOO_MUCH)),
    Ask("no image", "POST", DEPLOYMENTS, bad(image="")),
    Ask("bad container name", "POST", DEPLOYMENTS, bad(name="Bad_Name")),
    Ask("unknown mount", "POST", DEPLOYMENTS, bad(volumeMounts=[{"name": "v", "mountPath": "/x"}])),
    Ask("port out of range", "POST", DEPLOYMENTS, bad(ports=[{"containerPort": 70000}])),
    Ask("bad quantity", "POST", DEPLOYMENTS, bad(resources={"limits": {"memory": "512 Megs"}})),
    Ask("replicas as text", "POST", DEPLOYMENTS, deployment(replicas="three")),  # type: ignore[arg-type]
    Ask("unknown field, strict", "POST", DEPLOYMENTS, bad(imag="x"), query={"fieldValidation": "Strict"}),
    Ask("bad name", "POST", MAPS, {**SETTINGS, "metadata": {"name": "Upper"}}),
    Ask("bad label", "POST", MAPS, {**SETTINGS, "metadata": {"name": "a", "labels": {"x": "-"}}}),
    Ask("no ports", "POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}}}),
    Ask("other namespace", "POST", MAPS, {**SETTINGS, "metadata": {"name": "a", "namespace": "other"}}),
    Ask("other kind", "POST", MAPS, {**SETTINGS, "kind": "Service", "data": {}}),
    Ask(
        "failing test",
        "PATCH",
        f"{DEPLOYMENTS}/app",
        [{"op": "test", "path": "/spec/replicas", "value": 7}],
        JSON_PATCH,
        first=(MADE,),
    ),
    Ask(
        "missing path",
        "PATCH",
        f"{DEPLOYMENTS}/app",
        [{"op": "remove", "path": "/spec/nothing"}],
        JSON_PATCH,
        first=(MADE,),
    ),
    Ask(
        "replace replicas",
        "PATCH",
        f"{DEPLOYMENTS}/app",
        [{"op": "replace", "path": "/spec/replicas", "value": 3}],
        JSON_PATCH,
        query=DRY,
        first=(MADE,),
    ),
    Ask("immutable selector", "PATCH", f"{DEPLOYMENTS}/app", CHANGED, STRATEGIC, first=(MADE,)),
    Ask(
        "limit by strategic merge",
        "PATCH",
        f"{DEPLOYMENTS}/app",
        {
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "name": "app",
                                "resources": {"limits": {"memory": "512Mi"}},
                                "env": [{"name": "A", "$patch": "delete"}, {"name": "C", "value": "3"}],
                            }
                        ]
                    }
                }
            }
        },
        STRATEGIC,
        query=DRY,
        first=(MADE,),
    ),
    Ask("null by merge patch", "PATCH", f"{MAPS}/settings", {"data": {"a": None, "b": "2"}}, MERGE, first=(HELD,)),
    Ask(
        "stale version",
        "PATCH",
        f"{MAPS}/settings",
        {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}},
        MERGE,
        first=(HELD,),
    ),
    Ask(
        "wrong uid",
        "PATCH",
        f"{MAPS}/settings",
        {"metadata": {"uid": "other"}, "data": {"a": "2"}},
        MERGE,
        first=(HELD,),
    ),
    Ask("scale", "PATCH", f"{DEPLOYMENTS}/app/scale", {"spec": {"replicas": 2}}, MERGE, query=DRY, first=(MADE,)),
    Ask("negative scale", "PATCH", f"{DEPLOYMENTS}/app/scale", {"spec": {"replicas": -1}}, MERGE, first=(MADE,)),
    Ask("delete with another uid", "DELETE", f"{MAPS}/settings", {"preconditions": {"uid": "another"}}, first=(HELD,)),
    Ask("delete dry", "DELETE", f"{MAPS}/settings", {"dryRun": ["All"]}, first=(HELD,)),
    Ask("delete", "DELETE", f"{MAPS}/settings", {"kind": "DeleteOptions"}, query=DRY, first=(HELD,)),
    Ask("delete what is not there", "DELETE", f"{MAPS}/none"),
    Ask("unsupported field selector", "GET", PODS, query={"fieldSelector": "spec.color=red"}),
    Ask("log of nothing", "GET", f"{PODS}/none/log"),
    Ask(
        "pod's fixed fields",
        "PATCH",
        f"{PODS}/one",
        {"spec": {"containers": [{"name": "app", "args": ["x"]}]}},
        STRATEGIC,
        first=((PODS, pod()),),
    ),
    Ask("wrong dry run", "POST", MAPS, SETTINGS, query={"dryRun": "yes"}),
]


def compared(answer: httpx.Response) -> Json:
    """Return what of an answer must agree."""
    body: Json = answer.json()
    if body.get("kind") == "Status":
        # The real server goes on with a dump of Go structs in some; the first line says it.
        message = str(body.get("message", "")).partition("\n")[0]
        message = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", message)
        return {"code": answer.status_code, "status": body["status"], "reason": body.get("reason"), "message": message}
    return {"code": answer.status_code, "object": _bare(body)}


def _bare(value: Any) -> Any:
    if isinstance(value, list):
        return [
            _bare(item)
            for item in value
            if not (isinstance(item, dict) and str(item.get("name", "")).startswith(TOKEN))
        ]
    if not isinstance(value, dict):
        return value
    kept = {key: _bare(item) for key, item in value.items() if key not in ALLOTTED and key not in {"status"}}
    # An empty list is what is left of the token's volume and mount.
    return {key: item for key, item in kept.items() if item not in ([], {}, None)}


@pytest.mark.parametrize("ask", ASKS, ids=lambda ask: ask.name.replace(" ", "-"))
async def test_both_give_the_same_answer(ask: Ask, control_plane: ControlPlane, bench: Client) -> None:
    """Code, reason and message; the object without what a server allots."""
    with control_plane.http() as real:
        real.post("/api/v1/namespaces", json={"metadata": {"name": "lab"}})
        _wait_for_account(real)
        for path in (DEPLOYMENTS, PODS, MAPS):
            real.delete(path, params={"gracePeriodSeconds": "0"})
        real.delete(f"{SERVICES}/web")
        for path, body in ask.first:
            assert real.post(path, json=body).status_code == 201
        raw = None if ask.body is None else json.dumps(ask.body)
        expected = real.request(
            ask.method, ask.path, content=raw, params=ask.query, headers={"content-type": ask.content}
        )
    for path, body in ask.first:
        await bench.create(path, body)
    answer = await bench.send(ask.method, ask.path, ask.body, ask.content, **ask.query)
    assert compared(answer) == compared(expected)


WAITING = [
    pod("asks-too-much", container={"resources": {"requests": {"cpu": "100"}}}),
    pod("wants-tape", nodeSelector={"disk": "tape"}),
    pod("first", container={"resources": {"requests": {"cpu": "7"}}}),
    pod("comes-late", container={"resources": {"requests": {"cpu": "7"}}}),
]


async def test_both_schedulers_say_the_same(control_plane: ControlPlane) -> None:
    """The same nodes and pods: bound to the same node, or refused with the same words."""
    scenario = small(nodes=NODES)
    bench = client_of(PracticeCluster(scenario))
    with control_plane.http() as real:
        real.post("/api/v1/namespaces", json={"metadata": {"name": "lab"}})
        _wait_for_account(real)
        try:
            for node in scenario.nodes:
                made = node_object(node, "10.0.0.1", stamp(datetime.now(UTC)), {})
                # Real ranges are given by a controller.
                made["spec"].pop("podCIDR")
                real.post("/api/v1/nodes", json=made).raise_for_status()
                status = f"/api/v1/nodes/{node.name}/status"
                real.patch(status, json={"status": made["status"]}, headers={"content-type": MERGE}).raise_for_status()
            wait_until("the nodes", lambda: _no_node_waits(real), within=30)
            for body in WAITING:
                real.post(PODS, json=body).raise_for_status()
                wait_until("the scheduler", partial(_seen, real, body["metadata"]["name"]), within=30)
            for body in WAITING:
                await bench.create(PODS, body)
                name = body["metadata"]["name"]
                played = {e["message"] for e in await bench.events("lab", name) if "eventTime" in e and not e["source"]}
                assert played == _scheduled(real, name)
        finally:
            real.delete(PODS, params={"gracePeriodSeconds": "0"})
            real.delete("/api/v1/nodes")


def _no_node_waits(real: httpx.Client) -> bool:
    """Return whether the node controller has taken every node for ready."""
    nodes: list[Json] = real.get("/api/v1/nodes").json()["items"]
    return not any("not-ready" in taint["key"] for node in nodes for taint in node["spec"].get("taints", []))


def _seen(real: httpx.Client, name: str) -> bool:
    """Return whether the real scheduler has said something about a pod."""
    return bool(_scheduled(real, name))


def _scheduled(real: httpx.Client, name: str) -> set[str]:
    """Return what the real scheduler said about a pod."""
    query = {"fieldSelector": f"involvedObject.name={name},reportingComponent=default-scheduler"}
    return {event["message"] for event in real.get("/api/v1/namespaces/lab/events", params=query).json()["items"]}


def _wait_for_account(real: httpx.Client) -> None:
    """Wait until the namespace takes pods."""
    path = "/api/v1/namespaces/lab/serviceaccounts/default"
    wait_until("the default service account", lambda: real.get(path).status_code == 200, within=30)
