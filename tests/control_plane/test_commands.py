"""`make control-plane-up` and `-down`, as a person uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import needs

pytestmark = pytest.mark.control_plane
Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command with the built binaries, and with a cache folder of its own, beside anybody's cluster."""
    assets = needs.control_plane()["etcd"].parent
    environment = {**os.environ, "SKYFLO_CACHE": str(tmp_path), "KUBEBUILDER_ASSETS": str(assets)}

    def command(line: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "tests.control_plane", *line.split()]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=200)

    return command


def test_a_person_starts_uses_and_ends_it(run: Run) -> None:
    """It says how to go on; a second start answers like the first; ending it twice is no error."""
    try:
        started = run("up healthy")
        assert started.returncode == 0, started.stderr
        kubeconfig = next(word for word in started.stdout.split() if word.endswith("operator.kubeconfig"))
        pods = subprocess.run(
            [needs.kubectl(), "--kubeconfig", kubeconfig, "-n", "checkout", "get", "pods", "-o", "name"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(pods.stdout.split()) == 5
        assert kubeconfig in run("up healthy").stdout
        refused = run("up missing-env")
        assert (refused.returncode, "healthy is up already; end it first" in refused.stderr) == (1, True)
    finally:
        ended = run("down")
    assert (ended.returncode, ended.stdout.startswith("ended in")) == (0, True)
    assert run("down").stdout == "nothing is up\n"


def test_a_scenario_that_does_not_exist_is_refused(run: Run) -> None:
    """The known ones are named, and nothing was started."""
    refused = run("up no-such-thing")
    assert refused.returncode == 1
    assert "no-such-thing" in refused.stderr
    assert "oomkilled-payment" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run("down").stdout == "nothing is up\n"
