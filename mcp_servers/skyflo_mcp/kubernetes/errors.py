"""What the API server can answer instead of what was asked, as a tree on top of the model's errors.

    SkyfloError
    └── ApiError                    the API server's answer: HTTP status, reason, the Status object's message
        ├── Rejected                4xx that says what was wrong with the request
        │   ├── NotFound    404  2  (BadInput)
        │   ├── Invalid     422  2  (BadInput; for a JSON Patch also a `test` that failed: look again to tell)
        │   ├── BadRequest  400  2  (BadInput; also 405, 415)
        │   ├── Conflict    409 13  (Refused)
        │   ├── Unauthorized 401 5  (NotAllowed)
        │   ├── Forbidden   403  4  (Unknown: a refused read is unknown, never healthy)
        │   └── Denied      403  2  (BadInput; a rule of the cluster: quota, pod security, a webhook that said no)
        ├── Gone            410  4  (Unknown: a continue token or a resourceVersion that is too old)
        ├── TooMany         429  4  (Unknown)
        └── ServerError     5xx  4  (Unknown)
    Unreachable             20      no connection
    ├── TimedOut            20      no answer in time, and nothing was written
    └── OutcomeUnknown      20      a write was sent and no answer came
    TooLarge (BadInput)      2      the answer is larger than the limit of the call
    NotAvailable (Unknown)   4      the cluster has no such thing (usage figures without metrics)

Messages carry the API server's own words. Bearer tokens and JWTs are cut out of them here, because an error can be
shown before the gateway's redaction sees it.
"""

import re

from skyflo_runbooks.model.errors import (
    BadInput,
    NotAllowed,
    OutcomeUnknown,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from skyflo_runbooks.model.json import Json, at

__all__ = [
    "ApiError",
    "BadRequest",
    "Conflict",
    "Denied",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotAvailable",
    "NotFound",
    "OutcomeUnknown",
    "Rejected",
    "ServerError",
    "TimedOut",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "Unreachable",
    "answered",
    "may_have_been_done",
    "without_tokens",
]

_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_LONGEST = 2000
# The authorizer's words and those of RBAC's guard against escalation name a user; an admission's name the rule.
_ADMISSION = re.compile(r"is forbidden: (?!user )|^admission webhook ", re.IGNORECASE)
# A webhook says no with whatever status it likes; the API server's own words come first.
_DENIED = re.compile(r'admission webhook "[^"]+" denied the request')
_RULE = "A rule of the cluster refuses it, not a missing permission: ask for what it allows."
# How the API server begins when admission failed or refused, in its own words; a webhook's come after them.
_ADMISSION_FAILED = re.compile(
    r'(Internal error occurred: )?(failed calling webhook "[^"]+"|admission webhook "[^"]+" denied the request)'
)


class ApiError(SkyfloError):
    """The API server answered, and it was not what was asked for."""

    def __init__(
        self, message: str, *, next_step: str = "", status: int = 0, reason: str = "", body: Json | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.reason = reason
        self.body = body or {}


class Rejected(ApiError):
    """The request is at fault, or who sent it; sending it again gives the same answer."""


class NotFound(Rejected, BadInput):
    """There is no such object or resource."""


class Invalid(Rejected, BadInput):
    """Validation or admission refused the body, or a `test` of a JSON Patch failed."""


class BadRequest(Rejected, BadInput):
    """The API server could not read the request."""


class Conflict(Rejected, Refused):
    """The object moved, or one of that name is there already."""


class Unauthorized(Rejected, NotAllowed):
    """The cluster does not accept the credential."""


class Forbidden(Rejected, Unknown):
    """The credential may not do this."""


class Denied(Rejected, BadInput):
    """Admission refuses what is asked for, whoever asks: a quota, a pod security level, a webhook that said no."""


class Gone(ApiError, Unknown):
    """The list or version asked for is too old."""


class TooMany(ApiError, Unknown):
    """The API server asks to slow down."""


class ServerError(ApiError, Unknown):
    """The API server or something behind it failed."""


class TimedOut(Unreachable):
    """No answer in time; nothing was written."""


class TooLarge(BadInput):
    """The answer is larger than the limit of the call."""


class NotAvailable(Unknown):
    """The cluster does not offer this; the message says why."""


_KINDS: dict[int, tuple[type[ApiError], str]] = {
    400: (BadRequest, ""),
    401: (Unauthorized, "Log in to the cluster again, or give a fresh kubeconfig with --kubeconfig."),
    403: (Forbidden, "Ask for this permission in the cluster's RBAC."),
    404: (NotFound, ""),
    405: (BadRequest, ""),
    409: (Conflict, "Read the object again."),
    410: (Gone, "Read the list again."),
    413: (BadRequest, ""),
    415: (BadRequest, ""),
    422: (Invalid, ""),
    429: (TooMany, "Try again in a moment."),
}


def answered(status: int, body: object, *, doing: str) -> ApiError:
    """Return the error for an answer with HTTP status 400 or above.

    `body` is the decoded answer: a Status object mostly, else text. `doing` says what was asked, as in `get
    Pod/checkout/x`; it opens the message.
    """
    kind, next_step = _KINDS.get(status, (ServerError if status >= 500 else BadRequest, ""))
    detail = body if isinstance(body, dict) else {}
    said = str(detail.get("message") or (body if isinstance(body, str) else "")).strip()
    if status == 429:
        # A disruption budget says which one it is, and why, only among the causes.
        causes = (str(cause.get("message", "")) for cause in at(detail, "details", "causes", default=[]))
        said = " ".join([said, *(cause for cause in causes if cause and cause not in said)]).strip()
    if (status == 403 and _ADMISSION.search(said)) or _DENIED.match(said):
        kind, next_step = Denied, _RULE
    message = f"{doing}: the cluster answered {status}" + (f": {said.rstrip('.')}." if said else ".")
    return kind(
        without_tokens(message)[:_LONGEST],
        next_step=next_step,
        status=status,
        reason=str(at(detail, "reason", default="")),
        body=detail,
    )


def may_have_been_done(status: int, body: object) -> bool:
    """Return whether an answer that is no success leaves open whether what was asked for was done.

    A 5xx does, unless the API server itself says that admission failed, which comes before anything is done. A 429 does
    where it is not the API server's own: it says `TooManyRequests` (a budget that stands against an eviction, a queue
    that is full) beforehand.
    """
    detail = body if isinstance(body, dict) else {}
    if status == 429:
        return detail.get("reason") != "TooManyRequests"
    return status >= 500 and not _ADMISSION_FAILED.match(str(detail.get("message", "")))


def without_tokens(text: str) -> str:
    """Return `text` with bearer tokens and JWTs masked."""
    return _JWT.sub("(masked)", _BEARER.sub(r"\1 (masked)", text))
