"""What a description shows beside the object: for each kind what belongs to it, and what is not known of that."""

import pytest
from skyflo_mcp.kubernetes.read import belonging

from skyflo_runbooks.model.json import Json
from tests.tools import shelf
from tests.tools.shelf import held
from tests.tools.test_reads import ask, column

UP: Json = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
SHOP: Json = {"namespace": "shop"}


def pod(name: str, **spec: object) -> Json:
    """A pod that is ready."""
    one = {"name": "web", "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}}}
    return held("Pod", name, metadata={"labels": {"app": "web"}}, spec={"containers": [one], **spec}, status=UP)


async def described(kind: str, name: str, *objects: Json, refused: tuple[str, ...] = (), **where: str) -> Json:
    """The description of an object before these."""
    async with shelf.cluster(*objects, refused=refused) as cluster:
        return await ask(cluster, "k8s_describe", kind=kind, name=name, **(where or SHOP))


def test_each_kind_that_is_read_for_is_named_once() -> None:
    """A function for each, and no kind by two names."""
    assert all(kind[0].isupper() for kind in belonging.READS)
    assert {"Service", "Ingress", "Node", "PersistentVolumeClaim", "HorizontalPodAutoscaler"} <= set(belonging.READS)


async def test_an_ingress_shows_where_each_path_leads() -> None:
    """A Service that is not there, a port that it lacks, and how many ready endpoints are behind it."""
    paths = [
        {"path": "/", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
        {"path": "/admin", "backend": {"service": {"name": "web", "port": {"name": "admin"}}}},
        {"path": "/old", "backend": {"service": {"name": "gone", "port": {"number": 80}}}},
    ]
    default = {"service": {"name": "web", "port": {"name": "http"}}}
    rules = [{"host": "shop.example", "http": {"paths": paths}}]
    ingress = held("Ingress", "front", spec={"rules": rules, "defaultBackend": default})
    service = held("Service", "web", spec={"ports": [{"name": "http", "port": 80}]})
    label = {"labels": {"kubernetes.io/service-name": "web"}}
    endpoints = [{"conditions": {"ready": True}}, {"conditions": {"ready": False}}]
    answer = await described(
        "Ingress", "front", ingress, service, held("EndpointSlice", "web-1", metadata=label, endpoints=endpoints)
    )
    assert answer["backends"]["rows"] == [
        ["*", "*", "web", "http", True, True, 1],
        ["shop.example", "/", "web", 80, True, True, 1],
        ["shop.example", "/admin", "web", "admin", True, False, 1],
        ["shop.example", "/old", "gone", 80, False, False, 0],
    ]


async def test_a_node_shows_what_is_asked_of_it_and_by_whom() -> None:
    """In sum, in percent of what it can allocate, pod by pod; its conditions as a table."""
    conditions = [{"type": "DiskPressure", "status": "False", "reason": "Enough", "message": "fine"}]
    node = held(
        "Node", "a", namespace="", status={"allocatable": {"cpu": "1", "memory": "1Gi"}, "conditions": conditions}
    )
    done = held("Pod", "done", spec={"nodeName": "a", "containers": []}, status={"phase": "Succeeded"})
    answer = await described("Node", "a", node, pod("web-1", nodeName="a"), pod("web-2"), done, namespace="shop")
    assert answer["requested"] == {"pods": 1, "cpu": "250m", "memory": "128Mi", "cpu_percent": 25, "memory_percent": 12}
    assert answer["pods"]["rows"] == [["shop", "web-1", "250m", "128Mi", True]]
    assert answer["conditions"]["rows"] == [["DiskPressure", "False", "Enough", "fine", None]]


async def test_a_claim_shows_its_volume_whether_it_can_grow_and_who_uses_it() -> None:
    """A class that is not there is said; a volume that may not be read is unknown."""
    claim = held("PersistentVolumeClaim", "data", spec={"volumeName": "pv-1", "storageClassName": "fast"})
    volume = held(
        "PersistentVolume",
        "pv-1",
        namespace="",
        spec={"persistentVolumeReclaimPolicy": "Delete"},
        status={"phase": "Bound"},
    )
    fast = held("StorageClass", "fast", namespace="", allowVolumeExpansion=True)
    user = pod("web-1", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    answer = await described("PersistentVolumeClaim", "data", claim, volume, fast, user, pod("web-2"))
    assert answer["used_by"] == ["web-1"]
    assert answer["volume"] == {"name": "pv-1", "phase": "Bound", "reclaim_policy": "Delete"}
    assert answer["storage_class"] == {"name": "fast", "is_there": True, "can_grow": True}
    answer = await described("PersistentVolumeClaim", "data", claim, volume)
    assert answer["storage_class"] == {"name": "fast", "is_there": False, "can_grow": None}
    answer = await described("PersistentVolumeClaim", "data", claim, refused=("/pv-1",))
    assert "volume" not in answer
    assert any("403" in said for said in answer["unknown"])


async def test_an_autoscaler_shows_what_it_scales_and_its_metrics_beside_their_targets() -> None:
    """A percentage, a value, and one that has no figure yet."""
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
        {"type": "Pods", "pods": {"metric": {"name": "queue"}, "target": {"averageValue": "30"}}},
        {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}},
    ]
    now = [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 93}}},
        {"type": "Pods", "pods": {"metric": {"name": "queue"}, "current": {"averageValue": "12"}}},
    ]
    target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    scaler = held(
        "HorizontalPodAutoscaler",
        "web",
        spec={"scaleTargetRef": target, "metrics": metrics},
        status={"currentMetrics": now},
    )
    answer = await described("HorizontalPodAutoscaler", "web", scaler, held("Deployment", "web", spec={"replicas": 3}))
    assert answer["scales"] == {"object": "Deployment/shop/web", "is_there": True, "replicas": 3}
    assert answer["metrics"]["rows"] == [["cpu", "93%", "80%"], ["queue", "12", "30"], ["memory", None, "1Gi"]]
    answer = await described("HorizontalPodAutoscaler", "web", scaler)
    assert answer["scales"]["is_there"] is False


async def test_a_cronjob_shows_the_jobs_that_it_made() -> None:
    """Its own, with how they went."""
    cron = held("CronJob", "nightly", spec={"schedule": "0 3 * * *"})
    mine = held("Job", "nightly-1", owner=cron, status={"succeeded": 1, "startTime": "2026-01-05T03:00:00Z"})
    answer = await described("CronJob", "nightly", cron, mine, held("Job", "other"))
    assert answer["jobs"]["rows"] == [["nightly-1", 1, 0, 0, "2026-01-05T03:00:00Z", None]]


@pytest.mark.parametrize(("kind", "member"), [("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")])
async def test_a_budget_and_a_policy_show_the_pods_that_they_select(kind: str, member: str) -> None:
    """By the labels that they say."""
    one = held(kind, "web", spec={member: {"matchLabels": {"app": "web"}}})
    answer = await described(kind, "web", one, pod("web-1"))
    assert answer["selects"]["selector"] == "app=web"
    assert column(answer["selects"], "POD") == ["web-1"]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ConfigMap", {"volumes": [{"name": "v", "configMap": {"name": "app"}}]}),
        ("ConfigMap", {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "app"}}]}}]}),
        ("ConfigMap", {"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "app"}}]}]}),
        ("Secret", {"volumes": [{"name": "v", "secret": {"secretName": "app"}}]}),
        ("Secret", {"imagePullSecrets": [{"name": "app"}]}),
        (
            "Secret",
            {
                "initContainers": [
                    {"name": "c", "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "app", "key": "k"}}}]}
                ]
            },
        ),
    ],
    ids=str,
)
async def test_a_configmap_and_a_secret_show_who_uses_them(kind: str, spec: Json) -> None:
    """As a volume, as variables, to pull images; and a Secret shows no value."""
    one = held(kind, "app", data={"k": "aHVudGVyMg=="})
    answer = await described(kind, "app", one, pod("user", **spec), pod("other"))
    assert answer["used_by"] == ["user"]
    assert ("aHVudGVyMg" in str(answer)) == (kind == "ConfigMap")


async def test_a_custom_resource_shows_its_conditions_and_its_owner() -> None:
    """Whatever its controller says of it."""
    status_of = {"conditions": [{"type": "Synced", "status": "False", "reason": "NoQuota", "message": "too large"}]}
    owner = held("Deployment", "web")
    gadget = held("Gadget", "g", owner=owner, status=status_of, spec={"size": 3})
    answer = await described("gadgets.tests.skyflo.dev", "g", gadget)
    assert answer["conditions"]["rows"] == [["Synced", "False", "NoQuota", "too large", None]]
    assert answer["owners"] == ["Deployment/shop/web"]
    assert answer["object"]["spec"] == {"size": 3}


@pytest.mark.parametrize("strange", [None, "ready", [1, "x"], [{}]])
def test_conditions_of_a_strange_form_are_no_failure(strange: object) -> None:
    """A custom resource may call anything so."""
    found = belonging.conditions({"status": {"conditions": strange}})
    assert found is None or found["count"] == 1


async def test_what_may_not_be_listed_is_unknown_and_the_object_is_still_shown() -> None:
    """A refused read is never an empty list."""
    answer = await described("ConfigMap", "app", held("ConfigMap", "app", data={}), refused=("/pods",))
    assert "used_by" not in answer
    assert answer["object"]["metadata"]["name"] == "app"
    assert any("403" in said for said in answer["unknown"])
