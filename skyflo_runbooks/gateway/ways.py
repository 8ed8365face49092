"""Ways back: the request that undoes a request, made before that is sent.

Rules:
  1. Of a creation: its deletion, by the uid that the object turned out to have (`deletion_of`). Of a deletion: a
     creation from the pre-image, without what the server had put into it. Of a patch: the inverse patch, guarded by
     tests. Of an apply: either, by what was there.
  2. It is tried as a dry run as far as the server can say it beforehand. The present values of a patch must still be
     admissible; a deleted object is tried under another name, because its own is taken. What the server says against it
     is a `problem`, and no reason to throw the way back away.
  3. An eviction has none of its own: a controller makes the pod again.
  4. Where the pre-image does not hold what is lost, or what was done cannot be taken back, there is none
     (`risk.one_way`).
  5. The way back of a patch undoes what the patch left. What somebody has changed since in the same place is theirs,
     and is not overwritten (`moved`).
"""

import copy
import secrets

import jsonpatch
import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import ApiError

from skyflo_runbooks.gateway import diff, risk
from skyflo_runbooks.gateway.traces import DRY_MANAGER
from skyflo_runbooks.model.digest import desired_state
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, Request

# What the server and its controllers write into an object, and no creation may or should carry.
_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
_ENDING = ("deletionTimestamp", "deletionGracePeriodSeconds")
_DELETION_FINALIZERS = ("foregroundDeletion", "orphan")
# The job controller's own labels, from which it makes the selector
# (https://kubernetes.io/docs/concepts/workloads/controllers/job/#specifying-your-own-pod-selector).
_JOB_LABELS = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)
_LONGEST_NAME = 40


class Way(msgspec.Struct, frozen=True):
    """The request that leads back from another, or why there is none; and what the server says against it today."""

    request: Request | None = None
    none: str = ""
    problem: str = ""


async def back(cluster: Cluster, request: Request, now: Json | None, left: Json | None) -> Way:
    """Return the way back of a request on the object as it is `now`, which leaves it as in `left`."""
    if lost := risk.one_way(request, now, left):
        return Way(none=lost)
    match request.verb:
        case "evict":
            return Way(none=f"{request.target} is made again by its {_controller(now)}, if at all")
        case "delete" if now is not None:
            return await _creation(cluster, request, now)
        case "patch" | "apply" if now is not None and left is not None:
            return await _inverse(cluster, request, now, left)
        case "patch" | "apply" if now is not None:
            return Way(none=f"what this leaves of {request.target} could not be seen beforehand")
        case _:
            return Way(Request("delete", request.target, object_path(request), {"propagationPolicy": "Background"}))


def deletion_of(way: Request, uid: str) -> Request:
    """Return the way back of a creation for the object that it made: never another one of that name."""
    return msgspec.structs.replace(way, body={**way.body, "preconditions": {"uid": uid}})


def moved(way: Request, now: Json) -> str:
    """Return the first place where an object is not as a way back expects it, by rule 5; nothing where it is."""
    if way.content_type != JSON_PATCH or not isinstance(way.body, list):
        return ""
    current = now
    for operation in way.body:
        try:
            current = jsonpatch.apply_patch(current, [operation])
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            return ".".join(str(operation["path"]).replace("~1", "/").replace("~0", "~").split("/")[1:])
    return ""


def object_path(request: Request) -> str:
    """Return the path of the object that a request is about, without any subresource."""
    if request.verb == "create":
        return f"{request.path}/{request.target.name}"
    return request.path.removesuffix(f"/{request.subresource}") if request.subresource else request.path


def anew(manifest: Json) -> Json:
    """Return what creates an object again as it was: without status, and without what the server gave it."""
    made = copy.deepcopy(manifest)
    made.pop("status", None)
    metadata = made.get("metadata", {})
    for name in (*_SERVER, *_ENDING):
        metadata.pop(name, None)
    kept = [one for one in metadata.pop("finalizers", []) if one not in _DELETION_FINALIZERS]
    if kept:
        metadata["finalizers"] = kept
    _CLEANERS.get(str(made.get("kind")), _nothing)(made.get("spec") or {})
    return made


def elsewhere(manifest: Json) -> Json:
    """Return the manifest under another name, without what only one object at a time can have."""
    tried = copy.deepcopy(manifest)
    name = str(at(tried, "metadata", "name", default=""))[:_LONGEST_NAME].rstrip("-.:")
    tried["metadata"]["name"] = f"{name}-{secrets.token_hex(3)}"
    if tried.get("kind") == "Service":
        spec = tried.get("spec") or {}
        spec.pop("healthCheckNodePort", None)
        for port in spec.get("ports") or []:
            port.pop("nodePort", None)
    return tried


def whole(manifest: Json) -> Json:
    """Return the object without status and server fields, real Secret values included: for operations, not for show."""
    plain = desired_state({**manifest, "kind": "-"})
    plain["kind"] = manifest.get("kind")
    return plain


async def _creation(cluster: Cluster, request: Request, now: Json) -> Way:
    made = anew(now)
    ref = ObjectRef.of(made)
    way = Request("create", ref, request.path.rpartition("/")[0], made)
    other = elsewhere(made)
    problem = await _tried(cluster, msgspec.structs.replace(way, target=ObjectRef.of(other), body=other))
    return Way(way, problem=problem and f"under another name, as it can be tried today, {problem}")


async def _inverse(cluster: Cluster, request: Request, now: Json, left: Json) -> Way:
    before, after = whole(now), whole(left)
    undo = diff.inverse(before, after)
    if not undo:
        return Way(none=f"{request.target} is as it was")
    # A Scale leaves out replicas that are 0, so a test of them would fail there.
    path = object_path(request) if request.subresource == "scale" else request.path
    way = Request("patch", request.target, path, undo, JSON_PATCH)
    present = [
        {**op, "op": "replace"} for op in undo if op["op"] in ("add", "replace") and _is_there(before, op["path"])
    ]
    if not present:
        return Way(way)
    problem = await _tried(cluster, msgspec.structs.replace(way, body=present))
    return Way(way, problem=problem and f"the present values would not be admitted again: {problem}")


async def _tried(cluster: Cluster, request: Request) -> str:
    """Return what the server says against a request, or nothing."""
    try:
        await cluster.send(request, dry_run=True, field_manager=DRY_MANAGER)
    except ApiError as error:
        return error.message
    return ""


def _controller(now: Json | None) -> str:
    owners = at(now, "metadata", "ownerReferences", default=[])
    return next((str(owner.get("kind")) for owner in owners if owner.get("controller")), "controller")


def _pod(spec: Json) -> None:
    for name in ("nodeName", "ephemeralContainers"):
        spec.pop(name, None)


def _service(spec: Json) -> None:
    # "None" is what somebody wants; an address is what the server gave.
    if spec.get("clusterIP") != "None":
        for name in ("clusterIP", "clusterIPs"):
            spec.pop(name, None)


def _job(spec: Json) -> None:
    if spec.get("manualSelector"):
        return
    spec.pop("selector", None)
    labels = at(spec, "template", "metadata", "labels", default={})
    for name in _JOB_LABELS:
        labels.pop(name, None)


def _nothing(_: Json) -> None:
    """Other kinds carry nothing of the kind."""


_CLEANERS = {"Pod": _pod, "Service": _service, "Job": _job}


def _is_there(manifest: Json, pointer: str) -> bool:
    value: object = manifest
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return True
