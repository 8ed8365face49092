"""The first cell of a runbook: what happened, what that rests on, and what would decide it."""

import msgspec

from skyflo_runbooks.model.finding import Decider, Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Plan
from skyflo_runbooks.notebook.story import what_happened

FINDING = Finding(
    fault="CON-04",
    title="web crashes: the environment variable LEDGER_URL is missing",
    object=ObjectRef("Deployment", "web", "shop"),
    confidence=0.55,
    decided_by=(
        Decider("the log | of web", "it names *it*", "it ends for another reason"),
        Decider("Event objects", "the same", "another", missing="forbidden <b>"),
    ),
)


def told(finding: Finding) -> str:
    """Return the cell for a plan with this finding."""
    plan = Plan("rb-1", Incident("web crashes"), (), findings=(finding,))
    return what_happened(plan)


def test_what_would_decide_stands_in_a_table() -> None:
    """Where to look, what it would mean, and why it was not read; nothing in it can look like anything else."""
    said = told(FINDING)

    assert "55% sure" in said
    assert "| what would decide it | it is this if | it is not if |" in said
    row = next(line for line in said.splitlines() if line.startswith("| the log"))
    assert row.count(" | ") == 2
    assert "it names \\*it\\*" in row
    assert "(not read: forbidden" in said
    assert "<b>" not in said.replace("\\<b\\>", "")


def test_a_certain_finding_has_no_such_table() -> None:
    """It rests on its evidence."""
    assert "would decide" not in told(msgspec.structs.replace(FINDING, confidence=0.97, decided_by=()))
