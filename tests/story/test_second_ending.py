"""The second ending: raised too little, the change FAILS with evidence; the way back has an approval of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.control_plane.processes import wait_until
from tests.story.home import home
from tests.story.rungs import practice
from tests.story.telling import tell

pytestmark = pytest.mark.timeout(280)


def test_too_little_fails_and_the_way_back_restores(tmp_path: Path) -> None:
    """300Mi: exit 11, the kill as evidence; nothing goes back by itself, and then exactly once."""
    with practice(tmp_path / "rung") as rung, home(tmp_path) as mine:
        told = tell(mine.open(rung.kubeconfig), rung, "memory_limit=300Mi")
        assert (told.code, told.answer["status"]) == (11, "failed")
        failed = [each for each in told.answer["verdicts"][0]["checks"] if each["result"] == "FAIL"]
        assert "OOMKilled" in json.dumps(failed)
        assert len(told.attempts) == 1

        (done,) = told.answer["proposals"]
        back = mine.json("rollback", done["id"])
        assert back["state"] == "proposed"
        assert rung.limit() == "300Mi", "a roll-back that nobody approved was applied"
        again = mine.command("approve", done["id"], "--yes")
        assert again.returncode == 13, again.stdout + again.stderr

        approved = mine.command("approve", back["id"], "--yes")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        wait_until("the old limit", lambda: rung.limit() == "256Mi", within=20)
        assert mine.json("show", done["id"])["state"] == "rolled_back"
        assert mine.command("ledger", "verify").returncode == 0
