"""The ledger against an audit log: what agrees, and each difference."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from skyflo_runbooks.gateway.reconcile import Attempted, attempts, read, reconcile
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json

BEGIN = datetime.fromisoformat("2026-01-01T10:00:00Z")
PATH = "/api/v1/namespaces/shop/configmaps/settings"


def event(attempt: str = "at-01", *, second: int = 1, **more: Any) -> Json:
    """A completed patch by an attempt."""
    query = f"?fieldManager=skyflo-{attempt}" if attempt else ""
    return {
        "kind": "Event",
        "stage": "ResponseComplete",
        "verb": "patch",
        "requestURI": PATH + query,
        "user": {"username": "gateway"},
        "userAgent": "skyflo-runbooks",
        "objectRef": {"resource": "configmaps"},
        "responseStatus": {"code": 200},
        "stageTimestamp": (BEGIN + timedelta(seconds=second)).isoformat(),
        **more,
    }


def made(id_: str = "at-01", *, second: float = 0.5, applied: int = 1) -> Attempted:
    """An attempt in the ledger."""
    return Attempted(id_, "ap-000001", BEGIN + timedelta(seconds=second), applied)


def differences(events: list[Json], known: list[Attempted], users: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What comparing them comes to; the log covers an hour."""
    edges = [event("", second=0, verb="get", userAgent="x"), event("", second=3600, verb="get", userAgent="x")]
    log = read((json.dumps(one) for one in [edges[0], *events, edges[1]]), users)
    return reconcile(log, known).differences


def test_a_write_and_its_attempt_agree() -> None:
    """By the field manager in the query, or by the user agent, where a delete has no other place for it."""
    assert differences([event()], [made()]) == ()
    deleted = event("", verb="delete", userAgent="skyflo-runbooks skyflo-at-01")
    assert differences([deleted], [made()]) == ()


@pytest.mark.parametrize(
    "more",
    [
        {"requestURI": PATH + "?fieldManager=skyflo-at-01&dryRun=All"},
        {"verb": "delete", "requestObject": {"dryRun": ["All"]}},
        {"verb": "create", "requestObject": {"deleteOptions": {"dryRun": ["All"]}}},
        {"verb": "delete", "userAgent": "skyflo-runbooks skyflo-at-01 dry-run"},
        {"responseStatus": {"code": 409}},
        {"responseStatus": {"code": 403}},
        {"verb": "get"},
        {"verb": "watch"},
        {"stage": "RequestReceived"},
        {"verb": "create", "objectRef": {"apiGroup": "authorization.k8s.io", "resource": "selfsubjectaccessreviews"}},
    ],
)
def test_what_changes_nothing_is_no_write(more: Json) -> None:
    """Dry runs in each form, refusals, reads, the beginning of a request, reviews."""
    assert differences([event(**more)], [made(applied=0)]) == ()


@pytest.mark.parametrize("code", [101, 200])
def test_what_runs_in_a_container_is_a_write(code: int) -> None:
    """Whatever its verb: over WebSocket the API server calls it get."""
    into = event(
        "",
        verb="get",
        userAgent="skyflo-runbooks skyflo-at-01",
        objectRef={"resource": "pods", "subresource": "exec"},
        responseStatus={"code": code},
    )
    assert differences([into], [made()]) == ()
    assert len(differences([into], [])) == 1


def test_a_write_by_no_attempt_is_a_difference() -> None:
    """By our user agent, or by the user that is named; somebody else's is nobody's business here."""
    foreign = event("", userAgent="kubectl/v1.35")
    assert differences([foreign], []) == ()
    assert "by no attempt" in differences([foreign], [], ("gateway",))[0]
    assert "by no attempt" in differences([event("")], [])[0]


def test_a_write_of_an_unknown_attempt_is_a_difference() -> None:
    """Somebody writes under our name, or the ledger lost it."""
    assert differences([event("at-99")], []) == ("1 writes of at-99, which the ledger does not know",)


@pytest.mark.parametrize(("writes", "applied"), [(0, 1), (2, 1), (1, 0), (1, 2)])
def test_numbers_that_differ_are_a_difference(writes: int, applied: int) -> None:
    """Claimed and not there, twice, there and not claimed, less than claimed."""
    (said,) = differences([event()] * writes, [made(applied=applied)])
    assert f"the API server has {writes} writes, the ledger {applied} answers" in said


def test_an_attempt_outside_the_log_is_not_compared_but_counted() -> None:
    """Before it begins or after it ends; a write that is there all the same is compared."""
    lines = [json.dumps(event(second=10)), json.dumps(event("at-02", second=20))]
    known = [
        made("at-00", second=-60),
        made("at-01", second=11),
        made("at-02", second=21, applied=0),
        made("at-03", second=99),
    ]
    said = reconcile(read(lines, ()), known)
    assert (said.writes, said.attempts, said.outside) == (2, 4, 3)
    assert [one.split(" ")[0] for one in said.differences] == ["at-02"]


def test_an_empty_log_compares_nothing() -> None:
    """And says how many attempts were left out."""
    said = reconcile(read([], ()), [made()])
    assert (said.outside, said.differences) == (1, ())


@pytest.mark.parametrize("line", ["nonsense", "[]", "{}", '{"stageTimestamp": "yesterday"}'])
def test_something_else_is_bad_input(line: str) -> None:
    """Its line is named."""
    with pytest.raises(BadInput, match="Line 2 of the audit log"):
        read([json.dumps(event()), line], ())


def test_attempts_are_read_from_entries() -> None:
    """Answers that were none (in place already) are not counted."""
    entries: list[Json] = [
        {"kind": "dispatch", "at": "2026-01-01T10:00:00Z", "body": {"proposal": "ap-1", "attempt": "at-01"}},
        {"kind": "applied", "at": "", "body": {"attempt": "at-01", "applied": {"status": 200}}},
        {"kind": "applied", "at": "", "body": {"attempt": "at-01", "applied": {"status": 0}}},
        {"kind": "note", "at": "", "body": {}},
    ]
    assert list(attempts(entries)) == [Attempted("at-01", "ap-1", BEGIN, 1)]
