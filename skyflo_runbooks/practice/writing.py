"""Creating, replacing, patching and deleting: decoded, defaulted, admitted, validated, then stored or dry-run.

The order is the API server's: decode (strict or with warnings), default, admission, validation, compare versions,
store. A dry run goes all the way and leaves the store alone.
"""

from dataclasses import dataclass, field

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import applying, errors, patching, quota, schema, validation
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.controllers import budget
from skyflo_runbooks.practice.controllers.common import delete_pod
from skyflo_runbooks.practice.defaults import apply_defaults
from skyflo_runbooks.practice.kinds import NAMESPACE, POD, Kind, by_name
from skyflo_runbooks.practice.store import Author, Store, clone

_GENERATED = "bcdfghjklmnpqrstvwxz2456789"


@dataclass
class Request:
    """What a write request asked for besides its body."""

    author: Author
    dry_run: bool = False
    validation: str = "Warn"
    warnings: list[str] = field(default_factory=list)


def create(store: Store, kind: Kind, namespace: str, body: Json, request: Request) -> Json:
    """Create an object, or return what would be created."""
    _same_kind(kind, body)
    obj = _decode(kind, body, request, patch=False)
    meta = obj.setdefault("metadata", {})
    _place(kind, meta, namespace)
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"] + _generated(store)
    if not meta.get("name"):
        raise errors.invalid(
            kind,
            "",
            [errors.Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")],
        )
    obj.pop("status", None)
    apply_defaults(kind, obj)
    _namespace_lives(store, kind, namespace)
    if store.find(kind, meta.get("namespace", ""), meta["name"]) is not None:
        raise errors.already_exists(kind, meta["name"])
    if kind is POD:
        quota.admit(store, obj)
    _validate(kind, obj, None)
    if request.dry_run:
        return store.prepare(kind, obj, request.author)
    return store.create(kind, obj, request.author)


def replace(store: Store, kind: Kind, before: Json, body: Json, request: Request, *, patch: bool = False) -> Json:
    """Replace an object (the whole of it, or its status), or return what would be stored."""
    _same_kind(kind, body)
    name = before["metadata"]["name"]
    obj = _decode(kind, body, request, patch=patch)
    meta = obj.setdefault("metadata", {})
    if meta.get("name", name) != name:
        raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    meta["name"] = name
    _place(kind, meta, before["metadata"].get("namespace", ""))
    if request.author.subresource == "status":
        obj = {**clone(before), "status": obj.get("status", {}), "metadata": _kept(before, meta)}
    else:
        _keep_status(kind, before, obj)
        apply_defaults(kind, obj)
        for fixed in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(fixed, None)
            if fixed in before["metadata"]:
                meta[fixed] = before["metadata"][fixed]
        _validate(kind, obj, before)
    if request.dry_run:
        return store.revise(kind, before, obj, request.author)
    return store.update(kind, obj, request.author)


def patch(store: Store, kind: Kind, before: Json, content_type: str, body: bytes, request: Request) -> Json:
    """Patch an object, or return what would be stored."""
    shown = patching.patched(before, content_type, body)
    meta = shown.setdefault("metadata", {})
    if meta.get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
        cause = errors.Cause("metadata.uid", f'Invalid value: "{meta["uid"]}": field is immutable')
        raise errors.invalid(kind, before["metadata"]["name"], [cause])
    if at(shown, "metadata", "managedFields") == before["metadata"].get("managedFields"):
        meta.pop("managedFields", None)
    return replace(store, kind, before, shown, request, patch=True)


def apply(store: Store, kind: Kind, namespace: str, name: str, body: Json, request: Request, *, force: bool) -> Json:
    """Apply a manifest by server-side apply: create the object, or merge into the one there."""
    _same_kind(kind, body)
    manifest = _decode(kind, body, request, patch=True)
    before = store.find(kind, namespace, name)
    meta = manifest.setdefault("metadata", {})
    if meta.get("name", name) != name:
        raise errors.bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
    if before is None and meta.get("uid"):
        why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise errors.conflict(kind, name, why)
    meta["name"] = name
    merged = applying.merge(before or {}, manifest, request.author.manager, force=force)
    author = Author(request.author.manager, applied=merged.owned, taken=merged.taken)
    asked = Request(author, request.dry_run, request.validation, request.warnings)
    if before is None:
        return create(store, kind, namespace, merged.object, asked)
    return replace(store, kind, before, merged.object, asked, patch=True)


def delete(store: Store, kind: Kind, namespace: str, name: str, options: Json, request: Request) -> Json:
    """Delete an object as DeleteOptions say; returns its last state."""
    before = store.get(kind, namespace, name)
    wanted = options.get("preconditions") or {}
    for key, field_name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(key) and wanted[key] != before["metadata"][key]:
            raise errors.stale_delete(kind, name, field_name, wanted[key], before["metadata"][key])
    if options.get("dryRun") == ["All"] or request.dry_run:
        return before
    if options.get("propagationPolicy") == "Orphan":
        _orphan(store, before)
    if kind is POD:
        grace = options.get("gracePeriodSeconds")
        return delete_pod(store, before, grace, request.author)
    if kind is NAMESPACE:
        marked = clone(before)
        marked["metadata"]["deletionTimestamp"] = stamp(store.clock.now())
        marked["metadata"]["deletionGracePeriodSeconds"] = 1
        marked.setdefault("status", {})["phase"] = "Terminating"
        return store.update(kind, marked, request.author)
    if before["metadata"].get("finalizers"):
        marked = clone(before)
        marked["metadata"]["deletionTimestamp"] = stamp(store.clock.now())
        marked["metadata"]["deletionGracePeriodSeconds"] = 0
        return store.update(kind, marked, request.author)
    return store.remove(kind, namespace, name)


def evict(store: Store, namespace: str, name: str, options: Json, request: Request) -> Json:
    """Delete a pod, if its disruption budget lets it go."""
    budget.evict(store, store.get(POD, namespace, name), dry_run=options.get("dryRun") == ["All"] or request.dry_run)
    return delete(store, POD, namespace, name, options, request)


def apply_manifest(store: Store, manifest: Json, author: Author) -> Json:
    """Create an object, or merge the manifest into the one there, as client-side `kubectl apply` would."""
    kind = by_name(manifest.get("apiVersion", ""), manifest.get("kind", ""))
    if kind is None or kind.level == "empty":
        what = f"{manifest.get('apiVersion')} {manifest.get('kind')}"
        raise errors.bad_request(f"the practice cluster does not know {what}")
    meta = manifest["metadata"]
    namespace = meta.get("namespace", "default") if kind.namespaced else ""
    request = Request(author, validation="Strict")
    before = store.find(kind, namespace, meta["name"])
    if before is None:
        return create(store, kind, namespace, manifest, request)
    import json

    return patch(store, kind, before, patching.STRATEGIC, json.dumps(manifest).encode(), request)


def _decode(kind: Kind, body: Json, request: Request, *, patch: bool) -> Json:
    decoded = schema.decode(kind, body)
    if decoded.unknown and request.validation == "Strict":
        text = "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in decoded.unknown)
        if patch:
            raise errors.invalid(Kind("", "", "", ""), "", [errors.Cause("patch", f'Invalid value: "": {text}')])
        raise errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {text}')
    if request.validation == "Warn":
        request.warnings += [f'unknown field "{path}"' for path in decoded.unknown]
    return decoded.value


def _same_kind(kind: Kind, body: Json) -> None:
    given = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.kind)
    if given != (kind.api_version, kind.kind):
        version = given[0].rpartition("/")[2]
        target = f"{kind.group.partition('.')[0] or 'core'}.{kind.kind}"
        raise errors.bad_request(
            f'{given[1]} in version "{version}" cannot be handled as a {kind.kind}: '
            f"converting ({version}.{given[1]}) to ({target}): unknown conversion"
        )


def _place(kind: Kind, meta: Json, namespace: str) -> None:
    if not kind.namespaced:
        meta.pop("namespace", None)
        return
    if meta.get("namespace", namespace) != namespace:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    meta["namespace"] = namespace


def _namespace_lives(store: Store, kind: Kind, namespace: str) -> None:
    if not kind.namespaced:
        return
    found = store.get(NAMESPACE, "", namespace)
    if found["metadata"].get("deletionTimestamp"):
        why = f"unable to create new content in namespace {namespace} because it is being terminated"
        raise errors.forbidden(kind, "", why)


def _validate(kind: Kind, obj: Json, before: Json | None) -> None:
    causes = validation.check(kind, obj, before)
    if causes:
        raise errors.invalid(kind, obj["metadata"]["name"], causes)


def _keep_status(kind: Kind, before: Json, obj: Json) -> None:
    obj.pop("status", None)
    if "status" in before and ("status" in kind.subs or kind.kind == "Job"):
        obj["status"] = clone(before["status"])


def _kept(before: Json, meta: Json) -> Json:
    """Return the stored metadata with the precondition that the request carried."""
    kept: Json = clone(before["metadata"])
    kept["resourceVersion"] = meta.get("resourceVersion", "")
    return kept


def _orphan(store: Store, owner: Json) -> None:
    from skyflo_runbooks.practice.kinds import KINDS

    uid = owner["metadata"]["uid"]
    for kind in KINDS:
        for obj in store.list(kind, owner["metadata"].get("namespace", "")):
            references = obj["metadata"].get("ownerReferences", [])
            if any(ref["uid"] == uid for ref in references):
                changed = clone(obj)
                changed["metadata"]["ownerReferences"] = [ref for ref in references if ref["uid"] != uid]
                store.update(kind, changed, Author("kube-controller-manager"))


def _generated(store: Store) -> str:
    number, letters = store.version * 2_654_435_761 % 2**32, ""
    for _ in range(5):
        number, place = divmod(number, len(_GENERATED))
        letters += _GENERATED[place]
    return letters
