"""Starting our own processes and ending them: the gateway as a child, JupyterLab as a child.

Rules:
  1. A child that is ready says so on its first line, or is not ready; every wait has a bound.
  2. Ending is a TERM first, a KILL after some seconds, and only ever to processes started here.
  3. A child that ends before it is ready is told with its own words and its own exit code.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec
from skyflo_kernel.sandbox import Block

from skyflo_runbooks.model.errors import BadInput, NotAllowed, OurBug, SkyfloError, Unreachable

if TYPE_CHECKING:
    import socket

_STOP_SECONDS = 8.0
_CHILD_ERRORS: dict[int, type[SkyfloError]] = {2: BadInput, 5: NotAllowed, 20: Unreachable}


class Announcement(msgspec.Struct, frozen=True):
    """A gateway's first line with `--json`: where it listens, and a one-time link."""

    url: str
    login: str


class Child:
    """A process of ours, in a process group of its own, so that Ctrl-C reaches us first and we end it in order."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        with ExitStack() as stack:
            errors: IO[bytes] | int = subprocess.DEVNULL
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                errors = stack.enter_context(log.open("ab"))
            self.log = log
            self.process = subprocess.Popen(  # argv of our own, no shell
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                start_new_session=True,
            )

    def first_line(self, seconds: float, *, what: str) -> str:
        """Return the child's first line; an error in the child's words where it ends or stays silent."""
        stream = self.process.stdout
        if stream is None:
            raise OurBug(f"{what} was started without a pipe.")
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(stream, selectors.EVENT_READ)
                ready = selector.select(seconds)
        except BaseException:
            self.stop()  # Ctrl-C while it starts must not leave it behind
            raise
        line = stream.readline().decode(errors="replace").strip() if ready else ""
        if line:
            return line
        code = self.process.poll() if not ready else self.process.wait(_STOP_SECONDS)
        self.stop()
        if code is None:
            raise Unreachable(f"{what} did not start within {seconds:.0f} s.", next_step=self._tail())
        raise _CHILD_ERRORS.get(code, OurBug)(f"{what} did not start (exit {code}).", next_step=self._tail())

    def _tail(self) -> str:
        if self.log is None or not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").strip().splitlines()[-4:])

    def alive(self) -> bool:
        """Tell whether the process still runs."""
        return self.process.poll() is None

    def stop(self, *, patience: float = _STOP_SECONDS) -> None:
        """End the process: asked first, after `patience` seconds killed, with everything it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(patience)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def gateway(options: Sequence[str], *, environment: Mapping[str, str], log: Path) -> tuple[Child, Announcement]:
    """Start `serve` as a process and return it with what it announced."""
    arguments = [sys.executable, "-P", "-m", "skyflo_runbooks.cli", "serve", "--json", *options]
    child = Child(arguments, environment=environment, log=log)
    line = child.first_line(60.0, what="The gateway")
    try:
        said = json.loads(line)
        return child, Announcement(str(said["url"]), str(said["login"]))
    except (ValueError, KeyError, TypeError):
        child.stop()
        raise OurBug("The gateway's first line was not the one that was agreed.") from None


class Practice(msgspec.Struct, frozen=True):
    """What a practice cluster says on its first line."""

    url: str
    scenario: str
    kubeconfig: str
    reader: str = ""


def practice(scenario: str, folder: Path, *, speed: float, log: Path) -> tuple[Child, Practice]:
    """Start a practice cluster as a process and return it with what it announced; `speed` is its clock's."""
    module = ["-P", "-m", "skyflo_runbooks.practice.serve", scenario, "--folder", str(folder), "--speed", str(speed)]
    child = Child([sys.executable, *module], environment=os.environ, log=log)
    line = child.first_line(60.0, what="The practice cluster")
    try:
        return child, msgspec.json.decode(line, type=Practice)
    except msgspec.DecodeError:
        child.stop()
        raise OurBug("The practice cluster's first line was not the one that was agreed.") from None


def bare(home: Path) -> dict[str, str]:
    """Return this environment without what names another gateway or cluster, and with `home`."""
    ours = ("SKYFLO_", "KUBE", "JUPYTER_TOKEN")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"SKYFLO_HOME": str(home)}


def for_home(home: Path) -> dict[str, str]:
    """Return this environment with `home`: what a gateway gets that serves the operator's own cluster."""
    return {**os.environ, "SKYFLO_HOME": str(home)}


def kernel_token(home: Path) -> str:
    """Return the kernel token that the gateway of `home` wrote."""
    return str(json.loads((home / "run" / "gateway.json").read_text(encoding="utf-8"))["token"])


def free_port() -> int:
    """Return a port that is free on the loopback addresses now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_block(size: int = 100) -> Block:
    """Return ports for kernels, five each: all free now, and none of those that the system gives out by itself.

    As long as the block is held, the port before it is, too, so that a second Jupyter that starts takes another one.
    """
    low, high = _given_out()
    step = size + 1
    for guard in [*range(high + 1, 65536 - step, step), *range(low - step, 20000, -step)]:
        if (held := _held(guard)) is None:
            continue
        found = Block(guard + 1, guard + size)
        if all(map(_free, found.ports)):
            weakref.finalize(found, held.close)
            return found
        held.close()
    raise OurBug(f"No {size} ports in a row are free on this machine.", next_step="End a program that takes many.")


def _given_out() -> tuple[int, int]:
    """Return the first and the last port that the system gives to whoever asks for none by number."""
    try:
        low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return 49152, 65535  # RFC 6335, section 6
    return int(low), int(high)


def _held(port: int) -> "socket.socket | None":
    """Return a socket that has this port, or None where it is taken."""
    import socket

    made = socket.socket()
    try:
        made.bind(("", port))
    except OSError:
        made.close()
        return None
    return made


def _free(port: int) -> bool:
    if (held := _held(port)) is None:
        return False
    held.close()
    return True
