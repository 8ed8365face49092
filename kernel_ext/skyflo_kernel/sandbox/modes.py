"""Which sandbox there is on this machine, and going into it.

Rules:
  1. The environment is cleared but for the names in `KEPT`: no kubeconfig, no agent's socket, no cloud credential.
  2. The order is: environment, mounts and user, ruleset, filter, check. After it nothing can be undone.
  3. A denied path that can still be opened afterwards is a refusal to start, in words; a closed port that answers, too.
  4. Behind a wall all TCP ports but the plan's are closed where the kernel can; where it cannot they all stay open.
     `closes_ports` tells which, so that whoever starts this can say so.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from skyflo_kernel.sandbox import landlock, mounts, ports, seccomp, syscalls, terminals
from skyflo_kernel.sandbox.ports import Ports
from skyflo_runbooks.model.errors import BadInput, NotAllowed

Mode = Literal["user", "landlock", "none"]
KEPT = frozenset(
    {"PATH", "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONUTF8"}
    | {"SKYFLO_GATEWAY_URL", "SKYFLO_KERNEL_TOKEN", "JUPYTER_TOKEN", "VIRTUAL_ENV"}
)
# What a system's programs and Python need to read. A person's home is not among them.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/proc", "/sys", "/nix/store")
_RESOLVER = ("/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # Python's semaphores live there


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How Jupyter is kept: the mode, the user of mode `user`, its folders, and what it must not reach.

    `work` are folders that it may read and write. `home` is its HOME; without one it gets a new empty folder.
    Without `ports` it has none.
    """

    mode: Mode
    user: str = "nobody"
    work: tuple[Path, ...] = ()
    denied: tuple[Path, ...] = ()
    home: Path | None = None
    ports: Ports = Ports()


def available_modes(user: str = "nobody") -> tuple[Mode, ...]:
    """The modes that this process can go into here, the strongest first."""
    modes: list[Mode] = []
    if syscalls.supported() and os.geteuid() == 0 and _account(user) is not None:
        modes.append("user")
    if os.geteuid() != 0 and landlock.version() > 0:
        modes.append("landlock")
    return (*modes, "none")


def enter(plan: Plan, variables: Mapping[str, str]) -> dict[str, str]:
    """Put this process into the sandbox and return the environment for what it starts."""
    own = plan.home or Path(tempfile.mkdtemp(prefix="skyflo-jupyter-"))
    own.mkdir(parents=True, exist_ok=True)
    environment = {**clear(variables, own), **_kernels(plan)}
    if plan.mode == "none":
        return environment
    with _tried_from_inside(plan):
        if plan.mode == "user":
            _become(plan, own)
        else:
            _close(plan, own)
        closed = closes_ports(plan.mode)
        seccomp.restrict_sockets(datagrams=not closed or bool(plan.ports.opened))
        check_denied(plan)
    return environment


def closes_ports(mode: Mode) -> bool:
    """Whether this mode closes TCP ports here."""
    return mode != "none" and landlock.closes_ports()


def _kernels(plan: Plan) -> dict[str, str]:
    """Where Jupyter finds the ports of its kernels."""
    if plan.ports.kernels is None or not closes_ports(plan.mode):
        return {}
    return {ports.VARIABLE: str(plan.ports.kernels), "JUPYTER_DEFAULT_PROVISIONER_NAME": ports.PROVISIONER}


@contextmanager
def _tried_from_inside(plan: Plan) -> Iterator[None]:
    """Go in, and see that a listener at a closed port, made before, cannot be reached."""
    if not closes_ports(plan.mode):
        yield
        return
    with ports.Decoy(plan.ports.tcp.connect) as decoy:
        yield
        decoy.check()


def clear(variables: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment that Jupyter gets: what is kept, and a home and temporary folder of its own."""
    kept = {name: value for name, value in variables.items() if name in KEPT or name.startswith("LC_")}
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": str(home), "TMPDIR": str(temporary), "XDG_RUNTIME_DIR": str(temporary)}


def _account(user: str) -> tuple[int, int] | None:
    import pwd

    try:
        found = pwd.getpwnam(user)
    except KeyError:
        return None
    return found.pw_uid, found.pw_gid


def _become(plan: Plan, own: Path) -> None:
    """Hide what is denied, and go on as the other user."""
    account = _account(plan.user)
    if os.geteuid() != 0 or account is None or account[0] == 0:
        raise BadInput(
            f"Jupyter cannot run as {plan.user!r} from here.",
            next_step="Start as root and name a user that exists and is not root, or use another mode.",
        )
    uid, gid = account
    for folder in (own, own / "tmp"):
        os.chown(folder, uid, gid)
        folder.chmod(0o700)
    home = Path("~root").expanduser().resolve()
    mounts.hide(home, shown=(*_packages(), own, *plan.work), denied=plan.denied)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if landlock.closes_ports():
        landlock.restrict(None, plan.ports.tcp)
    _check_reach(plan)


def _check_reach(plan: Plan) -> None:
    """Refuse in words what would be a traceback of Jupyter later: a folder or a Python that the user cannot reach."""
    for folder in plan.work:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise NotAllowed(
                f"The user {plan.user} may not write to {folder}.",
                next_step=f"Give it a folder of its own: 'install -d -o {plan.user} FOLDER'.",
            )
    if not os.access(sys.executable, os.X_OK):
        raise NotAllowed(
            f"The user {plan.user} cannot run {sys.executable}.",
            next_step="Make the environment in a folder that every user may read, or use another mode.",
        )


def _close(plan: Plan, own: Path) -> None:
    """Open what Python and Jupyter need, and nothing else."""
    if landlock.version() == 0:
        raise BadInput("This kernel has no Landlock.", next_step="Use another mode.")
    read = [Path(name) for name in (*_SYSTEM, *_RESOLVER)]
    write = [Path(name) for name in (*_DEVICES, _SHARED_MEMORY)]
    denied = tuple(path for path in plan.denied if path.exists())
    if terminals.take():
        write += [Path(terminals.FOLDER), Path(terminals.MAKER)]
    else:
        print("There are no terminals in this sandbox: it takes user namespaces, which are refused.", file=sys.stderr)
    # A root with its rights would look into other processes all the same.
    syscalls.drop_capabilities()
    trees = landlock.Trees((*read, *_packages()), (*write, own, *plan.work), denied)
    landlock.restrict(trees, plan.ports.tcp if landlock.closes_ports() else None)


def _packages() -> list[Path]:
    """Where this Python and its packages lie, also those of a checkout that is installed in place."""
    # Without -P the first entry is the folder that the launcher was started in: a home, as like as not.
    entries = sys.path if sys.flags.safe_path else sys.path[1:]
    places = {Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in entries if entry)}
    return mounts.outermost(place.resolve() for place in places)


def check_denied(plan: Plan) -> None:
    """Raise `NotAllowed` where a denied path can be read by this process, as it is now."""
    for path in plan.denied:
        if _opens(path):
            raise NotAllowed(
                f"{path} can be read from inside the sandbox, so Jupyter was not started.",
                next_step="Move it out of the folders that Jupyter works in, or take its permissions from others.",
            )


def _opens(path: Path) -> bool:
    """Whether anything of the path can be read: a folder's list or a file's first byte."""
    try:
        if path.is_dir():
            return any(path.iterdir())
        with path.open("rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
