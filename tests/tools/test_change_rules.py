"""What each change tool refuses, and what it says that it does not do by itself."""

import shlex
from typing import Any

import pytest
from skyflo_mcp.kubernetes import TOOLS, NotFound, call, checked
from skyflo_mcp.kubernetes.change.taint import tolerates

from skyflo_runbooks.model.errors import BadInput, Unknown
from skyflo_runbooks.model.json import Json
from tests.tools import shelf
from tests.tools.shelf import held

CONTAINER: Json = {
    "name": "main",
    "image": "shop:1",
    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "A", "value": "3"}],
    "resources": {"limits": {"memory": "64Mi", "cpu": "1"}},
    "ports": [{"containerPort": 8080, "name": "http"}],
    "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
}
SPEC: Json = {
    "replicas": 2,
    "selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}},
}
WEB = held("Deployment", "web", spec=SPEC)
THE_WEB: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}
MAIN: Json = {**THE_WEB, "container": "main"}
NODE = held(
    "Node",
    "node-1",
    namespace="",
    spec={"taints": [{"key": "a", "value": "1", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]},
    status={"conditions": [{"type": "Ready", "status": "True"}]},
)
CRON = held(
    "CronJob",
    "nightly",
    spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": [CONTAINER]}}}}},
    status={"active": [{"name": "nightly-1"}]},
)
IN_SHOP: Json = {"namespace": "shop", "name": "nightly"}


def of(kind: str, **spec: object) -> Json:
    """A workload of that kind like the Deployment."""
    return held(kind, "web", spec={**SPEC, **spec})


# Names, before anything is read

HOSTILE = [
    *("--kubeconfig=x", "-n", "a b", "a\nb", "a/b", "../x", "a\0b", "ａ", "а", "\u202ea", "", "A" * 1_000_000),
    *("a?dryRun=All", "a%2fb", "a;b", "$(id)"),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(name for name, tool in TOOLS.items() if tool.effect == "change"))
async def test_a_hostile_name_is_refused_before_anything_is_read(name: str) -> None:
    """For every name that a change tool takes."""
    from tests.tools.test_arguments import GOOD

    fields = [field for field in ("kind", "namespace", "name", "cronjob") if isinstance(GOOD[name].get(field), str)]
    server = shelf.server([WEB])
    async with server.cluster() as cluster:
        for field in fields:
            for value in HOSTILE:
                if field == "namespace" and value == "":
                    continue
                with pytest.raises((BadInput, NotFound)) as caught:
                    await call(cluster, name, {**GOOD[name], field: value})
                assert len(str(caught.value)) < 1_000
                assert not [one for one in server.asked if one.path not in shelf.discovery()], (field, value)


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("k8s_label", {**THE_WEB}, "Nothing to set"),
        ("k8s_label", {**THE_WEB, "set": {"a": "1"}, "remove": ["a"]}, "set and removed at once"),
        ("k8s_label", {**THE_WEB, "set": {"-a": "1"}}, "cannot be the key"),
        ("k8s_label", {**THE_WEB, "set": {"a/b/c": "1"}}, "cannot be the key"),
        ("k8s_label", {**THE_WEB, "set": {"x" * 64: "1"}}, "cannot be the key"),
        ("k8s_label", {**THE_WEB, "set": {"Example.com/a": "1"}}, "cannot be the key"),
        ("k8s_label", {**THE_WEB, "set": {"a": "with space"}}, "cannot be the value"),
        ("k8s_label", {**THE_WEB, "set": {"a": "x" * 64}}, "cannot be the value"),
        ("k8s_label", {**THE_WEB, "remove": ["--all"]}, "cannot be the key"),
        ("k8s_annotate", {**THE_WEB, "set": {"a": "x" * 300_000}}, "larger than 256 KiB"),
        ("k8s_annotate", {**THE_WEB, "set": {"a": "x\0"}}, "NUL"),
        ("k8s_annotate", {**THE_WEB, "remove": ["kubectl.kubernetes.io/last-applied-configuration"]}, "kubectl's own"),
        ("k8s_taint", {"name": "node-1", "key": "a b", "effect": "NoSchedule"}, "cannot be the key"),
        ("k8s_taint", {"name": "node-1", "key": "a", "value": "x y", "effect": "NoSchedule"}, "cannot be the value"),
        ("k8s_tolerate", {**THE_WEB, "key": "a", "effect": "NoSchedule", "seconds": 5}, "NoExecute"),
        ("k8s_set_command", {**MAIN}, "Nothing to set"),
        ("k8s_set_command", {**MAIN, "command": ["a\x1b[31m"]}, "do not show"),
        ("k8s_set_command", {**MAIN, "args": ["a\u202eb"]}, "do not show"),
        ("k8s_set_command", {**MAIN, "args": ["x" * 40_000]}, "longer than 32 KiB"),
        ("k8s_set_probe", {**MAIN, "probe": "liveness"}, "Nothing to set"),
        ("k8s_set_probe", {**MAIN, "probe": "liveness", "path": "healthz"}, "cannot be the path"),
        ("k8s_set_probe", {**MAIN, "probe": "liveness", "command": []}, "The command is empty"),
        ("k8s_set_probe", {**MAIN, "probe": "liveness", "command": ["cat"]}, "asks by httpGet, which has no command"),
        ("k8s_set_probe", {**MAIN, "probe": "startup", "period_seconds": 3}, "has no startupProbe yet"),
        ("k8s_set_probe", {**MAIN, "probe": "startup", "path": "/x"}, "has no startupProbe yet"),
        ("k8s_autoscale", {**THE_WEB}, "Nothing to set"),
        ("k8s_autoscale", {**THE_WEB, "min_replicas": 2}, "has no autoscaler yet"),
        ("k8s_autoscale", {**THE_WEB, "min_replicas": 5, "max_replicas": 3}, "At least 5 and at most 3"),
        ("k8s_run_pod", {"name": "a", "image": "-x"}, "cannot be an image"),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "command": []}, "The command is empty"),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "command": ["a\0"]}, "do not show"),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "limits": {"memory": "-1"}}, "0 or more"),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "service_account": "a/b"}, "not a name"),
        ("k8s_create_job", {**IN_SHOP}, "made from one thing"),
        ("k8s_create_job", {**IN_SHOP, "job": "a", "cronjob": "b"}, "made from one thing"),
        ("k8s_create_job", {"namespace": "shop", "name": "x" * 64, "job": "a"}, "at most 63"),
        ("k8s_expose", {**THE_WEB, "port": 80, "service": "a.b/c"}, "not a name"),
        ("k8s_resize_claim", {**IN_SHOP, "storage": "lots"}, "not a quantity"),
        ("k8s_remove_finalizer", {**THE_WEB, "finalizer": "a b"}, "name of a finalizer"),
        ("k8s_remove_finalizer", {**THE_WEB, "finalizer": "example.com/x"}, "has no finalizer 'example.com/x'"),
        ("k8s_remove_scheduling_gate", {**THE_WEB, "gate": "example.com/x"}, "has no scheduling gate"),
        ("k8s_scale", {"kind": "Pod", "namespace": "shop", "name": "web", "replicas": 1}, "has no scale subresource"),
    ],
)
async def test_what_cannot_be_is_refused_with_what_was_expected(tool: str, arguments: Json, said: str) -> None:
    """Bad input, before anything is sent."""
    with pytest.raises(BadInput) as caught:
        await shelf.rendered(tool, arguments, WEB, NODE, held("Pod", "web"))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("k8s_taint", {"name": "n", "key": "a", "effect": "Never"}),
        ("k8s_set_probe", {**MAIN, "probe": "liveness", "port": 0}),
        ("k8s_set_probe", {**MAIN, "probe": "liveness", "port": "UPPER"}),
        ("k8s_autoscale", {**THE_WEB, "max_replicas": 0}),
        ("k8s_autoscale", {**THE_WEB, "cpu_percent": 0}),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "command": "ls -l"}),
        ("k8s_run_pod", {"name": "a", "image": "a:1", "run_as_user": 0}),
        ("k8s_expose", {**THE_WEB, "port": 70_000}),
        ("k8s_drain", {"name": "n", "grace_period": -1}),
        ("k8s_delete", {**THE_WEB, "cascade": "all"}),
        ("k8s_rollout_pause", {"namespace": "shop", "name": "web", "kind": "StatefulSet"}),
        ("k8s_label", {**THE_WEB, "set": {str(n): "" for n in range(101)}}),
    ],
)
def test_arguments_have_types_and_bounds(tool: str, arguments: Json) -> None:
    """Checked before the tool is called; a command is a list of words."""
    with pytest.raises(BadInput, match=tool):
        checked(tool, arguments)


def test_arguments_have_a_size() -> None:
    """All of them together."""
    with pytest.raises(BadInput, match="larger than 2 MiB"):
        checked("k8s_set_env", {**MAIN, "set": {f"V{number}": "x" * 30_000 for number in range(80)}})


# Metadata, nodes and taints


async def test_removing_what_is_not_there_changes_nothing_and_says_so() -> None:
    """It is gone already, or misspelt."""
    change = await shelf.rendered("k8s_label", {**THE_WEB, "remove": ["teem"]}, WEB)
    assert [one["op"] for one in change.requests[0].body] == ["test"]
    assert change.notes == ("Deployment/shop/web has no label teem.",)


async def test_what_is_relied_on_is_not_all_of_the_metadata() -> None:
    """That moves with every status."""
    change = await shelf.rendered("k8s_label", {**THE_WEB, "set": {"a": "1", "b": "2"}}, WEB)
    assert change.requests[0].body == [{"op": "add", "path": "/metadata/labels", "value": {"a": "1", "b": "2"}}]
    assert change.title == "deployment/web: label a=1, b=2"
    assert change.equivalent == "kubectl -n shop label --overwrite deployment/web a=1 b=2"


async def test_an_annotations_text_is_not_in_the_title() -> None:
    """It may be a page long; the diff shows it."""
    change = await shelf.rendered("k8s_annotate", {**THE_WEB, "set": {"note": "long\ntext"}}, WEB)
    assert change.title == "deployment/web: annotate note"
    assert shlex.split(change.equivalent)[-1] == "note=long\ntext"


async def test_a_node_that_is_cordoned_or_not_already_stays_so() -> None:
    """The step is in place."""
    cordoned = {**NODE, "spec": {"unschedulable": True}}
    for tool, node in (("k8s_cordon", cordoned), ("k8s_uncordon", NODE)):
        change = await shelf.rendered(tool, {"name": "node-1"}, node)
        assert [one["op"] for one in change.requests[0].body] == ["test"]


async def test_uncordon_says_what_still_keeps_pods_away() -> None:
    """A node that is not Ready, and its other taints."""
    node = {**NODE, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    change = await shelf.rendered("k8s_uncordon", {"name": "node-1"}, node)
    assert change.notes == (
        "Node/node-1 is not Ready, so nothing will run on it yet.",
        "Its other taints stay: a:NoSchedule, b:NoExecute.",
    )


@pytest.mark.parametrize(
    ("arguments", "operations"),
    [
        ({"key": "a", "value": "1", "effect": "NoSchedule"}, ["test"]),
        ({"key": "a", "value": "2", "effect": "NoSchedule"}, ["test", "replace"]),
        ({"key": "a", "value": "1", "effect": "PreferNoSchedule"}, ["test", "add"]),
    ],
)
async def test_a_taint_is_known_by_key_and_effect(arguments: Json, operations: list[str]) -> None:
    """Its value is changed, another effect is another taint."""
    change = await shelf.rendered("k8s_taint", {"name": "node-1", **arguments}, NODE)
    assert [one["op"] for one in change.requests[0].body] == operations


async def test_a_no_execute_taint_says_which_pods_it_drives_away() -> None:
    """Those that do not tolerate it."""
    bears = {"tolerations": [{"key": "c", "operator": "Exists"}], "nodeName": "node-1"}
    pods = [held("Pod", "stays", spec=bears), held("Pod", "leaves", spec={"nodeName": "node-1"})]
    arguments: Json = {"name": "node-1", "key": "c", "effect": "NoExecute"}
    change = await shelf.rendered("k8s_taint", arguments, NODE, *pods)
    assert change.notes == ("1 pod on it does not tolerate it and is deleted: Pod/shop/leaves.",)
    assert (await shelf.rendered("k8s_taint", arguments, NODE, pods[0])).notes == ("No pod on it has to leave.",)


async def test_a_taint_of_every_effect_is_taken_off_from_the_back() -> None:
    """So that no removal moves the next."""
    taints = [
        {"key": "a", "effect": "NoSchedule"},
        {"key": "b", "effect": "NoSchedule"},
        {"key": "a", "effect": "NoExecute"},
    ]
    change = await shelf.rendered("k8s_untaint", {"name": "node-1", "key": "a"}, {**NODE, "spec": {"taints": taints}})
    assert [one["path"] for one in change.requests[0].body if one["op"] == "remove"] == [
        "/spec/taints/2",
        "/spec/taints/0",
    ]
    none = await shelf.rendered("k8s_untaint", {"name": "node-1", "key": "x"}, NODE)
    assert none.notes == ("Node/node-1 has no taint x.",)


@pytest.mark.parametrize(
    ("toleration", "bears"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "value": "1"}, True),
        ({"key": "a", "value": "2"}, False),
        ({"key": "b", "operator": "Exists"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "a", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"value": "1"}, False),
    ],
)
def test_a_toleration_bears_a_taint_as_the_scheduler_decides_it(toleration: Json, bears: bool) -> None:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    assert tolerates(toleration, {"key": "a", "value": "1", "effect": "NoSchedule"}) is bears


# Pod templates


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("k8s_set_image", {"images": {"main": "shop:2"}}),
        ("k8s_set_env", {"container": "main", "set": {"C": "1"}}),
        ("k8s_set_resources", {"container": "main", "limits": {"memory": "1Gi"}}),
        ("k8s_set_command", {"container": "main", "command": ["x"]}),
        ("k8s_set_probe", {"container": "main", "probe": "liveness", "path": "/x"}),
        ("k8s_tolerate", {"key": "a", "effect": "NoSchedule"}),
        ("k8s_rollout_restart", {}),
    ],
)
@pytest.mark.parametrize(
    ("workload", "said"),
    [
        (of("Deployment"), ()),
        (of("Deployment", paused=True), ("Its rollout is paused: pods get this when it is resumed.",)),
        (of("ReplicaSet"), ("Pods that run keep what they have; only new ones get this.",)),
        (of("DaemonSet", updateStrategy={"type": "OnDelete"}), ("Its update strategy is OnDelete: a pod gets this when "
                                                                "somebody deletes it.",)),
        (
            of("StatefulSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}),
            ("Its update strategy keeps a partition: pods below ordinal 2 do not get this.",),
        ),
    ],
)  # fmt: skip
async def test_when_the_pods_get_it_is_said(tool: str, arguments: Json, workload: Json, said: tuple[str, ...]) -> None:
    """Where that is not at once."""
    if tool == "k8s_rollout_restart" and (workload["kind"] == "ReplicaSet" or workload["spec"].get("paused")):
        return  # it refuses those
    change = await shelf.rendered(tool, {**THE_WEB, "kind": workload["kind"], **arguments}, workload)
    assert change.notes == said


@pytest.mark.parametrize("tool", ["k8s_set_image", "k8s_tolerate"])
async def test_a_jobs_template_is_fixed(tool: str) -> None:
    """The way is a new Job."""
    extra: Json = {"images": {"main": "x:1"}} if tool == "k8s_set_image" else {"key": "a", "effect": "NoSchedule"}
    with pytest.raises(BadInput, match="template is fixed") as caught:
        await shelf.rendered(tool, {**THE_WEB, "kind": "Job", **extra}, of("Job"))
    assert "k8s_create_job" in caught.value.next_step


async def test_an_amount_is_taken_out_by_none() -> None:
    """The others stay; taking out what is not there changes nothing."""
    change = await shelf.rendered("k8s_set_resources", {**MAIN, "limits": {"cpu": None, "gpu": None}}, WEB)
    path = "/spec/template/spec/containers/0/resources/limits/cpu"
    assert [one for one in change.requests[0].body if one["op"] != "test"] == [{"op": "remove", "path": path}]
    assert "cpu limit 1 → none" in change.title
    assert "--type=json" in change.equivalent


async def test_a_running_pod_is_resized() -> None:
    """By the subresource that is for that."""
    pod = held("Pod", "web", spec={"containers": [CONTAINER]})
    arguments: Json = {**MAIN, "kind": "Pod", "limits": {"memory": "1Gi"}}
    change = await shelf.rendered("k8s_set_resources", arguments, pod)
    (request,) = change.requests
    assert request.path == "/api/v1/namespaces/shop/pods/web/resize"
    assert request.body[-1] == {"op": "replace", "path": "/spec/containers/0/resources/limits/memory", "value": "1Gi"}
    assert "--subresource=resize" in change.equivalent


async def test_every_entry_of_a_variable_is_removed() -> None:
    """A variable may stand twice; the last one counts, and both go."""
    change = await shelf.rendered("k8s_set_env", {**MAIN, "unset": ["A"]}, WEB)
    root = "/spec/template/spec/containers/0/env"
    assert [one["path"] for one in change.requests[0].body if one["op"] == "remove"] == [f"{root}/2", f"{root}/0"]


async def test_an_empty_command_goes_back_to_the_images_own() -> None:
    """What the container says is taken out."""
    container = {**CONTAINER, "command": ["sh"], "args": ["-c", "x"]}
    template = {"spec": {"containers": [container]}}
    change = await shelf.rendered(
        "k8s_set_command", {**MAIN, "command": [], "args": ["y"]}, of("Deployment", template=template)
    )
    done = {one["path"].rpartition("/")[2]: one["op"] for one in change.requests[0].body if one["op"] != "test"}
    assert done == {"command": "remove", "args": "replace"}
    assert change.title == "deployment/web: main command as its image says, args y"


async def test_a_probe_keeps_its_way_of_asking_and_what_is_not_named() -> None:
    """Only the port moves; a port that the container does not declare is pointed out."""
    change = await shelf.rendered(
        "k8s_set_probe", {**MAIN, "probe": "liveness", "port": 9090, "failure_threshold": 6}, WEB
    )
    root = "/spec/template/spec/containers/0/livenessProbe"
    assert [one for one in change.requests[0].body if one["op"] != "test"] == [
        {"op": "replace", "path": f"{root}/httpGet/port", "value": 9090},
        {"op": "add", "path": f"{root}/failureThreshold", "value": 6},
    ]
    assert change.notes == ("Container main does not declare port 9090; it declares 8080.",)
    declared = await shelf.rendered("k8s_set_probe", {**MAIN, "probe": "liveness", "port": "http"}, WEB)
    assert declared.notes == ()


@pytest.mark.parametrize(
    ("arguments", "probe"),
    [
        (
            {"path": "/ready", "port": 80, "scheme": "HTTPS"},
            {"httpGet": {"path": "/ready", "port": 80, "scheme": "HTTPS"}},
        ),
        ({"port": "http"}, {"tcpSocket": {"port": "http"}}),
        ({"command": ["cat", "/x"], "period_seconds": 3}, {"exec": {"command": ["cat", "/x"]}, "periodSeconds": 3}),
    ],
)
async def test_a_new_probe_asks_by_what_is_given(arguments: Json, probe: Json) -> None:
    """A command, a path, or a port alone."""
    change = await shelf.rendered("k8s_set_probe", {**MAIN, "probe": "readiness", **arguments}, WEB)
    assert change.requests[0].body[-1]["value"] == probe


@pytest.mark.parametrize(
    ("known", "arguments", "last"),
    [
        (None, {"value": "x"}, {"key": "a", "effect": "NoExecute", "operator": "Equal", "value": "x"}),
        (None, {"seconds": 60}, {"key": "a", "effect": "NoExecute", "operator": "Exists", "tolerationSeconds": 60}),
        ([{"key": "z", "operator": "Exists"}], {}, {"key": "a", "effect": "NoExecute", "operator": "Exists"}),
        ([{"operator": "Exists"}], {"value": "x"}, None),
        ([{"key": "a", "effect": "NoExecute", "operator": "Exists"}], {}, None),
    ],
)
async def test_a_toleration_is_narrow_and_added_once(
    known: list[Json] | None, arguments: Json, last: Json | None
) -> None:
    """Of one key and one effect; where the pods bear the taint already nothing changes."""
    template = {"spec": {"containers": [CONTAINER], **({"tolerations": known} if known else {})}}
    change = await shelf.rendered(
        "k8s_tolerate", {**THE_WEB, "key": "a", "effect": "NoExecute", **arguments}, of("Deployment", template=template)
    )
    added = [one["value"] for one in change.requests[0].body if one["op"] == "add"]
    flat = [one for value in added for one in (value if isinstance(value, list) else [value])]
    assert flat == ([last] if last else [])


# Scaling


def autoscaler(name: str, target: str, **spec: object) -> Json:
    """A HorizontalPodAutoscaler of a Deployment."""
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return held("HorizontalPodAutoscaler", name, spec={"scaleTargetRef": scaled, "maxReplicas": 3, **spec})


async def test_an_autoscaler_is_found_by_what_it_scales() -> None:
    """Whatever it is called; what is not named stays."""
    mine = autoscaler("other-name", "web", minReplicas=2)
    change = await shelf.rendered("k8s_autoscale", {**THE_WEB, "max_replicas": 9}, WEB, mine)
    (request,) = change.requests
    assert (request.verb, request.target.name) == ("patch", "other-name")
    assert request.body[-1] == {"op": "replace", "path": "/spec/maxReplicas", "value": 9}
    assert change.title == "deployment/web: autoscaler other-name, at most 9 replicas"
    with pytest.raises(BadInput, match="At least 2 and at most 1"):
        await shelf.rendered("k8s_autoscale", {**THE_WEB, "max_replicas": 1}, WEB, mine)


async def test_a_metric_is_changed_where_it_stands_and_added_where_it_does_not() -> None:
    """The others stay."""
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    mine = autoscaler("web", "web", metrics=[{"type": "Pods"}, cpu])
    use: Json = {"cpu_percent": 60, "memory_percent": 70}
    change = await shelf.rendered("k8s_autoscale", {**THE_WEB, **use}, WEB, mine)
    done = {one["path"]: one["op"] for one in change.requests[0].body if one["op"] != "test"}
    assert done == {"/spec/metrics/1": "replace", "/spec/metrics/-": "add"}
    bare = await shelf.rendered("k8s_autoscale", {**THE_WEB, **use}, WEB, autoscaler("web", "web"))
    assert len(bare.requests[0].body[-1]["value"]) == 2


async def test_an_autoscaler_of_the_name_that_scales_something_else_is_in_the_way() -> None:
    """And two of the same workload fight."""
    with pytest.raises(BadInput, match="scales something else"):
        await shelf.rendered("k8s_autoscale", {**THE_WEB, "max_replicas": 3}, WEB, autoscaler("web", "shop"))
    with pytest.raises(BadInput, match="several autoscalers, which fight: a, b"):
        await shelf.rendered(
            "k8s_autoscale", {**THE_WEB, "max_replicas": 3}, WEB, autoscaler("a", "web"), autoscaler("b", "web")
        )


async def test_a_container_without_a_request_cannot_be_measured() -> None:
    """The autoscaler would not work, which is said."""
    template = {"spec": {"containers": [{"name": "bare"}], "initContainers": [{"name": "first"}]}}
    change = await shelf.rendered("k8s_autoscale", {**THE_WEB, "max_replicas": 3}, of("Deployment", template=template))
    assert change.notes == ("Container bare requests no cpu, so its autoscaler cannot tell how much of it is used.",)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ({"name": "v1", "subresources": {"scale": {"specReplicasPath": ".spec.inner.size"}}}, ""),
        ({"name": "v2", "subresources": {"scale": {"specReplicasPath": ".spec.size"}}}, "does not say where"),
        ({"name": "v1", "subresources": {"scale": {"specReplicasPath": ".spec['size']"}}}, "does not say where"),
    ],
)
async def test_a_custom_resources_replicas_are_where_its_definition_says(version: Json, said: str) -> None:
    """Of the version that is served; nothing is guessed."""
    crd = held("CustomResourceDefinition", "gadgets.tests.skyflo.dev", namespace="", spec={"versions": [version]})
    gadget = held("Gadget", "a", spec={"inner": {"size": 1}})
    arguments: Json = {"kind": "Gadget", "namespace": "shop", "name": "a", "replicas": 3}
    if said:
        with pytest.raises(BadInput, match=said):
            await shelf.rendered("k8s_scale", arguments, crd, gadget)
        return
    change = await shelf.rendered("k8s_scale", arguments, crd, gadget)
    assert change.requests[0].body[-1] == {"op": "replace", "path": "/spec/inner/size", "value": 3}
    assert change.requests[0].path.endswith("/gadgets/a")


# Making


async def test_a_pod_gets_no_token_except_with_an_account() -> None:
    """And with restricted it meets the standard of that name."""
    arguments: Json = {
        "name": "look",
        "image": "busybox:1",
        "namespace": "shop",
        "command": ["sh", "-c", "echo 'a b'\n"],
    }
    plain = (await shelf.rendered("k8s_run_pod", arguments)).requests[0].body
    assert plain["spec"]["automountServiceAccountToken"] is False
    assert plain["metadata"]["labels"] == {"run": "look"}
    more: Json = {"service_account": "viewer", "restricted": True, "run_as_user": 1000, "requests": {"cpu": "10m"}}
    change = await shelf.rendered("k8s_run_pod", {**arguments, **more})
    spec = change.requests[0].body["spec"]
    assert spec["serviceAccountName"] == "viewer"
    assert "automountServiceAccountToken" not in spec
    security = spec["containers"][0]["securityContext"]
    assert security["runAsNonRoot"] is security["allowPrivilegeEscalation"] is False or security["runAsUser"] == 1000
    assert security["capabilities"] == {"drop": ["ALL"]}
    words = shlex.split(change.equivalent)
    assert words[words.index("--") + 1 :] == arguments["command"]


async def test_a_cronjobs_job_is_as_kubectl_makes_it() -> None:
    """Owned by the CronJob, and marked as made by hand."""
    change = await shelf.rendered("k8s_create_job", {"namespace": "shop", "name": "now", "cronjob": "nightly"}, CRON)
    body = change.requests[0].body
    assert body["metadata"]["annotations"] == {"cronjob.kubernetes.io/instantiate": "manual"}
    (owner,) = body["metadata"]["ownerReferences"]
    assert (owner["name"], owner["uid"], owner["controller"]) == ("nightly", "CronJob-nightly", True)
    assert body["spec"] == CRON["spec"]["jobTemplate"]["spec"]
    assert change.equivalent == "kubectl -n shop create job now --from=cronjob/nightly"


async def test_a_job_is_made_again_without_what_its_controller_wrote() -> None:
    """Its selector and the labels of the former pods."""
    labels = {"batch.kubernetes.io/controller-uid": "x", "controller-uid": "x", "job-name": "old", "team": "shop"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    old = held(
        "Job",
        "old",
        spec={"selector": {"matchLabels": {"controller-uid": "x"}}, "template": template, "suspend": False},
        metadata={"labels": labels},
    )
    change = await shelf.rendered("k8s_create_job", {"namespace": "shop", "name": "new", "job": "old"}, old)
    body = change.requests[0].body
    assert set(body["spec"]) == {"template"}
    assert body["spec"]["template"]["metadata"]["labels"] == body["metadata"]["labels"] == {"team": "shop"}
    assert "ownerReferences" not in body["metadata"]


async def test_what_is_different_in_a_job_is_of_one_container() -> None:
    """Which is named where there are several."""
    arguments: Json = {"namespace": "shop", "name": "now", "cronjob": "nightly", "limits": {"memory": "1Gi"}}
    change = await shelf.rendered("k8s_create_job", arguments, CRON)
    (container,) = change.requests[0].body["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "1Gi", "cpu": "1"}
    two = {"spec": {"template": {"spec": {"containers": [CONTAINER, {"name": "side"}]}}}}
    cron = held("CronJob", "nightly", spec={"jobTemplate": two})
    with pytest.raises(BadInput, match="several containers") as caught:
        await shelf.rendered("k8s_create_job", arguments, cron)
    assert "main, side" in caught.value.next_step


async def test_a_cronjob_that_is_suspended_or_not_already_stays_so() -> None:
    """And the Jobs that run are not forgotten."""
    change = await shelf.rendered("k8s_cronjob_suspend", IN_SHOP, CRON)
    assert change.notes == ("1 of its Jobs run now and go on.",)
    suspended = {**CRON, "spec": {**CRON["spec"], "suspend": True}}
    for tool, cron in (("k8s_cronjob_suspend", suspended), ("k8s_cronjob_resume", CRON)):
        again = await shelf.rendered(tool, IN_SHOP, cron)
        assert [one["op"] for one in again.requests[0].body] == ["test"]


@pytest.mark.parametrize(
    ("workload", "arguments", "spec"),
    [
        (
            WEB,
            {"port": 80},
            {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]},
        ),
        (
            WEB,
            {"port": 8080},
            {"selector": {"app": "web"}, "ports": [{"port": 8080, "targetPort": 8080, "protocol": "TCP"}]},
        ),
        (
            of("ReplicationController", selector={"app": "rc"}),
            {"port": 80, "target_port": "http"},
            {"selector": {"app": "rc"}, "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]},
        ),
    ],
)
async def test_a_service_takes_selector_and_port_from_the_workload(workload: Json, arguments: Json, spec: Json) -> None:
    """Nothing is invented."""
    change = await shelf.rendered("k8s_expose", {**THE_WEB, "kind": workload["kind"], **arguments}, workload)
    assert change.requests[0].body["spec"] == spec
    assert change.requests[0].path == "/api/v1/namespaces/shop/services"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}, "by expressions"),
        (
            {
                "template": {
                    "spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 2}]}]}
                }
            },
            "several ports",
        ),
    ],
)
async def test_a_service_that_would_be_a_guess_is_refused(spec: Json, said: str) -> None:
    """With what has to be said."""
    with pytest.raises(BadInput, match=said):
        await shelf.rendered("k8s_expose", {**THE_WEB, "port": 80}, of("Deployment", **spec))


# Claims


def claim(**more: Any) -> Json:
    """A bound claim of 10Gi."""
    spec = {"resources": {"requests": {"storage": "10Gi"}}, "storageClassName": "fast"}
    return held("PersistentVolumeClaim", "data", **{"spec": spec, "status": {"phase": "Bound"}, **more})


def class_(grows: bool) -> Json:
    """Its StorageClass."""
    return held("StorageClass", "fast", namespace="", allowVolumeExpansion=grows)


GROW: Json = {"namespace": "shop", "name": "data", "storage": "20Gi"}


async def test_a_claim_grows_and_there_is_no_way_back() -> None:
    """Said in words."""
    change = await shelf.rendered("k8s_resize_claim", GROW, claim(), class_(True))
    assert change.irreversible == "a claim cannot shrink from 20Gi to 10Gi again"
    assert change.requests[0].body[-1] == {"op": "replace", "path": "/spec/resources/requests/storage", "value": "20Gi"}


async def test_a_claim_of_that_size_is_in_place() -> None:
    """However it is written; the class does not matter then."""
    change = await shelf.rendered("k8s_resize_claim", {**GROW, "storage": "10240Mi"}, claim())
    assert [one["op"] for one in change.requests[0].body] == ["test"]
    assert change.irreversible == ""


@pytest.mark.parametrize(
    ("objects", "storage", "said"),
    [
        ([claim(), class_(True)], "5Gi", "cannot shrink to 5Gi"),
        ([claim(), class_(False)], "20Gi", "does not let claims grow"),
        ([claim()], "20Gi", "no StorageClass fast any more"),
        ([claim(status={"phase": "Pending"}), class_(True)], "20Gi", "not bound"),
        ([claim(spec={"resources": {"requests": {"storage": "10Gi"}}})], "20Gi", "has no StorageClass"),
    ],
)
async def test_a_claim_that_cannot_grow_is_refused(objects: list[Json], storage: str, said: str) -> None:
    """With the reason."""
    with pytest.raises(BadInput, match=said):
        await shelf.rendered("k8s_resize_claim", {**GROW, "storage": storage}, *objects)


async def test_a_class_that_may_not_be_read_is_left_to_the_dry_run() -> None:
    """And that is said."""
    change = await shelf.rendered("k8s_resize_claim", GROW, claim(), class_(False), refused=["/storageclasses/fast"])
    assert "could not be read" in change.notes[0]


# Letting go


@pytest.mark.parametrize(
    ("finalizers", "going", "path", "irreversible"),
    [
        (["a/x", "b/y"], True, "/metadata/finalizers/1", True),
        (["b/y"], True, "/metadata/finalizers", True),
        (["b/y"], False, "/metadata/finalizers", False),
    ],
)
async def test_one_finalizer_goes_by_its_name(
    finalizers: list[str], going: bool, path: str, irreversible: bool
) -> None:
    """With the last one of an object that is being deleted, the object."""
    metadata: Json = {"finalizers": finalizers} | ({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})
    arguments: Json = {"kind": "ConfigMap", "namespace": "shop", "name": "a", "finalizer": "b/y"}
    change = await shelf.rendered("k8s_remove_finalizer", arguments, held("ConfigMap", "a", metadata=metadata))
    assert change.requests[0].body[-1] == {"op": "remove", "path": path}
    assert bool(change.irreversible) is irreversible
    assert any("gone with it at once" in note for note in change.notes) is (going and len(finalizers) == 1)


@pytest.mark.parametrize(("kind", "irreversible"), [("Pod", True), ("Deployment", False)])
async def test_a_scheduling_gate_goes_by_its_name(kind: str, irreversible: bool) -> None:
    """From a pod for good, from a template until it is put back."""
    gates = {"schedulingGates": [{"name": "a/x"}, {"name": "b/y"}], "containers": []}
    workload = held("Pod", "web", spec=gates) if kind == "Pod" else of("Deployment", template={"spec": gates})
    change = await shelf.rendered("k8s_remove_scheduling_gate", {**THE_WEB, "kind": kind, "gate": "b/y"}, workload)
    assert change.requests[0].body[-1]["path"].endswith("/spec/schedulingGates/1")
    assert bool(change.irreversible) is irreversible


async def test_a_read_that_fails_is_not_taken_for_an_answer() -> None:
    """A refused read of the object itself ends the rendering."""
    with pytest.raises(Unknown):
        await shelf.rendered("k8s_delete", THE_WEB, WEB, refused=["/deployments/web"])
