"""`python -I -m skyflo_kernel.sandbox.fence [--deny PATH]… -- COMMAND…`: the command, without these paths.

For programs that somebody else wrote and that have to run beside the gateway: they keep their home, the network and
whatever their user has, but for what is denied. Behind the fence no process outside can be traced, so an environment or
a memory that is not theirs stays closed as well. Needs Landlock; without it nothing is started.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from skyflo_kernel.sandbox import landlock, syscalls
from skyflo_kernel.sandbox.modes import Plan, check_denied
from skyflo_runbooks.model.errors import BadInput, ExitCode, NotAllowed, SkyfloError


def fenced(denied: list[Path]) -> tuple[str, ...]:
    """Return what to put before a command, to run it without these paths; nothing where this system cannot."""
    if landlock.version() == 0:
        return ()
    named = [part for path in denied for part in ("--deny", str(path.absolute()))]
    return (sys.executable, "-I", "-m", "skyflo_kernel.sandbox.fence", *named, "--")


def main(arguments: list[str]) -> int:
    """Run the command behind the fence; returns only where it could not be started."""
    parser = argparse.ArgumentParser(prog="python -I -m skyflo_kernel.sandbox.fence", description=__doc__)
    parser.add_argument("--deny", type=Path, action="append", default=[], metavar="PATH")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(arguments)
    denied = tuple(path.absolute() for path in given.deny)
    try:
        if landlock.version() == 0:
            raise BadInput("This kernel has no Landlock.")
        syscalls.drop_capabilities()  # a root with its rights would look into other processes all the same
        landlock.restrict(landlock.Trees((), (Path("/"),), denied), None)
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
