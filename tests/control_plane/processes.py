"""Child processes that end with their parent, whatever ends it, and bounded waits on conditions.

A test run may be killed at any moment. Each child therefore asks the kernel for SIGKILL at its parent's end (Linux's
parent-death signal, through `setpriv`), besides the orderly stop. Start children from the main thread: the kernel takes
the thread that started a child for its parent.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAUSE = threading.Event()  # never set: waiting on it is a pause of known length


class ProcessEnded(RuntimeError):
    """A process ended that should be running; the message holds the last lines of its log."""


class NotInTime(RuntimeError):
    """A condition did not come true within its bound."""


@dataclass(frozen=True)
class Child:
    """A running process and the file of what it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ProcessEnded if it ended."""
        if (code := self.process.poll()) is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-5:]
            raise ProcessEnded(f"{self.name} ended with status {code}; its last lines:\n" + "\n".join(lines))


class Children:
    """The processes of one harness, ended in the reverse order of their start."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: list[Child] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Child:
        """Start a program; its output goes to `<logs>/<name>.log`."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*_tied_to_parent(), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raises ProcessEnded if any of them ended."""
        for child in self._children:
            child.check()

    def stop(self) -> None:
        """End them all at once: an API server's orderly end takes over ten seconds, and nothing of it is needed."""
        for child in reversed(self._children):
            child.process.kill()
        for child in reversed(self._children):
            child.process.wait(timeout=30)
        self._children.clear()

    def stop_one(self, child: Child) -> None:
        """End one of them."""
        child.process.kill()
        child.process.wait(timeout=30)
        self._children.remove(child)


def wait_until(
    what: str, condition: Callable[[], bool], within: float = 60, check: Callable[[], None] | None = None
) -> float:
    """Wait for a condition, looking twenty times a second; the seconds that it took.

    Args:
        what: the condition in words, for the error.
        within: seconds.
        check: called at each look; what it raises ends the wait.

    Raises:
        NotInTime: it did not come true.
    """
    began = time.monotonic()
    while not condition():
        if check:
            check()
        if time.monotonic() - began > within:
            raise NotInTime(f"expected within {within:.0f} s: {what}")
        _PAUSE.wait(0.05)
    return time.monotonic() - began


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nothing listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _tied_to_parent() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
