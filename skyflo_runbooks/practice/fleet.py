"""One practice cluster per home, in the background: start, stop, look, stage another scenario.

Its folder `$SKYFLO_HOME/practice/` holds `state.json` (process id, address), the kubeconfig files (mode 0600) and the
log. The process is asked, not guessed at: a cluster runs if the address in the state answers with its own certificate
and token; a state that nobody answers for is left over and is removed.
"""

import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from skyflo_runbooks.model.errors import BadInput, Unreachable
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import scenario
from skyflo_runbooks.practice.server import client_of

FLAGSHIP = "oomkilled-payment"
START_WITHIN = 60.0
STOP_WITHIN = 10.0
ANSWER_WITHIN = 5.0


@dataclass(frozen=True)
class Shown:
    """One shipped scenario, for a list."""

    name: str
    title: str
    incident: str
    namespace: str


@dataclass(frozen=True)
class Status:
    """A running practice cluster; `new` tells whether this call started it."""

    pid: int
    url: str
    scenario: str
    title: str
    incident: str
    namespace: str
    uid: str
    kubeconfig: Path
    new: bool = False


def folder_of(home: Path) -> Path:
    """Return where the cluster of this home keeps its files."""
    return home / "practice"


def kubeconfig_path(home: Path) -> Path:
    """Return the administrator's kubeconfig; the file is there while the cluster runs."""
    return folder_of(home) / "kubeconfig"


def scenarios() -> list[Shown]:
    """Return the shipped scenarios."""
    found = [scenario.load(name) for name in scenario.names()]
    return [Shown(item.scenario, item.title, item.incident, item.namespace) for item in found]


def status(home: Path) -> Status | None:
    """Return the running cluster, or None."""
    state = _state(home)
    if state is None:
        return None
    try:
        staged = _ask(home, "GET")
    except Unreachable:
        return None
    return _status(home, state, staged)


def start(home: Path, name: str = FLAGSHIP, *, speed: float = 1.0, port: int = 0) -> Status:
    """Start the cluster and return when the scenario is staged; one that runs already is returned as it is."""
    wanted = _known(name)
    with _locked(home):
        running = status(home)
        if running is not None:
            return running
        _clean(home)
        state = _spawn(home, wanted, speed, port)
        return _status(home, state, _ask(home, "GET"), new=True)


def break_(home: Path, name: str) -> Status:
    """Stage another scenario in the running cluster: everything in it is replaced."""
    wanted = _known(name)
    state = _state(home)
    if state is None or status(home) is None:
        raise Unreachable("No practice cluster runs here.", next_step="Start one: skyflo-runbooks practice start")
    return _status(home, state, _ask(home, "POST", {"scenario": wanted}))


def stop(home: Path) -> bool:
    """Stop the cluster; returns False if none ran."""
    with _locked(home):
        running = status(home)
        if running is not None:
            os.kill(running.pid, signal.SIGTERM)
            _gone(running.pid)
        _clean(home)
        return running is not None


def _known(name: str) -> str:
    """Return the scenario's name, or the full path of a file, once it is known to be readable."""
    scenario.load(name)
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name


def _status(home: Path, state: Json, staged: Json, *, new: bool = False) -> Status:
    words = {key: str(staged[key]) for key in ("scenario", "title", "incident", "namespace", "uid")}
    return Status(pid=int(state["pid"]), url=str(state["url"]), kubeconfig=kubeconfig_path(home), new=new, **words)


def _state(home: Path) -> Json | None:
    try:
        state: Json = json.loads((folder_of(home) / "state.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        # Half a state can only be left by a full disk; nobody answers for it.
        return None
    return state if {"pid", "url"} <= state.keys() else None


def _ask(home: Path, method: str, body: Json | None = None) -> Json:
    """Ask the running cluster about its scenario, or to stage one."""
    within = ANSWER_WITHIN if body is None else START_WITHIN
    try:
        with client_of(kubeconfig_path(home), within) as client:
            reply = client.request(method, "/practice/scenario", json=body)
    except (httpx.TransportError, OSError) as lost:
        raise Unreachable(f"The practice cluster does not answer: {lost}.") from lost
    if reply.status_code in {401, 404}:
        # Another server took the port since: not ours.
        raise Unreachable("Another server answers at the practice cluster's address.")
    answer: Json = reply.json()
    if reply.is_error:
        raise BadInput(str(answer.get("message", reply.status_code)))
    return answer


def _spawn(home: Path, name: str, speed: float, port: int) -> Json:
    """Start the process and return the line it prints when it is ready."""
    folder = folder_of(home)
    log = folder / "log"
    command = [sys.executable, "-P", "-m", "skyflo_runbooks.practice.serve", name, "--folder", str(folder)]
    command += ["--speed", str(speed), "--port", str(port)]
    # Not subprocess.Popen: it wants to wait for its child, and this one is to outlive us.
    reading, writing = os.pipe()
    with log.open("ab") as errors, os.fdopen(reading, "rb") as said:
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, writing, 1),
            (os.POSIX_SPAWN_DUP2, errors.fileno(), 2),
        ]
        pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
        os.close(writing)
        ready, _, _ = select.select([said], [], [], START_WITHIN)
        line = said.readline() if ready else b""
    if not line:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        raise BadInput(f"The practice cluster did not start: {' '.join(last)}", next_step=f"Its log: {log}")
    state: Json = json.loads(line)
    return state


def _gone(pid: int) -> None:
    """Wait until a process has ended; after `STOP_WITHIN` it is killed."""
    until = time.monotonic() + STOP_WITHIN
    killed = False
    while _alive(pid):
        if time.monotonic() > until and not killed:
            os.kill(pid, signal.SIGKILL)
            killed = True
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        # Our own child would stay a zombie for ever.
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _clean(home: Path) -> None:
    for name in ("state.json", "kubeconfig", "kubeconfig-reader"):
        (folder_of(home) / name).unlink(missing_ok=True)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Let one start or stop of this home work at a time."""
    folder = folder_of(home)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
