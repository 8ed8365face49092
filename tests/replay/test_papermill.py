"""Plain papermill, as anybody may call it: the same safety on its default engine, and with `--engine skyflo`."""

import os
import subprocess
import sys
from pathlib import Path

from tests.kernel.fake_gateway import FakeGateway
from tests.replay.conftest import Write, load, statuses, texts


def papermill(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run papermill's own command."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), timeout=120)


def test_the_default_engine_proposes_and_claims_nothing(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """`papermill in out -p memory_limit 1Gi`: the change is proposed and waits; its verify says INCONCLUSIVE."""
    done = papermill(str(write()), str(tmp_path / "out.ipynb"), "-p", "memory_limit", "1Gi")
    assert done.returncode == 0, done.stderr
    made = load(tmp_path / "out.ipynb")
    assert gateway.bodies("/api/v1/proposals")[0]["arguments"]["limits"] == {"memory": "1Gi"}
    assert gateway.proposals["ap-000000"]["state"] == "proposed"
    assert "INCONCLUSIVE  recovered" in texts(made, "recovered")
    assert "WAITING" in texts(made, "raise_memory")
    assert "proposed only by an operator" in texts(made, "roll_back_raise_memory")


def test_a_misspelt_parameter_stops_before_the_first_step(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """papermill only warns of an unknown name; the first step refuses it, shortly."""
    done = papermill(str(write()), str(tmp_path / "out.ipynb"), "-p", "memory_limt", "1Gi")
    assert done.returncode != 0
    assert "BadInput: This runbook has no parameter 'memory_limt'.\nDid you mean 'memory_limit'?" in done.stderr
    assert gateway.asked == []


def test_a_parameter_of_another_type_stops_before_the_first_step(
    gateway: FakeGateway, write: Write, tmp_path: Path
) -> None:
    """papermill turns `-p settle 5` into a number; the declared type is a text."""
    done = papermill(str(write()), str(tmp_path / "out.ipynb"), "-p", "settle", "5")
    assert done.returncode != 0
    assert "'settle' must be str" in done.stderr
    assert gateway.asked == []


def test_the_skyflo_engine_stops_at_the_change(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """`papermill --engine skyflo`: statuses by cell id; what comes after the undecided change is not reached."""
    done = papermill("--engine", "skyflo", str(write()), str(tmp_path / "out.ipynb"))
    assert done.returncode == 0, done.stderr
    found = statuses(load(tmp_path / "out.ipynb"))
    assert (found["pods"], found["raise_memory"], found["recovered"]) == ("passed", "awaiting_approval", "not_reached")
