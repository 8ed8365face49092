"""What the API server answers when it refuses: `Status` objects with the real server's reasons, codes and texts.

Source of the texts: k8s.io/apimachinery/pkg/api/errors/errors.go and apiserver/pkg/registry/generic/registry/store.go.
`ApiError` is a value to be sent, raised anywhere below the HTTP layer.
"""

import json
from dataclasses import dataclass

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kinds import Kind


@dataclass(frozen=True)
class Cause:
    """One field that is wrong; `reason` is a `CauseType` such as FieldValueInvalid."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"


class ApiError(Exception):
    """A refusal of the API server."""

    def __init__(self, code: int, reason: str, message: str, details: Json | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> Json:
        """Return the `Status` object."""
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            status["details"] = self.details
        return status


def _details(kind: Kind, name: str) -> Json:
    details: Json = {"kind": kind.plural}
    if name:
        details["name"] = name
    if kind.group:
        details["group"] = kind.group
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', _details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(kind, name))


def apply_conflict(conflicts: list[tuple[Json, tuple[str, ...]]]) -> ApiError:
    """An apply that sets what others own; each conflict is the other's entry and the path in it."""
    causes = []
    for entry, path in conflicts:
        how = "" if entry["operation"] == "Apply" else f" using {entry['apiVersion']}"
        text = f'conflict with "{entry["manager"]}"{how}'
        causes.append({"reason": "FieldManagerConflict", "message": text, "field": _dotted(path)})
    listed = "; ".join(f"{cause['message']}: {cause['field']}" for cause in causes)
    plural = "s" if len(causes) > 1 else ""
    return ApiError(409, "Conflict", f"Apply failed with {len(causes)} conflict{plural}: {listed}", {"causes": causes})


def _dotted(path: tuple[str, ...]) -> str:
    """Write a path as the server does: `.spec.containers[name="app"].image`."""
    said = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            said += f".{rest}"
        elif kind == "k":
            said += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in json.loads(rest).items()) + "]"
    return said


def precondition(kind: Kind, name: str, field: str, expected: str, found: str) -> ApiError:
    why = f"Precondition failed: {field} in precondition: {expected}, {field} in object meta: {found}"
    return conflict(kind, name, why)


def stale_delete(kind: Kind, name: str, field: str, expected: str, found: str) -> ApiError:
    """A delete whose precondition does not hold; the real server names the kind here, not the resource."""
    since = "deleted and then recreated" if field == "UID" else "modified"
    message = (
        f'Operation cannot be fulfilled on {kind.kind} "{name}": the {field} in the precondition ({expected}) does not '
        f"match the {field} in record ({found}). The object might have been {since}"
    )
    return ApiError(409, "Conflict", message, _details(kind, name))


def invalid(kind: Kind, name: str, causes: list[Cause]) -> ApiError:
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    details: Json = {"name": name, "kind": kind.kind}
    if kind.group:
        details["group"] = kind.group
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {listed}', details)


def patch_refused() -> ApiError:
    """A JSON Patch that does not apply, a failing `test` among them: the real server does not say which."""
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, {})


def needs_manager() -> ApiError:
    """An apply without a field manager."""
    options = Kind("meta.k8s.io", "v1", "PatchOptions", "")
    return invalid(options, "", [Cause("fieldManager", "Required value: is required for apply patch")])


def too_many(cause: str) -> ApiError:
    """An eviction that a disruption budget does not allow now."""
    causes = [{"reason": "DisruptionBudget", "message": cause}]
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    return ApiError(429, "TooManyRequests", text, {"causes": causes})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    quoted = f'{kind.resource} "{name}" is forbidden' if name else f"{kind.resource} is forbidden"
    return ApiError(403, "Forbidden", f"{quoted}: {why}", _details(kind, name))


def no_method(kind: Kind | None = None, why: str = "") -> ApiError:
    details: Json = _details(kind, "") if kind else {}
    text = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", f"{text}: {why}" if why else text, details)


def unknown_path(what: str) -> ApiError:
    text = "the server could not find the requested resource"
    return ApiError(404, "NotFound", f"{text}: the practice cluster does not know {what}", {})


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def media_type(got: str, accepted: list[str]) -> ApiError:
    text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}"
    return ApiError(415, "UnsupportedMediaType", f"{text} (got {got or 'none'})")


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)
