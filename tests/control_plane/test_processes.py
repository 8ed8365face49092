"""Children end with their parent, waits are bounded, and an early end is explained."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs
from tests.control_plane.processes import Children, NotInTime, ProcessEnded, free_ports, wait_until

_PARENT = """
import sys
from pathlib import Path
from tests.control_plane.processes import Children
child = Children(Path(sys.argv[1])).start("sleeper", ["sleep", "300"])
print(child.process.pid, flush=True)
sys.stdin.read()
"""


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL of a test run leaves no process behind."""
    needs.program("setpriv", "apt-get install util-linux")
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until("it is tied to its parent", lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n", within=10)
        parent.send_signal(signal.SIGKILL)
        wait_until("the child's end", lambda: _ended(child), within=10)


def test_stop_ends_them_all(tmp_path: Path) -> None:
    """Nothing runs after `stop`, also what does not want to end."""
    children = Children(tmp_path)
    stubborn = children.start("stubborn", ["sh", "-c", "trap '' TERM; echo up; sleep 300"])
    wait_until("it is up", lambda: stubborn.log.read_text() == "up\n", within=10)
    children.stop()
    assert stubborn.process.returncode == -signal.SIGKILL


def test_an_early_end_is_told_with_the_last_words(tmp_path: Path) -> None:
    """The error holds status and log, so nobody has to look for files."""
    children = Children(tmp_path)
    child = children.start("etcd", ["sh", "-c", "echo address in use; exit 3"])
    child.process.wait(timeout=10)
    with pytest.raises(ProcessEnded, match=r"etcd ended with status 3; its last lines:\naddress in use"):
        wait_until("never", lambda: False, within=10, check=children.check)
    children.stop()


def test_a_wait_is_bounded() -> None:
    """The error says what was expected, and within which time."""
    with pytest.raises(NotInTime, match="expected within 0 s: the moon"):
        wait_until("the moon", lambda: False, within=0.1)


def test_free_ports_differ() -> None:
    """Ports asked for together are never the same."""
    assert len(set(free_ports(5))) == 5


def _ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True
