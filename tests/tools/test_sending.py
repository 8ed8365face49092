"""How a request goes on the wire: dry runs that are dry, and preconditions that hold."""

import pytest
from skyflo_mcp.kubernetes import Conflict, Invalid, NotFound
from skyflo_mcp.kubernetes.sending import agent, conditional, route

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Request
from tests.tools.apiserver import Reply, Scripted
from tests.tools.worlds import World

WEB = ObjectRef("Deployment", "web", "shop", "apps/v1")
PATH = "/apis/apps/v1/namespaces/shop/deployments/web"
# How long the API server may work on it: as long as this client waits.
TOLD = {"timeout": "5s"}
_OF: Json = {"metadata": {"name": "late"}}


async def sent(request: Request, *, dry_run: bool) -> tuple[str, dict[str, str], object, dict[str, str]]:
    """Method, query, body and headers of what goes out."""
    server = Scripted(lambda _: Reply(body={"kind": "X"}))
    await server.cluster().send(request, dry_run=dry_run, field_manager="skyflo-at-1")
    asked = server.asked[0]
    return asked.method, asked.query, asked.json, asked.headers


@pytest.mark.parametrize("content_type", [JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH])
async def test_a_patch_says_its_kind_its_manager_and_strict_validation(content_type: str) -> None:
    """The field manager names the attempt; unknown fields are refused."""
    body: object = [] if content_type == JSON_PATCH else {}
    method, query, _, headers = await sent(Request("patch", WEB, PATH, body, content_type), dry_run=False)
    assert (method, headers["content-type"]) == ("PATCH", content_type)
    assert query == {"fieldManager": "skyflo-at-1", "fieldValidation": "Strict", **TOLD}


async def test_an_apply_has_a_manager_that_stays_and_says_who_sends_it() -> None:
    """The server knows what an earlier apply had; the audit log knows the attempt."""
    manifest: Json = {"kind": "Deployment"}
    request = Request("apply", WEB, PATH, manifest, APPLY_PATCH, force=True)
    method, query, body, headers = await sent(request, dry_run=False)
    assert (method, body, headers["content-type"]) == ("PATCH", manifest, APPLY_PATCH)
    assert query == {"fieldManager": "skyflo", "fieldValidation": "Strict", "force": "true", **TOLD}
    assert "skyflo-at-1" in headers["user-agent"]


async def test_an_eviction_says_its_dry_run_and_its_pod_within_its_body() -> None:
    """A precondition that it brings itself stays."""
    pod = ObjectRef("Pod", "web-0", "shop", "v1")
    request = Request("evict", pod, "/api/v1/namespaces/shop/pods/web-0/eviction", {"kind": "Eviction"})
    method, query, body, _ = await sent(conditional(request, uid="u-1", resource_version="7"), dry_run=True)
    assert (method, query) == ("POST", TOLD)
    assert body == {"kind": "Eviction", "deleteOptions": {"preconditions": {"uid": "u-1"}, "dryRun": ["All"]}}
    own = Request("delete", WEB, PATH, {"preconditions": {"uid": "mine"}})
    assert conditional(own, uid="u-1").body["preconditions"] == {"uid": "mine"}


@pytest.mark.parametrize(("verb", "method"), [("patch", "PATCH"), ("create", "POST")])
async def test_a_dry_run_of_a_patch_or_a_creation_is_said_in_the_query(verb: str, method: str) -> None:
    """As the API has it."""
    request = Request("create" if verb == "create" else "patch", WEB, PATH, {})
    said, query, body, _ = await sent(request, dry_run=True)
    assert (said, query["dryRun"], body) == (method, "All", {})


async def test_a_dry_run_of_a_deletion_is_said_in_the_body() -> None:
    """With a body present the API server ignores the query, and would really delete."""
    request = Request("delete", WEB, PATH, {"propagationPolicy": "Foreground"})
    method, query, body, _ = await sent(request, dry_run=True)
    assert (method, query) == ("DELETE", TOLD)
    assert body == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "dryRun": ["All"],
        "propagationPolicy": "Foreground",
    }
    assert "dryRun" not in str((await sent(request, dry_run=False))[2])


def test_a_json_patch_tests_the_uid_and_swaps_on_the_version() -> None:
    """Both come before what it changes."""
    change: Json = {"op": "replace", "path": "/spec/replicas", "value": 3}
    bound = conditional(Request("patch", WEB, PATH, [change], JSON_PATCH), uid="u-1", resource_version="7")
    assert bound.body == [
        {"op": "test", "path": "/metadata/uid", "value": "u-1"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
        change,
    ]


@pytest.mark.parametrize("content_type", [MERGE_PATCH, STRATEGIC_PATCH])
def test_the_other_patches_carry_both_in_their_metadata(content_type: str) -> None:
    """Beside what they change there."""
    body: Json = {"metadata": {"labels": {"a": "b"}}}
    bound = conditional(Request("patch", WEB, PATH, body, content_type), uid="u-1", resource_version="7")
    assert bound.body == {"metadata": {"labels": {"a": "b"}, "uid": "u-1", "resourceVersion": "7"}}
    assert body == {"metadata": {"labels": {"a": "b"}}}


def test_a_deletion_carries_preconditions_and_a_creation_none() -> None:
    """A name that is taken is a conflict by itself."""
    deletion = conditional(Request("delete", WEB, PATH, None), uid="u-1", resource_version="7")
    assert deletion.body["preconditions"] == {"uid": "u-1", "resourceVersion": "7"}
    creation = Request("create", WEB, PATH, {"kind": "Deployment"})
    assert conditional(creation, uid="u-1", resource_version="7") is creation


async def request_on(world: World, body: object, content_type: str) -> tuple[Request, Json]:
    """A patch of the world's ConfigMap, and the ConfigMap."""
    found = await world.get("ConfigMap", "settings")
    path = (await world.cluster.resource("ConfigMap")).path(world.namespace, "settings")
    return Request("patch", ObjectRef.of(found), path, body, content_type), found


BODIES: list[tuple[object, str]] = [
    ([{"op": "replace", "path": "/data/mode", "value": "fast"}], JSON_PATCH),
    ({"data": {"mode": "fast"}}, MERGE_PATCH),
    ({"data": {"mode": "fast"}}, STRATEGIC_PATCH),
]


@pytest.mark.parametrize(("body", "content_type"), BODIES)
async def test_a_write_on_the_version_that_was_read_goes_through(world: World, body: object, content_type: str) -> None:
    """And names its manager in the object."""
    request, found = await request_on(world, body, content_type)
    meta = found["metadata"]
    answer = await world.cluster.send(
        request, dry_run=False, field_manager="skyflo-at-1", uid=meta["uid"], resource_version=meta["resourceVersion"]
    )
    assert answer.object["data"]["mode"] == "fast"
    assert "skyflo-at-1" in {one["manager"] for one in answer.object["metadata"]["managedFields"]}


@pytest.mark.parametrize(("body", "content_type"), BODIES)
async def test_a_write_on_an_older_version_is_a_conflict(world: World, body: object, content_type: str) -> None:
    """Somebody else wrote in between; nothing is overwritten."""
    request, found = await request_on(world, body, content_type)
    await world.cluster.send(
        (await request_on(world, {"data": {"size": "4"}}, MERGE_PATCH))[0], dry_run=False, field_manager="somebody"
    )
    with pytest.raises(Conflict):
        await world.cluster.send(
            request, dry_run=False, field_manager="us", resource_version=found["metadata"]["resourceVersion"]
        )
    assert (await world.get("ConfigMap", "settings"))["data"] == {"mode": "slow", "size": "4"}


@pytest.mark.parametrize(("body", "content_type"), BODIES)
async def test_a_write_on_another_object_of_that_name_is_refused(world: World, body: object, content_type: str) -> None:
    """Deleted and made anew, it is not what was approved."""
    request, _ = await request_on(world, body, content_type)
    with pytest.raises((Conflict, Invalid)):
        await world.cluster.send(request, dry_run=False, field_manager="us", uid="00000000-0000-0000-0000-000000000000")
    assert (await world.get("ConfigMap", "settings"))["data"]["mode"] == "slow"


async def test_a_failing_test_of_a_json_patch_is_invalid(world: World) -> None:
    """A bare 422: whether the object moved or the patch is wrong takes another look."""
    tests = [{"op": "test", "path": "/data/mode", "value": "fast"}, {"op": "remove", "path": "/data/size"}]
    request, _ = await request_on(world, tests, JSON_PATCH)
    with pytest.raises(Invalid) as caught:
        await world.cluster.send(request, dry_run=True, field_manager="us")
    assert caught.value.status == 422


@pytest.mark.parametrize("grip", ["uid", "resource_version"])
async def test_a_deletion_with_a_precondition_that_fails_deletes_nothing(world: World, grip: str) -> None:
    """Neither another object nor a newer one."""
    found = await world.get("ConfigMap", "settings")
    path = (await world.cluster.resource("ConfigMap")).path(world.namespace, "settings")
    request = Request("delete", ObjectRef.of(found), path, None)
    uid, version = ("other", "") if grip == "uid" else ("", "1")
    with pytest.raises(Conflict):
        await world.cluster.send(request, dry_run=False, field_manager="us", uid=uid, resource_version=version)
    assert await world.get("ConfigMap", "settings") == found


async def test_the_dry_run_of_a_deletion_leaves_the_object(world: World) -> None:
    """And the same request without it takes it away."""
    found = await world.get("ConfigMap", "settings")
    path = (await world.cluster.resource("ConfigMap")).path(world.namespace, "settings")
    request = Request("delete", ObjectRef.of(found), path, {"propagationPolicy": "Background"})
    await world.cluster.send(request, dry_run=True, field_manager="us", uid=found["metadata"]["uid"])
    assert await world.get("ConfigMap", "settings") == found
    await world.cluster.send(request, dry_run=False, field_manager="us", uid=found["metadata"]["uid"])
    with pytest.raises(NotFound):
        await world.get("ConfigMap", "settings")


async def test_the_dry_run_of_a_creation_creates_nothing(world: World) -> None:
    """The server answers what it would have made."""
    resource = await world.cluster.resource("ConfigMap")
    manifest: Json = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "b"}}
    target = ObjectRef("ConfigMap", "new", world.namespace, "v1")
    request = Request("create", target, resource.collection(world.namespace), manifest)
    answer = await world.cluster.send(request, dry_run=True, field_manager="us")
    assert (answer.status, answer.object["data"]) == (201, {"a": "b"})
    with pytest.raises(NotFound):
        await world.get("ConfigMap", "new")


def test_the_user_agent_names_who_sends() -> None:
    """The audit log has it of a delete, an eviction and a run from nowhere else."""
    assert agent("skyflo-at-01") == ("User-Agent", "skyflo-runbooks skyflo-at-01")
    assert agent("skyflo-at-01", dry_run=True) == ("User-Agent", "skyflo-runbooks skyflo-at-01 dry-run")
    assert agent("") == ("User-Agent", "skyflo-runbooks")


@pytest.mark.control_plane
@pytest.mark.parametrize("verb", ["create", "patch", "apply", "delete", "evict"])
async def test_a_real_api_server_ends_its_work_by_the_time_that_it_is_told(real_world: World, verb: str) -> None:
    """A write that comes when its time is over is not carried out: what bounds how late one can come."""
    cluster, space = real_world.cluster, f"/api/v1/namespaces/{real_world.namespace}"
    pod: Json = {"kind": "Pod", "metadata": {"name": "late"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    manifest: Json = {"apiVersion": "v1", **pod}
    labelled: Json = {"metadata": {"name": "late", "labels": {"a": "b"}}}
    ref, path = ObjectRef("Pod", "late", real_world.namespace, "v1"), f"{space}/pods/late"
    wanted = {
        "create": Request("create", ref, f"{space}/pods", manifest),
        "patch": Request("patch", ref, path, labelled, MERGE_PATCH),
        "apply": Request("apply", ref, path, {**manifest, **labelled}, APPLY_PATCH),
        "delete": Request("delete", ref, path, {}),
        "evict": Request("evict", ref, f"{path}/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", **_OF}),
    }[verb]
    before = None if verb == "create" else await real_world.create(manifest)
    method, query, body = route(wanted, dry_run=False, field_manager="late")
    headers = {"Content-Type": wanted.content_type}
    answer = await cluster._transport.client.request(
        method, wanted.path, params={**query, "timeout": "1ns"}, json=body, headers=headers
    )
    assert answer.status_code == 504, answer.text
    if before is None:
        with pytest.raises(NotFound):
            await cluster.get(ref)
        return
    after = await cluster.get(ref)
    assert "deletionTimestamp" not in after["metadata"]
    assert "a" not in after["metadata"].get("labels", {})
