"""`python -I -m skyflo_kernel.sandbox.fence [--deny PATH]… [--keep PATH]… -- COMMAND…`: the command behind a fence.

For programs that somebody else wrote and that have to run beside the gateway: they keep their home, the network and
whatever their user has, but for what is denied. What is kept they cannot change: what the gateway itself is made of
would run outside at its next start. They make no local (Unix) socket, and none but of TCP and UDP (`seccomp`): a
container engine or a session bus would start for them what is behind no fence. No process outside can be traced, so an
environment or a memory that is not theirs stays closed as well. Needs Landlock; without it nothing is started.
"""

from __future__ import annotations

import argparse
import os
import site
import sys
from importlib.util import find_spec
from pathlib import Path

from skyflo_kernel.sandbox import landlock, seccomp, syscalls
from skyflo_kernel.sandbox.modes import Plan, check_denied
from skyflo_runbooks.model.errors import BadInput, ExitCode, NotAllowed, SkyfloError

_PACKAGES = ("skyflo_runbooks", "skyflo_kernel", "skyflo_mcp")


def fenced(denied: list[Path]) -> tuple[str, ...]:
    """Return what to put before a command, to run it without these paths; nothing where this system cannot."""
    if landlock.version() == 0:
        return ()
    named = [part for path in denied for part in ("--deny", str(path.absolute()))]
    named += [part for path in own_code() for part in ("--keep", str(path))]
    return (sys.executable, "-I", "-m", "skyflo_kernel.sandbox.fence", *named, "--")


def own_code() -> list[Path]:
    """Return where the code of this process lies: Python, what is installed in it, and what it is edited in.

    The folder that it was started in is none, though Python may look there: a server's own may be the same.
    """
    here = Path.cwd().resolve()
    looked_in = [Path(entry).resolve() for entry in sys.path if entry]
    specs = [spec for name in _PACKAGES if (spec := find_spec(name)) is not None]
    packages = [Path(folder).resolve() for spec in specs for folder in spec.submodule_search_locations or ()]
    prefixes = [Path(prefix).resolve() for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]
    user = [Path(site.getusersitepackages()).resolve()] if site.ENABLE_USER_SITE else []
    return sorted({*prefixes, *packages, *user, *(path for path in looked_in if path != here)})


def main(arguments: list[str]) -> int:
    """Run the command behind the fence; returns only where it could not be started."""
    parser = argparse.ArgumentParser(prog="python -I -m skyflo_kernel.sandbox.fence", description=__doc__)
    parser.add_argument("--deny", type=Path, action="append", default=[], metavar="PATH")
    parser.add_argument("--keep", type=Path, action="append", default=[], metavar="PATH")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    denied = tuple(path.absolute() for path in given.deny)
    try:
        if landlock.version() == 0:
            raise BadInput("This kernel has no Landlock.")
        syscalls.drop_capabilities()  # a root with its rights would look into other processes all the same
        landlock.restrict(landlock.Trees((), (Path("/"),), denied, tuple(given.keep)), None)
        seccomp.restrict_sockets(datagrams=True)
        check_denied(Plan(mode="landlock", denied=denied))
        os.execvp(given.command[0], given.command)  # noqa: S606  # the launcher's purpose; no shell
    except NotAllowed:
        print("What is denied is open all the same, so it was not started.", file=sys.stderr)
        return ExitCode.NOT_ALLOWED
    except SkyfloError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"It could not be started: {error.strerror}.", file=sys.stderr)
        return ExitCode.BAD_INPUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
