"""`python -m tests.reliability --proposals N --kills K`: a day of load, and what came of it as JSON."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.reliability.day import live


def main() -> int:
    """Live a day and print it; 1 where something was lost or applied twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--proposals", type=int, default=100)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--expires", type=float, default=60.0, help="the life of a proposal in seconds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing new after so long")
    parser.add_argument("--folder", type=Path, help="where everything is kept (default: a temporary folder)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="skyflo-reliability-") as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        day = asyncio.run(
            live(
                folder,
                proposals=given.proposals,
                killed=given.kills,
                seed=given.seed,
                expires=given.expires,
                limit=given.seconds,
            )
        )
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(day), indent=2).decode() + "\n")
    return 1 if day.found.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
