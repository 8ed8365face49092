"""The terminals of the one who started Jupyter: nothing behind the wall reads from them, or writes on them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from skyflo_kernel.sandbox import landlock

from tests import needs
from tests.jupyter import ordinary
from tests.jupyter.ground import Ground

# Opens a terminal, says its name, and tells at its end what somebody else wrote on it.
OPERATOR = """
import os, sys
keyboard, screen = os.openpty()
print(os.ttyname(screen), flush=True)
input()
os.set_blocking(keyboard, False)
try:
    print(os.read(keyboard, 100).decode().strip())
except BlockingIOError:
    print("nothing")
"""
# Tries it by its name; behind a wall also whatever other terminal there is, and never where it would be written on.
ATTACK = """
import os
for name in {NAME, *("/dev/pts/" + name for name in os.listdir("/dev/pts") if WALLED and name.isdigit())}:
    try:
        os.write(os.open(name, os.O_RDWR | os.O_NOCTTY), b"forged")
        print("written")
    except OSError:
        pass
"""
OWN = """
import os
process, terminal = os.forkpty()
if process == 0:
    os.execlp("echo", "echo", "said")
print(os.read(terminal, 100).decode().strip(), os.ttyname(os.openpty()[1]).startswith("/dev/pts/"))
"""


@pytest.fixture(autouse=True)
def walled() -> None:
    """Needs Landlock."""
    if landlock.version() == 0:
        needs.missing("Landlock", "a Linux kernel 5.13 or newer with the landlock security module")


@contextmanager
def operator() -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """An ordinary user's process with a terminal; gives the terminal's name."""
    line = ordinary.command(sys.executable, "-c", OPERATOR)
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.kill()


def behind(mode: str, ground: Ground, code: str, *, namespaces: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run code behind an ordinary user's wall."""
    wall = ["-m", "skyflo_kernel.sandbox", "--mode", mode, "--work", str(ground.work)]
    line = ordinary.command(sys.executable, "-P", *wall, "--", sys.executable, "-P", "-c", code, namespaces=namespaces)
    environment = {**os.environ, "HOME": str(ground.person)}
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("mode", "namespaces", "seen"),
    [("landlock", True, "nothing"), ("landlock", False, "nothing"), ("none", True, "forged")],
)
def test_nothing_is_written_on_the_operators_terminal(mode: str, namespaces: bool, seen: str, ground: Ground) -> None:
    """By no name, with terminals of its own or without any; where there is no wall the same code writes."""
    with operator() as (name, process):
        done = behind(mode, ground, f"NAME, WALLED = {name!r}, {mode != 'none'}{ATTACK}", namespaces=namespaces)
        assert process.communicate("\n", timeout=30)[0].strip() == seen
    assert ("written" in done.stdout) == (seen == "forged"), done.stderr


def test_it_has_terminals_of_its_own(ground: Ground) -> None:
    """For JupyterLab's, and for commands of cells."""
    done = behind("landlock", ground, OWN)
    if "There are no terminals" in done.stderr:
        needs.missing("user namespaces", "sysctl kernel.unprivileged_userns_clone=1, and no profile that refuses them")
    assert done.stdout.strip() == "said True", done.stderr


def test_where_namespaces_are_refused_it_has_none(ground: Ground) -> None:
    """And says so, instead of opening everybody's."""
    done = behind("landlock", ground, OWN, namespaces=False)
    assert done.returncode == 1
    assert "OSError" in done.stderr or "PermissionError" in done.stderr
    assert "There are no terminals in this sandbox" in done.stderr
