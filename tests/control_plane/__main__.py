"""`python -m tests.control_plane build | up SCENARIO | down`: the real control plane, for a person."""

from __future__ import annotations

import argparse
import sys

from tests.control_plane import builds


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "build":
            builds.build([*builds.CONTROL_PLANE, "kubectl"])
    except builds.BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.control_plane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what is missing into the cache")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
