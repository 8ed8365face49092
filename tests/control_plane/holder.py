"""A cluster that a person starts, uses and ends: held by one process in the background.

The holder runs the same context managers as the tests, so whatever ends it ends the cluster too. A lock tells
whether it runs; its folder holds kubeconfigs, logs and `ready.json`. A second start of the same scenario answers like
the first.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from skyflo_runbooks.practice.scenario import Scenario
from tests.control_plane.processes import wait_until


class HolderError(RuntimeError):
    """The cluster could not be started or ended; the message says the next step."""


@dataclass(frozen=True)
class Ready:
    """What a person needs to use the cluster."""

    scenario: str
    kubeconfig: str
    admin_kubeconfig: str


@dataclass(frozen=True)
class Place:
    """Where one kind of cluster is held, and the module that holds it."""

    folder: Path
    module: str

    @property
    def run(self) -> Path:
        """The folder of the running cluster."""
        return self.folder / "up"

    @property
    def lock(self) -> Path:
        """Locked for as long as the holder lives; its text is the holder's process id."""
        return self.folder / "up.lock"


def up(place: Place, scenario: Scenario, say: Callable[[str], None] = print, within: float = 300) -> Ready:
    """Start a holder unless one runs, wait until the scenario shows, and say what happens meanwhile.

    Raises:
        HolderError: another scenario is up, or the start failed.
    """
    if _held(place):  # up, or on its way up by another command
        wait_until("the cluster that another command starts", lambda: bool(_ready(place)) or not _held(place), within)
    if ready := status(place):
        if ready.scenario != scenario.scenario:
            raise HolderError(f"{ready.scenario} is up already; end it first: {_command(place, 'down')}")
        return ready
    shutil.rmtree(place.run, ignore_errors=True)
    place.run.mkdir(parents=True)
    log = place.run / "holder.log"
    with log.open("wb") as output:
        command = [sys.executable, "-u", "-m", place.module, "hold", scenario.scenario]
        holder = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    follow = _Follower(log, say)

    def settled() -> bool:
        follow()
        return _ready(place) is not None or holder.poll() is not None

    wait_until(f"{scenario.scenario} staged (see {log})", settled, within)
    if ready := _ready(place):
        return ready
    raise HolderError(f"the start failed; see {log} and the logs beside it")


def down(place: Place, say: Callable[[str], None] = print) -> None:
    """End the holder and everything it holds; nothing to end is no error."""
    if not _held(place):
        say("nothing is up")
        return
    began = time.monotonic()
    os.kill(int(place.lock.read_text()), signal.SIGTERM)
    wait_until("the end of the cluster", lambda: not _held(place), within=60)
    say(f"ended in {time.monotonic() - began:.1f} s")


def status(place: Place) -> Ready | None:
    """What is up, if anything is."""
    return _ready(place) if _held(place) else None


def hold(place: Place, cluster: Callable[[Path], AbstractContextManager[Ready]]) -> NoReturn:
    """Hold a cluster until SIGTERM. Runs in the holder's process, in its main thread, and does not return."""
    # As an exception it unwinds the context managers, wherever it comes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _locked(place.lock), cluster(place.run) as ready:
        partial = place.run / "ready.json.new"
        partial.write_text(json.dumps(asdict(ready)))
        partial.replace(place.run / "ready.json")
        while True:
            signal.pause()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HolderError("another holder was faster; run the command again to see what is up") from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def _held(place: Place) -> bool:
    if not place.lock.exists():
        return False
    with place.lock.open("r") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ready(place: Place) -> Ready | None:
    path = place.run / "ready.json"
    return Ready(**json.loads(path.read_text())) if path.exists() else None


def _command(place: Place, verb: str) -> str:
    return f"make {place.module.rpartition('.')[2].replace('_', '-')}-{verb}"


class _Follower:
    """Says the lines that a growing file gets."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._path = path
        self._say = say
        self._said = 0

    def __call__(self) -> None:
        lines = self._path.read_text(errors="replace").splitlines(keepends=True)
        for line in lines[self._said :]:
            if line.endswith("\n"):
                self._say(line.rstrip())
                self._said += 1
