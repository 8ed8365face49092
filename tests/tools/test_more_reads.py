"""The read tools beyond lists: outputs, info, figures, fields, environment, disks, HTTP; and what a refusal means."""

import base64
import json
from collections.abc import Callable

import httpx
import pytest
import yaml
from skyflo_mcp.kubernetes import Cluster, NotAvailable, NotFound
from skyflo_mcp.kubernetes.answers import presented
from skyflo_mcp.kubernetes.kubelets import silent
from skyflo_mcp.kubernetes.read.explain import _fields

from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.errors import BadInput, Unknown
from skyflo_runbooks.model.json import Json
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery
from tests.tools.test_reads import ask, column
from tests.tools.worlds import World

KERNEL = Identity("kernel", "notebook")


def objects(*known: Json) -> Callable[[Asked], Reply]:
    """A server that has these objects by the last part of their path, and empty lists."""
    by_name = {one["metadata"]["name"]: one for one in known}

    def answer(asked: Asked) -> Reply:
        name = asked.path.rpartition("/")[2]
        if name in by_name:
            return Reply(body=by_name[name])
        plurals = {"pods", "nodes", "services", "events", "endpointslices", "deployments", "secrets", "configmaps"}
        return Reply(body={"items": []}) if name in plurals else status(404, f"no {name}", "NotFound")

    return answer


# k8s_get: outputs


async def test_get_as_yaml_is_yaml_without_noise(world: World) -> None:
    """Of one object and of a list; made of what is left after masking."""
    where: Json = {"kind": "ConfigMap", "namespace": world.namespace}
    one = presented(await ask(world.cluster, "k8s_get", **where, name="settings", output="yaml"))
    assert yaml.safe_load(one["yaml"])["data"] == {"mode": "slow", "size": "3"}
    assert "managedFields" not in one["yaml"]
    listed = presented(
        await ask(world.cluster, "k8s_get", **where, field_selector="metadata.name=settings", output="yaml")
    )
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(listed["yaml"])] == ["settings"]
    assert listed["count"] == 1


async def test_a_password_in_an_environment_is_masked_in_yaml_too() -> None:
    """Its name is beside it in the object, and a line above it in the text."""
    secret = "correct horse: battery"
    env = [{"name": "DB_PASSWORD", "value": secret}, {"name": "MODE", "value": "slow"}]
    deployment: Json = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "namespace": "shop", "annotations": {"api-key": secret}},
        "spec": {"template": {"spec": {"containers": [{"name": "web", "env": env}]}}},
    }
    gate = Gate(with_discovery(objects(deployment)).cluster(), Redactor())
    asked: Json = {"kind": "Deployment", "namespace": "shop", "name": "web", "output": "yaml"}
    answer = await gate.read("k8s_get", asked, KERNEL)
    assert isinstance(answer.result, dict)
    assert "correct" not in json.dumps(answer.result)
    assert "battery" not in json.dumps(answer.result)
    assert "name: MODE" in answer.result["yaml"]


@pytest.mark.parametrize("output", ["table", "wide"])
async def test_one_object_as_a_row(world: World, output: str) -> None:
    """As the server prints it; one that is not there is not an empty table."""
    where: Json = {"kind": "Deployment", "namespace": world.namespace, "output": output}
    answer = await ask(world.cluster, "k8s_get", **where, name="web")
    assert column(answer, "NAME") == ["web"]
    with pytest.raises(NotFound, match="nothing"):
        await ask(world.cluster, "k8s_get", **where, name="nothing")


async def test_one_object_as_a_name(world: World) -> None:
    """And a cut list says how to get the rest."""
    where: Json = {"kind": "pods", "namespace": world.namespace}
    answer = await ask(world.cluster, "k8s_get", kind="Service", namespace=world.namespace, name="web", output="name")
    assert answer["items"] == [f"Service/{world.namespace}/web"]
    for output in ("table", "json", "name", "yaml"):
        cut = await ask(world.cluster, "k8s_get", **where, limit=1, output=output)
        assert (cut["more"], "raise limit" in cut["next"]) == (True, True)


async def test_the_kinds_that_there_are(world: World) -> None:
    """By group, scope and verb."""
    answer = await ask(world.cluster, "k8s_api_resources", group="apps")
    assert set(column(answer, "API VERSION")) == {"apps/v1"}
    assert "Deployment" in column(answer, "KIND")
    core = await ask(world.cluster, "k8s_api_resources", group="", namespaced=False, verb="list")
    assert "Node" in column(core, "KIND")
    assert "Pod" not in column(core, "KIND")


# k8s_cluster_info


async def test_info_says_version_nodes_and_what_is_added(flagship: Cluster) -> None:
    """And what it could not know."""
    answer = await ask(flagship, "k8s_cluster_info")
    assert answer["version"].startswith("v1.")
    assert set(column(answer["nodes"], "READY")) == {True}
    assert answer["usage_figures"] is True
    assert all(isinstance(said, str) for said in answer["unknown"])


@pytest.mark.control_plane
async def test_info_on_a_real_control_plane_says_that_it_is_ready(real_world: World) -> None:
    """In the API server's own word."""
    answer = await ask(real_world.cluster, "k8s_cluster_info")
    assert (answer["ready"], answer["unknown"]) == ("ok", [])
    # Other tests of the session leave nodes that nobody runs: none of them is called ready.
    assert True not in column(answer["nodes"], "READY")
    assert answer["usage_figures"] is False


async def test_info_tells_an_ill_node_from_a_well_one() -> None:
    """Its own words, its pressure, and that nothing is scheduled on it."""
    conditions = [
        {"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting node status."},
        {"type": "DiskPressure", "status": "True", "reason": "KubeletHasDiskPressure"},
    ]
    node: Json = {
        "metadata": {"name": "node-a", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": True},
        "status": {"conditions": conditions, "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "110"}},
    }

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/nodes"):
            return Reply(body={"items": [node]})
        return status(500, "[-]etcd failed") if asked.path == "/readyz" else status(403, "no")

    found = await ask(with_discovery(answer).cluster(), "k8s_cluster_info")
    (row,) = found["nodes"]["rows"]
    assert row[:4] == ["node-a", None, False, "worker"]
    assert "stopped posting" in row[8]
    assert "DiskPressure" in row[8]
    assert found["ready"] is None
    assert "etcd failed" in found["unknown"][0]


# k8s_top_nodes and sums


async def test_top_nodes_shows_use_against_what_there_is(flagship: Cluster) -> None:
    """From metrics.k8s.io."""
    answer = await ask(flagship, "k8s_top_nodes")
    percents = [cell for cell in column(answer, "MEMORY %") if isinstance(cell, int)]
    assert len(percents) == answer["count"] > 0
    assert percents == sorted(percents, reverse=True)
    one = await ask(flagship, "k8s_top_nodes", name="node-a", sort_by="cpu")
    assert column(one, "NODE") == ["node-a"]


async def test_top_nodes_without_any_figures_is_unknown() -> None:
    """The node is there, its use is not zero, and both refusals are told."""
    node: Json = {"metadata": {"name": "node-a"}, "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}}}

    def answer(asked: Asked) -> Reply:
        return Reply(body={"items": [node]}) if asked.path.endswith("/v1/nodes") else status(404, "not here")

    found = await ask(with_discovery(answer).cluster(), "k8s_top_nodes")
    assert found["rows"] == [["node-a", None, "2", None, None, "4096Mi", None, None]]
    assert len(found["unknown"]) == 2


async def test_top_pods_can_be_summed(flagship: Cluster) -> None:
    """A pod with a container that has no figures has no sum."""
    answer = await ask(flagship, "k8s_top_pods", namespace="checkout", containers=False)
    assert answer["columns"] == ["NAMESPACE", "POD", "MEMORY (Mi)", "CPU (m)"]
    assert answer["count"] == 5
    assert column(answer, "MEMORY (Mi)").count(None) == 2


# k8s_explain


@pytest.mark.control_plane
async def test_explain_reads_the_servers_own_description(real_world: World) -> None:
    """A kind, a field, what is below it, what it must be."""
    cluster = real_world.cluster
    answer = await ask(cluster, "k8s_explain", kind="deploy")
    assert (answer["kind"], answer["api_version"]) == ("Deployment", "apps/v1")
    assert {"spec", "status"} <= set(column(answer["fields"], "FIELD"))
    containers = await ask(cluster, "k8s_explain", kind="Deployment", field="spec.template.spec.containers")
    assert (containers["type"], containers["required"]) == ("list of Container", True)
    by_name = {row[0]: row for row in containers["fields"]["rows"]}
    assert by_name["name"][1:3] == ["string", True]
    assert by_name["env"][1] == "list of EnvVar"
    port = await ask(cluster, "k8s_explain", kind="Service", field="spec.ports.targetPort")
    assert port["type"] == "integer or string" or "IntOrString" in port["type"]
    deep = await ask(cluster, "k8s_explain", kind="Pod", field="spec", depth=6)
    assert (deep["fields"]["count"], deep["fields"]["more"]) == (400, True)
    with pytest.raises(BadInput, match=r"Deployment\.spec has no field 'replica'") as refused:
        await ask(cluster, "k8s_explain", kind="Deployment", field="spec.replica")
    assert "replicas" in refused.value.next_step


async def test_explain_on_a_cluster_that_describes_nothing_says_so(flagship: Cluster) -> None:
    """The practice cluster has no schemas."""
    with pytest.raises(NotAvailable, match="does not describe"):
        await ask(flagship, "k8s_explain", kind="Deployment")


@pytest.mark.parametrize("url", ["https://evil.example/x", "//evil.example/x", 7, None])
async def test_explain_follows_the_server_nowhere_else(url: object) -> None:
    """A document lies where the API server keeps its documents."""
    listed: Json = {"paths": {"apis/apps/v1": {"serverRelativeURL": url}}}
    server = with_discovery(lambda asked: Reply(body=listed))
    with pytest.raises(NotAvailable):
        await ask(server.cluster(), "k8s_explain", kind="Deployment")
    assert {asked.path for asked in server.asked if asked.path.startswith("/openapi")} == {"/openapi/v3"}


def test_a_type_that_holds_itself_is_opened_once() -> None:
    """JSONSchemaProps would go on for ever."""
    ref = {"$ref": "#/components/schemas/Props"}
    schemas: dict[str, Json] = {
        "Props": {"properties": {"not": ref, "all": {"items": ref}, "type": {"type": "string"}}}
    }
    names = [row[0] for row in _fields(schemas, ref, 6, "", frozenset())]
    assert names[:3] == ["all", "all.all", "all.not"]
    assert len(names) < 20


# k8s_environment


def container(**more: object) -> Json:
    """A Deployment with one container."""
    one = {"name": "web", **more}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": [one]}}},
    }


def secret(**data: str) -> Json:
    """A Secret named db."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "db"}, "data": encoded}


SETTINGS: Json = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"MODE": "slow", "LEVEL": "info"}}
WEB: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}


async def test_the_environment_is_what_the_kubelet_would_give() -> None:
    """envFrom first, then env, the later wins; a Secret's value by its size, and $(NAME) as it stands."""
    env = [
        {"name": "LEVEL", "value": "debug"},
        {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "URL", "value": "postgres://shop:$(PASSWORD)@db"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]
    from_ = [{"configMapRef": {"name": "settings"}, "prefix": ""}, {"secretRef": {"name": "db"}, "prefix": "DB_"}]
    server = with_discovery(objects(container(env=env, envFrom=from_), secret(password="hunter2"), SETTINGS))
    answer = await ask(server.cluster(), "k8s_environment", **WEB)
    assert {one["name"]: one["value"] for one in answer["variables"]} == {
        "MODE": "slow",
        "LEVEL": "debug",
        "DB_password": "(7 bytes)",
        "PASSWORD": "(7 bytes)",
        "URL": "postgres://shop:$(PASSWORD)@db",
        "POD": None,
        "CPU": None,
    }
    assert "hunter2" not in json.dumps(answer)
    assert base64.b64encode(b"hunter2").decode() not in json.dumps(answer)
    assert (answer["missing"], answer["unknown"]) == ([], [])


async def test_what_a_container_needs_and_has_not_is_named() -> None:
    """A Secret that is not there, a key that it lacks; what is optional is not missing, what is refused is unknown."""
    env = [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "nope"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "x"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "gone", "key": "x", "optional": True}}},
        {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "closed", "key": "x"}}},
    ]
    known = objects(container(env=env), secret(password="x"))
    server = with_discovery(lambda asked: status(403, "no") if asked.path.endswith("/closed") else known(asked))
    answer = await ask(server.cluster(), "k8s_environment", **WEB)
    assert answer["missing"] == ["Secret db has no key nope", "Secret gone is not there"]
    assert [said.partition(":")[0] for said in answer["unknown"]] == ["ConfigMap closed"]


async def test_the_container_is_said_where_there_are_several(world: World) -> None:
    """The names are given."""
    with pytest.raises(BadInput, match="not exactly one") as refused:
        await ask(world.cluster, "k8s_environment", kind="Deployment", namespace=world.namespace, name="web")
    assert "web, side" in refused.value.next_step
    answer = await ask(
        world.cluster, "k8s_environment", kind="Deployment", namespace=world.namespace, name="web", container="web"
    )
    assert [(one["name"], one["value"]) for one in answer["variables"]] == [("MODE", "slow"), ("LEVEL", "info")]


# k8s_disk_usage


SUMMARY: Json = {
    "node": {
        "nodeName": "node-a",
        "fs": {"usedBytes": 50 * 2**20, "capacityBytes": 100 * 2**20, "inodes": 10, "inodesUsed": 9},
        "runtime": {"imageFs": {"usedBytes": 2**20, "capacityBytes": 100 * 2**20}},
    },
    "pods": [
        {
            "podRef": {"namespace": "shop", "name": "web-1"},
            "containers": [{"name": "web", "rootfs": {"usedBytes": 2**20}, "logs": {"usedBytes": 3 * 2**20}}],
            "volume": [
                {
                    "name": "data",
                    "usedBytes": 95 * 2**20,
                    "capacityBytes": 100 * 2**20,
                    "pvcRef": {"name": "data-web-1"},
                }
            ],
        },
        {"podRef": {"namespace": "shop", "name": "web-2"}, "containers": [{"name": "web", "rootfs": {"usedBytes": 1}}]},
    ],
}
NODE: Json = {
    "metadata": {"name": "node-a"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
}
POD: Json = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"nodeName": "node-a"}}


def with_kubelet(summary: Json | None) -> tuple[Cluster, Scripted]:
    """A cluster with one node and one pod, whose kubelet answers so (None: refuses)."""
    kubelet = Scripted(lambda _: status(403, "no stats for you") if summary is None else Reply(body=summary))
    server = with_discovery(objects(NODE, POD))
    transport = httpx.AsyncClient(transport=httpx.ASGITransport(kubelet))
    return Cluster(server.client(), kubelets=transport), kubelet


async def test_disks_of_a_node_and_what_fills_them() -> None:
    """The fullest first; what a container wrote has no capacity of its own."""
    cluster, kubelet = with_kubelet(SUMMARY)
    answer = await ask(cluster, "k8s_disk_usage", node="node-a")
    assert answer["disks"]["rows"] == [
        ["node-a", "root", "50.0Mi", "100.0Mi", 50, 90],
        ["node-a", "images", "1.0Mi", "100.0Mi", 1, None],
    ]
    assert answer["uses"]["rows"][0] == [
        *("shop", "web-1", "volume data", "95.0Mi", "100.0Mi", 95, None, "data-web-1", "node-a")
    ]
    assert answer["uses"]["count"] == 4
    assert [asked.path for asked in kubelet.asked] == ["/stats/summary"]


async def test_disks_of_a_pod_are_its_own() -> None:
    """Asked at the kubelet of its node."""
    cluster, _ = with_kubelet(SUMMARY)
    answer = await ask(cluster, "k8s_disk_usage", namespace="shop", name="web-1")
    assert set(column(answer["uses"], "POD")) == {"web-1"}


async def test_a_kubelet_that_refuses_is_unknown_and_not_empty() -> None:
    """In its words; and without a way to the nodes at all, that."""
    cluster, _ = with_kubelet(None)
    answer = await ask(cluster, "k8s_disk_usage", node="node-a")
    assert (answer["disks"]["rows"], "no stats for you" in answer["unknown"][0]) == ([], True)
    answer = await ask(with_discovery(objects(NODE)).cluster(), "k8s_disk_usage", node="node-a")
    assert answer["unknown"] == ["kubelet of node-a: not asked: this connection has no way to the nodes."]


async def test_what_holds_for_several_kubelets_is_said_once(flagship: Cluster) -> None:
    """With the nodes that it holds for."""
    answer = await ask(flagship, "k8s_disk_usage", namespace="checkout")
    (said,) = answer["unknown"]
    assert said.startswith("kubelets of node-a, node-b")
    assert said.count("not asked") == 1
    assert silent([("a", "refused"), ("b", "broken"), ("c", "refused")]) == [
        "kubelets of a, c: refused",
        "kubelet of b: broken",
    ]


@pytest.mark.parametrize("arguments", [{"node": "a", "namespace": "b"}, {"name": "a"}, {"node": "a/b"}], ids=str)
async def test_disks_of_what_is_half_said_are_bad_input(arguments: Json) -> None:
    """Rather than of everything."""
    with pytest.raises(BadInput):
        await ask(with_discovery(objects(NODE)).cluster(), "k8s_disk_usage", **arguments)


# k8s_http_get


async def test_a_get_says_status_time_and_who_answered(flagship: Cluster) -> None:
    """Behind a Service, or a pod itself."""
    answer = await ask(flagship, "k8s_http_get", namespace="checkout", name="storefront", path="/")
    assert (answer["status"], answer["by"]) == (200, "service")
    assert answer["milliseconds"] >= 0
    short = await ask(flagship, "k8s_http_get", namespace="checkout", name="storefront", limit=1)
    assert (len(short["text"]), short["more"]) == (1, True)
    pods = await ask(
        flagship, "k8s_get", kind="pods", namespace="checkout", label_selector="app=storefront", output="name"
    )
    name = pods["items"][0].rpartition("/")[2]
    of_pod = await ask(flagship, "k8s_http_get", namespace="checkout", name=name, kind="Pod")
    assert (of_pod["status"], of_pod["by"]) == (200, "pod")


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "/../x"},
        {"path": "x"},
        {"port": "a/b"},
        {"port": 0},
        {"port": ":80"},
        {"kind": "Node"},
        {"name": "a:b"},
    ],
    ids=str,
)
async def test_a_get_cannot_leave_what_it_asks(flagship: Cluster, wrong: Json) -> None:
    """Neither by its path nor by its port."""
    with pytest.raises(BadInput):
        await ask(flagship, "k8s_http_get", **{"namespace": "checkout", "name": "storefront", **wrong})


# What a refusal means


REFUSED: list[tuple[str, Json]] = [
    ("k8s_environment", WEB),
    ("k8s_explain", {"kind": "Deployment"}),
    ("k8s_top_nodes", {}),
    ("k8s_wait", WEB),
    ("k8s_http_get", {"namespace": "shop", "name": "web", "port": 80}),
    ("k8s_disk_usage", {"namespace": "shop"}),
]


@pytest.mark.parametrize(("name", "arguments"), REFUSED, ids=[one[0] for one in REFUSED])
async def test_a_refused_read_is_unknown(name: str, arguments: Json) -> None:
    """Never nothing, never well."""
    with pytest.raises(Unknown, match="403"):
        await ask(with_discovery(lambda _: status(403, "not for you")).cluster(), name, **arguments)
