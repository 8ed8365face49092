"""Digests: every bound field changes them, prose and status do not."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.digest import (
    Binding,
    BoundRequest,
    Digest,
    binding_digest,
    body_state,
    desired_digest,
    desired_state,
    sha256,
    unstable_paths,
)
from skyflo_runbooks.model.json import Json, canonical
from skyflo_runbooks.model.objects import ObjectRef

REQUEST = BoundRequest(
    ObjectRef("Deployment", "a", "ns", "apps/v1"), "uid-1", "patch", Digest("sha256:1"), Digest("sha256:2")
)
BINDING = Binding(
    cluster="c",
    requests=(REQUEST,),
    runbook="sha256:r",
    step="s",
    requester="kernel:k",
    policy="p",
    nonce="n",
    not_before="2026-01-01T00:00:00Z",
    expires="2026-01-01T00:30:00Z",
)
DEPLOYMENT: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "a",
        "namespace": "ns",
        "uid": "uid-1",
        "resourceVersion": "1",
        "generation": 3,
        "managedFields": [{"manager": "m"}],
        "labels": {"app": "a"},
        "annotations": {"deployment.kubernetes.io/revision": "2", "owner": "team"},
    },
    "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}},
    "status": {"readyReplicas": 1},
}

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


def changed(path: tuple[str, ...], value: object) -> Json:
    """Return the Deployment with another value at `path`."""
    other = copy.deepcopy(DEPLOYMENT)
    parent: Any = other
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return other


@given(trees)
def test_canonical_json_does_not_depend_on_the_order_of_members(tree: object) -> None:
    """RFC 8785: one value, one byte string; and reading it back gives the same value."""

    def turned(value: object) -> object:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(list(value))}
        return [turned(item) for item in value] if isinstance(value, list) else value

    assert canonical(turned(tree)) == canonical(tree)
    assert msgspec.json.decode(canonical(tree)) == tree


@pytest.mark.parametrize("field", [f for f in Binding.__struct_fields__ if f != "requests"])
def test_every_bound_field_changes_the_digest(field: str) -> None:
    """One field at a time."""
    other = msgspec.structs.replace(BINDING, **{field: getattr(BINDING, field) + "x"})
    assert binding_digest(other) != binding_digest(BINDING)


@pytest.mark.parametrize("field", BoundRequest.__struct_fields__)
def test_every_field_of_a_request_changes_the_digest(field: str) -> None:
    """Also the object's group, version, kind, namespace and name."""
    values: dict[str, object] = {
        "object": ObjectRef("Deployment", "a", "other", "apps/v1"),
        "uid": "uid-2",
        "verb": "delete",
        "desired_state": "sha256:9",
        "body": "sha256:9",
        "subresource": "scale",
        "seen": False,
        "force": True,
    }
    request = msgspec.structs.replace(REQUEST, **{field: values[field]})
    assert binding_digest(msgspec.structs.replace(BINDING, requests=(request,))) != binding_digest(BINDING)


def test_the_order_of_requests_is_bound() -> None:
    """Two requests the other way round are another change."""
    second = msgspec.structs.replace(REQUEST, uid="uid-2")
    one = msgspec.structs.replace(BINDING, requests=(REQUEST, second))
    other = msgspec.structs.replace(BINDING, requests=(second, REQUEST))
    assert binding_digest(one) != binding_digest(other)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("status",), {"readyReplicas": 3}),
        (("metadata", "resourceVersion"), "77"),
        (("metadata", "generation"), 9),
        (("metadata", "managedFields"), []),
        (("metadata", "annotations", "deployment.kubernetes.io/revision"), "5"),
    ],
)
def test_what_the_server_and_controllers_write_is_no_drift(path: tuple[str, ...], value: object) -> None:
    """A pod that flaps never voids an approval."""
    assert desired_digest(changed(path, value)) == desired_digest(DEPLOYMENT)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("metadata", "labels", "app"), "b"),
        (("metadata", "annotations", "owner"), "others"),
        (("metadata", "uid"), "uid-2"),
        (("spec", "replicas"), 4),
        (("spec", "paused"), True),
    ],
)
def test_what_somebody_wants_is_drift(path: tuple[str, ...], value: object) -> None:
    """A label, an annotation, the spec, another object of the same name."""
    assert desired_digest(changed(path, value)) != desired_digest(DEPLOYMENT)


def test_replicas_that_an_autoscaler_owns_are_left_out() -> None:
    """Only where it is said so."""
    scaled = changed(("spec", "replicas"), 9)
    ignore = (("spec", "replicas"),)
    assert desired_digest(scaled, ignore=ignore) == desired_digest(DEPLOYMENT, ignore=ignore)


def test_an_item_of_a_list_is_left_out_by_its_key() -> None:
    """A taint that the node controller derives goes, with the list where it is the only one; others stay bound."""
    own = {"key": "dedicated", "value": "billing", "effect": "NoSchedule"}
    derived = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}

    def digest(**more: object) -> str:
        node: Json = {"kind": "Node", "metadata": {"name": "node-a"}, "spec": {"podCIDR": "10.0.0.0/24", **more}}
        return desired_digest(node, ignore=(("spec", "taints", "node.kubernetes.io/unschedulable"),))

    assert digest() == digest(taints=[derived])
    assert digest(taints=[own]) == digest(taints=[own, derived]) != digest()


def test_false_is_not_zero() -> None:
    """Two answers that differ in that alone differ."""
    assert unstable_paths({"a": [0]}, {"a": [False]}) == (("a", "0"),)
    assert unstable_paths({"a": True}, {"a": True}) == ()


def test_the_input_is_left_as_it_is() -> None:
    """Digesting does not edit the object."""
    before = copy.deepcopy(DEPLOYMENT)
    desired_state(DEPLOYMENT)
    body_state(DEPLOYMENT, created=True)
    assert before == DEPLOYMENT


def test_secret_values_enter_as_hmac() -> None:
    """The digest moves with the value and with the key, and the value itself is nowhere."""
    secret: Json = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    other = {**secret, "data": {"password": "b3RoZXI="}}
    key = b"k" * 32
    assert desired_digest(secret, secret_key=key) != desired_digest(other, secret_key=key)
    assert desired_digest(secret, secret_key=key) != desired_digest(secret, secret_key=b"o" * 32)
    assert "aHVudGVyMg" not in str(desired_state(secret, secret_key=key))
    with pytest.raises(ValueError, match="key"):
        desired_digest(secret)


@given(trees, trees)
def test_unstable_paths_name_where_two_answers_differ(first: object, second: object) -> None:
    """Nothing is named for equal answers, and something is where they differ."""
    assert unstable_paths(first, first) == ()
    assert bool(unstable_paths(first, second)) == (sha256(first) != sha256(second))


def test_numbers_beyond_the_canonical_range_have_a_digest() -> None:
    """A custom resource may hold them."""
    assert sha256({"n": 2**60}) != sha256({"n": 2**60 + 1})
