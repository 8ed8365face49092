"""Manifests: read strictly and within bounds, placed in the cluster, and put in the order in which they are needed."""

import contextlib
import itertools
import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import NotFound, call
from skyflo_mcp.kubernetes.change import manifests, yaml_text

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import APPLY_PATCH, Rendered
from tests.gateway.world import world as world_of
from tests.tools import shelf
from tests.tools.worlds import World

SETTINGS: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}


def manifest(kind: str, name: str, api_version: str = "v1", **more: object) -> Json:
    """A manifest of few words."""
    metadata = {"name": name} | ({"namespace": more.pop("namespace")} if "namespace" in more else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


async def rendered(world: World, content: object, **more: object) -> Rendered:
    """Render an apply in the world's namespace."""
    change = await call(world.cluster, "k8s_apply", {"namespace": world.namespace, "content": content, **more})
    assert isinstance(change, Rendered)
    return change


# Text


def test_several_documents_are_read_and_empty_ones_left_out() -> None:
    """As files of manifests are written."""
    text = "# a comment\n---\napiVersion: v1\n---\n---\n# nothing\n---\nkind: Pod\n"
    assert yaml_text.documents(text) == [{"apiVersion": "v1"}, {"kind": "Pod"}]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
        ("v1", "v1"),
        ("1.20.3", "1.20.3"),
        ("0644", 420),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", 1000),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("'5'", "5"),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("=", "="),
        ("080", "080"),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_a_value_is_read_as_kubectl_reads_it(written: str, meant: object) -> None:
    """YAML 1.1 as Kubernetes has it: no dates and no base 60."""
    assert yaml_text.documents(f"x: {written}") == [{"x": meant}]


def test_an_alias_and_a_merge_are_written_out() -> None:
    """Within bounds they are useful, and a merged key may be overridden."""
    text = "base: &base {a: 1, b: 2}\nsame: *base\nmore: {<<: *base, b: 3}\n"
    assert yaml_text.documents(text) == [{"base": {"a": 1, "b": 2}, "same": {"a": 1, "b": 2}, "more": {"a": 1, "b": 3}}]


def test_json_is_read_as_json_also_with_tabs() -> None:
    """Where it is none, as YAML's flow style."""
    assert yaml_text.documents('{\n\t"a": [1, "12:30"]\n}') == [{"a": [1, "12:30"]}]
    assert yaml_text.documents("{a: [1, 12:30]}") == [{"a": [1, "12:30"]}]


_BOMB = (
    "a: &a ["
    + ",".join(["lol"] * 9)
    + "]\n"
    + "\n".join(f"{now}: &{now} [{','.join([f'*{before}'] * 9)}]" for before, now in itertools.pairwise("abcdefghij"))
)
# Each alias stands on the one before, so that what is written out is deeper than anything that is written.
_TOWER = "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "Line 2: 'a' stands twice"),
        ("x:\n  b: 1\n  'b': 2", "Line 3: 'b' stands twice"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ("&a [*a]", "leads into itself"),
        ("a: &a {b: *a}", "leads into itself"),
        (_BOMB, "too large"),
        (_TOWER, "deeper than 60"),
        ("[" * 5_000, "deeper than 60"),
        ('{"a":' * 5_000, "deeper than 60"),
        ('{"a":' * 500 + "1" + "}" * 500, "deeper than 60"),
        ("a: !!python/object/apply:os.system [id]", "constructor for the tag"),
        ("a: !!binary aGk=", "constructor for the tag"),
        ("a: !!set {x}", "constructor for the tag"),
        ("a: !!timestamp 2024-01-01", "constructor for the tag"),
        ("1: x", "1 is no text"),
        ("yes: x", "True is no text"),
        ("? [a]\n: b", "unhashable"),
        ("a: .nan", "no number that JSON has"),
        ("a: -.inf", "no number that JSON has"),
        ("a: " + "9" * 30, "larger than 64 bits"),
        ("a: " + "9" * 5_000, "no YAML"),
        ("a: *b", "undefined alias"),
        ("a: b: c", "line 1, column 5"),
        ("a: [", "line 2"),
        ("\x01: a", "control characters"),
        ("\ud800", "no YAML"),
        ("a: " + "x" * 600_000, "larger than 512 KiB"),
    ],
)
def test_what_is_no_plain_manifest_is_refused_at_once(text: str, said: str) -> None:
    """With the line where there is one, and before anything grows."""
    began = time.monotonic()
    with pytest.raises(BadInput, match=said):
        yaml_text.documents(text)
    assert time.monotonic() - began < 2


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc/.-é", max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc/.-", min_size=1, max_size=5), PLAIN, min_size=1, max_size=4))
@settings(deadline=None)
def test_what_is_written_comes_back_by_yaml_and_by_json(value: Json) -> None:
    """Whatever a manifest may hold."""
    assert yaml_text.documents(json.dumps(value)) == [value]
    assert yaml_text.documents(yaml.safe_dump(value, allow_unicode=True, default_style='"')) == [value]


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_read_or_is_bad_input(text: str) -> None:
    """Never an error of another kind."""
    with contextlib.suppress(BadInput):
        assert isinstance(yaml_text.documents(text), list)


# Manifests


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "Between 1 and 100"),
        ("# nothing", "Between 1 and 100"),
        ([], "Between 1 and 100"),
        ([SETTINGS] * 101, "got 101"),
        ("just words", "A manifest was expected, got str"),
        ([{**SETTINGS, "apiVersion": "--as=admin"}], "no apiVersion"),
        ([{**SETTINGS, "apiVersion": "v1/../../x"}], "no apiVersion"),
        ([{**SETTINGS, "apiVersion": None}], "no apiVersion"),
        ([{**SETTINGS, "kind": "Config Map"}], "no kind"),
        ([{**SETTINGS, "kind": "СonfigMap"}], "no kind"),
        ([{**SETTINGS, "metadata": {"generateName": "a-"}}], "without metadata.name"),
        ([{**SETTINGS, "metadata": "a"}], "without metadata.name"),
        ([manifest("ConfigMap", "../x")], "not a name"),
        ([manifest("ConfigMap", "x" * 1_000)], "not a name"),
        ([manifest("ConfigMap", "a", namespace="a/b")], "namespace"),
        ([{**SETTINGS, "metadata": {"name": "a", "labels": {"port": 80}}}], "label port is 80, and no text"),
        ([{**SETTINGS, "metadata": {"name": "a", "annotations": {"on": True}}}], "annotation on is True"),
        ([{**SETTINGS, "data": {"x": "y" * 600_000}}], "larger than 512 KiB"),
    ],
)
def test_a_manifest_names_one_object_as_kubernetes_names_it(content: str | list[Json], said: str) -> None:
    """Before anything is read of the cluster."""
    with pytest.raises(BadInput, match=said):
        manifests.read(content)


def test_a_list_is_its_items() -> None:
    """As `kubectl get -o yaml` prints several objects."""
    whole = {"apiVersion": "v1", "kind": "List", "items": [SETTINGS, manifest("ConfigMap", "b")]}
    assert [one["metadata"]["name"] for one in manifests.read([whole])] == ["a", "b"]


SECRET = manifest("Secret", "s")
MARK = "«masked:0123456789ab»"


@pytest.mark.parametrize(
    "content", [[{**SECRET, "data": {"a": MARK}}], [{**SECRET, "stringData": {"a": MARK}}], [SECRET]]
)
def test_a_secret_with_references_or_without_values_is_taken(content: list[Json]) -> None:
    """What is asked for holds no value."""
    manifests.unwritten(content)
    manifests.unwritten(content[0])


@pytest.mark.parametrize(
    "content",
    [
        [{**SECRET, "data": {"a": "aHVudGVyMg=="}}],
        [{**SECRET, "data": {"a": MARK, "b": "aHVudGVyMg=="}}],
        [{**SECRET, "data": {"a": MARK + "x"}}],
        [{**SECRET, "stringData": {"a": "hunter2"}}],
        [{**SECRET, "stringData": "hunter2"}],
        [SETTINGS, {"kind": "List", "items": [{**SECRET, "data": {"a": "aHVudGVyMg=="}}]}],
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: aHVudGVyMg==}\n",
        {**SECRET, "data": {"a": "aHVudGVyMg=="}},
    ],
)
def test_a_secrets_value_is_not_written_down(content: object) -> None:
    """Arguments are in the notebook and in the record; the error does not repeat it."""
    with pytest.raises(BadInput, match="not written down") as caught:
        manifests.unwritten(content)
    assert "hunter2" not in str(caught.value)
    assert "aHVudGVyMg" not in str(caught.value)


def test_a_reference_does_not_stand_in_a_text() -> None:
    """The value could hold more than a value: lines, keys, documents."""
    with pytest.raises(BadInput, match="inside a text") as caught:
        manifests.unwritten(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{a: {MARK}}}\n")
    assert "list of objects" in caught.value.next_step


# In the cluster


async def test_an_apply_is_one_request_for_each_object_in_the_order_of_need(practice_world: World) -> None:
    """However they were written; each at its own path, as a server-side apply."""
    ns = practice_world.namespace
    web = manifest("Deployment", "shop", "apps/v1", spec={})
    kinds = [web, manifest("Service", "shop"), manifest("ServiceAccount", "shop"), manifest("Namespace", "fresh")]
    change = await rendered(practice_world, kinds)
    assert [request.target.kind for request in change.requests] == [
        "Namespace",
        "ServiceAccount",
        "Service",
        "Deployment",
    ]
    assert [request.path for request in change.requests] == [
        "/api/v1/namespaces/fresh",
        f"/api/v1/namespaces/{ns}/serviceaccounts/shop",
        f"/api/v1/namespaces/{ns}/services/shop",
        f"/apis/apps/v1/namespaces/{ns}/deployments/shop",
    ]
    assert {(one.verb, one.content_type, one.preview, one.force) for one in change.requests} == {
        ("apply", APPLY_PATCH, "server", False)
    }
    assert change.requests[3].body == {**web, "metadata": {"name": "shop", "namespace": ns}}
    assert change.title == f"apply Namespace/fresh, ServiceAccount/{ns}/shop, Service/{ns}/shop, Deployment/{ns}/shop"
    assert change.equivalent == f"kubectl -n {ns} apply --server-side --field-manager=skyflo -f manifests.yaml"


async def test_the_kubectl_line_names_the_namespace_in_which_the_objects_lie(practice_world: World) -> None:
    """Not the one for those that name none; several have no such line, and what lies in none needs none."""
    apart = {**SETTINGS, "metadata": {**SETTINGS["metadata"], "namespace": "kube-system"}}
    head = "--server-side --field-manager=skyflo -f manifests.yaml"
    assert (await rendered(practice_world, [apart])).equivalent == f"kubectl -n kube-system apply {head}"
    assert (await rendered(practice_world, [apart, SETTINGS])).equivalent == f"kubectl apply {head}"
    assert (await rendered(practice_world, [manifest("Namespace", "fresh")])).equivalent == f"kubectl apply {head}"


async def test_with_force_the_fields_of_others_are_taken_over(practice_world: World) -> None:
    """Only where that was said; else the server refuses and names who manages them."""
    change = await rendered(practice_world, [SETTINGS], force=True)
    assert change.requests[0].force
    assert "--force-conflicts" in change.equivalent


async def test_what_only_the_server_writes_is_left_out_and_named(practice_world: World) -> None:
    """So that what `kubectl get -o yaml` printed can be applied."""
    live = await practice_world.get("ConfigMap", "settings")
    change = await rendered(practice_world, [{**live, "status": {"x": 1}}])
    body = change.requests[0].body
    assert set(body["metadata"]) == {"name", "namespace"}
    assert "status" not in body
    assert "left out status, metadata.uid, metadata.resourceVersion" in change.notes[0]


async def test_what_stands_in_a_namespace_that_comes_first_is_previewed_later(practice_world: World) -> None:
    """The server could not try it; what is in a namespace that is there already it can."""
    there = manifest("Namespace", practice_world.namespace)
    change = await rendered(
        practice_world,
        [
            there,
            manifest("Namespace", "fresh"),
            {**SETTINGS, "metadata": {"name": "a", "namespace": "fresh"}},
            SETTINGS,
        ],
    )
    previews = {str(one.target): one.preview for one in change.requests}
    assert previews == {
        f"Namespace/{practice_world.namespace}": "server",
        "Namespace/fresh": "server",
        "ConfigMap/fresh/a": "later",
        f"ConfigMap/{practice_world.namespace}/a": "server",
    }
    assert change.notes == ()


async def test_a_pod_whose_service_account_comes_first_is_previewed_later(practice_world: World) -> None:
    """Admission refuses a pod without its account, a workload not."""
    spec = {"containers": [{"name": "a", "image": "a:1"}], "serviceAccountName": "fresh"}
    objects = [manifest("Pod", "a", spec=spec), manifest("ServiceAccount", "fresh"), manifest("Pod", "b", spec={})]
    change = await rendered(practice_world, objects)
    assert {one.target.name: one.preview for one in change.requests} == {"fresh": "server", "a": "later", "b": "server"}


def definition(*versions: str) -> Json:
    """A CustomResourceDefinition of Widgets."""
    spec = {
        "group": "tests.skyflo.dev",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
        "versions": [{"name": version} for version in versions],
    }
    return manifest("CustomResourceDefinition", "widgets.tests.skyflo.dev", "apiextensions.k8s.io/v1", spec=spec)


@pytest.mark.parametrize(("version", "path"), [("v1", "v1"), ("v2", "v2")])
async def test_an_object_of_a_kind_that_is_defined_first_is_previewed_later(version: str, path: str) -> None:
    """Its path follows from the definition, in the version that it names."""
    objects = [manifest("Widget", "a", f"tests.skyflo.dev/{version}"), definition("v1", "v2")]
    change = await shelf.rendered("k8s_apply", {"content": objects, "namespace": "shop"})
    first, second = change.requests
    assert (first.target.kind, first.preview) == ("CustomResourceDefinition", "server")
    assert (second.path, second.preview) == (f"/apis/tests.skyflo.dev/{path}/namespaces/shop/widgets/a", "later")


async def test_a_version_that_the_definition_does_not_have_is_not_found() -> None:
    """No other is taken for it."""
    objects = [manifest("Widget", "a", "tests.skyflo.dev/v3"), definition("v1", "v2")]
    with pytest.raises(NotFound, match="Widget"):
        await shelf.rendered("k8s_apply", {"content": objects, "namespace": "shop"})


async def test_a_kind_that_nobody_knows_is_not_found(practice_world: World) -> None:
    """Neither the cluster nor the manifests."""
    with pytest.raises(NotFound, match="Widget"):
        await rendered(practice_world, [manifest("Widget", "a", "tests.skyflo.dev/v1")])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([SETTINGS, SETTINGS], "stands there 2 times"),
        ([manifest("Node", "a", namespace="tools")], "lives in no namespace"),
        ([manifest("ConfigMap", "a", namespace="gone")], "no namespace gone"),
        ([manifest("Pods", "a")], "is served as Pod of v1"),
        ([manifest("Deployment", "a", "apps/v1beta1", spec={})], "Deployment of apps/v1 here"),
    ],
)
async def test_a_manifest_that_fits_nowhere_is_refused(practice_world: World, content: list[Json], said: str) -> None:
    """With what was expected."""
    with pytest.raises(BadInput, match=said):
        await rendered(practice_world, content)


async def test_a_namespace_that_may_not_be_read_is_left_to_the_dry_run() -> None:
    """A refused read says nothing of what is there."""
    arguments: Json = {"content": [SETTINGS], "namespace": "shop"}
    change = await shelf.rendered("k8s_apply", arguments, refused=["/namespaces/shop"])
    assert [(one.target.namespace, one.preview) for one in change.requests] == [("shop", "server")]


async def test_a_creation_is_one_request_to_the_collection(practice_world: World) -> None:
    """Of an object that must not be there yet."""
    change = await call(
        practice_world.cluster, "k8s_create", {"manifest": SETTINGS, "namespace": practice_world.namespace}
    )
    assert isinstance(change, Rendered)
    (request,) = change.requests
    assert (request.verb, request.path) == ("create", f"/api/v1/namespaces/{practice_world.namespace}/configmaps")
    assert change.title == f"create ConfigMap/{practice_world.namespace}/a"


async def test_the_gate_takes_a_secrets_values_by_reference_only(tmp_path: Path) -> None:
    """Rendered, the request holds the value; nothing that is shown does."""
    async with world_of(tmp_path) as gate:
        secret: Json = {**SECRET, "stringData": {"a": "hunter2"}}
        for tool, arguments in (("k8s_apply", {"content": [secret]}), ("k8s_create", {"manifest": secret})):
            with pytest.raises(BadInput, match="not written down"):
                await gate.gate.render(tool, {**arguments, "namespace": "checkout"})
        mark = gate.gateway.redactor.reference("hunter2")
        content = [{**SECRET, "stringData": {"a": mark}}]
        change = await gate.gate.render("k8s_apply", {"content": content, "namespace": "checkout"})
    assert change.requests[0].body["stringData"] == {"a": "hunter2"}
    assert "hunter2" not in change.title + change.equivalent + "".join(change.notes)


@pytest.mark.control_plane
async def test_an_object_is_applied_and_read_in_the_version_of_its_manifest(real_world: World) -> None:
    """An autoscaler of autoscaling/v1, where v2 is preferred: its fields are those of v1, before and after."""
    spec = {"minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70}
    spec["scaleTargetRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}  # type: ignore[assignment]
    content = [manifest("HorizontalPodAutoscaler", "web", "autoscaling/v1", namespace=real_world.namespace, spec=spec)]
    (request,) = (await rendered(real_world, content)).requests
    assert request.path.startswith("/apis/autoscaling/v1/")
    await real_world.cluster.send(request, dry_run=True, field_manager="test")
    await real_world.cluster.send(request, dry_run=False, field_manager="test")
    found = await real_world.cluster.get(request.target)
    assert (found["apiVersion"], found["spec"]["targetCPUUtilizationPercentage"]) == ("autoscaling/v1", 70)
