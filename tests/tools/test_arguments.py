"""Arguments: one validator for REST and MCP, and nothing in an argument leaves its place."""

import contextlib
import inspect
import typing
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import TOOLS, Tool, call, checked, tool

from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered
from tests.tools.apiserver import Asked, Reply, Scripted, with_discovery

HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            *("a\nb", "a\r\nHost: evil", "--as=admin", "-n", "../../secrets/x", "..", "a/../../b", "a%2f..%2fb"),
            *("a\0b", "a?dryRun=All", "a#b", "a;b", "$(id)", "`id`", "\u202ename", "ｎａｍｅ", "name ", " name"),
            *("NAME", "", "x" * 300, "a/log", "a&b=c"),
        ]
    ),
)  # fmt: skip
WEB: Json = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "web", "namespace": "shop", "uid": "d"},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "web", "image": "a:1"}]}}},
}
SETTINGS: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
THE_WEB: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}
IN_WEB: Json = {**THE_WEB, "container": "web"}
GOOD: dict[str, Json] = {
    "k8s_get": {"kind": "Pod"},
    "k8s_describe": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_events": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_logs": {"namespace": "shop", "name": "web"},
    "k8s_top_pods": {"namespace": "shop"},
    "k8s_rollout_status": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_rollout_history": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_top_nodes": {},
    "k8s_cluster_info": {},
    "k8s_api_resources": {},
    "k8s_auth_can_i": {"verb": "get", "kind": "Pod", "namespace": "shop"},
    "k8s_explain": {"kind": "Deployment"},
    "k8s_certificate": {"namespace": "shop", "name": "web-tls"},
    "k8s_environment": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_disk_usage": {"namespace": "shop"},
    "k8s_http_get": {"namespace": "shop", "name": "web", "port": 80},
    "k8s_wait": {"kind": "Deployment", "namespace": "shop", "name": "web", "seconds": 0.01},
    "wait_for_x_seconds": {"seconds": 0.01},
    "k8s_set_resources": {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "web",
        "container": "web",
        "limits": {"memory": "1Gi"},
    },
    "k8s_set_image": {"kind": "Deployment", "namespace": "shop", "name": "web", "images": {"web": "b:1"}},
    "k8s_set_env": {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "web",
        "container": "web",
        "set": {"A": "b"},
    },
    "k8s_patch": {"kind": "Deployment", "namespace": "shop", "name": "web", "patch": {"spec": {}}},
    "k8s_scale": {"kind": "Deployment", "namespace": "shop", "name": "web", "replicas": 2},
    "k8s_rollout_restart": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_rollout_undo": {"kind": "Deployment", "namespace": "shop", "name": "web"},
    "k8s_set_secret": {"namespace": "shop", "name": "db", "values": {"password": "«entry»"}},
    "k8s_exec": {"namespace": "shop", "name": "web-1", "command": ["ls"]},
    "k8s_cp": {"namespace": "shop", "name": "web-1", "path": "/etc/hosts"},
    "k8s_port_forward": {"namespace": "shop", "name": "web-1", "port": 6379, "send": "PING"},
    "k8s_debug": {"namespace": "shop", "name": "web-1", "image": "busybox:1.37"},
    "k8s_apply": {"content": [SETTINGS], "namespace": "shop"},
    "k8s_create": {"manifest": SETTINGS, "namespace": "shop"},
    "k8s_set_command": {**IN_WEB, "command": ["/app"]},
    "k8s_set_probe": {**IN_WEB, "probe": "liveness", "port": 80},
    "k8s_tolerate": {**THE_WEB, "key": "dedicated", "effect": "NoSchedule"},
    "k8s_label": {**THE_WEB, "set": {"team": "shop"}},
    "k8s_annotate": {**THE_WEB, "set": {"note": "seen"}},
    "k8s_autoscale": {**THE_WEB, "max_replicas": 3},
    "k8s_rollout_pause": {"namespace": "shop", "name": "web"},
    "k8s_rollout_resume": {"namespace": "shop", "name": "web"},
    "k8s_run_pod": {"name": "look", "image": "busybox:1", "namespace": "shop"},
    "k8s_create_job": {"namespace": "shop", "name": "now", "cronjob": "nightly"},
    "k8s_cronjob_suspend": {"namespace": "shop", "name": "nightly"},
    "k8s_cronjob_resume": {"namespace": "shop", "name": "nightly"},
    "k8s_expose": {**THE_WEB, "port": 80},
    "k8s_resize_claim": {"namespace": "shop", "name": "data", "storage": "2Gi"},
    "k8s_cordon": {"name": "node-1"},
    "k8s_uncordon": {"name": "node-1"},
    "k8s_drain": {"name": "node-1"},
    "k8s_taint": {"name": "node-1", "key": "dedicated", "effect": "NoSchedule"},
    "k8s_untaint": {"name": "node-1", "key": "dedicated"},
    "k8s_remove_scheduling_gate": {**THE_WEB, "gate": "example.com/wait"},
    "k8s_remove_finalizer": {**THE_WEB, "finalizer": "example.com/wait"},
    "k8s_delete": THE_WEB,
}
EVERY = pytest.mark.parametrize("name", sorted(TOOLS))
# POST by which one asks; nothing is stored.
QUESTIONS = ("/apis/authorization.k8s.io/v1/", "/apis/authentication.k8s.io/v1/")
_NAMES = ("name", "namespace", "kind")
NAMED = {name: next((one for one in _NAMES if one in TOOLS[name].schema["properties"]), "") for name in sorted(TOOLS)}


def shop() -> Scripted:
    """A server that has the Deployment `web`, and empty lists of everything else."""

    def answer(asked: Asked) -> Reply:
        return Reply(
            body=WEB if asked.path.endswith("/deployments/web") else {"items": [], "rows": [], "kind": "Table"}
        )

    return with_discovery(answer)


def test_every_tool_has_an_example_here() -> None:
    """So that what follows is about each of them."""
    assert set(GOOD) == set(TOOLS)


@EVERY
def test_a_tool_is_a_change_exactly_if_it_renders_one(name: str) -> None:
    """Its effect follows from what its function returns, and cannot be mislabelled."""
    returned = typing.get_type_hints(TOOLS[name].function)["return"]
    assert (TOOLS[name].effect == "change") == (returned is Rendered)


@EVERY
def test_a_tool_says_what_it_does_and_takes_its_arguments_by_name(name: str) -> None:
    """The docstring is its description, the signature its schema."""
    one = TOOLS[name]
    parameters = list(inspect.signature(one.function).parameters.values())
    assert (one.name, one.domain) == (name, "kubernetes")
    assert len(one.description) > 20
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters[1:])
    assert set(one.schema["properties"]) == {parameter.name for parameter in parameters[1:]}
    assert one.schema["additionalProperties"] is False


@EVERY
def test_good_arguments_come_back_complete(name: str) -> None:
    """With the defaults filled in."""
    arguments = checked(name, GOOD[name])
    assert set(arguments) == set(TOOLS[name].schema["properties"])
    assert arguments | GOOD[name] == arguments


@EVERY
def test_an_argument_that_the_tool_does_not_have_is_refused(name: str) -> None:
    """Rather than ignored; the message says those that it has."""
    with pytest.raises(BadInput, match="everything") as caught:
        checked(name, {**GOOD[name], "everything": True})
    assert all(argument in caught.value.next_step for argument in TOOLS[name].schema["properties"])


@EVERY
def test_a_required_argument_that_is_missing_is_named(name: str) -> None:
    """Each of them."""
    for required in TOOLS[name].schema.get("required", []):
        left = {key: value for key, value in GOOD[name].items() if key != required}
        with pytest.raises(BadInput, match=required):
            checked(name, left)


@pytest.mark.parametrize(("name", "argument"), [pair for pair in NAMED.items() if pair[1]])
@pytest.mark.parametrize("wrong", [{"nested": [1]}, ["a"], True, 3.5])
def test_an_argument_of_a_wrong_type_is_named(name: str, argument: str, wrong: object) -> None:
    """No text is made of it."""
    with pytest.raises(BadInput, match=argument):
        checked(name, {**GOOD[name], argument: wrong})


@pytest.mark.parametrize("arguments", [None, [], "kind=Pod", 3])
def test_arguments_that_are_no_object_are_bad_input(arguments: object) -> None:
    """Whatever a client sends."""
    with pytest.raises(BadInput, match="k8s_get"):
        checked("k8s_get", typing.cast(Json, arguments))


def test_an_unknown_tool_says_the_nearest() -> None:
    """It is not run, and neither is the nearest."""
    with pytest.raises(BadInput, match="k8s_delete_everything"):
        tool("k8s_delete_everything")
    with pytest.raises(BadInput) as caught:
        tool("k8s_log")
    assert "k8s_logs" in caught.value.next_step


def test_a_choice_that_is_none_shows_the_choices() -> None:
    """The next try will be right."""
    with pytest.raises(BadInput) as caught:
        checked("k8s_rollout_undo", {**GOOD["k8s_rollout_undo"], "kind": "Pod"})
    assert "DaemonSet, Deployment, StatefulSet" in caught.value.next_step


async def run(name: str, arguments: Json) -> Scripted:
    """Call a tool on the scripted shop; its errors must be ours."""
    server = shop()
    async with server.cluster() as cluster:
        with contextlib.suppress(SkyfloError):
            await call(cluster, name, arguments)
    return server


@given(
    name=st.sampled_from(sorted(TOOLS)),
    argument=st.sampled_from(["name", "namespace", "kind", "container"]),
    value=HOSTILE,
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_no_argument_leads_out_of_its_place_in_the_path(name: str, argument: str, value: str) -> None:
    """Only reads, only on the API's own paths, and each hostile text is one segment or is refused."""
    server = await run(name, {**GOOD[name], argument: value})
    for asked in server.asked:
        assert asked.method == "GET" or asked.path.startswith(QUESTIONS)
        segments = asked.path.split("/")
        assert segments[1] in ("api", "apis", "version", "openapi", "readyz")
        assert unquote(asked.path) == asked.path
        assert ".." not in segments
        assert asked.path.isascii()
        assert "\n" not in "".join(asked.headers.values())


@given(name=st.sampled_from(["label_selector", "field_selector"]), value=HOSTILE)
@settings(max_examples=50, deadline=None)
async def test_a_selector_stays_one_parameter_of_the_query(name: str, value: str) -> None:
    """It cannot add another."""
    server = await run("k8s_get", {"kind": "Pod", "namespace": "shop", name: value})
    lists = [asked for asked in server.asked if asked.path.endswith("/pods")]
    assert lists
    for asked in lists:
        assert set(asked.query) <= {"limit", "labelSelector", "fieldSelector"}


@given(
    values=st.dictionaries(HOSTILE, HOSTILE, min_size=1, max_size=3),
    tool_name=st.sampled_from(["image", "env", "limits"]),
)
@settings(max_examples=100, deadline=None)
async def test_keys_and_values_end_as_data_of_the_patch_or_are_refused(values: dict[str, str], tool_name: str) -> None:
    """A rendered patch touches its container's own field and nothing else."""
    extra: dict[str, tuple[str, Json]] = {
        "image": ("k8s_set_image", {"images": {"web": next(iter(values.values()))}}),
        "env": ("k8s_set_env", {"set": values}),
        "limits": ("k8s_set_resources", {"limits": values}),
    }
    name, arguments = extra[tool_name]
    async with shop().cluster() as cluster:
        try:
            change = await call(cluster, name, {**GOOD[name], **arguments})
        except BadInput:
            return
    assert isinstance(change, Rendered)
    for operation in change.requests[0].body:
        assert operation["path"].startswith("/spec/template/spec/containers/0/")
    assert change.requests[0].path == "/apis/apps/v1/namespaces/shop/deployments/web"


@EVERY
async def test_no_tool_writes(name: str) -> None:
    """Rendered or read, nothing but GET goes out."""
    server = await run(name, GOOD[name])
    assert server.asked
    assert all(asked.method == "GET" or asked.path.startswith(QUESTIONS) for asked in server.asked)


def test_a_tools_effect_cannot_be_changed() -> None:
    """It is a value."""
    one = TOOLS["k8s_get"]
    assert one == Tool("k8s_get", "read", one.function)
    with pytest.raises(AttributeError):
        one.effect = "change"  # type: ignore[misc]
