"""Processes of ours: ready by their first line, told in their own words, and ended for certain."""

import os
import select
import sys
from pathlib import Path

import pytest

from skyflo_runbooks.cli import launch
from skyflo_runbooks.cli.launch import Child
from skyflo_runbooks.model.errors import BadInput, OurBug, Unreachable


def child(program: str, log: Path | None = None) -> Child:
    """A Python process."""
    return Child([sys.executable, "-c", program], environment=os.environ, log=log)


def test_the_first_line_tells_that_it_is_ready() -> None:
    """It runs on afterwards, and stop ends it."""
    with child("import time; print('ready', flush=True); time.sleep(60)") as process:
        assert process.first_line(30, what="It") == "ready"
        assert process.alive()
    assert not process.alive()


def test_a_child_that_ends_is_told_in_its_own_words(tmp_path: Path) -> None:
    """Exit code 2 is bad input, with what it said last."""
    process = child("import sys; sys.exit(print('no such file', file=sys.stderr) or 2)", tmp_path / "log")
    with pytest.raises(BadInput, match=r"did not start \(exit 2\)") as error:
        process.first_line(30, what="The thing")
    assert error.value.next_step == "no such file"


def test_an_unforeseen_end_is_our_bug(tmp_path: Path) -> None:
    """Any other exit code is ours."""
    with pytest.raises(OurBug):
        child("raise SystemExit(9)").first_line(30, what="It")


def test_silence_has_a_bound() -> None:
    """A child that says nothing is ended and told."""
    process = child("import time; time.sleep(60)")
    with pytest.raises(Unreachable, match="did not start within"):
        process.first_line(0.2, what="It")
    assert not process.alive()


def test_a_child_that_ignores_term_is_killed(tmp_path: Path) -> None:
    """With everything it started."""
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(inner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = child(program)
    inner = int(process.first_line(30, what="It"))
    ended = os.pidfd_open(inner)
    try:
        process.stop(patience=0.3)
        assert not process.alive()
        # Its end is told by the kernel; a moment may pass between the signal and that.
        assert select.select([ended], [], [], 10.0)[0], "what the child started is still alive"
    finally:
        os.close(ended)


def test_a_gateway_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The gateway's own message and exit code come through."""
    options = ["--kubeconfig", str(tmp_path / "missing")]
    with pytest.raises(BadInput) as error:
        launch.gateway(options, environment=launch.bare(tmp_path), log=tmp_path / "log")
    assert "no kubeconfig" in error.value.next_step


def test_a_demo_does_not_inherit_another_gateway(tmp_path: Path) -> None:
    """What names a cluster or a gateway is left behind, the rest is kept."""
    assert launch.bare(tmp_path)["SKYFLO_HOME"] == str(tmp_path)
    names = set(launch.bare(tmp_path))
    assert not {name for name in names if name.startswith("KUBE")}
    assert "PATH" in names


def test_a_free_port_can_be_bound() -> None:
    """It is a port."""
    assert 0 < launch.free_port() < 65536
