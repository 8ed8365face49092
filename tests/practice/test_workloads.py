"""StatefulSets, Jobs, quotas, scheduling, Services and namespaces."""

from __future__ import annotations

import pytest

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from tests.practice.client import MERGE, Client, client_of, deployment, pod, small

PODS = "/api/v1/namespaces/lab/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/lab/deployments"
SETS = "/apis/apps/v1/namespaces/lab/statefulsets"
JOBS = "/apis/batch/v1/namespaces/lab/jobs"
TASKS = """
  - image: task:v1
    memory: {start: 1Mi, peak: 1Mi}
    exit: {after: 2s, code: 0}
  - image: crash:v1
    memory: {start: 1Mi, peak: 1Mi}
    exit: {after: 1s, code: 3}
"""


def names(items: list[Json]) -> list[str]:
    """Return the names of objects."""
    return [item["metadata"]["name"] for item in items]


# StatefulSets


def stateful(replicas: int) -> Json:
    """Return a StatefulSet."""
    body = deployment("db", replicas=replicas, serviceName="db")
    return {**body, "kind": "StatefulSet"}


async def test_a_stateful_set_starts_in_order(bench: Client) -> None:
    """The second pod waits for the first to be ready."""
    await bench.create(SETS, stateful(3))
    assert names(await bench.pods("lab")) == ["db-0"]
    await bench.advance(1.2)
    assert names(await bench.pods("lab")) == ["db-0", "db-1"]
    await bench.advance(10)
    status = (await bench.get(f"{SETS}/db"))["status"]
    assert (status["readyReplicas"], status["updatedReplicas"]) == (3, 3)
    assert status["currentRevision"] == status["updateRevision"]


async def test_a_stateful_set_shrinks_from_the_end(bench: Client) -> None:
    """db-2 goes first."""
    await bench.create(SETS, stateful(3))
    await bench.advance(20)
    await bench.patch(f"{SETS}/db/scale", {"spec": {"replicas": 1}}, MERGE)
    await bench.advance(0.2)
    going = [item["metadata"]["name"] for item in await bench.pods("lab") if item["metadata"].get("deletionTimestamp")]
    assert going == ["db-2"]
    await bench.advance(10)
    assert names(await bench.pods("lab")) == ["db-0"]


async def test_a_stateful_set_keeps_names_when_it_is_updated() -> None:
    """From the last to the first, each ready before the next."""
    client = client_of(
        PracticeCluster(small(TASKS.replace("task:v1", "app:v2").replace("exit: {after: 2s, code: 0}", "")))
    )
    await client.create(SETS, stateful(2))
    await client.advance(20)
    await client.patch(
        f"{SETS}/db", {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:v2"}]}}}}
    )
    await client.advance(60)
    pods = await client.pods("lab")
    assert names(pods) == ["db-0", "db-1"]
    assert {item["spec"]["containers"][0]["image"] for item in pods} == {"app:v2"}


async def test_a_stateful_sets_selector_cannot_move(bench: Client) -> None:
    """Only the fields that the server names may change."""
    await bench.create(SETS, stateful(1))
    status = await bench.refused("PATCH", f"{SETS}/db", {"spec": {"serviceName": "other"}}, MERGE)
    assert "updates to statefulset spec for fields other than" in status["message"]


# Jobs


def job(image: str, **spec: object) -> Json:
    """Return a Job."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "task", "image": image}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once"},
        "spec": {"template": template, **spec},
    }


async def test_a_job_completes() -> None:
    """Its pod succeeds once, and the Job says Complete."""
    client = client_of(PracticeCluster(small(TASKS)))
    await client.create(JOBS, job("task:v1", completions=2))
    await client.advance(30)
    status = (await client.get(f"{JOBS}/once"))["status"]
    assert status["succeeded"] == 2
    assert [item["type"] for item in status["conditions"]] == ["Complete"]
    assert (await client.shown(JOBS))[0][1:3] == ["Complete", "2/2"]


async def test_a_job_gives_up() -> None:
    """After backoffLimit failures it says BackoffLimitExceeded."""
    client = client_of(PracticeCluster(small(TASKS)))
    await client.create(JOBS, job("crash:v1", backoffLimit=2))
    await client.advance(15)
    assert "conditions" not in (await client.get(f"{JOBS}/once"))["status"]
    await client.advance(120)
    status = (await client.get(f"{JOBS}/once"))["status"]
    assert status["failed"] == 3
    assert [(item["type"], item["reason"]) for item in status["conditions"]] == [("Failed", "BackoffLimitExceeded")]


async def test_a_job_needs_a_restart_policy(bench: Client) -> None:
    """Always is none of its own."""
    body = job("app:v1")
    del body["spec"]["template"]["spec"]["restartPolicy"]
    status = await bench.refused("POST", JOBS, body)
    assert 'Unsupported value: "Always": supported values: "OnFailure", "Never"' in status["message"]


# Quotas and limits


def quota(**hard: str) -> Json:
    """Return a ResourceQuota; underscores stand for dots."""
    return {
        "metadata": {"name": "most"},
        "spec": {"hard": {key.replace("_", "."): value for key, value in hard.items()}},
    }


async def test_a_quota_refuses_what_is_too_much(bench: Client) -> None:
    """403 with requested, used and limited."""
    await bench.create("/api/v1/namespaces/lab/resourcequotas", quota(requests_memory="1Gi"))
    resources = {"resources": {"requests": {"memory": "700Mi"}}}
    await bench.create(PODS, pod("one", container=resources))
    status = await bench.refused("POST", PODS, pod("two", container=resources))
    assert status["message"] == (
        'pods "two" is forbidden: exceeded quota: most, requested: requests.memory=700Mi, used: requests.memory=700Mi, '
        "limited: requests.memory=1Gi"
    )
    assert (await bench.get("/api/v1/namespaces/lab/resourcequotas/most"))["status"]["used"] == {
        "requests.memory": "700Mi"
    }


async def test_a_quota_asks_for_what_it_counts(bench: Client) -> None:
    """A pod without the request is refused."""
    await bench.create("/api/v1/namespaces/lab/resourcequotas", quota(limits_memory="1Gi"))
    status = await bench.refused("POST", PODS, pod())
    assert status["message"] == 'pods "one" is forbidden: failed quota: most: must specify limits.memory for: app'


async def test_a_replica_set_reports_that_a_quota_refused_it(bench: Client) -> None:
    """FailedCreate on the ReplicaSet, ReplicaFailure on the Deployment; with room it goes on."""
    await bench.create("/api/v1/namespaces/lab/resourcequotas", quota(pods="1"))
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(5)
    failed = [event for event in await bench.events("lab") if event["reason"] == "FailedCreate"]
    assert "exceeded quota: most, requested: pods=1, used: pods=1, limited: pods=1" in failed[0]["message"]
    conditions = {item["type"]: item for item in (await bench.get(f"{DEPLOYMENTS}/app"))["status"]["conditions"]}
    assert conditions["ReplicaFailure"]["reason"] == "FailedCreate"
    await bench.patch("/api/v1/namespaces/lab/resourcequotas/most", {"spec": {"hard": {"pods": "5"}}}, MERGE)
    await bench.advance(40)
    assert len(await bench.pods("lab")) == 2
    conditions = {item["type"]: item for item in (await bench.get(f"{DEPLOYMENTS}/app"))["status"]["conditions"]}
    assert "ReplicaFailure" not in conditions


async def test_a_limit_range_fills_in_and_refuses(bench: Client) -> None:
    """Defaults for who says nothing, a maximum for who asks too much."""
    item = {"type": "Container", "default": {"memory": "64Mi"}, "max": {"memory": "128Mi"}}
    await bench.create(
        "/api/v1/namespaces/lab/limitranges", {"metadata": {"name": "range"}, "spec": {"limits": [item]}}
    )
    made = await bench.create(PODS, pod())
    assert at(made, "spec", "containers", 0, "resources", "limits") == {"memory": "64Mi"}
    status = await bench.refused("POST", PODS, pod("two", container={"resources": {"limits": {"memory": "1Gi"}}}))
    assert status["message"] == (
        'pods "two" is forbidden: maximum memory usage per Container is 128Mi, but limit is 1Gi'
    )


# Scheduling


NODES = """[{name: big, cpu: "8", memory: 16Gi, labels: {disk: ssd}},
 {name: small, cpu: "1", memory: 1Gi, pods: 2},
 {name: master, taints: [{key: node-role.kubernetes.io/control-plane, effect: NoSchedule}]},
 {name: shut, unschedulable: true}]"""


@pytest.mark.parametrize(
    ("spec", "cpu", "said"),
    [
        (
            {},
            "100",
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, "
            "2 Insufficient cpu. no new claims to deallocate, preemption: 0/4 nodes are available: "
            "4 Preemption is not helpful for scheduling.",
        ),
        (
            {"nodeSelector": {"disk": "tape"}},
            "1m",
            "0/4 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable, "
            "2 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, preemption: "
            "0/4 nodes are available: 4 Preemption is not helpful for scheduling.",
        ),
    ],
)
async def test_the_scheduler_says_why(spec: Json, cpu: str, said: str) -> None:
    """Each node counts under its first reason; nothing that evicting others would help."""
    client = client_of(PracticeCluster(small(nodes=NODES)))
    await client.create(PODS, pod(container={"resources": {"requests": {"cpu": cpu}}}, **spec))
    events = [event["message"] for event in await client.events("lab", "one") if event["reason"] == "FailedScheduling"]
    assert events == [said]


@pytest.mark.parametrize(
    ("spec", "node"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, "big"),
        ({"nodeSelector": {"kubernetes.io/hostname": "small"}}, "small"),
        (
            {
                "nodeSelector": {"kubernetes.io/hostname": "master"},
                "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
            },
            "master",
        ),
    ],
)
async def test_a_pod_goes_where_it_may(spec: Json, node: str) -> None:
    """Selectors and tolerations."""
    client = client_of(PracticeCluster(small(nodes=NODES)))
    await client.create(PODS, pod(**spec))
    assert (await client.get(f"{PODS}/one"))["spec"]["nodeName"] == node


async def test_a_pending_pod_is_placed_when_there_is_room() -> None:
    """Deleting another pod, or opening a node, is enough."""
    client = client_of(
        PracticeCluster(small(nodes="[{name: only, cpu: '2'}, {name: shut, cpu: '2', unschedulable: true}]"))
    )
    wants = {"resources": {"requests": {"cpu": "1500m"}}}
    for name in ("one", "two", "three"):
        await client.create(PODS, pod(name, container=wants))
    assert [at(item, "spec", "nodeName") for item in await client.pods("lab")] == ["only", None, None]
    await client.patch("/api/v1/nodes/shut", {"spec": {"unschedulable": None}}, MERGE)
    placed = [at(item, "spec", "nodeName") for item in await client.pods("lab")]
    assert sorted(placed, key=str) == [None, "only", "shut"]
    await client.send("DELETE", f"{PODS}/one")
    await client.advance(5)
    assert None not in [at(item, "spec", "nodeName") for item in await client.pods("lab")]


# Services and namespaces


async def test_a_service_leads_to_ready_pods_only(bench: Client) -> None:
    """Those not ready are listed apart; a named port is looked up in the pod."""
    ports = [{"name": "web", "containerPort": 8080}]
    sick = {"readinessProbe": {"httpGet": {"path": "/sick", "port": 8080}}, "ports": ports}
    await bench.create(PODS, pod("well", container={"ports": ports}))
    await bench.create(PODS, pod("sick", container=sick))
    for name in ("well", "sick"):
        await bench.patch(f"{PODS}/{name}", {"metadata": {"labels": {"tier": "web"}}}, MERGE)
    service = {
        "metadata": {"name": "web"},
        "spec": {"selector": {"tier": "web"}, "ports": [{"port": 80, "targetPort": "web"}]},
    }
    await bench.create("/api/v1/namespaces/lab/services", service)
    await bench.advance(5)
    subset = (await bench.get("/api/v1/namespaces/lab/endpoints/web"))["subsets"][0]
    assert [item["targetRef"]["name"] for item in subset["addresses"]] == ["well"]
    assert [item["targetRef"]["name"] for item in subset["notReadyAddresses"]] == ["sick"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert (await bench.http.get("/api/v1/namespaces/lab/services/web/proxy/ok")).text == "fine"


async def test_a_deleted_service_takes_its_endpoints(bench: Client) -> None:
    """Endpoints and slices go with it."""
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}
    await bench.create("/api/v1/namespaces/lab/services", service)
    assert names(await bench.items("/api/v1/namespaces/lab/endpoints")) == ["web"]
    await bench.send("DELETE", "/api/v1/namespaces/lab/services/web")
    assert await bench.items("/api/v1/namespaces/lab/endpoints") == []
    assert await bench.items("/apis/discovery.k8s.io/v1/namespaces/lab/endpointslices") == []


async def test_a_namespace_goes_with_all_that_is_in_it(bench: Client) -> None:
    """Terminating while pods stop, and nothing new may be created; then gone."""
    await bench.create(DEPLOYMENTS, deployment())
    await bench.advance(5)
    await bench.send("DELETE", "/api/v1/namespaces/lab")
    assert (await bench.get("/api/v1/namespaces/lab"))["status"]["phase"] == "Terminating"
    status = await bench.refused("POST", "/api/v1/namespaces/lab/configmaps", {"metadata": {"name": "late"}})
    assert "because it is being terminated" in status["message"]
    await bench.advance(40)
    assert "lab" not in names(await bench.items("/api/v1/namespaces"))
    assert await bench.items("/api/v1/pods") == []
