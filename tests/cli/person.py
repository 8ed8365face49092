"""A person at a real terminal: a command on a pseudo-terminal, read until it asks, and answered."""

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

WITHIN = 90.0


class Person:
    """Reads what the command says and types answers."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self._terminal = terminal
        self.seen = ""

    def waits_for(self, words: str) -> str:
        """Read until the words appear after what was answered last; return what came."""
        ends = time.monotonic() + WITHIN
        fresh = ""
        while words not in fresh:
            fresh += self._read(ends, words, fresh)
        self.seen += fresh
        return fresh

    def types(self, answer: str) -> None:
        """Type a line."""
        os.write(self._terminal, f"{answer}\n".encode())

    def ends(self) -> int:
        """Read to the end, and return the exit code."""
        ends = time.monotonic() + WITHIN
        while True:
            try:
                self.seen += self._read(ends, "the end", self.seen)
            except EOFError:
                return self.process.wait(30)

    def _read(self, ends: float, words: str, fresh: str) -> str:
        ready, _, _ = select.select([self._terminal], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            raise AssertionError(f"waited {WITHIN:.0f} s for {words!r}; came:\n{fresh[-2000:]}")
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # EIO is how a pseudo-terminal says that its other side closed
            data = b""
        if not data:
            raise EOFError(f"the command ended before {words!r}; came:\n{fresh[-2000:]}")
        return data.decode(errors="replace").replace("\r\n", "\n")


@contextmanager
def person(*arguments: str) -> Iterator[Person]:
    """Start a command on a terminal of its own."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "TERM": "dumb"}
    command = [sys.executable, "-m", "skyflo_runbooks.cli", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        yield Person(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        os.close(ours)
