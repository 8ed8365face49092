"""Deployments: rolling within surge and availability, revisions, undo, deadlines, scale."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.controllers.common import active, is_ready
from skyflo_runbooks.practice.kinds import DEPLOYMENT, POD
from skyflo_runbooks.practice.store import Author, Change
from skyflo_runbooks.practice.writing import apply_manifest
from tests.practice.client import MERGE, STRATEGIC, Client, client_of, deployment, small

DEPLOYMENTS = "/apis/apps/v1/namespaces/lab/deployments"
APP = f"{DEPLOYMENTS}/app"
SETS = "/apis/apps/v1/namespaces/lab/replicasets"
SECOND = """
  - image: app:v2
    memory: {start: 20Mi, peak: 40Mi, peak_after: 2s}
    port: 8080
    replies: [{path: /ok, body: two}]
"""
PROBE = {"readinessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1}}


def two_versions() -> Client:
    """Return a cluster whose registry has app:v1 and app:v2."""
    return client_of(PracticeCluster(small(SECOND, nodes="[{name: node-a}, {name: node-b}]")))


def image(name: str) -> Json:
    """Return the patch that sets the image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": name}]}}}}


def condition(obj: Json, kind: str) -> Json:
    """Return one condition."""
    found: Json = next(item for item in obj["status"]["conditions"] if item["type"] == kind)
    return found


async def revisions(client: Client) -> dict[int, tuple[int, str]]:
    """Return each revision's size and image."""
    return {
        int(item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]): (
            item["spec"]["replicas"],
            item["spec"]["template"]["spec"]["containers"][0]["image"],
        )
        for item in await client.items(SETS)
    }


async def test_a_rollout_completes_and_says_so() -> None:
    """Status counts agree, conditions name the ReplicaSet, old pods are gone."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment(replicas=3, container=PROBE))
    await client.advance(10)
    await client.patch(APP, image("app:v2"))
    await client.advance(30)
    done = await client.get(APP)
    status = done["status"]
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]
    assert counts == [3, 3, 3, 3]
    assert "unavailableReplicas" not in status
    assert status["observedGeneration"] == done["metadata"]["generation"]
    new = next(item for item in await client.items(SETS) if item["spec"]["replicas"])
    assert (
        condition(done, "Progressing")["message"]
        == f'ReplicaSet "{new["metadata"]["name"]}" has successfully progressed.'
    )
    assert condition(done, "Available")["reason"] == "MinimumReplicasAvailable"
    assert {pod["spec"]["containers"][0]["image"] for pod in await client.pods("lab")} == {"app:v2"}
    assert await revisions(client) == {1: (0, "app:v1"), 2: (3, "app:v2")}


@given(
    replicas=st.integers(1, 6),
    surge=st.sampled_from([0, 1, 2, "25%", "50%", "100%"]),
    unavailable=st.sampled_from([0, 1, 2, "25%", "50%", "100%"]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_rollout_never_leaves_its_bounds(replicas: int, surge: int | str, unavailable: int | str) -> None:
    """At no moment are there more pods than allowed, nor fewer ready ones; and it always completes."""
    if str(surge) in {"0", "0%"} and str(unavailable) in {"0", "0%"}:
        return
    cluster = PracticeCluster(small(SECOND))
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    manifest = deployment(
        replicas=replicas, container=PROBE, strategy={"type": "RollingUpdate", "rollingUpdate": bounds}
    )
    author = Author("tests")
    apply_manifest(cluster.store, manifest, author)
    cluster.play(20)
    most = replicas + (surge if isinstance(surge, int) else -(-replicas * int(surge[:-1]) // 100))
    down = unavailable if isinstance(unavailable, int) else replicas * int(unavailable[:-1]) // 100
    least = replicas - (max(1, down) if most == replicas else down)

    def look(change: Change) -> None:
        if change.kind is POD:
            pods = [pod for pod in cluster.store.list(POD, "lab") if active(pod)]
            assert len(pods) <= most
            assert sum(is_ready(pod) for pod in pods) >= least

    cluster.store.listeners.append(look)
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "app:v2"
    apply_manifest(cluster.store, manifest, author)
    cluster.play(120)
    status = cluster.store.get(DEPLOYMENT, "lab", "app")["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == replicas


async def test_undo_brings_the_old_replica_set_back_under_a_new_number() -> None:
    """Revision 1 becomes 3, as kubectl rollout undo shows."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment(replicas=2))
    await client.advance(10)
    await client.patch(APP, image("app:v2"))
    await client.advance(20)
    await client.patch(APP, image("app:v1"))
    await client.advance(20)
    assert await revisions(client) == {3: (2, "app:v1"), 2: (0, "app:v2")}
    back = next(item for item in await client.items(SETS) if item["spec"]["replicas"])
    assert back["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


async def test_old_revisions_are_kept_up_to_the_limit() -> None:
    """revisionHistoryLimit."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment(revisionHistoryLimit=1))
    for value in ("a", "b", "c"):
        await client.patch(APP, {"spec": {"template": {"metadata": {"annotations": {"x": value}}}}})
        await client.advance(15)
    assert len(await client.items(SETS)) == 2


async def test_a_stuck_rollout_keeps_the_old_pods_and_passes_its_deadline() -> None:
    """Availability holds; after progressDeadlineSeconds the condition says so; a repair clears it."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment(replicas=3, container=PROBE, progressDeadlineSeconds=60))
    await client.advance(10)
    await client.patch(APP, image("app:none"))
    await client.advance(50)
    assert condition(await client.get(APP), "Progressing")["status"] == "True"
    await client.advance(20)
    stuck = await client.get(APP)
    assert (condition(stuck, "Progressing")["status"], condition(stuck, "Progressing")["reason"]) == (
        "False",
        "ProgressDeadlineExceeded",
    )
    assert condition(stuck, "Progressing")["message"].endswith("has timed out progressing.")
    assert stuck["status"]["availableReplicas"] == 3
    await client.patch(APP, image("app:v2"))
    await client.advance(30)
    assert condition(await client.get(APP), "Progressing")["reason"] == "NewReplicaSetAvailable"


async def test_recreate_stops_the_old_pods_first() -> None:
    """Old and new never run together."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment(replicas=2, strategy={"type": "Recreate"}))
    await client.advance(10)
    together: list[set[str]] = []

    def look(change: Change) -> None:
        together.append({pod["spec"]["containers"][0]["image"] for pod in client.cluster.store.list(POD, "lab")})

    client.cluster.store.listeners.append(look)
    await client.patch(APP, image("app:v2"))
    await client.advance(60)
    assert {"app:v1", "app:v2"} not in together
    assert together[-1] == {"app:v2"}


async def test_a_paused_deployment_waits() -> None:
    """Nothing rolls until it is resumed."""
    client = two_versions()
    await client.create(DEPLOYMENTS, deployment())
    await client.advance(10)
    await client.patch(APP, {"spec": {"paused": True}})
    await client.patch(APP, image("app:v2"))
    await client.advance(30)
    assert await revisions(client) == {1: (1, "app:v1")}
    await client.patch(APP, {"spec": {"paused": False}})
    await client.advance(30)
    assert await revisions(client) == {1: (0, "app:v1"), 2: (1, "app:v2")}


@pytest.mark.parametrize("replicas", [0, 1, 5])
async def test_scale(bench: Client, replicas: int) -> None:
    """Through the scale subresource, up and down; the Scale shows selector and counts."""
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(10)
    asked = await bench.patch(f"{APP}/scale", {"spec": {"replicas": replicas}}, MERGE)
    assert (asked["kind"], asked["spec"]["replicas"]) == ("Scale", replicas)
    await bench.advance(40)
    shown = await bench.get(f"{APP}/scale")
    assert (shown["status"]["replicas"], shown["status"]["selector"]) == (replicas, "app=app")
    assert len(await bench.pods("lab")) == replicas


async def test_a_negative_scale_is_refused(bench: Client) -> None:
    """422."""
    await bench.create(DEPLOYMENTS, deployment())
    assert (await bench.refused("PATCH", f"{APP}/scale", {"spec": {"replicas": -1}}, MERGE))["code"] == 422


async def test_a_restart_annotation_replaces_the_pods(bench: Client) -> None:
    """What kubectl rollout restart does."""
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(10)
    before = {pod["metadata"]["uid"] for pod in await bench.pods("lab")}
    note = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    await bench.patch(APP, {"spec": {"template": {"metadata": {"annotations": note}}}}, STRATEGIC)
    await bench.advance(40)
    after = {pod["metadata"]["uid"] for pod in await bench.pods("lab")}
    assert len(after) == 2
    assert not before & after


async def test_a_lost_pod_is_replaced(bench: Client) -> None:
    """The ReplicaSet makes another, and reports both."""
    await bench.create(DEPLOYMENTS, deployment())
    await bench.advance(10)
    lost = (await bench.pods("lab"))[0]["metadata"]["name"]
    await bench.send("DELETE", f"/api/v1/namespaces/lab/pods/{lost}")
    await bench.advance(10)
    pods = await bench.pods("lab")
    assert len(pods) == 1
    assert pods[0]["metadata"]["name"] != lost


async def test_deleting_a_deployment_takes_everything_with_it(bench: Client) -> None:
    """Background deletion; the foreground form is played as it."""
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(10)
    await bench.send("DELETE", APP, {"propagationPolicy": "Background"})
    await bench.advance(40)
    assert await bench.items(SETS) == []
    assert await bench.pods("lab") == []


async def test_orphans_stay(bench: Client) -> None:
    """propagationPolicy Orphan keeps the ReplicaSet and its pods, without an owner."""
    await bench.create(DEPLOYMENTS, deployment())
    await bench.advance(10)
    await bench.send("DELETE", APP, {"propagationPolicy": "Orphan"})
    await bench.advance(20)
    left = (await bench.items(SETS))[0]
    assert at(left, "metadata", "ownerReferences", default=[]) == []
    assert len(await bench.pods("lab")) == 1
