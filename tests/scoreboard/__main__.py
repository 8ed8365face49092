"""`make scoreboard`: stage every fault in drawn circumstances, diagnose, repair, judge, and print what came of it.

`--page` also writes docs/scoreboard.md. The exit code is 0 whatever the scores are, and 1 where a round broke.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.benchmarks import machine
from tests.control_plane import builds
from tests.faults.staging import Case
from tests.real_node import parts
from tests.scoreboard import controls, doubt, gpt_build, report, run, vary
from tests.scoreboard.k8sgpt import K8sgpt
from tests.scoreboard.result import Board, Trial
from tests.scoreboard.run import Draw

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "scoreboard.md"
ROUNDS = ("faults", "cluster", "scenarios", "node", "pairs", "controls")
# What a real kubelet does and says in these is the fault itself; the others are the API server's and the controllers'.
ON_A_NODE = ("oomkilled-payment", "missing-env", "wrong-image-tag", "service-selector")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and return the exit code."""
    given = _parser().parse_args(arguments)
    binaries = builds.control_plane()
    if isinstance(binaries, builds.Absent):
        print(f"There is no control plane (no {', '.join(binaries.names)}): make control-plane", file=sys.stderr)
        return 1
    board = _board(given)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skyflo-scoreboard-") as folder:
        broken = asyncio.run(_rounds(board, given, Path(folder), binaries))
    board.seconds = time.monotonic() - began
    board.not_measured += broken
    board.readings = doubt.measured()
    print(report.as_json(board) if given.json else report.table(board))
    if given.page:
        PAGE.write_text(report.page(board))
    return 1 if broken else 0


def _board(given: argparse.Namespace) -> Board:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    looked = machine.look()
    return Board(
        commit=commit.stdout.strip() or "unknown",
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=f"make scoreboard SEED={given.seed}{' K8SGPT=1' if given.k8sgpt else ''}",
        machine=f"{looked.cores} cores, load average {os.getloadavg()[0]:.1f} at the start",
    )


@dataclass
class Rounds:
    """The rounds of one run, each on a control plane of its own."""

    board: Board
    draw: Draw
    found: list[Case]
    only: list[str]
    pairs_wanted: int
    folder: Path
    binaries: builds.Binaries
    other: K8sgpt | None

    async def faults(self, place: Path) -> None:
        """Every case alone."""
        with run.plane(place, self.binaries, self.draw) as made:
            drawn = run.alone(self.found, self.draw)
            drawn = run.stage(made, drawn)
            self.board.trials += await run.whole(made, place / "gateway", drawn, self.other)

    async def cluster(self, place: Path) -> None:
        """Every case that is of the whole cluster, alone."""
        found = run.cases(self.only, wide=True)
        own = Draw(self.draw.random)
        with run.plane(place, self.binaries, own, wide=True) as made:
            drawn = run.alone(found, own)
            drawn = run.stage(made, drawn)
            self.board.trials += await run.whole(made, place / "gateway", drawn, self.other)

    async def scenarios(self, place: Path) -> None:
        """The shipped scenarios, with their history."""
        own = Draw(self.draw.random)
        stories = [vary.story(name, own.random, own.taken) for name in run.shipped(self.only)]
        with run.plane(place, self.binaries, own, stories) as made:
            drawn = await run.played_scenarios(made, stories)
            self.board.trials += await run.whole(made, place / "gateway", drawn, self.other)

    async def node(self, place: Path) -> None:
        """Cases and scenarios in which a kubelet tells the fault, on a real one; each set on a node of its own."""
        built = parts.look()
        if isinstance(built, builds.Absent):
            self.board.not_measured.append(f"on a real node: no {', '.join(built.names)} (make real-node)")
            return
        family = run.of_a_node(self.only)
        if family.cases:
            with run.node(place / "c", built, family.stock) as made:
                drawn = run.alone(family.cases, Draw(self.draw.random), vary.REAL)
                drawn = run.stage(made, drawn)
                self.board.trials += await run.whole(made, self.folder / "cases-gateway", drawn, None)
        own = Draw(self.draw.random)
        stories = [vary.story(name, own.random, own.taken) for name in ON_A_NODE if name in run.shipped(self.only)]
        if stories:
            with run.node(place / "s", built, run.stock(stories)) as made:
                drawn = await run.played_scenarios(made, stories, vary.REAL.where)
                self.board.trials += await run.whole(made, self.folder / "node-gateway", drawn, None)

    async def pairs(self, place: Path) -> None:
        """Two faults at once."""
        with run.plane(place, self.binaries, self.draw) as made:
            drawn = run.in_pairs(self.found, self.draw, self.pairs_wanted)
            drawn = run.stage(made, drawn)
            self.board.pairs += await run.found(made, drawn)

    async def controls(self, place: Path) -> None:
        """What is no fault."""
        with run.plane(place, self.binaries, Draw(self.draw.random)) as made:
            self.board.controls += await run.controlled(made, controls.CONTROLS, self.other)
            self.board.crowd = await run.crowded(made, self.other) if self.other else None


async def _rounds(board: Board, given: argparse.Namespace, folder: Path, binaries: builds.Binaries) -> list[str]:
    """Run the rounds one after the other; return which of them broke, and why."""
    draw, found, other = Draw(Random(given.seed)), run.cases(given.only), _other(board, given)
    rounds = Rounds(board, draw, found, given.only, given.pairs, folder, binaries, other)
    broken: list[str] = []
    for name in ROUNDS:
        if given.rounds and name not in given.rounds:
            board.not_measured.append(f"{name}: left out by --rounds")
            continue
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            await getattr(rounds, name)(folder / name)
        # The boundary of a round: one that breaks is named, and the others still run.
        except Exception as error:  # noqa: BLE001
            broken.append(f"{name}: broke with {type(error).__name__}: {str(error)[:300]}")
    return broken


def _other(board: Board, given: argparse.Namespace) -> K8sgpt | None:
    if not given.k8sgpt:
        board.not_measured.append("k8sgpt on the same namespaces: not asked for (--k8sgpt)")
        return None
    found = gpt_build.find()
    if found is None:
        board.not_measured.append("k8sgpt on the same namespaces: it is not built (make k8sgpt)")
    return K8sgpt(found) if found else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.scoreboard", description="Stage, diagnose, repair, judge.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--page", action="store_true", help="also write docs/scoreboard.md")
    parser.add_argument("--only", nargs="+", default=[], metavar="FAULT", help="these faults only")
    parser.add_argument("--rounds", nargs="+", choices=ROUNDS)
    parser.add_argument("--seed", type=int, default=1, help="what everything is drawn from")
    parser.add_argument("--pairs", type=int, default=15, help="how many times two faults at once")
    parser.add_argument("--k8sgpt", action="store_true", help="also run k8sgpt on the same namespaces")
    return parser


__all__ = ["PAGE", "Trial", "main"]

if __name__ == "__main__":
    raise SystemExit(main())
