"""Which error an answer is, and what it never tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Denied,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerError,
    TooMany,
    Unauthorized,
    answered,
    without_tokens,
)

from skyflo_runbooks.model.errors import BadInput, ExitCode, NotAllowed, Refused, Unknown

TOKEN_TEXT = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=12, max_size=60)


@pytest.mark.parametrize(
    ("code", "kind", "family", "exit_code"),
    [
        (400, BadRequest, BadInput, ExitCode.BAD_INPUT),
        (401, Unauthorized, NotAllowed, ExitCode.NOT_ALLOWED),
        (403, Forbidden, Unknown, ExitCode.UNKNOWN),
        (404, NotFound, BadInput, ExitCode.BAD_INPUT),
        (405, BadRequest, BadInput, ExitCode.BAD_INPUT),
        (409, Conflict, Refused, ExitCode.REFUSED),
        (410, Gone, Unknown, ExitCode.UNKNOWN),
        (418, BadRequest, BadInput, ExitCode.BAD_INPUT),
        (422, Invalid, BadInput, ExitCode.BAD_INPUT),
        (429, TooMany, Unknown, ExitCode.UNKNOWN),
        (500, ServerError, Unknown, ExitCode.UNKNOWN),
        (599, ServerError, Unknown, ExitCode.UNKNOWN),
    ],
)
def test_each_status_is_its_own_error(
    code: int, kind: type[ApiError], family: type[Exception], exit_code: ExitCode
) -> None:
    """The kind says whose fault it is, and the exit code follows."""
    error = answered(code, {"message": "as it is", "reason": "Because"}, doing="get Pod/a/b")
    assert type(error) is kind
    assert isinstance(error, family)
    assert (error.exit_code, error.status, error.reason) == (exit_code, code, "Because")


def test_the_message_says_what_was_asked_and_what_came() -> None:
    """A person reads both without looking elsewhere."""
    error = answered(404, {"message": 'pods "web" not found'}, doing="get Pod/shop/web")
    assert error.message == 'get Pod/shop/web: the cluster answered 404: pods "web" not found.'


@pytest.mark.parametrize("body", ["", None, {}, []])
def test_an_answer_without_words_is_still_a_sentence(body: object) -> None:
    """Nothing is invented in their place."""
    assert answered(502, body, doing="list pods").message == "list pods: the cluster answered 502."


def test_a_refused_credential_and_a_refused_read_say_the_next_step() -> None:
    """Log in again, or ask for the permission."""
    assert "Log in" in answered(401, {}, doing="x").next_step
    assert "RBAC" in answered(403, {}, doing="x").next_step


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ('pods "a" is forbidden: User "bob" cannot get resource "pods" in API group "" in the namespace "b"', "RBAC"),
        ('roles "a" is forbidden: user "bob" (groups=["x"]) is attempting to grant RBAC permissions', "RBAC"),
        ('forbidden: User "system:anonymous" cannot get path "/"', "RBAC"),
        ('pods "a" is forbidden: failed quota: q: must specify limits.memory for: main', "A rule of the cluster"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged', "A rule of the cluster"),
        ('admission webhook "x.y" denied the request: not today', "A rule of the cluster"),
    ],
)
def test_a_missing_permission_and_a_rule_that_refuses_are_told_apart(said: str, step: str) -> None:
    """Both are 403; who asks for a permission that is there already waits in vain."""
    error = answered(403, {"message": said}, doing="x")
    assert step in error.next_step
    assert error.exit_code == (ExitCode.UNKNOWN if step == "RBAC" else ExitCode.BAD_INPUT)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 503])
def test_a_webhook_that_says_no_is_bad_input_whatever_status_it_gives(status: int) -> None:
    """One that could not be reached has said nothing: that stays unknown."""
    denied = {"message": 'admission webhook "x.y" denied the request: not today'}
    assert isinstance(answered(status, denied, doing="x"), Denied)
    lost = {"message": 'Internal error occurred: failed calling webhook "x.y": context deadline exceeded'}
    assert answered(500, lost, doing="x").exit_code == ExitCode.UNKNOWN


@given(TOKEN_TEXT, st.sampled_from(["Bearer", "bearer", "Basic"]))
def test_a_token_in_an_answer_is_masked(token: str, scheme: str) -> None:
    """A proxy that echoes the request does not publish the credential."""
    error = answered(400, f"bad header Authorization: {scheme} {token} here", doing="get x")
    assert token not in str(error)
    assert "(masked) here" in error.message


@given(TOKEN_TEXT, TOKEN_TEXT)
def test_a_jwt_is_masked_wherever_it_stands(payload: str, signature: str) -> None:
    """ServiceAccount tokens are JWTs."""
    jwt = f"eyJhbGciOiJSUzI1NiJ9.{payload}.{signature}"
    assert without_tokens(f"token={jwt}, next") == "token=(masked), next"


@given(st.text("abc xyz.:/-", max_size=80))
def test_text_without_tokens_stays_as_it_is(text: str) -> None:
    """Masking changes nothing else."""
    assert without_tokens(text) == text


def test_a_very_long_answer_is_cut() -> None:
    """An error is something to read."""
    assert len(answered(422, {"message": "x" * 100_000}, doing="get x").message) <= 2000
