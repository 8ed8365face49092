"""Anybody may run the notebook with papermill: no engine and no parameter applies anything or claims a success."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.story.home import Home
from tests.story.rungs import Rung
from tests.story.telling import VERDICT, Diagnosed, diagnose, outputs

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def diagnosed(logged_in: Home, flagship: Rung) -> Diagnosed:
    """The runbook of the flagship."""
    return diagnose(logged_in, flagship, "papermill.ipynb")


@pytest.mark.parametrize("engine", [(), ("--engine", "skyflo")], ids=["default", "skyflo"])
def test_papermill_applies_nothing_and_verifies_nothing(
    engine: tuple[str, ...], logged_in: Home, flagship: Rung, diagnosed: Diagnosed, tmp_path: Path
) -> None:
    """`-p memory_limit 1Gi`: the change waits for its decision, and no cell says VERIFIED."""
    to = tmp_path / "out.ipynb"
    words = ["--no-progress-bar", *engine, str(diagnosed.path), str(to), "-p", "memory_limit", "1Gi"]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", *words],
        env=logged_in.environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [each["verdict"] for each in outputs(to, VERDICT)] in ([], ["INCONCLUSIVE"])
    assert "VERIFIED" not in json.dumps(outputs(to, "text/plain"))
    waiting = [each for each in logged_in.json("approvals") if each["step"] == "raise_memory"]
    assert "1Gi" in waiting[-1]["diff"]
    assert flagship.limit() == "256Mi"
    assert flagship.attempts() == []


def test_a_replay_says_what_it_would_change(logged_in: Home, flagship: Rung, diagnosed: Diagnosed) -> None:
    """`run --replay`: exit 14, the diff in the record, and not even a proposal."""
    before = logged_in.open_ids()
    answer = logged_in.json("run", diagnosed.path, "--replay", code=14)
    assert (answer["status"], answer["proposals"], answer["verdicts"]) == ("would_change", [], [])
    said = json.dumps(outputs(Path(answer["output"]), "text/plain"))
    assert "WOULD CHANGE" in said
    assert "512Mi" in said
    assert logged_in.open_ids() == before
    assert flagship.attempts() == []
