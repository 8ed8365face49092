"""Writes: versions, dry runs, the kinds of patch, and what is refused with which words."""

from __future__ import annotations

import json

import pytest

from skyflo_runbooks.model.json import Json
from tests.practice.client import JSON_PATCH, MERGE, STRATEGIC, Client, deployment, pod

MAPS = "/api/v1/namespaces/lab/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/lab/deployments"
APP = f"{DEPLOYMENTS}/app"


def settings(**data: str) -> Json:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


async def everything(client: Client) -> str:
    """Return all objects that writes could have touched, as text."""
    paths = ("/api/v1/configmaps", "/api/v1/pods", "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets")
    return json.dumps([(await client.get(path))["items"] for path in paths], sort_keys=True)


async def test_a_stale_version_is_a_conflict(bench: Client) -> None:
    """An update with the version it read is taken once; the second is a 409 in the server's words."""
    made = await bench.create(MAPS, settings(a="1"))
    first = await bench.send("PUT", f"{MAPS}/settings", {**made, "data": {"a": "2"}})
    assert first.status_code == 200
    status = await bench.refused("PUT", f"{MAPS}/settings", {**made, "data": {"a": "3"}})
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "settings": the object has been modified; please apply your '
        "changes to the latest version and try again"
    )


async def test_an_update_that_changes_nothing_is_no_write(bench: Client) -> None:
    """The version stays."""
    made = await bench.create(MAPS, settings(a="1"))
    same = (await bench.send("PUT", f"{MAPS}/settings", made)).json()
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_generation_counts_changes_of_the_spec_only(bench: Client) -> None:
    """A label leaves it, replicas move it; a ConfigMap has none."""
    made = await bench.create(DEPLOYMENTS, deployment())
    labelled = await bench.patch(APP, {"metadata": {"labels": {"x": "y"}}})
    scaled = await bench.patch(APP, {"spec": {"replicas": 2}})
    assert [item["metadata"]["generation"] for item in (made, labelled, scaled)] == [1, 1, 2]
    assert "generation" not in (await bench.create(MAPS, settings()))["metadata"]


async def test_a_json_patch_with_a_failing_test_is_a_bare_422(bench: Client) -> None:
    """The server does not say which operation failed, and nothing is changed."""
    await bench.create(DEPLOYMENTS, deployment())
    patch = [
        {"op": "test", "path": "/spec/replicas", "value": 7},
        {"op": "replace", "path": "/spec/replicas", "value": 2},
    ]
    status = await bench.refused("PATCH", APP, patch, JSON_PATCH)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "the server rejected our request due to an error in our request"
    assert (await bench.get(APP))["spec"]["replicas"] == 1


async def test_a_json_patch_whose_tests_hold_is_applied(bench: Client) -> None:
    """Tests on the uid and on a value guard a change."""
    made = await bench.create(DEPLOYMENTS, deployment())
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]},
        {"op": "test", "path": "/spec/template/spec/containers/0/image", "value": "app:v1"},
        {"op": "replace", "path": "/spec/replicas", "value": 3},
    ]
    assert (await bench.patch(APP, patch, JSON_PATCH))["spec"]["replicas"] == 3


@pytest.mark.parametrize(
    "patch",
    [[{"op": "remove", "path": "/spec/nothing"}], [{"op": "replace", "path": "/a/b", "value": 1}], [{"op": "dance"}]],
)
async def test_a_json_patch_that_does_not_apply_is_refused(bench: Client, patch: list[Json]) -> None:
    """Missing paths and unknown operations are 422."""
    await bench.create(MAPS, settings())
    assert (await bench.refused("PATCH", f"{MAPS}/settings", patch, JSON_PATCH))["code"] == 422


async def test_strategic_merge_finds_containers_and_variables_by_name(bench: Client) -> None:
    """One variable changes, one goes, the rest of the container stays."""
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    await bench.create(DEPLOYMENTS, deployment(container={"env": env, "args": ["x"]}))
    change = {
        "name": "app",
        "env": [{"name": "A", "value": "9"}, {"name": "B", "$patch": "delete"}, {"name": "C", "value": "3"}],
    }
    after = await bench.patch(APP, {"spec": {"template": {"spec": {"containers": [change]}}}})
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "9"}, {"name": "C", "value": "3"}]
    assert (container["args"], container["image"]) == (["x"], "app:v1")


async def test_a_merge_patch_replaces_lists_and_removes_nulls(bench: Client) -> None:
    """RFC 7386."""
    await bench.create(MAPS, settings(a="1", b="2"))
    after = await bench.patch(f"{MAPS}/settings", {"data": {"a": None, "c": "3"}}, MERGE)
    assert after["data"] == {"b": "2", "c": "3"}


async def test_a_merge_patch_with_a_stale_version_is_a_conflict(bench: Client) -> None:
    """A resourceVersion in the patch is a precondition."""
    made = await bench.create(MAPS, settings(a="1"))
    old = made["metadata"]["resourceVersion"]
    await bench.patch(f"{MAPS}/settings", {"data": {"a": "2"}}, MERGE)
    body = {"metadata": {"resourceVersion": old}, "data": {"a": "3"}}
    assert (await bench.refused("PATCH", f"{MAPS}/settings", body, MERGE))["code"] == 409


async def test_a_wrong_uid_is_refused(bench: Client) -> None:
    """An object made anew under the same name is not the one that was read: 422 for a patch, 409 for an update."""
    made = await bench.create(MAPS, settings(a="1"))
    body = {"metadata": {"uid": "somebody-else"}, "data": {"a": "3"}}
    status = await bench.refused("PATCH", f"{MAPS}/settings", body, MERGE)
    assert status["message"].endswith('metadata.uid: Invalid value: "somebody-else": field is immutable')
    made["metadata"]["uid"] = "somebody-else"
    status = await bench.refused("PUT", f"{MAPS}/settings", made)
    assert status["code"] == 409
    assert "Precondition failed: UID in precondition: somebody-else" in status["message"]


# Server-side apply

APPLY = "application/apply-patch+yaml"


async def apply(client: Client, body: Json, manager: str = "us", **query: str) -> Json:
    """Apply a ConfigMap; it must be accepted."""
    full = {"apiVersion": "v1", "kind": "ConfigMap", **body}
    reply = await client.send("PATCH", f"{MAPS}/settings", full, APPLY, fieldManager=manager, **query)
    assert reply.status_code in (200, 201), reply.text
    return dict(reply.json())


def owners(obj: Json) -> dict[str, tuple[str, list[str]]]:
    """Return by manager the operation, and the keys of `data` that it owns."""
    return {
        entry["manager"]: (entry["operation"], sorted(entry["fieldsV1"].get("f:data", {})))
        for entry in obj["metadata"]["managedFields"]
    }


async def test_an_apply_creates_merges_and_takes_out_what_it_no_longer_has(bench: Client) -> None:
    """A field of an earlier apply that is gone from the manifest goes, unless somebody else owns it, too."""
    made = await apply(bench, {"data": {"a": "1", "b": "2", "c": "3"}})
    assert owners(made) == {"us": ("Apply", ["f:a", "f:b", "f:c"])}
    await apply(bench, {"data": {"b": "2"}}, "them")
    left = await apply(bench, {"data": {"a": "1"}})
    assert left["data"] == {"a": "1", "b": "2"}
    assert owners(left) == {"them": ("Apply", ["f:b"]), "us": ("Apply", ["f:a"])}


async def test_a_field_of_somebody_else_is_a_conflict_until_it_is_taken(bench: Client) -> None:
    """The server says whose it is; with force they lose it."""
    await bench.create(MAPS, settings(a="1", b="2"), fieldManager="kubectl")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "9", "b": "2"}}
    status = await bench.refused("PATCH", f"{MAPS}/settings", body, APPLY, fieldManager="us")
    assert (status["code"], status["reason"]) == (409, "Conflict")
    (cause,) = status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    assert 'conflict with "kubectl" using v1' in cause["message"]
    taken = await apply(bench, {"data": {"a": "9", "b": "2"}}, force="true")
    assert taken["data"] == {"a": "9", "b": "2"}
    assert owners(taken) == {"kubectl": ("Update", ["f:b"]), "us": ("Apply", ["f:a", "f:b"])}


async def test_an_apply_merges_lists_item_by_item(bench: Client) -> None:
    """A container by its name; another one's fields stay."""
    await bench.create(DEPLOYMENTS, deployment(), fieldManager="kubectl")
    container = {"name": "app", "env": [{"name": "MODE", "value": "fast"}]}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "spec": {"template": {"spec": {"containers": [container]}}},
    }
    reply = await bench.send("PATCH", APP, body, APPLY, fieldManager="us")
    assert reply.status_code == 200, reply.text
    (left,) = reply.json()["spec"]["template"]["spec"]["containers"]
    assert (left["image"], left["env"]) == ("app:v1", [{"name": "MODE", "value": "fast"}])
    body["spec"] = {"template": {"spec": {"containers": [{"name": "app"}]}}}
    reply = await bench.send("PATCH", APP, body, APPLY, fieldManager="us")
    assert "env" not in reply.json()["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("meta", "code"), [({"uid": "another"}, 409), ({"resourceVersion": "1"}, 409), ({"name": "other"}, 400)]
)
async def test_an_apply_keeps_its_preconditions(bench: Client, meta: Json, code: int) -> None:
    """On another object, a newer version or another name nothing is written."""
    made = await apply(bench, {"data": {"a": "1"}})
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "2"}}
    status = await bench.refused("PATCH", f"{MAPS}/settings", body, APPLY, fieldManager="us")
    assert status["code"] == code
    assert await bench.get(f"{MAPS}/settings") == made


async def test_an_apply_needs_a_manager_and_the_object_that_it_knew(bench: Client) -> None:
    """And a dry run writes nothing."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    assert (await bench.refused("PATCH", f"{MAPS}/settings", body, APPLY))["code"] == 422
    gone = {**body, "metadata": {"uid": "was-there"}}
    assert (await bench.refused("PATCH", f"{MAPS}/settings", gone, APPLY, fieldManager="us"))["code"] == 409
    reply = await bench.send("PATCH", f"{MAPS}/settings", body, APPLY, fieldManager="us", dryRun="All")
    assert reply.status_code == 201
    assert (await bench.refused("GET", f"{MAPS}/settings"))["code"] == 404


# Dry runs


async def test_a_dry_run_of_every_write_changes_nothing(bench: Client) -> None:
    """Create, update, three patches, scale, delete and eviction: each answers, and all is as it was."""
    await bench.create(DEPLOYMENTS, deployment())
    await bench.create(MAPS, settings(a="1"))
    await bench.advance(10)
    before = await everything(bench)
    name = (await bench.pods("lab"))[0]["metadata"]["name"]
    held = await bench.get(f"{MAPS}/settings")
    dry = {"dryRun": "All"}
    writes: list[tuple[str, str, object, str]] = [
        ("POST", DEPLOYMENTS, deployment("other"), ""),
        ("PUT", f"{MAPS}/settings", {**held, "data": {"a": "2"}}, ""),
        ("PATCH", APP, {"spec": {"replicas": 5}}, STRATEGIC),
        ("PATCH", APP, {"spec": {"replicas": 5}}, MERGE),
        ("PATCH", APP, [{"op": "replace", "path": "/spec/replicas", "value": 5}], JSON_PATCH),
        ("PATCH", f"{APP}/scale", {"spec": {"replicas": 5}}, MERGE),
        ("DELETE", APP, None, ""),
        ("DELETE", MAPS, None, ""),
        ("POST", f"/api/v1/namespaces/lab/pods/{name}/eviction", {"metadata": {"name": name}}, ""),
    ]
    for method, path, body, content in writes:
        reply = await bench.send(method, path, body, content, **dry)
        assert reply.is_success, (method, path, reply.text)
        assert await everything(bench) == before, (method, path)


async def test_a_dry_run_is_validated_and_defaulted(bench: Client) -> None:
    """It shows what would be stored, and refuses what would be refused."""
    shown = await bench.create(DEPLOYMENTS, deployment(), dryRun="All")
    assert shown["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}
    status = await bench.refused("POST", DEPLOYMENTS, deployment(replicas=-1), dryRun="All")
    assert status["message"] == (
        'Deployment.apps "app" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )


async def test_two_dry_runs_differ_in_what_the_server_allots_only(bench: Client) -> None:
    """uid and times, nothing else."""
    shown = [await bench.create(DEPLOYMENTS, deployment(), dryRun="All") for _ in range(2)]
    for item in shown:
        item["metadata"].pop("uid")
    assert shown[0] == shown[1]


async def test_with_a_body_the_querys_dry_run_is_not_looked_at(bench: Client) -> None:
    """The hazard of the real server: the object is really deleted."""
    await bench.create(MAPS, settings())
    reply = await bench.send("DELETE", f"{MAPS}/settings", {"kind": "DeleteOptions"}, dryRun="All")
    assert reply.status_code == 200
    assert (await bench.refused("GET", f"{MAPS}/settings"))["code"] == 404


async def test_a_dry_run_in_delete_options_counts(bench: Client) -> None:
    """In the body it is honoured."""
    await bench.create(MAPS, settings())
    await bench.send("DELETE", f"{MAPS}/settings", {"kind": "DeleteOptions", "dryRun": ["All"]})
    assert (await bench.get(f"{MAPS}/settings"))["metadata"]["name"] == "settings"


async def test_delete_preconditions_guard_the_object(bench: Client) -> None:
    """Another uid is a conflict, the right one deletes."""
    made = await bench.create(MAPS, settings())
    wrong = {"preconditions": {"uid": "another"}}
    status = await bench.refused("DELETE", f"{MAPS}/settings", wrong)
    assert status["code"] == 409
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    answer = (await bench.send("DELETE", f"{MAPS}/settings", right)).json()
    assert (answer["status"], answer["details"]["uid"]) == ("Success", made["metadata"]["uid"])


# Validation


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
            'spec.template.spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to '
            "memory limit of 1Gi",
        ),
        ({"image": ""}, "spec.template.spec.containers[0].image: Required value"),
        ({"name": "Bad_Name"}, "spec.template.spec.containers[0].name: Invalid value"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/x"}]}, 'volumeMounts[0].name: Not found: "v"'),
        ({"ports": [{"containerPort": 0}]}, "must be between 1 and 65535, inclusive"),
        ({"resources": {"limits": {"memoy": "1Gi"}}}, "must be a standard resource type or fully qualified"),
    ],
)
async def test_a_bad_container_is_invalid(bench: Client, change: Json, said: str) -> None:
    """422 with the field and the server's words."""
    status = await bench.refused("POST", DEPLOYMENTS, deployment(container=change))
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert said in status["message"]
    assert status["details"]["causes"][0]["field"].startswith("spec.template.spec.containers[0]")


async def test_selectors_are_immutable(bench: Client) -> None:
    """A Deployment's selector cannot be changed."""
    await bench.create(DEPLOYMENTS, deployment())
    body = {"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}}
    status = await bench.refused("PATCH", APP, body, STRATEGIC)
    assert status["message"].endswith('spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable')


async def test_a_template_must_carry_its_selectors_labels(bench: Client) -> None:
    """`selector` does not match template `labels`."""
    body = deployment()
    body["spec"]["selector"]["matchLabels"] = {"app": "else"}
    assert "`selector` does not match template `labels`" in (await bench.refused("POST", DEPLOYMENTS, body))["message"]


async def test_most_of_a_pod_cannot_be_changed(bench: Client) -> None:
    """Its image can, its limits cannot."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    path = "/api/v1/namespaces/lab/pods/one"
    await bench.patch(path, {"spec": {"containers": [{"name": "app", "image": "app:v2"}]}})
    body = {"spec": {"containers": [{"name": "app", "resources": {"limits": {"memory": "1Gi"}}}]}}
    status = await bench.refused("PATCH", path, body, STRATEGIC)
    assert "pod updates may not change fields other than" in status["message"]


@pytest.mark.parametrize("name", ["Upper", "under_score", "-dash", "a..b", "x" * 254, ""])
async def test_bad_names_are_refused(bench: Client, name: str) -> None:
    """Names follow RFC 1123."""
    body = settings()
    body["metadata"]["name"] = name
    assert (await bench.refused("POST", MAPS, body))["code"] == 422


async def test_unknown_fields_are_refused_or_dropped_as_asked(bench: Client) -> None:
    """Strict refuses by name; by default the field is dropped with a warning; Ignore drops it silently."""
    body = deployment()
    body["spec"]["repicas"] = 4
    status = await bench.refused("POST", DEPLOYMENTS, body, fieldValidation="Strict")
    assert status["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.repicas"'
    )
    warned = await bench.send("POST", DEPLOYMENTS, body, dryRun="All")
    assert warned.headers["warning"] == '299 - "unknown field \\"spec.repicas\\""'
    assert "repicas" not in warned.json()["spec"]
    silent = await bench.send("POST", DEPLOYMENTS, body, dryRun="All", fieldValidation="Ignore")
    assert "warning" not in silent.headers


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"replicas": "three"},
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        ({"template": []}, "cannot unmarshal array"),
        ({"paused": 1}, "of type bool"),
    ],
)
async def test_values_of_a_wrong_type_are_a_bad_request(bench: Client, change: Json, said: str) -> None:
    """400, with the field and both types."""
    status = await bench.refused(
        "POST", DEPLOYMENTS, deployment(**change) if "template" not in change else _with(change)
    )
    assert (status["code"], status["reason"]) == (400, "BadRequest")
    assert said in status["message"]


def _with(change: Json) -> Json:
    body = deployment()
    body["spec"] |= change
    return body


async def test_a_quantity_must_be_one(bench: Client) -> None:
    """The regular expression of quantities is in the message."""
    body = deployment(container={"resources": {"limits": {"memory": "512 Megs"}}})
    assert "quantities must match the regular expression" in (await bench.refused("POST", DEPLOYMENTS, body))["message"]


async def test_creation_twice_is_refused(bench: Client) -> None:
    """AlreadyExists."""
    await bench.create(MAPS, settings())
    status = await bench.refused("POST", MAPS, settings())
    assert (status["code"], status["reason"], status["message"]) == (
        409,
        "AlreadyExists",
        'configmaps "settings" already exists',
    )


async def test_a_namespace_must_exist(bench: Client) -> None:
    """Nothing can be created where there is no namespace."""
    status = await bench.refused("POST", "/api/v1/namespaces/nowhere/configmaps", settings())
    assert status["message"] == 'namespaces "nowhere" not found'


async def test_an_immutable_config_map_stays(bench: Client) -> None:
    """Its data cannot be changed."""
    await bench.create(MAPS, {**settings(a="1"), "immutable": True})
    status = await bench.refused("PATCH", f"{MAPS}/settings", {"data": {"a": "2"}}, MERGE)
    assert "field is immutable when `immutable` is set" in status["message"]


# Who wrote it


async def test_the_field_manager_is_kept_by_field(bench: Client) -> None:
    """Whoever changed a field last owns it, under the name the request gave."""
    await bench.create(MAPS, settings(a="1", b="1"), fieldManager="first")
    after = await bench.patch(f"{MAPS}/settings", {"data": {"b": "2"}}, MERGE, fieldManager="skyflo-ap-123456")
    owned = {entry["manager"]: entry["fieldsV1"] for entry in after["metadata"]["managedFields"]}
    assert owned == {
        "first": {"f:data": {"f:a": {}}},
        "skyflo-ap-123456": {"f:data": {"f:b": {}}},
    }


async def test_without_a_manager_the_user_agent_is_named(bench: Client) -> None:
    """As the real server falls back to it."""
    reply = await bench.http.post(MAPS, json=settings(a="1"), headers={"user-agent": "curl/8.1"})
    assert reply.json()["metadata"]["managedFields"][0]["manager"] == "curl"


async def test_status_writes_of_controllers_do_not_take_the_spec(bench: Client) -> None:
    """The Deployment controller owns status through the status subresource only."""
    await bench.create(DEPLOYMENTS, deployment(), fieldManager="me")
    await bench.advance(10)
    entries = (await bench.get(APP))["metadata"]["managedFields"]
    status = next(entry for entry in entries if entry.get("subresource") == "status")
    assert list(status["fieldsV1"]) == ["f:status"]
    assert "f:spec" in next(entry for entry in entries if entry["manager"] == "me")["fieldsV1"]


async def test_quantities_are_stored_in_canonical_form(bench: Client) -> None:
    """1024Mi is 1Gi and 0.5 is 500m."""
    resources = {"limits": {"memory": "1024Mi", "cpu": "0.5"}}
    made = await bench.create(DEPLOYMENTS, deployment(container={"resources": resources}))
    kept = made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert kept == {"memory": "1Gi", "cpu": "500m"}


async def test_a_secrets_text_is_encoded(bench: Client) -> None:
    """stringData becomes data."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}
    made = await bench.create("/api/v1/namespaces/lab/secrets", body)
    assert (made["data"], made["type"]) == ({"k": "dg=="}, "Opaque")
    assert "stringData" not in made


BUDGETS = "/apis/policy/v1/namespaces/lab/poddisruptionbudgets"


def budget(name: str = "app", **spec: object) -> Json:
    """Return a budget over the pods of `deployment()`."""
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "app"}}, **spec}}


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"minAvailable": 1}, 1),
        ({"minAvailable": 2}, 0),
        ({"minAvailable": "51%"}, 0),
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": "50%"}, 1),
        ({"maxUnavailable": 0}, 0),
    ],
)
async def test_a_disruption_budget_counts_what_may_go(bench: Client, spec: Json, allowed: int) -> None:
    """Two ready pods; shares are rounded up."""
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(20)
    await bench.create(BUDGETS, budget(**spec))
    status = (await bench.get(f"{BUDGETS}/app"))["status"]
    assert (status["currentHealthy"], status["disruptionsAllowed"]) == (2, allowed)


async def test_an_eviction_asks_the_budget_and_its_dry_run_takes_nothing_from_it(bench: Client) -> None:
    """The dry run is said in the body; the second real one is a 429 that names the budget."""
    await bench.create(DEPLOYMENTS, deployment(replicas=2))
    await bench.advance(20)
    await bench.create(BUDGETS, budget(minAvailable=1))
    first, second = (item["metadata"]["name"] for item in await bench.pods("lab"))
    body = {"metadata": {"name": first}, "deleteOptions": {"dryRun": ["All"]}}
    pods = "/api/v1/namespaces/lab/pods"
    for _ in range(3):
        assert (await bench.send("POST", f"{pods}/{first}/eviction", body)).status_code == 201
    assert (await bench.get(f"{BUDGETS}/app"))["status"]["disruptionsAllowed"] == 1
    other = {"metadata": {"name": first}, "deleteOptions": {"preconditions": {"uid": "another"}}}
    assert (await bench.refused("POST", f"{pods}/{first}/eviction", other))["code"] == 409
    await bench.send("POST", f"{pods}/{first}/eviction", {"metadata": {"name": first}})
    status = await bench.refused("POST", f"{pods}/{second}/eviction", {"metadata": {"name": second}})
    assert (status["code"], status["reason"]) == (429, "TooManyRequests")
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"][0]["message"].startswith("The disruption budget app needs 1 healthy pods")


async def test_two_budgets_for_one_pod_let_no_eviction_through(bench: Client) -> None:
    """The real server gives up with a 500."""
    await bench.create(DEPLOYMENTS, deployment())
    await bench.advance(20)
    for name in ("one", "two"):
        await bench.create(BUDGETS, budget(name, minAvailable=0))
    pod = (await bench.pods("lab"))[0]["metadata"]["name"]
    status = await bench.refused("POST", f"/api/v1/namespaces/lab/pods/{pod}/eviction", {"metadata": {"name": pod}})
    assert status["code"] == 500
