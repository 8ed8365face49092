"""Digests: what an approval binds.

Rules (design, section 6.4):
  1. A digest is SHA-256 over RFC 8785 JSON, written `sha256:<hex>`.
  2. The *desired state* of an object is the object without `status`, `metadata.resourceVersion`,
     `metadata.generation`, `metadata.managedFields`, and without what a known controller writes by itself.
     A status that moves (a pod that flaps) therefore never voids an approval; a label or annotation that moves does.
  3. The body after the dry run is normalised: without uid and creationTimestamp of creations, managedFields, status,
     what the server allocates where the body that is sent leaves it open, and fields that differ between two dry runs.
  4. No prose enters: neither title nor reason nor diff.
  5. The data of Secrets enters as HMAC under a key that only the gateway has.
  6. Where no dry run can show what a request leaves (a deletion, an eviction, what is run in a container, an object in
     a namespace that is not there yet, a webhook that takes no part in dry runs) the body that is sent is bound itself.
"""

import copy
import hashlib
import hmac
from typing import NewType

import msgspec

from skyflo_runbooks.model.json import Json, at, canonical
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request, Verb

Digest = NewType("Digest", str)
SCHEMA = "skyflo.dev/approval/v1"

_SERVER_METADATA = ("resourceVersion", "generation", "managedFields", "selfLink")
# Annotations that the deployment controller and the endpoints controller write by themselves.
_CONTROLLER_ANNOTATIONS = ("deployment.kubernetes.io/revision", "endpoints.kubernetes.io/last-change-trigger-time")
_ALLOCATED = (("spec", "clusterIP"), ("spec", "clusterIPs"), ("spec", "healthCheckNodePort"), ("spec", "nodeName"))


class BoundRequest(msgspec.Struct, frozen=True):
    """What the digest says of one request: the object as it was, and the body: what the dry run left, or what is sent.

    `seen` says which of the two (rules 3 and 6).
    """

    object: ObjectRef
    uid: str
    verb: Verb
    desired_state: Digest
    body: Digest
    subresource: str = ""
    seen: bool = True
    force: bool = False


class Binding(msgspec.Struct, frozen=True):
    """Everything that an approval binds, and nothing else. Times are RFC 3339 in UTC."""

    cluster: str
    requests: tuple[BoundRequest, ...]
    runbook: str
    step: str
    requester: str
    policy: str
    nonce: str
    not_before: str
    expires: str


def sha256(value: object) -> Digest:
    """Return the digest of a JSON value."""
    return Digest("sha256:" + hashlib.sha256(canonical(value)).hexdigest())


def binding_digest(binding: Binding) -> Digest:
    """Return the digest that a person approves."""
    return sha256({"schema": SCHEMA, **msgspec.to_builtins(binding)})


def desired_state(manifest: Json, *, ignore: tuple[tuple[str, ...], ...] = (), secret_key: bytes | None = None) -> Json:
    """Return the part of an object that somebody wants, by rule 2.

    `ignore` names further paths that another controller owns and the change does not touch (`replicas` under an
    autoscaler, the volume of a claim, a taint by its key). `secret_key` is needed for a Secret: its values enter as
    HMAC.
    """
    wanted = copy.deepcopy(manifest)
    wanted.pop("status", None)
    metadata = wanted.get("metadata", {})
    for name in _SERVER_METADATA:
        metadata.pop(name, None)
    annotations = metadata.get("annotations") or {}
    for name in _CONTROLLER_ANNOTATIONS:
        annotations.pop(name, None)
    for name in ("annotations", "labels"):
        if not metadata.get(name):
            metadata.pop(name, None)
    for path in ignore:
        _leave_out(wanted, path)
    if wanted.get("kind") == "Secret":
        _seal(wanted, secret_key)
    return wanted


def desired_digest(
    manifest: Json | None, *, ignore: tuple[tuple[str, ...], ...] = (), secret_key: bytes | None = None
) -> Digest:
    """Return the desired-state digest; of an object that does not exist, that of null."""
    return sha256(None if manifest is None else desired_state(manifest, ignore=ignore, secret_key=secret_key))


def body_state(
    dry_run: Json,
    *,
    created: bool,
    sent: object = None,
    unstable: tuple[tuple[str, ...], ...] = (),
    secret_key: bytes | None = None,
) -> Json:
    """Return what the dry run would leave, by rule 3; `sent` is the body of the creation."""
    left = desired_state(dry_run, ignore=unstable, secret_key=secret_key)
    if created:
        for name in ("uid", "creationTimestamp"):
            left.get("metadata", {}).pop(name, None)
        for path in allocated(sent):
            remove(left, path)
    return left


def allocated(sent: object) -> tuple[tuple[str, ...], ...]:
    """Return the paths that the server fills in at a creation: those that the body which is sent leaves open."""
    return tuple(path for path in _ALLOCATED if not at(sent, *path))


def sent_digest(request: Request, *, secret_key: bytes) -> Digest:
    """Return the digest of the body that is sent, by rule 6.

    What is run in a container and what is written into a Secret enter as HMAC, because both may hold secret values.
    """
    content = [request.content_type, request.body]
    if request.verb == "run" or request.target.kind == "Secret":
        return Digest("hmac:" + hmac.new(secret_key, canonical(content), "sha256").hexdigest())
    return sha256(content)


def remove(manifest: Json, path: tuple[str, ...]) -> None:
    """Take the member at `path` out of `manifest`, where it is there."""
    parent = at(manifest, *path[:-1]) if len(path) > 1 else manifest
    if isinstance(parent, dict):
        parent.pop(path[-1], None)
    elif isinstance(parent, list) and path[-1].isdigit() and int(path[-1]) < len(parent):
        parent[int(path[-1])] = None


def _leave_out(manifest: Json, path: tuple[str, ...]) -> None:
    """Take what is at `path` out (of a list the items with that key), and with the last one their place."""
    held = at(manifest, *path[:-1]) if len(path) > 1 else None
    if isinstance(held, list) and not path[-1].isdigit():
        held[:] = [item for item in held if at(item, "key") != path[-1]]
    else:
        remove(manifest, path)
    if held in ({}, []):
        remove(manifest, path[:-1])


def unstable_paths(first: object, second: object, path: tuple[str, ...] = ()) -> tuple[tuple[str, ...], ...]:
    """Return the paths at which two dry runs of the same request differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        found: list[tuple[str, ...]] = []
        for key in sorted(set(first) | set(second)):
            where = (*path, str(key))
            found += unstable_paths(first[key], second[key], where) if key in first and key in second else (where,)
        return tuple(found)
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        found = []
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            found += unstable_paths(one, other, (*path, str(index)))
        return tuple(found)
    # In Python False is 0; in JSON they are two values.
    same = first == second and isinstance(first, bool) == isinstance(second, bool)
    return () if same else (path,)


def _seal(secret: Json, key: bytes | None) -> None:
    if key is None:
        raise ValueError("a Secret enters a digest only under the gateway's key")
    seal_key = key

    def sealed(text: str) -> str:
        return "hmac:" + hmac.new(seal_key, text.encode(), "sha256").hexdigest()

    for member in ("data", "stringData"):
        for name, value in (secret.get(member) or {}).items():
            secret[member][name] = sealed(f"{name}={value}")
    # kubectl apply keeps the values once more in this annotation.
    annotations = secret.get("metadata", {}).get("annotations") or {}
    last = "kubectl.kubernetes.io/last-applied-configuration"
    if last in annotations:
        annotations[last] = sealed(str(annotations[last]))
