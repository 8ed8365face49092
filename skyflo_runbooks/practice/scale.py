"""The scale subresource: a workload's replicas as an `autoscaling/v1` Scale."""

import json

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import errors, patching, validation, writing
from skyflo_runbooks.practice.kinds import Kind
from skyflo_runbooks.practice.store import Store, clone


def shown(obj: Json) -> Json:
    """Return the Scale of a workload."""
    meta = obj["metadata"]
    labels = at(obj, "spec", "selector", "matchLabels", default={})
    kept = {
        key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in meta
    }
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": obj["spec"]["replicas"]},
        "status": {
            "replicas": at(obj, "status", "replicas", default=0),
            "selector": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        },
    }


def wanted(obj: Json, content_type: str, body: bytes) -> Json:
    """Return the Scale that a request asks for; an empty content type means the body is the whole Scale."""
    if content_type:
        return patching.patched(shown(obj), content_type, body)
    try:
        value = json.loads(body)
    except ValueError as wrong:
        raise errors.bad_request(f"the body is not JSON: {wrong}") from wrong
    if not isinstance(value, dict):
        raise errors.bad_request(f"expected a Scale, got {type(value).__name__}")
    return value


def set_replicas(store: Store, kind: Kind, obj: Json, asked: Json, request: writing.Request) -> Json:
    """Set a workload's replicas, or return what would be stored."""
    replicas = at(asked, "spec", "replicas", default=0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise errors.bad_request(f"spec.replicas: expected a whole number, got {replicas!r}")
    changed = clone(obj)
    changed["spec"]["replicas"] = replicas
    changed["metadata"]["resourceVersion"] = at(asked, "metadata", "resourceVersion", default="")
    causes = validation.check(kind, changed, obj)
    if causes:
        scale_kind = Kind("autoscaling", "v1", "Scale", kind.plural)
        raise errors.invalid(scale_kind, obj["metadata"]["name"], causes)
    if request.dry_run:
        return store.revise(kind, obj, changed, request.author)
    return store.update(kind, changed, request.author)
