"""Workloads as values: containers and their places, whose pods are whose, revisions, and objects without noise."""

import copy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.cleaning import cleaned
from skyflo_mcp.kubernetes.history import amounts, current, images
from skyflo_mcp.kubernetes.workload import (
    Revision,
    containers,
    controller_revisions,
    find_container,
    fingerprint,
    owned,
    ready,
    replica_set_revisions,
    restarts,
    selector_text,
)

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

SPEC: Json = {
    "containers": [{"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}],
    "initContainers": [{"name": "setup", "image": "setup:1"}],
}
KINDS: list[tuple[str, Json]] = [
    ("Pod", {"kind": "Pod", "spec": SPEC}),
    ("Deployment", {"kind": "Deployment", "spec": {"template": {"spec": SPEC}}}),
    ("Job", {"kind": "Job", "spec": {"template": {"spec": SPEC}}}),
    ("CronJob", {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": SPEC}}}}}),
]
OWNED_BY_D = {"ownerReferences": [{"uid": "d", "controller": True}]}


@pytest.mark.parametrize(("kind", "manifest"), KINDS)
def test_a_container_is_found_where_its_kind_keeps_it(kind: str, manifest: Json) -> None:
    """Its path leads to it, for each kind of workload."""
    for name in ("web", "side", "setup"):
        found = find_container(manifest, name)
        assert at(manifest, *found.path) == found.value
        assert (found.name, found.init) == (name, name == "setup")
    assert [one.name for one in containers(manifest)] == ["web", "side", "setup"]


def test_a_container_that_is_not_there_names_those_that_are() -> None:
    """And says so where there are none at all."""
    with pytest.raises(BadInput) as caught:
        find_container(KINDS[1][1], "nope")
    assert caught.value.next_step == "Its containers: web, side, setup."
    with pytest.raises(BadInput) as caught:
        find_container({"kind": "Deployment"}, "nope")
    assert caught.value.next_step == "Its containers: none."


def test_only_a_controlling_owner_owns() -> None:
    """Labels do not count, and neither does another owner of the same object."""
    mine: Json = {"metadata": OWNED_BY_D}
    other: Json = {"metadata": {"ownerReferences": [{"uid": "x", "controller": True}]}}
    beside: Json = {"metadata": {"ownerReferences": [{"uid": "d", "controller": False}]}}
    assert owned([mine, other, beside, {"metadata": {"labels": {"app": "d"}}}, {}], {"d"}) == [mine]


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"app": "web", "tier": "front"}}, "app=web,tier=front"),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, "app in (a,b)"),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, "app notin (a)"),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app"),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "!app"),
        ({"app": "web"}, "app=web"),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_selector_is_written_as_the_api_reads_it(selector: Json | None, text: str) -> None:
    """Labels, expressions, and the bare form of a ReplicationController."""
    assert selector_text({"spec": {"selector": selector}}) == text


def replica_set(revision: str, image: str, **more: object) -> Json:
    """A ReplicaSet of the Deployment with uid d."""
    template: Json = {
        "metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }
    annotations = {"deployment.kubernetes.io/revision": revision, "kubernetes.io/change-cause": f"release {image}"}
    metadata: Json = {**OWNED_BY_D, "name": f"web-{revision}", "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": 1, "template": template}, **more}


def test_revisions_of_a_deployment_come_oldest_first_without_the_hash() -> None:
    """The hash is the ReplicaSet's own; a template with it could not be put back."""
    deployment: Json = {"kind": "Deployment", "metadata": {"uid": "d"}}
    stranger = {**replica_set("9", "x:9"), "metadata": {"annotations": {"deployment.kubernetes.io/revision": "9"}}}
    known = replica_set_revisions(deployment, [replica_set("10", "web:2"), replica_set("2", "web:1"), stranger])
    assert [(one.number, one.source, one.change_cause) for one in known] == [
        (2, "web-2", "release web:1"),
        (10, "web-10", "release web:2"),
    ]
    assert known[0].template["metadata"]["labels"] == {"app": "web"}


def test_a_replica_set_without_a_number_is_no_revision() -> None:
    """It was made by hand, or its controller has not come to it."""
    assert (
        replica_set_revisions({"metadata": {"uid": "d"}}, [replica_set("", "web:1"), replica_set("x", "web:1")]) == []
    )


def test_revisions_of_a_stateful_set_lose_the_patch_directive() -> None:
    """ControllerRevisions keep a strategic patch; the directive is not part of a template."""
    data = {"spec": {"template": {"$patch": "replace", "spec": SPEC}}}
    (only,) = controller_revisions({"metadata": {"uid": "d"}}, [{"metadata": OWNED_BY_D, "revision": 3, "data": data}])
    assert (only.number, only.template) == (3, {"spec": SPEC})


def test_the_current_revision_is_the_one_that_the_workload_names_or_holds() -> None:
    """A Deployment by its annotation, the others by their template."""
    one, two = Revision(1, "a", {"spec": {"x": 1}}), Revision(2, "b", {"spec": {"x": 2}})
    deployment: Json = {"kind": "Deployment", "metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}
    assert current(deployment, [one, two]) is one
    assert current({"kind": "Deployment", "metadata": {}}, [one, two]) is None
    assert current({"kind": "StatefulSet", "spec": {"template": {"spec": {"x": 1}}}}, [one, two]) is one
    assert current({"kind": "StatefulSet", "spec": {"template": {"spec": {"x": 3}}}}, [one, two]) is two
    assert current({"kind": "DaemonSet", "spec": {"template": {}}}, []) is None


def test_what_a_template_runs_is_said_in_a_line() -> None:
    """Images, and the limits of those that have some."""
    limits = {"limits": {"memory": "1Gi", "cpu": "2"}}
    template: Json = {"spec": {"containers": [{"name": "a", "image": "a:1", "resources": limits}, {"name": "b"}]}}
    assert images(template) == "a=a:1, b=None"
    assert amounts(template, "limits") == "a: cpu=2 memory=1Gi"
    assert amounts(template, "requests") == ""


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=5))
def test_a_fingerprint_does_not_depend_on_the_order_of_members(template: dict[str, int]) -> None:
    """Two readings of one template are the same template."""
    assert fingerprint(template) == fingerprint(dict(reversed(list(template.items()))))
    assert fingerprint(template) != fingerprint({**template, "another": 1})


def test_restarts_are_summed_and_readiness_is_the_pods_condition() -> None:
    """As kubectl counts."""
    pod: Json = {"status": {"containerStatuses": [{"restartCount": 3}, {"restartCount": 4}, {}]}}
    assert restarts(pod) == 7
    assert restarts({}) == 0
    for status, expected in (("True", True), ("False", False), ("Unknown", False)):
        assert ready({"status": {"conditions": [{"type": "Ready", "status": status}]}}) is expected
    assert not ready({"status": {"conditions": [{"type": "Initialized", "status": "True"}]}})


SECRET: Json = {
    "kind": "Secret",
    "metadata": {
        "name": "db",
        "managedFields": [{"manager": "x"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{...hunter2...}", "team": "shop"},
    },
    "data": {"password": "aHVudGVyMg==", "empty": ""},
    "stringData": {"user": "root"},
}


def test_a_cleaned_secret_shows_its_keys_and_nothing_of_their_values() -> None:
    """Only how long they are; other annotations stay."""
    before = copy.deepcopy(SECRET)
    clean = cleaned(SECRET)
    assert clean["data"] == {"password": "(7 bytes)", "empty": "(0 bytes)"}
    assert clean["stringData"] == {"user": "(4 bytes)"}
    assert clean["metadata"] == {"name": "db", "annotations": {"team": "shop"}}
    assert before == SECRET


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), max_size=4))
def test_no_value_of_any_secret_is_left(data: dict[str, str]) -> None:
    """Whatever its keys are."""
    clean = cleaned({"kind": "Secret", "metadata": {}, "data": data})
    assert clean["data"].keys() == data.keys()
    assert all(re.fullmatch(r"\(\d+ bytes\)", said) for said in clean["data"].values())


@pytest.mark.parametrize("strange", [{"kind": "Secret"}, {"kind": "Secret", "data": None}, {"metadata": None}, {}])
def test_an_object_with_parts_missing_is_cleaned_too(strange: Json) -> None:
    """Nothing is added and nothing fails."""
    assert cleaned(strange) == strange


def test_other_objects_keep_their_data() -> None:
    """A ConfigMap is no Secret."""
    settings: Json = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"mode": "slow"}}
    assert cleaned(settings) == settings
