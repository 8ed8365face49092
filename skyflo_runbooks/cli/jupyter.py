"""JupyterLab as a child: without credentials, behind the strongest wall that this machine has.

Rules (design, section 5):
  1. Jupyter gets the gateway's address and a kernel token, and nothing else; the environment is cleared.
  2. As root it runs as another user; else in a Landlock sandbox where the kernel has it; else without a wall, and then
     that is said. The gateway's home, the kubeconfig and the operator's credential are denied to it and tried.
  3. Where the kernel can, all TCP ports are closed to it but the gateway's, its own, a block for kernels, and what a
     person opened by number. Where it cannot, that is said.
  4. Its own token and XSRF checks stay on; news and update checks are off, because a toast can cover the card.
"""

import http.client
import importlib.util
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args
from urllib.parse import quote, urlsplit

import msgspec
from skyflo_kernel.sandbox import Block, Mode, available_modes, closes_ports

from skyflo_runbooks.cli.launch import Child, free_block, free_port
from skyflo_runbooks.model.errors import BadInput, NotAllowed, OurBug

_WALLS: dict[Mode, str] = {"user": "other user", "landlock": "sandbox"}
_START_SECONDS = 60.0
_SECRET_FOLDERS = (".kube", ".aws", ".azure", ".config/gcloud", ".ssh", ".docker")


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Where Jupyter runs: its ports and those of its kernels, its folder, its wall, and what it must not reach.

    `opened` are ports that a person opened to code in there, at every address.
    """

    port: int
    kernels: Block
    opened: tuple[int, ...] = ()
    work: Path
    mode: Mode
    user: str
    token: str
    denied: tuple[Path, ...]

    def __repr__(self) -> str:
        return f"Room(port={self.port}, work={str(self.work)!r}, mode={self.mode!r}, token=***)"

    @property
    def isolation(self) -> str:
        """How Jupyter is kept apart, in the words of the gateway's pages."""
        if self.mode not in _WALLS:
            return "none"
        ports = ("some ports opened" if self.opened else "ports closed") if closes_ports(self.mode) else "ports open"
        return f"{_WALLS[self.mode]}, {ports}"

    @property
    def origin(self) -> str:
        """The origin that may frame the gateway's card."""
        return f"http://localhost:{self.port}"

    def address(self, file: str) -> str:
        """Return the address that opens a file, with Jupyter's own token."""
        tree = f"/tree/{quote(file)}" if file else ""
        return f"{self.origin}/lab{tree}?token={self.token}"


def choose_mode(wanted: str, user: str) -> Mode:
    """Return the wall to use: the strongest there is, or the one that was asked for if it is there."""
    there = available_modes(user)
    if not wanted:
        return there[0]
    for mode in there:
        if mode == wanted:
            return mode
    known = wanted in get_args(Mode)
    what = "is not available here" if known else "is no such mode"
    raise BadInput(f"--isolation {wanted} {what}.", next_step=f"Here there is: {', '.join(there)}.")


def room(
    *,
    port: int,
    mode: Mode,
    user: str,
    work: Path,
    home: Path,
    secret: Sequence[Path] = (),
    opened: Sequence[int] = (),
) -> Room:
    """Return the room, with everything denied that opens a cluster or decides: `home`, `secret`, known folders."""
    own = Path.home()
    closed = [home, *secret, *(own / name for name in _SECRET_FOLDERS)]
    denied = tuple(dict.fromkeys(path.resolve() for path in closed if path.exists()))
    inside = next((path for path in denied if path == work or path in work.parents), None)
    if inside is not None and mode != "none":
        raise BadInput(f"{work} lies in {inside}, which is closed to Jupyter.", next_step="Name another --work folder.")
    return Room(
        port=port or free_port(),
        kernels=free_block(),
        opened=tuple(opened),
        work=work,
        mode=mode,
        user=user,
        token=secrets.token_hex(24),
        denied=denied,
    )


def hand_over(path: Path, user: str, mode: Mode) -> None:
    """Give a file or folder to the user that Jupyter runs as."""
    if mode == "user":
        shutil.chown(path, user)


def start(made: Room, *, gateway: str, kernel_token: str, log: Path) -> Child:
    """Start JupyterLab and return it once it answers."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise BadInput("JupyterLab is not installed here.", next_step="pip install 'skyflo-runbooks[lab]'")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "JUPYTER_TOKEN": made.token,
        "SKYFLO_GATEWAY_URL": gateway,
        "SKYFLO_KERNEL_TOKEN": kernel_token,
    }
    child = Child([*sandboxed(made, gateway), "--", *_lab(made)], environment=environment, log=log)
    try:
        _until_it_answers(made, child, log)
    except BaseException:
        child.stop()  # Ctrl-C while it starts must not leave it behind
        raise
    return child


def sandboxed(made: Room, gateway: str) -> list[str]:
    """Return the command line of the sandbox, without what runs in it."""
    wall = ["--mode", made.mode, "--jupyter-user", made.user, "--work", str(made.work)]
    if made.mode != "none":
        wall += [text for path in made.denied for text in ("--deny", str(path))]
        wall += ["--ask", str(urlsplit(gateway).port), "--serve", str(made.port), "--kernels", str(made.kernels)]
        wall += [text for port in made.opened for text in ("--open-port", str(port))]
    return [sys.executable, "-P", "-m", "skyflo_kernel.sandbox", *wall]


def _lab(made: Room) -> list[str]:
    options = [
        "--no-browser",
        "--ServerApp.ip=localhost",
        f"--ServerApp.port={made.port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={made.work}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    rooted = ["--allow-root"] if made.mode != "user" and os.geteuid() == 0 else []
    return [sys.executable, "-P", "-m", "jupyterlab", *options, *rooted]


def _until_it_answers(made: Room, child: Child, log: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    pause = threading.Event()
    while child.alive() and time.monotonic() < ends:
        if _answers(made.port):
            return
        pause.wait(0.1)  # nothing tells when another process opens its port
    code = child.process.poll()
    child.stop()
    said = "\n".join(log.read_text(errors="replace").strip().splitlines()[-4:]) if log.exists() else ""
    kind = NotAllowed if code == NotAllowed.exit_code else OurBug
    raise kind("JupyterLab did not start.", next_step=said or f"See {log}.")


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("localhost", port, timeout=5)
    try:
        connection.request("GET", "/api")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
