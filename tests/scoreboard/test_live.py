"""Two cases of each family and every control, on a real control plane, under drawn names, through the gateway.

`make scoreboard` does this with all cases, with the shipped scenarios, and with two faults at once.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests import needs
from tests.faults import staging
from tests.scoreboard import controls, report, run
from tests.scoreboard.result import Board
from tests.scoreboard.run import Draw

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(300)]
SEED = 11
# The kinds that somebody added to a cluster (`added`) are in `make scoreboard` alone.
FAMILIES = ("admission", "reach", "rollout", "routing", "scheduling")


async def test_causes_are_named_and_repaired_and_nothing_is_made_up(tmp_path: Path) -> None:
    """Every trial and every control is as it should be; what is not, is said in the words of the scoreboard."""
    binaries = needs.control_plane()
    draw = Draw(Random(SEED))
    families = [staging.cases(family) for family in FAMILIES]
    chosen = [case for family in families for case in draw.random.sample(family, 2)]
    board = Board(commit="", date="", command="", machine="")
    with run.plane(tmp_path / "round", binaries, draw) as made:
        drawn = run.alone(chosen, draw)
        drawn = run.stage(made, drawn)
        board.controls += await run.controlled(made, controls.CONTROLS, None)
        board.trials += await run.whole(made, tmp_path / "gateway", drawn, None)

    assert list(report.misses(board)) == []
    assert len(board.trials) == 2 * len(families)
    assert all(one.all_named for one in board.trials)
    assert any(one.verdict == "VERIFIED" for one in board.trials)
