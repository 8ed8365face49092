"""The commands `build`, `up`, `down` and `hold`, the same for the control plane and for the real node."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.practice import scenario
from tests.control_plane import builds, holder, slots
from tests.control_plane.holder import Place, Ready
from tests.control_plane.processes import NotInTime, ProcessEnded

Cluster: TypeAlias = Callable[[Path, str], AbstractContextManager[Ready]]
FLAGSHIP = "oomkilled-payment"


def run(arguments: list[str], place: Place, build: Callable[[], None], cluster: Cluster) -> int:
    """Run one command; the exit code."""
    options = _parser(place).parse_args(arguments)
    try:
        match options.command:
            case "build":
                build()
            case "up":
                began = time.monotonic()
                wanted = scenario.load(options.scenario)
                ready = holder.up(place, wanted)
                print(_guide(place, wanted, ready, time.monotonic() - began))
            case "down":
                holder.down(place)
            case "hold":
                holder.hold(place, lambda folder: cluster(folder, options.scenario))
    except (builds.BuildError, holder.HolderError, slots.MachineError, NotInTime, ProcessEnded, SkyfloError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser(place: Place) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {place.module}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build what is missing into the cache")
    commands.add_parser("down", help="end what is up")
    for name, text in (("up", "stage a scenario, and say how to use it"), ("hold", "the background part of up")):
        commands.add_parser(name, help=text).add_argument("scenario", nargs="?", default=FLAGSHIP)
    return parser


def _guide(place: Place, staged: scenario.Scenario, ready: Ready, seconds: float) -> str:
    name = place.module.rpartition(".")[2].replace("_", "-")
    return f"""
{staged.scenario} is staged, {seconds:.0f} s. Look at it:
  kubectl --kubeconfig {shlex.quote(ready.kubeconfig)} -n {staged.namespace} get pods

Let Skyflo Runbooks at it, in two terminals:
  skyflo-runbooks serve --kubeconfig {shlex.quote(ready.kubeconfig)}
  skyflo-runbooks resolve {shlex.quote(staged.incident.strip())} -n {staged.namespace}

End it:
  make {name}-down"""
