"""`make bench`: measure everything once and print one JSON object. Progress goes to standard error.

The exit code is 1 where a measurement broke, whatever the figures are: a figure beyond its target breaks nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

from tests.benchmarks import (
    approving,
    asking,
    clean,
    gathering,
    machine,
    recording,
    remembering,
    replaying,
    scaling,
    starting,
    waiting,
)
from tests.benchmarks.figures import FULL, QUICK, Figure, Missing, Scale

Measure: TypeAlias = Callable[[Path, Scale], Iterator[Figure | Missing]]
MEASURES: dict[str, Measure] = {
    "starting": starting.measure,
    "asking": asking.measure,
    "crowd": asking.measure_crowd,
    "gathering": gathering.measure,
    "approving": approving.measure,
    "control-plane": approving.measure_control_plane,
    "recording": recording.measure,
    "replaying": replaying.measure,
    "waiting": waiting.measure,
    "remembering": remembering.measure,
    "scaling": scaling.measure,
}
_NOT_HERE = (Missing("diagnosis_over_k8sgpt", "make scoreboard K8SGPT=1 measures both on the same namespaces"),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, print it, and return the exit code."""
    given = _parser().parse_args(arguments)
    measures = {name: MEASURES[name] for name in given.only or MEASURES}
    if given.clean_checkout:
        measures["clean-checkout"] = clean.measure
    began = machine.look()
    figures, missing, broken = _measured(measures, QUICK if given.quick else FULL)
    if not given.clean_checkout:
        missing.append(Missing("demo_clean_checkout", "it takes minutes: python -m tests.benchmarks --clean-checkout"))
    print(
        json.dumps(
            {
                "quick": given.quick,
                "machine": asdict(began),
                "load_at_the_end": machine.look().load,
                "figures": [figure.to_json() for figure in figures],
                "plot": scaling.plot(figures),
                "not_measured": [asdict(one) for one in (*missing, *_NOT_HERE)],
                "broken": broken,
            },
            indent=1,
        )
    )
    return 1 if broken else 0


def _measured(measures: dict[str, Measure], scale: Scale) -> tuple[list[Figure], list[Missing], dict[str, str]]:
    figures: list[Figure] = []
    missing: list[Missing] = []
    broken: dict[str, str] = {}
    for name, measure in measures.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="skyflo-bench-") as folder:
            try:
                for one in measure(Path(folder), scale):
                    if isinstance(one, Figure):
                        figures.append(one)
                    else:
                        missing.append(one)
            # The boundary of a measurement: one that breaks is named in the answer, and the others still run.
            except Exception as error:  # noqa: BLE001
                broken[name] = f"{type(error).__name__}: {error}"
    return figures, missing, broken


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Measure, and print JSON.")
    parser.add_argument("--quick", action="store_true", help="each thing a few times only, to see that it works")
    parser.add_argument("--clean-checkout", action="store_true", help="also make demo HEADLESS=1 in a clean clone")
    parser.add_argument("--only", nargs="+", choices=tuple(MEASURES), metavar="WHAT", help=", ".join(MEASURES))
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
