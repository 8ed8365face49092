"""How a rendered request goes on the wire: dry runs, preconditions, method and query. Pure.

Rules:
  1. A dry run of a create, a patch or an apply says `dryRun=All` in the query. A delete says it in its DeleteOptions
     body: with a body present the API server ignores the query and really deletes. An eviction says it in the
     DeleteOptions within its body.
  2. Preconditions ride in the body, where the server compares and swaps them with the write itself: JSON Patch gets a
     `test` of the uid and a write of the resourceVersion (a version that moved is a 409), the other patches carry both
     in `metadata`, a delete in `preconditions`. A creation has none: a name that is taken is a 409. An eviction has the
     uid: it means this pod, whatever its status says meanwhile. A precondition that the request brings itself stays.
  3. What is run in a container is no request of this kind (`running`).
  4. The user agent names who sends and whether it is a dry run: for a delete, an eviction and a run, the API server's
     audit log shows it nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from skyflo_mcp.kubernetes.transport import Method
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import JSON_PATCH, Request

# Every apply is this manager's, whoever sends it: only then does the server take out what an earlier apply had.
APPLIER = "skyflo"
_METHODS: Mapping[str, Method] = {
    "create": "POST",
    "patch": "PATCH",
    "apply": "PATCH",
    "delete": "DELETE",
    "evict": "POST",
}


class Sent(msgspec.Struct, frozen=True):
    """The API server's answer to a write: HTTP status, the object (a Status for some deletes), admission's warnings."""

    status: int
    object: Json
    warnings: tuple[str, ...] = ()
    at: datetime | None = None


def conditional(request: Request, *, uid: str = "", resource_version: str = "") -> Request:
    """Return the request with its preconditions, by rule 2."""
    if request.verb == "create" or not (uid or resource_version):
        return request
    if request.verb == "delete":
        return _with_body(request, _guarded(_options(request), _present(uid=uid, resourceVersion=resource_version)))
    if request.verb == "evict":
        return _with_options(request, _guarded(request.body.get("deleteOptions") or {}, _present(uid=uid)))
    if request.content_type == JSON_PATCH:
        first = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
        if resource_version:
            first.append({"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version})
        return _with_body(request, [*first, *request.body])
    metadata = {**request.body.get("metadata", {}), **_present(uid=uid, resourceVersion=resource_version)}
    return _with_body(request, {**request.body, "metadata": metadata})


def dry(request: Request) -> Request:
    """Return the request with whatever its body needs to be a dry run, by rule 1."""
    if request.verb == "delete":
        return _with_body(request, {**_options(request), "dryRun": ["All"]})
    if request.verb == "evict":
        return _with_options(request, {**(request.body.get("deleteOptions") or {}), "dryRun": ["All"]})
    return request


def route(request: Request, *, dry_run: bool, field_manager: str) -> tuple[Method, dict[str, str | int | bool], object]:
    """Return method, query and body of the request."""
    if request.verb == "delete":
        return "DELETE", {}, _options(request)
    if request.verb == "evict":
        return "POST", {}, request.body
    manager = APPLIER if request.verb == "apply" else field_manager
    query: dict[str, str | int | bool] = {"fieldManager": manager, "fieldValidation": "Strict"}
    if dry_run:
        query["dryRun"] = "All"
    if request.verb == "apply":
        query["force"] = request.force
    return _METHODS[request.verb], query, request.body


def agent(field_manager: str, *, dry_run: bool = False) -> tuple[str, str]:
    """Return the header that names who sends, by rule 4."""
    return "User-Agent", " ".join(["skyflo-runbooks", *filter(None, [field_manager, "dry-run" if dry_run else ""])])


def _options(request: Request) -> Json:
    return {"kind": "DeleteOptions", "apiVersion": "v1", **(request.body or {})}


def _guarded(options: Json, wanted: Mapping[str, str]) -> Json:
    return {**options, "preconditions": {**wanted, **(options.get("preconditions") or {})}}


def _with_options(request: Request, options: Json) -> Request:
    return _with_body(request, {**request.body, "deleteOptions": options})


def _present(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _with_body(request: Request, body: object) -> Request:
    return msgspec.structs.replace(request, body=body)
