"""The flagship incident, from its staging to both of its endings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import parse
from tests.practice.client import Client

PODS = "/api/v1/namespaces/checkout/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/checkout/deployments/payment-service"
CHECKOUT = "/api/v1/namespaces/checkout/services/payment-service:80/proxy/checkout"
METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/checkout/pods"
MEBI = 2**20


def limit(memory: str) -> Json:
    """Return the patch that sets the memory limit."""
    container = {"name": "payment-service", "resources": {"limits": {"memory": memory}}}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


async def payment_pods(client: Client) -> list[Json]:
    """Return the payment-service pods."""
    return await client.pods("checkout", "app=payment-service")


async def test_two_of_three_pods_crash_loop_with_fourteen_restarts_in_all(flagship: Client) -> None:
    """Two pods wait in back-off, the third runs; the restarts of the three add up to 14."""
    statuses = [pod["status"]["containerStatuses"][0] for pod in await payment_pods(flagship)]
    waiting = [at(status, "state", "waiting", "reason") for status in statuses]
    assert sorted(waiting, key=str) == ["CrashLoopBackOff", "CrashLoopBackOff", None]
    assert sum(status["restartCount"] for status in statuses) == 14
    assert all(at(status, "lastState", "terminated", "reason") == "OOMKilled" for status in statuses)
    assert all(at(status, "lastState", "terminated", "exitCode") == 137 for status in statuses)


async def test_the_back_off_message_is_the_kubelets(flagship: Client) -> None:
    """The waiting message names delay, container, pod, namespace and uid as a real kubelet does."""
    crashing = [
        pod for pod in await payment_pods(flagship) if at(pod, "status", "containerStatuses", 0, "state", "waiting")
    ]
    for pod in crashing:
        meta = pod["metadata"]
        message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
        where = f"pod={meta['name']}_checkout({meta['uid']})"
        assert message == f"back-off 5m0s restarting failed container=payment-service {where}"


async def test_the_release_is_22_minutes_old_and_the_one_before_is_kept(flagship: Client) -> None:
    """The newer ReplicaSet was made 22 minutes ago; the older one is empty and holds the former image."""
    sets = await flagship.items("/apis/apps/v1/namespaces/checkout/replicasets", labelSelector="app=payment-service")
    old, new = sorted(sets, key=lambda item: int(item["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    now = flagship.cluster.clock.now()
    assert now - parse(new["metadata"]["creationTimestamp"]) < timedelta(minutes=22, seconds=2)
    assert old["spec"]["replicas"] == 0
    images = [item["spec"]["template"]["spec"]["containers"][0]["image"] for item in (old, new)]
    assert images == ["payment-svc:v2.4.0", "payment-svc:v2.4.1"]


async def test_customers_get_500_while_fewer_than_two_pods_are_ready(flagship: Client) -> None:
    """The Service answers 500 through the proxy, and the storefront that calls it 502."""
    assert (await flagship.http.get(CHECKOUT)).status_code == 500
    shop = await flagship.http.get("/api/v1/namespaces/checkout/services/storefront:80/proxy/checkout")
    assert shop.status_code == 502


async def test_nobody_can_see_what_the_process_needs(flagship: Client) -> None:
    """Usage shows the running pod only, and never above the limit."""
    listed = await flagship.items(METRICS, labelSelector="app=payment-service")
    assert len(listed) == 1
    assert int(listed[0]["containers"][0]["usage"]["memory"].removesuffix("Ki")) * 1024 <= 256 * MEBI


async def test_the_figures_hold_for_four_minutes(flagship: Client) -> None:
    """Whoever takes a few minutes to look still sees the incident as it was told."""
    await flagship.advance(240)
    statuses = [pod["status"]["containerStatuses"][0] for pod in await payment_pods(flagship)]
    assert sum(status["restartCount"] for status in statuses) == 14
    assert sum("running" in status["state"] for status in statuses) == 1


async def test_left_alone_it_goes_on_crashing(flagship: Client) -> None:
    """Time repairs nothing."""
    await flagship.advance(1800)
    statuses = [pod["status"]["containerStatuses"][0] for pod in await payment_pods(flagship)]
    assert sum(status["restartCount"] for status in statuses) > 20
    assert (await flagship.http.get(CHECKOUT)).status_code >= 500


async def test_512_mebibytes_repair_it(flagship: Client) -> None:
    """After the patch three new pods run without a restart at 340Mi, and checkout answers 200."""
    await flagship.patch(DEPLOYMENT, limit("512Mi"))
    await flagship.advance(20)
    pods = await payment_pods(flagship)
    assert len(pods) == 3
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [0, 0, 0]
    usage = await flagship.items(METRICS, labelSelector="app=payment-service")
    assert [item["containers"][0]["usage"]["memory"] for item in usage] == [f"{340 * 1024}Ki"] * 3
    assert (await flagship.http.get(CHECKOUT)).status_code == 200
    status = (await flagship.get(DEPLOYMENT))["status"]
    assert status["updatedReplicas"] == status["availableReplicas"] == status["replicas"] == 3
    assert status["observedGeneration"] == (await flagship.get(DEPLOYMENT))["metadata"]["generation"]


async def test_the_repair_lasts(flagship: Client) -> None:
    """An hour later nothing has restarted."""
    await flagship.patch(DEPLOYMENT, limit("512Mi"))
    await flagship.advance(3600)
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in await payment_pods(flagship)] == [0, 0, 0]


@pytest.mark.parametrize("memory", ["128Mi", "257Mi", "300Mi", "339Mi"])
async def test_too_little_is_killed_again(flagship: Client, memory: str) -> None:
    """Each limit below the need ends in OOMKilled again."""
    await flagship.patch(DEPLOYMENT, limit(memory))
    await flagship.advance(60)
    fresh = [
        pod
        for pod in await payment_pods(flagship)
        if at(pod, "spec", "containers", 0, "resources", "limits", "memory") == memory
    ]
    assert fresh
    for pod in fresh:
        status = pod["status"]["containerStatuses"][0]
        assert status["restartCount"] > 0
        assert at(status, "lastState", "terminated", "reason") == "OOMKilled"
    assert (await flagship.http.get(CHECKOUT)).status_code >= 500


@pytest.mark.parametrize("memory", ["340Mi", "341Mi", "1Gi"])
async def test_enough_is_enough(flagship: Client, memory: str) -> None:
    """Each limit that holds the need repairs it."""
    await flagship.patch(DEPLOYMENT, limit(memory))
    await flagship.advance(60)
    assert (await flagship.http.get(CHECKOUT)).status_code == 200


async def test_the_quota_has_room(flagship: Client) -> None:
    """The quota's use is computed: doubling the limit fits, and 4Gi of requests were granted in all."""
    quota = await flagship.get("/api/v1/namespaces/checkout/resourcequotas/checkout-quota")
    assert quota["status"]["hard"]["requests.memory"] == "4Gi"
    assert quota["status"]["used"] == {
        "pods": "5",
        "requests.cpu": "500m",
        "requests.memory": "576Mi",
        "limits.memory": "1280Mi",
    }


async def test_logs_show_the_runs(flagship: Client) -> None:
    """The log ends without a last word, as the kernel's kill leaves it; the run before is there too."""
    crashing = next(
        pod for pod in await payment_pods(flagship) if pod["status"]["containerStatuses"][0]["restartCount"] == 6
    )
    path = f"{PODS}/{crashing['metadata']['name']}/log"
    text = (await flagship.http.get(path)).text
    assert text.startswith("INFO  payment-service v2.4.1 starting\n")
    assert "OOM" not in text
    assert (await flagship.http.get(path, params={"previous": "true"})).text == text
    assert (await flagship.http.get(path, params={"tailLines": "1"})).text == text.splitlines(keepends=True)[-1]


async def test_there_is_no_oom_event(flagship: Client) -> None:
    """As on a real node, OOMKilled stands in the pod's status alone."""
    listed = await flagship.events("checkout")
    assert not any("OOM" in event["reason"] or "OOM" in event["message"] for event in listed)
    assert any(event["reason"] == "BackOff" and event["count"] > 5 for event in listed)


async def test_the_way_back_restores_the_old_template(flagship: Client) -> None:
    """Putting the old limit back brings the old ReplicaSet back under a new revision."""
    before = (await flagship.get(DEPLOYMENT))["spec"]["template"]
    await flagship.patch(DEPLOYMENT, limit("300Mi"))
    await flagship.advance(30)
    await flagship.patch(DEPLOYMENT, limit("256Mi"))
    await flagship.advance(30)
    after = await flagship.get(DEPLOYMENT)
    assert after["spec"]["template"] == before
    assert after["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "4"
    sets = await flagship.items("/apis/apps/v1/namespaces/checkout/replicasets", labelSelector="app=payment-service")
    assert len(sets) == 3
