"""The forms of `new --json`: a contract with other people's scripts."""

import pytest

from skyflo_runbooks.cli import incident
from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json

FINDING: Json = {
    "fault": "CON-07",
    "title": "OOMKilled",
    "object": {"kind": "Deployment", "name": "pay", "namespace": "shop", "api_version": "apps/v1"},
    "confidence": 0.9,
    "evidence": [{"source": "Pod/shop/x", "at": "2026-01-01T00:00:00Z", "text": "exit 137", "id": "e1"}],
    "consequences": ["500s"],
    "decided_by": [{"look": "its log", "confirms": "it says so", "refutes": "it does not", "missing": "forbidden"}],
    "facts": {"limit": "256Mi"},
}
PLAN: Json = {
    "parameters": [{"name": "memory_limit", "type": "str", "default": "512Mi"}],
    "steps": [
        {"kind": "prose", "id": "p", "text": "why"},
        {"kind": "gather", "id": "state", "reads": {
            "pods": {"tool": "k8s_get", "arguments": {"kind": "Pod"}},
            "events": {"tool": "k8s_events", "arguments": {}},
        }},
        {"kind": "change", "id": "raise", "tool": "k8s_set_resources",
         "arguments": {"limits": {"memory": {"$param": "memory_limit"}}}, "why": "x"},
        {"kind": "verify", "id": "ok", "checks": [{"name": "http_ok", "arguments": {}}], "after": ["raise"]},
        {"kind": "rollback", "id": "back", "of": "raise"},
        {"kind": "record", "id": "record"},
    ],
}  # fmt: skip


def answer(*findings: Json, unknown: tuple[str, ...] = ()) -> Json:
    """A gateway's answer."""
    diagnosis = {"findings": list(findings), "unknown": list(unknown)}
    return {"id": "rb-1", "diagnosis": diagnosis, "plan": PLAN, "notebook": None, "elapsed_ms": 12.5}


def test_the_summary_has_the_members_of_the_contract() -> None:
    """Names as in section 8, and the curated runbooks beside them; internal facts stay out."""
    said = incident.summary(answer(FINDING), "/x.ipynb")
    assert set(said) == {"path", "id", "findings", "plan", "unknown", "timeline", "elapsed_ms", "runbooks"}
    assert said["findings"] == [
        {
            "fault": "CON-07",
            "title": "OOMKilled",
            "object": "Deployment/shop/pay",
            "confidence": 0.9,
            "evidence": [{"source": "Pod/shop/x", "at": "2026-01-01T00:00:00Z", "text": "exit 137"}],
            "consequences": ["500s"],
            "decided_by": [
                {"look": "its log", "confirms": "it says so", "refutes": "it does not", "missing": "forbidden"}
            ],
        }
    ]


def test_the_time_line_names_objects_as_the_findings_do() -> None:
    """Oldest first, with the seconds to the begin; without one the members are there and empty."""
    change = {"at": "2026-01-01T00:00:00Z", "object": FINDING["object"], "what": "made", "by": "helm", "before": 31.0}
    line = {"began": "2026-01-01T00:00:31Z", "symptom": "Pod/shop/x: BackOff", "changes": [change], "more": 2}
    said = incident.timeline({"diagnosis": {"timeline": line}})
    assert said["changes"] == [
        {"at": "2026-01-01T00:00:00Z", "before_s": 31.0, "object": "Deployment/shop/pay", "what": "made", "by": "helm"}
    ]
    assert (said["began"], said["symptom"], said["more"]) == ("2026-01-01T00:00:31Z", "Pod/shop/x: BackOff", 2)
    assert incident.timeline(answer()) == {"began": "", "symptom": "", "changes": [], "more": 0}


def test_the_plan_is_bound_and_flat() -> None:
    """Parameters stand as their defaults, each read of a gather is a row, prose is left out."""
    rows = incident.steps(PLAN)
    assert [(row["step"], row["kind"], row["tool"]) for row in rows] == [
        ("state", "read", "k8s_get"),
        ("state", "read", "k8s_events"),
        ("raise", "change", "k8s_set_resources"),
        ("ok", "verify", None),
        ("back", "rollback", None),
        ("record", "record", None),
    ]
    assert rows[2]["arguments"] == {"limits": {"memory": "512Mi"}}
    assert rows[4]["arguments"] == {"of": "raise"}


def test_no_plan_has_no_steps() -> None:
    """A healthy answer has none."""
    assert incident.steps(None) == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(FINDING), ExitCode.DONE),
        (answer(FINDING, unknown=("Events",)), ExitCode.DONE),
        (answer(unknown=("Pods: refused",)), ExitCode.UNKNOWN),
        (answer(), ExitCode.NOTHING_WRONG),
    ],
)
def test_the_exit_code_of_a_diagnosis(said: Json, code: ExitCode) -> None:
    """Found is 0; what could not be read is 4, never 3."""
    assert incident.outcome(said) == code


@pytest.mark.parametrize(
    ("said", "name"), [({"kind": "Node", "name": "n1", "namespace": ""}, "Node/n1"), ("A/b", "A/b")]
)
def test_an_object_is_named_in_one_word(said: object, name: str) -> None:
    """With a namespace where there is one."""
    assert incident.object_name(said) == name


def test_a_file_is_named_after_what_has_to_change() -> None:
    """And after the runbook, so that two incidents do not meet."""
    assert incident.stem(answer(FINDING)) == "pay-rb-1"
    assert incident.stem(answer()) == "reads-rb-1"
