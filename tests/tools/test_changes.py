"""The change tools: what they render is exact, its dry run changes nothing, and applied it does what it says."""

import copy
import json
import shlex

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import Invalid, NotFound, call
from skyflo_mcp.kubernetes.change.operations import drop, pointer, put, unique

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Rendered, Request
from tests.tools.worlds import World

WEB: Json = {"kind": "Deployment", "name": "web"}
CONTAINER = ("spec", "template", "spec", "containers", 0)
SIDE = ("spec", "template", "spec", "containers", 1)
IN_WEB: Json = {**WEB, "container": "web"}
IN_SIDE: Json = {**WEB, "container": "side"}
Path = tuple[str | int, ...]


def json_patch(op: str, path: str, value: object) -> Json:
    """Arguments of k8s_patch: one operation on the Deployment."""
    return {**WEB, "patch": [{"op": op, "path": path, "value": value}], "patch_type": "json"}


# One call of every change tool, and what the object must hold once it is applied.
CASES: list[tuple[str, Json, Path, object]] = [
    (
        "k8s_set_resources",
        {**IN_WEB, "limits": {"memory": "512Mi"}},
        (*CONTAINER, "resources", "limits", "memory"),
        "512Mi",
    ),
    ("k8s_set_resources", {**IN_SIDE, "requests": {"cpu": "50m"}}, (*SIDE, "resources", "requests", "cpu"), "50m"),
    ("k8s_set_image", {**WEB, "images": {"web": "storefront:v5.2.0"}}, (*CONTAINER, "image"), "storefront:v5.2.0"),
    ("k8s_set_env", {**IN_WEB, "set": {"MODE": "fast"}}, (*CONTAINER, "env", 0, "value"), "fast"),
    (
        "k8s_set_env",
        {**IN_WEB, "unset": ["MODE", "LEVEL"], "set": {"NEW": "1"}},
        (*CONTAINER, "env"),
        [{"name": "NEW", "value": "1"}],
    ),
    ("k8s_patch", json_patch("add", "/metadata/labels/team", "shop"), ("metadata", "labels", "team"), "shop"),
    (
        "k8s_patch",
        {**WEB, "patch": {"metadata": {"labels": {"app": None, "team": "shop"}}}, "patch_type": "merge"},
        ("metadata", "labels"),
        {"team": "shop"},
    ),
    ("k8s_patch", {**WEB, "patch": {"spec": {"minReadySeconds": 3}}}, ("spec", "minReadySeconds"), 3),
    ("k8s_scale", {**WEB, "replicas": 5}, ("spec", "replicas"), 5),
    ("k8s_rollout_restart", WEB, ("spec", "template", "metadata", "labels"), {"app": "web"}),
]
# A change, and what somebody else does to the ground it stands on.
LIMIT = "/spec/template/spec/containers/0/resources/limits/memory"
MOVED: list[tuple[str, Json, Json]] = [
    ("k8s_set_resources", CASES[0][1], json_patch("replace", LIMIT, "300Mi")),
    ("k8s_set_image", CASES[2][1], json_patch("replace", "/spec/template/spec/containers/0/image", "other:1")),
    ("k8s_set_env", CASES[3][1], json_patch("replace", "/spec/template/spec/containers/0/env/0/name", "OTHER")),
    ("k8s_scale", CASES[8][1], json_patch("replace", "/spec/replicas", 3)),
    ("k8s_patch", json_patch("replace", "/spec/replicas", 4), json_patch("replace", "/spec/replicas", 3)),
    ("k8s_rollout_restart", WEB, json_patch("add", "/spec/template/metadata/labels/x", "y")),
]


async def render(world: World, tool: str, arguments: Json) -> Rendered:
    """Render a change in the world's namespace."""
    change = await call(world.cluster, tool, {"namespace": world.namespace, **arguments})
    assert isinstance(change, Rendered)
    return change


async def send(world: World, request: Request, *, dry_run: bool) -> Json:
    """Send one request to the object that has this name now."""
    uid = (await world.cluster.get(request.target))["metadata"]["uid"]
    sent = await world.cluster.send(request, dry_run=dry_run, field_manager="skyflo-test", uid=uid)
    return sent.object


async def quiet(world: World) -> None:
    """Wait until the Deployment's controller has written what it had to write."""

    async def seen() -> bool:
        web = await world.get("Deployment", "web")
        pods = len((await world.cluster.list("Pod", world.namespace)).items)
        status = web.get("status", {})
        return bool(
            status.get("observedGeneration") == at(web, "metadata", "generation")
            and status.get("replicas") == status.get("unavailableReplicas") == pods
        )

    await world.until("the controller is done", seen)


@pytest.mark.parametrize(("tool", "arguments", "path", "value"), CASES)
async def test_the_dry_run_leaves_the_object_as_it_was(
    world: World, tool: str, arguments: Json, path: Path, value: object
) -> None:
    """And shows what it would become."""
    await quiet(world)
    change = await render(world, tool, arguments)
    before = await world.get("Deployment", "web")
    would = await send(world, change.requests[0], dry_run=True)
    assert at(would, *path) == value
    assert at(would, "spec", "template") != {} != would
    assert await world.get("Deployment", "web") == before


@pytest.mark.parametrize(("tool", "arguments", "path", "value"), CASES)
async def test_what_is_applied_is_what_was_dry_run(
    world: World, tool: str, arguments: Json, path: Path, value: object
) -> None:
    """The same request, sent in earnest."""
    await quiet(world)
    change = await render(world, tool, arguments)
    would = await send(world, change.requests[0], dry_run=True)
    became = await send(world, change.requests[0], dry_run=False)
    assert at(became, *path) == value
    assert became["spec"] == would["spec"]


@pytest.mark.parametrize(("tool", "arguments", "path", "value"), CASES)
async def test_a_change_is_one_patch_with_a_title_and_a_kubectl_line(
    practice_world: World, tool: str, arguments: Json, path: Path, value: object
) -> None:
    """On the object by its full name, and JSON throughout."""
    change = await render(practice_world, tool, arguments)
    (request,) = change.requests
    assert (request.verb, str(request.target)) == ("patch", f"Deployment/{practice_world.namespace}/web")
    assert request.target.api_version == "apps/v1"
    assert request.path == f"/apis/apps/v1/namespaces/{practice_world.namespace}/deployments/web"
    assert change.title.startswith("deployment/web: ")
    assert change.equivalent.startswith(f"kubectl -n {practice_world.namespace} ")
    assert json.loads(json.dumps(request.body)) == request.body


@pytest.mark.parametrize(("tool", "arguments", "spoil"), MOVED)
async def test_a_change_whose_ground_moved_is_refused_by_the_server(
    world: World, tool: str, arguments: Json, spoil: Json
) -> None:
    """Its tests no longer hold, so nothing of it is applied."""
    change = await render(world, tool, arguments)
    other = await render(world, "k8s_patch", spoil)
    await send(world, other.requests[0], dry_run=False)
    before = (await world.get("Deployment", "web"))["spec"]
    with pytest.raises(Invalid):
        await send(world, change.requests[0], dry_run=False)
    assert (await world.get("Deployment", "web"))["spec"] == before


async def test_two_containers_get_their_images_at_once(world: World) -> None:
    """All or nothing."""
    change = await render(world, "k8s_set_image", {**WEB, "images": {"web": "a:1", "side": "b:2"}})
    would = await send(world, change.requests[0], dry_run=True)
    assert [one["image"] for one in at(would, "spec", "template", "spec", "containers")] == ["a:1", "b:2"]
    assert change.equivalent.endswith("set image deployment/web web=a:1 side=b:2")
    assert change.title == "deployment/web: image web storefront:v5.1.0 → a:1, side storefront:v5.1.0 → b:2"


async def test_limits_and_requests_are_set_where_there_were_none(world: World) -> None:
    """The other container has no resources at all."""
    amounts: Json = {"limits": {"memory": "64Mi", "cpu": 1}, "requests": {"memory": "32Mi"}}
    change = await render(world, "k8s_set_resources", {**WEB, "container": "side", **amounts})
    would = await send(world, change.requests[0], dry_run=True)
    wanted = {"limits": {"memory": "64Mi", "cpu": "1"}, "requests": {"memory": "32Mi"}}
    assert at(would, "spec", "template", "spec", "containers", 1, "resources") == wanted
    assert "memory limit none → 64Mi" in change.title


async def test_a_variable_may_come_from_a_secret_or_a_configmap(world: World) -> None:
    """By reference, so that no value is in the request."""
    wanted = {"PASSWORD": {"secret": "password", "key": "value"}, "MODE": {"configmap": "settings", "key": "mode"}}
    change = await render(world, "k8s_set_env", {**WEB, "container": "web", "set": wanted})
    would = await send(world, change.requests[0], dry_run=True)
    env = {one["name"]: one for one in at(would, *CONTAINER, "env")}
    assert env["PASSWORD"]["valueFrom"] == {"secretKeyRef": {"name": "password", "key": "value"}}
    assert env["MODE"]["valueFrom"] == {"configMapKeyRef": {"name": "settings", "key": "mode"}}
    assert "value" not in env["MODE"]
    assert "kubectl" in change.equivalent
    assert "secretKeyRef" in change.equivalent


async def test_the_value_that_is_replaced_is_not_in_the_request(world: World) -> None:
    """It may be a password, and requests are shown and recorded."""
    change = await render(world, "k8s_set_env", {**WEB, "container": "web", "set": {"MODE": "fast"}})
    assert "slow" not in json.dumps(change.requests[0].body)


@pytest.mark.parametrize(
    ("patch_type", "patch"),
    [("json", [{"op": "remove", "path": "/data/value"}]), ("merge", {"data": {"value": None}})],
)
async def test_a_key_is_taken_out_of_a_secret_without_its_value(world: World, patch_type: str, patch: object) -> None:
    """No test with what it removes."""
    arguments: Json = {"kind": "Secret", "name": "password", "patch": patch, "patch_type": patch_type}
    change = await render(world, "k8s_patch", arguments)
    assert change.requests[0].body == patch
    assert "aHVudGVyMg" not in change.equivalent + change.title


@pytest.mark.parametrize(
    ("patch_type", "patch"),
    [
        ("json", [{"op": "replace", "path": "/data/value", "value": "bmV3"}]),
        ("json", [{"op": "test", "path": "/data/value", "value": "bmV3"}]),
        ("json", [{"op": "add", "path": "/stringData", "value": {"value": "new"}}]),
        ("json", [{"op": "test", "path": "", "value": {}}]),
        ("merge", {"data": {"value": "bmV3"}}),
        ("merge", {"data": "bmV3"}),
        ("strategic", {"stringData": {"value": "new"}}),
    ],
)
async def test_the_value_of_a_secret_is_not_written_down_in_a_patch(
    practice_world: World, patch_type: str, patch: object
) -> None:
    """Arguments are shown and recorded."""
    arguments: Json = {"kind": "Secret", "name": "password", "patch": patch, "patch_type": patch_type}
    with pytest.raises(BadInput, match="not written down"):
        await render(practice_world, "k8s_patch", arguments)


@pytest.mark.parametrize("op", ["copy", "move"])
@pytest.mark.parametrize(
    "source",
    [
        "/data/value",
        "/data",
        "/stringData/value",
        "/metadata/annotations",
        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
    ],
)
async def test_the_value_of_a_secret_is_not_taken_to_where_it_can_be_read(
    practice_world: World, op: str, source: str
) -> None:
    """An annotation is shown to whoever may read the object; nothing on a card would say that this is a password."""
    patch = [{"op": op, "from": source, "path": "/metadata/annotations/note"}]
    arguments: Json = {"kind": "Secret", "name": "password", "patch": patch, "patch_type": "json"}
    with pytest.raises(BadInput, match="not copied or moved out of its data"):
        await render(practice_world, "k8s_patch", arguments)


@pytest.mark.parametrize(
    ("op", "source", "to"),
    [
        ("move", "/data/value", "/data/renamed"),
        ("copy", "/data/value", "/data/second"),
        ("copy", "/metadata/labels/a", "/metadata/labels/b"),
    ],
)
async def test_a_key_of_a_secret_is_renamed(world: World, op: str, source: str, to: str) -> None:
    """Its value stays among the values; and what is none is moved as anywhere else."""
    patch = [{"op": op, "from": source, "path": to}]
    arguments: Json = {"kind": "Secret", "name": "password", "patch": patch, "patch_type": "json"}
    assert (await render(world, "k8s_patch", arguments)).requests[0].body == patch


@pytest.mark.parametrize(
    ("patch_type", "content_type", "patch"),
    [
        ("json", JSON_PATCH, [{"op": "remove", "path": "/data/size"}]),
        ("merge", MERGE_PATCH, {"data": {"size": None}}),
        ("strategic", STRATEGIC_PATCH, {"data": {"size": None}}),
    ],
)
async def test_all_three_kinds_of_patch_do_the_same(
    world: World, patch_type: str, content_type: str, patch: object
) -> None:
    """Each in its own form; a JSON Patch tests what it removes."""
    change = await render(
        world, "k8s_patch", {"kind": "ConfigMap", "name": "settings", "patch": patch, "patch_type": patch_type}
    )
    (request,) = change.requests
    assert request.content_type == content_type
    if patch_type == "json":
        assert request.body[0] == {"op": "test", "path": "/data/size", "value": "3"}
    assert (await send(world, request, dry_run=True))["data"] == {"mode": "slow"}


# Undo


async def rolled(world: World) -> None:
    """Give the Deployment a second revision."""
    change = await render(world, "k8s_set_image", {**WEB, "images": {"web": "storefront:v5.2.0"}})
    await send(world, change.requests[0], dry_run=False)

    async def recorded() -> bool:
        found = await call(
            world.cluster,
            "k8s_rollout_history",
            {"kind": "Deployment", "namespace": world.namespace, "name": "web"},
        )
        assert isinstance(found, dict)
        return [row[:2] for row in found["rows"]] == [[1, False], [2, True]]

    await world.until("the second revision", recorded)
    await quiet(world)


@pytest.mark.parametrize("arguments", [{}, {"to_revision": 1}])
async def test_undo_goes_back_to_the_template_before(world: World, arguments: Json) -> None:
    """Dry run first, which leaves the object; then in earnest."""
    first = at(await world.get("Deployment", "web"), "spec", "template")
    await rolled(world)
    change = await render(world, "k8s_rollout_undo", {**WEB, **arguments})
    before = await world.get("Deployment", "web")
    assert at(await send(world, change.requests[0], dry_run=True), "spec", "template") == first
    assert await world.get("Deployment", "web") == before
    assert at(await send(world, change.requests[0], dry_run=False), "spec", "template") == first
    assert "back to revision 1 (web=storefront:v5.1.0" in change.title


@pytest.mark.control_plane
async def test_undo_of_a_stateful_set_uses_its_controller_revisions(real_world: World) -> None:
    """Another controller keeps its history elsewhere."""
    template = copy.deepcopy(at(await real_world.get("Deployment", "web"), "spec", "template"))
    template["metadata"]["labels"] = {"app": "db"}
    spec = {"replicas": 1, "serviceName": "web", "selector": {"matchLabels": {"app": "db"}}, "template": template}
    await real_world.create({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec})
    where: Json = {"kind": "StatefulSet", "namespace": real_world.namespace, "name": "db"}

    async def revisions(count: int) -> bool:
        found = await call(real_world.cluster, "k8s_rollout_history", where)
        assert isinstance(found, dict)
        return bool(found["count"] == count and found["rows"][-1][1])

    await real_world.until("the first revision", lambda: revisions(1))
    first = at(await real_world.get("StatefulSet", "db"), "spec", "template")
    change = await render(real_world, "k8s_set_image", {**where, "images": {"web": "storefront:v5.2.0"}})
    await send(real_world, change.requests[0], dry_run=False)
    await real_world.until("the second revision", lambda: revisions(2))
    undo = await render(real_world, "k8s_rollout_undo", where)
    assert at(await send(real_world, undo.requests[0], dry_run=True), "spec", "template") == first


async def test_undo_without_an_earlier_revision_says_so(world: World) -> None:
    """Nothing is invented."""
    await quiet(world)
    with pytest.raises(BadInput, match="no earlier revision"):
        await render(world, "k8s_rollout_undo", WEB)
    with pytest.raises(BadInput, match="no revision 9") as caught:
        await render(world, "k8s_rollout_undo", {**WEB, "to_revision": 9})
    assert caught.value.next_step == "Its revisions: 1."


async def test_a_paused_workload_neither_restarts_nor_goes_back(world: World) -> None:
    """The change would lie there unseen."""
    pause = await render(world, "k8s_patch", {**WEB, "patch": {"spec": {"paused": True}}})
    await send(world, pause.requests[0], dry_run=False)
    for tool in ("k8s_rollout_restart", "k8s_rollout_undo"):
        with pytest.raises(BadInput, match="paused"):
            await render(world, tool, WEB)


# Bad input

REFUSED: list[tuple[str, Json, str]] = [
    ("k8s_set_resources", {**WEB, "container": "web"}, "Nothing to set"),
    ("k8s_set_resources", {**WEB, "container": "nope", "limits": {"memory": "1Gi"}}, "no container named 'nope'"),
    ("k8s_set_resources", {**WEB, "container": "web", "limits": {"memory": "512MB"}}, "not a quantity"),
    ("k8s_set_resources", {**WEB, "container": "web", "limits": {"memory": "-1Mi"}}, "0 or more"),
    ("k8s_set_resources", {**WEB, "container": "web", "limits": {"mem ory": "1Mi"}}, "no resource"),
    ("k8s_set_resources", {**WEB, "container": "web", "limits": {"memory": "64Mi"}}, "above the limit 64Mi"),
    ("k8s_set_resources", {**WEB, "container": "web", "requests": {"memory": "1Gi"}}, "request 1Gi"),
    ("k8s_set_image", {**WEB, "images": {}}, "Nothing to set"),
    ("k8s_set_image", {**WEB, "images": {"nope": "a:1"}}, "no container named 'nope'"),
    ("k8s_set_env", {**WEB, "container": "web"}, "Nothing to set"),
    ("k8s_set_env", {**WEB, "container": "web", "set": {"A": "1"}, "unset": ["A"]}, "at once"),
    ("k8s_set_env", {**WEB, "container": "web", "unset": ["GONE"]}, "no environment variable 'GONE'"),
    ("k8s_set_env", {**WEB, "container": "web", "set": {"1A": "x"}}, "name of an environment variable"),
    ("k8s_set_env", {**WEB, "container": "web", "set": {"A": "x\0y"}}, "NUL"),
    ("k8s_set_env", {**WEB, "container": "web", "set": {"A": {"secret": "s"}}}, "one of its keys"),
    ("k8s_set_env", {**WEB, "container": "web", "set": {"A": {"secret": "S!", "key": "k"}}}, "not a name"),
    ("k8s_patch", {**WEB, "patch": {}}, "empty"),
    ("k8s_patch", {**WEB, "patch": []}, "empty"),
    ("k8s_patch", {**WEB, "patch": {"a": 1}, "patch_type": "json"}, "a list of operations"),
    ("k8s_patch", {**WEB, "patch": [{"op": "test"}]}, "an object"),
    ("k8s_patch", {**WEB, "patch": [{"op": "jump", "path": "/a"}], "patch_type": "json"}, "no JSON Patch operation"),
    ("k8s_patch", {**WEB, "patch": [{"op": "add", "path": "/a"}], "patch_type": "json"}, "no JSON Patch operation"),
    ("k8s_patch", {**WEB, "patch": [{"op": "remove", "path": "a"}], "patch_type": "json"}, "path such as"),
    ("k8s_patch", {**WEB, "patch": [{"op": "remove", "path": "/"}], "patch_type": "json"}, "path such as"),
    ("k8s_patch", {**WEB, "patch": [{"op": "remove", "path": "/status"}], "patch_type": "json"}, "cannot be patched"),
    ("k8s_patch", {**WEB, "patch": [{"op": "remove", "path": "/metadata"}], "patch_type": "json"}, "cannot be patched"),
    ("k8s_patch", {**WEB, "patch": [{"op": "remove", "path": "/metadata/uid"}], "patch_type": "json"}, "cannot be"),
    ("k8s_patch", {**WEB, "patch": {"metadata": {"name": "other"}}}, "metadata.name cannot be patched"),
    ("k8s_patch", {**WEB, "patch": {"metadata": None}}, "metadata cannot be patched"),
    ("k8s_patch", {**WEB, "patch": {"status": {}}}, "status cannot be patched"),
    ("k8s_patch", {**WEB, "patch": {"data": {"x": "y" * 300_000}}}, "larger than 256 KiB"),
    ("k8s_scale", {**WEB, "replicas": -1}, "replicas"),
    ("k8s_scale", {**WEB, "replicas": 3.5}, "replicas"),
    ("k8s_scale", {"kind": "ConfigMap", "name": "settings", "replicas": 3}, "cannot be scaled"),
    ("k8s_rollout_undo", {**WEB, "to_revision": 0}, "to_revision"),
]


@pytest.mark.parametrize(("tool", "arguments", "said"), REFUSED)
async def test_what_cannot_be_is_refused_with_what_was_expected(
    practice_world: World, tool: str, arguments: Json, said: str
) -> None:
    """Bad input, before anything is sent."""
    with pytest.raises(BadInput) as caught:
        await render(practice_world, tool, arguments)
    assert said in str(caught.value)


@pytest.mark.parametrize("image", ["", "-a", "a b", "a\n", "a\tb", "a\x00", "\u202eevil", "x" * 501])
async def test_an_image_is_one_printable_word(practice_world: World, image: str) -> None:
    """It must not be taken for an option, nor hide what it is."""
    with pytest.raises(BadInput, match="cannot be an image"):
        await render(practice_world, "k8s_set_image", {**WEB, "images": {"web": image}})


async def test_an_object_that_is_not_there_is_not_found(practice_world: World) -> None:
    """For every change tool."""
    for tool, arguments, _, _ in CASES:
        with pytest.raises(NotFound, match="nothing"):
            await render(practice_world, tool, {**arguments, "name": "nothing"})


async def test_the_kubectl_line_is_quoted_for_a_shell(practice_world: World) -> None:
    """It is text to read, and may be pasted."""
    value = "a; rm -rf / $(x) 'y'"
    change = await render(practice_world, "k8s_set_env", {**WEB, "container": "web", "set": {"A": value}})
    assert shlex.split(change.equivalent)[-1] == f"A={value}"


# The laws of the operations

LEAF = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text("ab/~", max_size=3))
OBJECT = st.dictionaries(
    st.text("ab/~", min_size=1, max_size=3),
    st.recursive(LEAF, lambda inner: st.dictionaries(st.text("ab/~", min_size=1, max_size=3), inner, max_size=3)),
    max_size=4,
)


@given(OBJECT, st.lists(st.text("ab/~", min_size=1, max_size=3), min_size=1, max_size=3), LEAF)
def test_put_sets_the_value_and_nothing_else_moves(manifest: Json, path: list[str], value: object) -> None:
    """Whatever was there: applied to the object, the operations leave the value at the path."""
    try:
        became = jsonpatch.apply_patch(manifest, unique(put(manifest, tuple(path), value)))
    except (jsonpatch.JsonPatchException, TypeError):
        # A plain value stands in the way of the path; the server refuses as this does.
        assert not isinstance(at(manifest, *path[:-1], default={}), dict)
        return
    place: object = became
    for part in path:
        assert isinstance(place, dict)
        place = place[part]
    assert place == value


@given(OBJECT)
def test_drop_takes_out_one_member_and_leaves_the_others(manifest: Json) -> None:
    """And the test in front is of what it takes."""
    for name in manifest:
        operations = drop(manifest, (name,))
        assert operations[0] == {"op": "test", "path": pointer((name,)), "value": manifest[name]}
        became = jsonpatch.apply_patch(manifest, operations)
        assert became == {key: value for key, value in manifest.items() if key != name}


@given(st.lists(st.text(max_size=5), min_size=1, max_size=4))
def test_a_pointer_reads_back(path: list[str]) -> None:
    """By RFC 6901."""
    assert [part.replace("~1", "/").replace("~0", "~") for part in pointer(tuple(path)).split("/")[1:]] == path
