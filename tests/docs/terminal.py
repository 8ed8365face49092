"""A person's terminals: each command runs in a shell on a terminal of its own, and questions are answered.

Capitals in a command are filled with what an earlier one printed. Every wait has a bound, and what was started is ended
with the `with` block.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from skyflo_runbooks.cli.launch import bare
from tests.docs.readme import ROOT, Command

BIN = Path(sys.executable).parent
# What a person types where the command asks.
ANSWERS = {"[y/N]": "y", "[a]pprove": "a"}
# What is printed, by the word that stands for it.
PRINTED = {"LINK": r"http://\S+/login/\S+", "PATH": r"(?<=--kubeconfig )\S+operator\.kubeconfig"}


class Run:
    """One command on a terminal, in a process group of its own."""

    def __init__(self, line: str, environment: Mapping[str, str], folder: Path) -> None:
        self.line = line
        self.said = ""
        self._answered = 0
        ours, theirs = pty.openpty()
        self._screen = ours
        self.process = subprocess.Popen(
            ["bash", "-c", line],
            env=dict(environment),
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def until(self, pattern: str, within: float) -> str:
        """Wait until it printed this, and give it."""
        ends = time.monotonic() + within
        while not (found := re.search(pattern, self.said)):
            assert self._read(ends), f"`{self.line}` never said {pattern!r}:\n{self.said[-3000:]}"
        return found[0]

    def end(self, within: float) -> int:
        """Wait until it has ended; its exit code."""
        ends = time.monotonic() + within
        while self._read(ends):
            self._answer()
        left = max(ends - time.monotonic(), 1.0)
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(left)
        raise AssertionError(f"`{self.line}` did not end within {within:g} s:\n{self.said[-3000:]}")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def close(self) -> None:
        """End what is left of it."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        os.close(self._screen)

    def _read(self, ends: float) -> bool:
        """Read what came; False at its end, or when the time is over."""
        ready, _, _ = select.select([self._screen], [], [], max(ends - time.monotonic(), 0.0))
        if not ready:
            return False
        try:
            piece = os.read(self._screen, 65536)
        except OSError:  # how a terminal says that nobody is at its other side any more
            return False
        self.said += piece.decode(errors="replace")
        return bool(piece)

    def _answer(self) -> None:
        for question, answer in ANSWERS.items():
            at = self.said.find(question, self._answered)
            if at >= 0:
                self._answered = at + len(question)
                os.write(self._screen, f"{answer}\n".encode())


@dataclass
class Desk:
    """A person's desk: one home, the lines that were exported, and what the last commands printed."""

    folder: Path
    environment: dict[str, str]
    # Where `make` and `.venv` are.
    checkout: Path = ROOT
    exports: list[str] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)
    open: list[Run] = field(default_factory=list)

    def start(self, command: Command) -> Run:
        """Start a command that stays, as in another terminal."""
        at = self.checkout if command.line.startswith(("make ", ".venv/")) else self.folder
        made = Run("; ".join([*self.exports, self.filled(command.line)]), self.environment, at)
        self.open.append(made)
        return made

    def do(self, *commands: Command, within: float = 240) -> str:
        """Run commands one after the other, each to the exit code that it promises; what they printed."""
        said = ""
        for command in commands:
            if command.line.startswith("export "):
                self.exports.append(command.line)
                continue
            run = self.start(command)
            code = run.end(within)
            assert code == command.code, f"`{run.line}` exited with {code}, not {command.code}:\n{run.said[-4000:]}"
            self.note(run.said)
            said += run.said
        return said

    def note(self, said: str) -> None:
        """Keep what capitals in later commands stand for."""
        for word, pattern in PRINTED.items():
            if found := re.search(pattern, said):
                self.printed[word] = found[0]

    def filled(self, line: str) -> str:
        """The command with its capitals filled in."""
        for word, value in self.printed.items():
            line = re.sub(rf"\b{word}\b", value.replace("\\", r"\\"), line)
        return re.sub(r"\bID\b", self._id(line), line) if re.search(r"\bID\b", line) else line

    def _id(self, line: str) -> str:
        """The newest proposal that this command is about: what was executed, or what waits."""
        wanted = "executed" if " rollback " in line else "proposed"
        listed = subprocess.run(
            [BIN / "skyflo-runbooks", "approvals", "--all", "--json"],
            env=self.environment, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return next(str(one["id"]) for one in json.loads(listed.stdout) if one["state"] == wanted)


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A desk with a home of its own and the environment activated; everything that was started ends with it."""
    home = folder / "home"
    environment = bare(home) | {"PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200", "TERM": "dumb"}
    made = Desk(folder, environment)
    try:
        yield made
    finally:
        for run in reversed(made.open):
            run.close()
        subprocess.run(
            [BIN / "skyflo-runbooks", "practice", "stop"],
            env=environment, cwd=ROOT, capture_output=True, timeout=60, check=False,
        )  # fmt: skip


def browser(folder: Path) -> dict[str, str]:
    """A browser that notes what it was asked to open, in `opened`."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {folder / "opened"}\n')
    script.chmod(0o700)
    return {"BROWSER": str(script)}
