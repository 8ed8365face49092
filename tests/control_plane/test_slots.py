"""A slot of the machine belongs to one holder, and comes back when its holder is gone."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests import needs
from tests.control_plane import slots

_HOLDER = """
import sys
from tests.control_plane import slots
with slots.hold("test") as number:
    print(number, flush=True)
    sys.stdin.read()
"""


def test_two_holders_have_two_numbers() -> None:
    """Names on the machine that are made of the number never clash."""
    needs.root()
    with slots.hold("test") as one, slots.hold("test") as other:
        assert one != other


def test_a_killed_holder_gives_it_back() -> None:
    """The kernel drops the lock, so nothing has to be cleaned up by hand."""
    needs.root()
    command = [sys.executable, "-c", _HOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        held = int(holder.stdout.readline())
        with slots.hold("test") as mine:
            assert mine != held
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
    with slots.hold("test") as again:
        assert again <= held
