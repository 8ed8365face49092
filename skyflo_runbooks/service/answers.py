"""JSON in and out: bodies are validated against a type, errors become `{"error": …}` with a fitting HTTP status.

An error can hold the words of a cluster, which may quote any value that this gateway knows: none leaves it unmasked
(`masked`), by whatever door.
"""

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway.decisions import Requires
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.errors import (
    BadInput,
    ExitCode,
    NotAllowed,
    NotThere,
    OurBug,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from skyflo_runbooks.model.json import Json

T = TypeVar("T")
LARGEST_BODY = 4 * 2**20
_STATUS: dict[ExitCode, int] = {
    ExitCode.BAD_INPUT: 400,
    ExitCode.UNKNOWN: 502,
    ExitCode.NOT_ALLOWED: 403,
    ExitCode.REFUSED: 409,
    ExitCode.UNREACHABLE: 503,
}
_KINDS = (BadInput, NotAllowed, Unknown, Refused, Unreachable, OurBug)


def answer(value: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def masked(error: SkyfloError, redactor: Redactor) -> SkyfloError:
    """Return the error with secrets masked in what it says."""
    error.message, error.next_step = redactor.error(error.message), redactor.error(error.next_step)
    return error


def failure(error: SkyfloError) -> Response:
    """Return the response for an error."""
    return answer({"error": error_body(error)}, status_of(error))


def status_of(error: SkyfloError) -> int:
    """Return the HTTP status of an error."""
    return 404 if isinstance(error, NotThere) else _STATUS.get(error.exit_code, 500)


def error_body(error: SkyfloError) -> Json:
    """Return an error as it is answered."""
    kind = next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), "SkyfloError")
    return {
        "code": int(error.exit_code),
        "kind": kind,
        "message": error.message,
        "next_step": error.next_step,
    }


def required(asked: Requires) -> Json:
    """Return what a decision takes, as `GET …/nonce` answers it."""
    return {
        "typed": asked.typed,
        "passkey": asked.passkey,
        "approvals": {"needed": asked.needed, "have": asked.have},
        "refused": asked.refused,
        "next_step": asked.next_step,
    }


async def body(request: Request, kind: type[T]) -> T:
    """Return the request's body as `kind`, or raise `BadInput` that names the member that does not fit."""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > LARGEST_BODY:
        raise BadInput(f"The body has {declared} bytes; at most {LARGEST_BODY} are read.")
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LARGEST_BODY:
            raise BadInput(f"The body is larger than {LARGEST_BODY} bytes.")
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise BadInput(f"The body does not fit: {error}.", next_step="See /openapi.json.") from None


def seconds(request: Request, name: str, most: float) -> float:
    """Return a query parameter in seconds, at most `most`; 0 where it is missing."""
    text: Any = request.query_params.get(name, "0")
    try:
        return max(0.0, min(float(text), most))
    except ValueError:
        raise BadInput(f"{name} is a number of seconds, got {text[:40]!r}.") from None


def number(request: Request, name: str, default: int) -> int:
    """Return a query parameter that is a whole number, at least 0; `default` where it is missing."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > 18:
        raise BadInput(f"{name} is a whole number, got {text[:40]!r}.")
    return int(text)
