"""What a run came to follows from its cells and verdicts, by the order of the exit codes."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.errors import OUTCOME_ORDER, ExitCode
from skyflo_runbooks.notebook.cell import CellKind
from skyflo_runbooks.replay.status import CellRecord, CellStatus, conclude

VERIFIED = {"verdict": "VERIFIED"}
FAILED = {"verdict": "FAILED"}


def change(status: CellStatus) -> CellRecord:
    """A change cell."""
    return CellRecord("change", status)


def verify(status: CellStatus) -> CellRecord:
    """A verify cell."""
    return CellRecord("verify", status)


@pytest.mark.parametrize(
    ("cells", "verdicts", "status", "code"),
    [
        ([CellRecord("read", "passed")], [], "read_only", 0),
        ([CellRecord("read", "inconclusive", "refused")], [], "read_only", 4),
        ([change("passed"), verify("passed")], [VERIFIED], "verified", 0),
        ([change("passed")], [], "inconclusive", 12),
        ([change("in_place")], [], "in_place", 0),
        ([change("in_place"), verify("passed")], [VERIFIED], "verified", 0),
        ([change("passed"), verify("failed")], [FAILED], "failed", 11),
        ([change("failed"), verify("failed")], [FAILED], "failed", 11),
        ([change("rejected"), verify("not_reached")], [], "rejected", 13),
        ([change("expired"), verify("not_reached")], [], "rejected", 13),
        ([change("awaiting_approval"), verify("not_reached")], [], "waiting", 10),
        ([change("would_change"), verify("skipped")], [], "would_change", 14),
        ([change("would_change"), change("inconclusive")], [], "inconclusive", 12),
        ([change("passed"), verify("passed"), change("rejected")], [VERIFIED], "rejected", 13),
        ([change("passed"), verify("passed"), change("awaiting_approval")], [VERIFIED], "waiting", 10),
        ([change("passed"), CellRecord("free", "kernel_died"), verify("not_reached")], [], "inconclusive", 12),
        ([CellRecord("read", "error", "x", "Unreachable"), change("not_reached")], [], "inconclusive", 20),
        ([CellRecord("read", "error", "x", "ZeroDivisionError")], [], "inconclusive", 12),
        ([CellRecord("read", "running"), change("not_reached")], [], "inconclusive", 12),
        ([change("not_reached"), verify("not_reached")], [], "inconclusive", 12),
        ([], [], "read_only", 0),
    ],
)
def test_each_ending_has_its_status(
    cells: list[CellRecord], verdicts: list[dict[str, str]], status: str, code: int
) -> None:
    """One line per way to end."""
    outcome = conclude(tuple(cells), tuple(verdicts))
    assert (outcome.status, outcome.exit_code) == (status, code)


records = st.builds(
    CellRecord,
    st.sampled_from([kind for kind in get_args(CellKind) if kind != "empty"]),
    st.sampled_from(get_args(CellStatus)),
)


@given(st.lists(records, max_size=8), st.lists(st.sampled_from([VERIFIED, FAILED]), max_size=3))
def test_verified_is_never_claimed_of_a_run_that_did_not_end(
    cells: list[CellRecord], verdicts: list[dict[str, str]]
) -> None:
    """VERIFIED needs a verdict, no failure, no open or refused change, and no cell that broke."""
    outcome = conclude(tuple(cells), tuple(verdicts))
    if outcome.status == "verified":
        assert verdicts
        assert all(verdict == VERIFIED for verdict in verdicts)
        assert not [cell for cell in cells if cell.status in ("error", "timeout", "kernel_died", "running")]
        bad = ("failed", "rejected", "expired", "awaiting_approval", "inconclusive", "would_change")
        assert not [cell for cell in cells if cell.kind == "change" and cell.status in bad]
    assert outcome.exit_code in (*OUTCOME_ORDER, ExitCode.UNKNOWN)


@given(st.lists(records, max_size=6), records)
def test_a_further_cell_never_improves_a_failure(cells: list[CellRecord], more: CellRecord) -> None:
    """Once failed, a run stays failed whatever comes after."""
    if conclude(tuple(cells), (FAILED,)).status == "failed":
        assert conclude((*cells, more), (FAILED,)).status == "failed"
