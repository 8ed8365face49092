"""`python -P -m skyflo_kernel.sandbox [--mode MODE] [--work DIR]… [--deny PATH]… [--ask PORT]… -- COMMAND…`

Goes into the sandbox and becomes the command. `-P`: without it Python would import from the folder that it is started
in, and code in a kernel may have written there. `--modes` prints what this machine has, the strongest first. An error
is one line and the exit code of the product's table.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from skyflo_kernel.sandbox.modes import Plan, available_modes, enter
from skyflo_kernel.sandbox.ports import Ports, block
from skyflo_runbooks.model.errors import BadInput, ExitCode, SkyfloError


def main(arguments: list[str]) -> int:
    """Run the command in the sandbox; returns only where it could not be started."""
    parser = argparse.ArgumentParser(prog="python -m skyflo_kernel.sandbox", description=__doc__)
    parser.add_argument("--mode", choices=("user", "landlock", "none"), help="default: the strongest there is")
    parser.add_argument("--modes", action="store_true", help="print the modes of this machine")
    parser.add_argument("--jupyter-user", default="nobody", metavar="USER")
    parser.add_argument("--home", type=Path, help="its HOME; default: a new empty folder")
    parser.add_argument("--work", "--allow", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--deny", type=Path, action="append", default=[], metavar="PATH")
    parser.add_argument("--ask", type=int, action="append", default=[], metavar="PORT", help="may be connected to")
    parser.add_argument("--serve", type=int, action="append", default=[], metavar="PORT", help="may be served at")
    parser.add_argument("--kernels", metavar="FIRST-LAST", help="both, and handed to Jupyter for its kernels")
    parser.add_argument("--open-port", type=int, action="append", default=[], metavar="PORT", help="as --ask, and UDP")
    parser.add_argument("command", nargs="*")
    given = parser.parse_args(arguments)
    modes = available_modes(given.jupyter_user)
    if given.modes:
        print(" ".join(modes))
        return ExitCode.DONE
    try:
        if not given.command:
            raise BadInput("There is no command to run.", next_step="Write it after '--'.")
        plan = Plan(
            mode=given.mode or modes[0],
            user=given.jupyter_user,
            work=tuple(path.absolute() for path in given.work),
            denied=tuple(path.absolute() for path in given.deny),
            home=given.home.absolute() if given.home else None,
            ports=_ports(given),
        )
        environment = enter(plan, os.environ)
        os.execvpe(given.command[0], given.command, environment)  # noqa: S606  # the launcher's purpose; no shell
    except SkyfloError as error:
        print(f"{error.message} {error.next_step}".strip(), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"The sandbox could not be entered: {error}.", file=sys.stderr)
        return ExitCode.OUR_ERROR


def _ports(given: argparse.Namespace) -> Ports:
    return Ports(
        serve=tuple(given.serve),
        ask=tuple(given.ask),
        kernels=block(given.kernels) if given.kernels else None,
        opened=tuple(given.open_port),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
