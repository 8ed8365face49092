"""What a person reads before and after deciding."""

import pytest

from skyflo_runbooks.cli import card
from skyflo_runbooks.model.json import Json

VIEW: Json = {
    "id": "ap-7f3k9x",
    "state": "proposed",
    "title": "Raise memory",
    "why": "OOMKilled",
    "risk": "high",
    "diff": "@@ x\n-256Mi\n+512Mi",
    "digest": "sha256:5b1e",
    "assessment": {"reasons": ["pods restart"], "way_back": "restore revision 41", "irreversible": ""},
    "impact": {"while_it_runs": ["one after another"], "also_touched": [], "ownership": ["Helm"], "unknown": ["quota"]},
    "warnings": ["deprecated"],
    "verification": {
        "checks": [{"name": "http_ok", "arguments": {"service": "pay", "namespace": "shop", "port": None}}]
    },
    "requester": "kernel:notebook",
    "expires": "2026-11-23T02:44:07Z",
    "equivalent": "kubectl set resources",
    "receipt": None,
}


def text(lines: list[card.Line]) -> str:
    """The lines as they appear."""
    return "\n".join(line.text for line in lines)


def test_the_card_shows_everything_that_matters() -> None:
    """Each fact of the proposal is on it, with what is not known."""
    said = text(card.card(VIEW))
    for fact in (
        "Raise memory   ap-7f3k9x", "High risk: pods restart", "OOMKilled", "-256Mi", "+512Mi", "one after another",
        "Helm", "not known       quota", "deprecated", "restore revision 41", "http_ok(pay)", "kernel:notebook",
        "02:44:07 UTC", "kubectl set resources", "sha256:5b1e",
    ):  # fmt: skip
        assert fact in said


def test_an_irreversible_change_says_so() -> None:
    """The reason stands where the way back would."""
    view = {**VIEW, "assessment": {"reasons": [], "way_back": "", "irreversible": "the data is gone"}}
    assert "way back        none: the data is gone" in text(card.card(view))


def test_a_diff_is_coloured() -> None:
    """Removed red, added green."""
    assert [line.style for line in card.diff("@@\n-a\n+b\n c")] == ["cyan", "red", "green", "dim"]


def test_a_receipt_says_who_and_when() -> None:
    """Empty facts take no line."""
    receipt = {"operator": "k.ops", "decided_at": "2026-11-23T02:14:07Z", "reason": "", "applied": [], "way_back": "x"}
    said = text(card.receipt({**VIEW, "state": "executed", "receipt": receipt}))
    assert "by k.ops at 02:14:07 UTC" in said
    assert "reason" not in said
    approved = text(card.approved({**VIEW, "receipt": receipt}))
    assert approved == ("✓ Plan approved by operator at 02:14:07 UTC\n  Approval ID: ap-7f3k9x   Operator: k.ops")


def test_a_judgement_shows_each_check_and_the_verdict() -> None:
    """What did not pass says what was expected, with its evidence; a pass takes one line."""
    outcomes = [
        {"check": "http_ok(pay)", "result": "PASS", "expected": "200", "observed": "200, 9 of 9", "evidence": ["n"]},
        {"check": "no_oom_kills(pay)", "result": "FAIL", "expected": "none", "observed": "1", "evidence": ["137"]},
        {"check": "memory_below(pay)", "result": "UNKNOWN", "expected": "low", "observed": "?", "evidence": []},
    ]
    judged: Json = {"verdict": "FAILED", "checks": outcomes, "reasons": ["oom"], "window": "10s",
                    "ledger": {"seq": 7, "hash": "abc"}}  # fmt: skip
    said = text(card.judgement(judged))
    assert "  ✓ http ok: 200, 9 of 9\n  ✗ no oom kills: 1\n      expected: none\n      evidence: 137" in said
    assert "  ? memory below: ?" in said
    assert said.endswith("Result: FAILED")


@pytest.mark.parametrize("verdict", ["VERIFIED", "FAILED", "INCONCLUSIVE"])
def test_only_a_verified_window_was_observed(verdict: str) -> None:
    """Elsewhere the window may never have begun: what is said is what was asked for."""
    said = text(card.judgement({"verdict": verdict, "window": "10s"}))
    assert ("observed for 10s of the cluster's time" in said) is (verdict == "VERIFIED")
    assert ("window asked for: 10s" in said) is (verdict != "VERIFIED")


def test_a_plan_says_that_it_waits_for_an_approval() -> None:
    """Only a plan that changes something does."""
    read = {"step": "a", "kind": "read", "tool": "k8s_get", "arguments": {"kind": "Pod"}}
    change = {"step": "b", "kind": "change", "tool": "k8s_scale", "arguments": {"replicas": 3}}
    assert "Step 1: Read: k8s_get(kind=Pod)" in text(card.plan([read]))
    assert "approval" not in text(card.plan([read]))
    assert "approval" in text(card.plan([read, change]))


def test_findings_name_the_cause_first() -> None:
    """Cause, evidence with its source, and what it explains."""
    finding: Json = {"fault": "CON-07", "title": "OOM", "object": "Deployment/a/b", "confidence": 0.955,
                     "evidence": [{"text": "exit 137", "source": "Pod/a/c"}], "consequences": ["500s"]}  # fmt: skip
    said = text(card.findings([finding, finding]))
    assert said.startswith("Cause: OOM (CON-07)\n  object: Deployment/a/b   confidence: 96 %\n  > exit 137  [Pod/a/c]")
    assert "explains: 500s" in said
    assert "Also: OOM" in said
    assert "would decide" not in said


def test_the_begin_stands_among_the_changes() -> None:
    """What came before it above, what came after it below; what is not in the table is counted."""
    changes = [
        {"at": "2026-05-04T10:00:00Z", "before_s": 90.0, "object": "Deployment/a/b", "what": "revision 2", "by": ""},
        {
            "at": "2026-05-04T10:03:00Z",
            "before_s": -90.0,
            "object": "Node/n",
            "what": "Ready became False",
            "by": "kubelet",
        },
    ]
    line: Json = {"began": "2026-05-04T10:01:30Z", "symptom": "Pod/a/c: BackOff", "changes": changes, "more": 4}
    rows = [row.split() for row in text(card.timeline(line)).splitlines()]
    assert [row[2] for row in rows[2:5]] == ["−90", "began", "+90"]
    assert rows[2][:2] == ["05-04", "10:00:00"]
    assert " ".join(rows[4]).endswith("Ready became False, by kubelet")
    assert " ".join(rows[5]) == "4 older changes are left out"
    assert card.timeline({"began": "", "symptom": "", "changes": [], "more": 0}) == []


def test_what_would_decide_a_finding_stands_under_its_evidence() -> None:
    """Where to look, what each outcome would mean, and why it was not read."""
    decider = {
        "look": "the log of web",
        "confirms": "it names it",
        "refutes": "it names another",
        "missing": "forbidden",
    }
    finding: Json = {"evidence": [{"text": "exit 1", "source": "Pod/a/c"}], "decided_by": [decider]}
    assert text(card.grounds(finding)).splitlines() == [
        "  > exit 1  [Pod/a/c]",
        "  would decide it: the log of web (not read: forbidden)",
        "      it is this if: it names it",
        "      it is not if:  it names another",
    ]


@pytest.mark.parametrize(
    ("state", "applied", "said"),
    [
        ("executing", [], "it goes on without anybody's help; look again: skyflo-runbooks show ap-7f3k9x"),
        ("unknown", [], "sends nothing twice; look again: skyflo-runbooks show ap-7f3k9x"),
        ("void", [], "nothing was sent; propose it again"),
        ("expired", [], "nobody decided in time; propose it again"),
        ("failed", [], "next            propose it again"),
        ("failed", [{"object": "Pod/a/b", "status": 201}], "take back what was applied: skyflo-runbooks rollback ap-"),
    ],
)
def test_a_receipt_says_what_to_do_next(state: str, applied: list[Json], said: str) -> None:
    """Where something is left to be done; where all is done there is no such line."""
    receipt = {"operator": "k.ops", "applied": applied}
    assert said in text(card.receipt({**VIEW, "state": state, "receipt": receipt}))
    for done in ("executed", "in_place", "rejected", "superseded", "rolled_back"):
        assert "  next  " not in text(card.receipt({**VIEW, "state": done, "receipt": receipt}))
