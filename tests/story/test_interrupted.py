"""Ctrl-C at any moment: exit 130, nothing left running, nothing applied."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.control_plane.processes import wait_until
from tests.story.home import Home, home
from tests.story.rungs import Rung
from tests.story.telling import diagnose, outputs

pytestmark = pytest.mark.timeout(150)


def _interrupt(process: subprocess.Popen[str]) -> str:
    """Send Ctrl-C, and return what it said until it ended with 130."""
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 130, out + errors
    assert "Traceback" not in out + errors
    return out + errors


def test_serve_ends_at_once_and_takes_its_address_file_away(flagship: Rung, tmp_path: Path) -> None:
    """What it leaves is its record, on which the next one starts."""
    with home(tmp_path) as mine:
        for _ in range(2):
            with mine.beside("serve", "--port", str(mine.port), "--kubeconfig", flagship.kubeconfig) as process:
                assert process.stdout is not None
                assert process.stdout.readline().startswith("http://localhost")
                _interrupt(process)
            assert not (mine.path / "run" / "gateway.json").exists()
            assert mine.processes() == set()


def test_new_and_approvals_end_while_they_wait_for_the_gateway(tmp_path: Path) -> None:
    """A gateway that accepts and never answers."""
    with home(tmp_path) as mine, socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        mine.environment["SKYFLO_GATEWAY_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        mine.environment["SKYFLO_KERNEL_TOKEN"] = "any"
        for command in (("new", "the shop is slow", "-o", "shop.ipynb"), ("approvals",)):
            with mine.beside(*command) as process:
                connection, _ = silent.accept()
                with connection:
                    assert connection.recv(10)
                    _interrupt(process)
        assert not (mine.folder / "shop.ipynb").exists()
        assert mine.processes() == set()


def test_run_that_waits_ends_with_its_kernel_and_the_proposal_stays(logged_in: Home, flagship: Rung) -> None:
    """The source is untouched, the record claims nothing, the proposal can still be decided."""
    path = diagnose(logged_in, flagship, "interrupted.ipynb").path
    before, known = path.read_bytes(), set(logged_in.open_ids())
    with logged_in.beside("run", path, "--wait", "5m", "-o", logged_in.folder / "cut.ipynb") as process:
        id_ = logged_in.fresh(known, within=90)
        _interrupt(process)
    wait_until("the kernel's end", lambda: logged_in.processes() == set(), within=15)
    assert path.read_bytes() == before
    record = logged_in.folder / "cut.ipynb"
    assert "VERIFIED" not in json.dumps(outputs(record, "text/plain"))
    assert id_ in logged_in.open_ids()
    assert flagship.attempts() == []
