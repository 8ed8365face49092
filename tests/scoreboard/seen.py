"""What diagnoses of staged faults and of controls read: kept, so that calibration can be measured without a cluster.

`python -m tests.scoreboard.seen` stages every case and every control once on a real control plane, under names and
circumstances drawn from the seed, and writes what was read of each with what is true there. The file is evidence, not
an expectation: no finding is written into it. It is made anew where cases are added.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import sys
import tempfile
from functools import partial
from pathlib import Path
from random import Random

import msgspec
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.incident import Incident
from tests.control_plane import builds
from tests.control_plane.processes import wait_until
from tests.scoreboard import controls, run, vary
from tests.scoreboard.result import Trial
from tests.scoreboard.run import Draw
from tests.scoreboard.trial import Looked

KEPT = Path(__file__).with_name("seen.json.gz")


class Seen(msgspec.Struct, frozen=True):
    """One incident: what was read, what the operator said, and which faults of which objects are there.

    `true` holds `FAULT Kind/namespace/name`; nothing where nothing is wrong.
    """

    case: str
    words: str
    namespaces: tuple[str, ...]
    true: tuple[str, ...]
    snapshot: Snapshot

    @property
    def incident(self) -> Incident:
        """What the operator says."""
        return Incident(self.words, self.namespaces)


def load(path: Path = KEPT) -> list[Seen]:
    """Return what was kept."""
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=list[Seen])


def save(found: list[Seen], path: Path = KEPT) -> None:
    """Write it; the same content gives the same bytes."""
    path.write_bytes(gzip.compress(msgspec.json.encode(found), 9, mtime=0))


async def staged(folder: Path, binaries: builds.Binaries, draw: Draw) -> list[Seen]:
    """Return what is read of every staged case."""
    with run.plane(folder / "faults", binaries, draw) as made:
        given = run.alone(run.cases([]), draw)
        given = run.stage(made, given)
        async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
            return _of(*await run.looked(cluster, given))


async def scenarios(folder: Path, binaries: builds.Binaries, draw: Draw) -> list[Seen]:
    """Return what is read of every shipped scenario."""
    own = Draw(draw.random)
    stories = [vary.story(name, own.random, own.taken) for name in run.shipped([])]
    with run.plane(folder / "scenarios", binaries, own, stories) as made:
        given = await run.played_scenarios(made, stories)
        async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
            return _of(*await run.looked(cluster, given))


async def well(folder: Path, binaries: builds.Binaries, draw: Draw) -> list[Seen]:
    """Return what is read of every control."""
    with run.plane(folder / "controls", binaries, Draw(draw.random)) as made:
        for control in controls.CONTROLS:
            made.apply(controls.manifests(control))
        for control in controls.CONTROLS:
            await asyncio.to_thread(wait_until, f"{control.id} is well", partial(run.is_well, made, control), 120)
        async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
            return [
                Seen(one.id, one.words, (one.namespace,), (), one.edit(await take(cluster, [one.namespace])))
                for one in controls.CONTROLS
                if not one.refused
            ]


def _of(looked: list[Looked], broken: list[Trial]) -> list[Seen]:
    if broken:  # a set without them would say less than it seems to
        raise RuntimeError(f"not read: {'; '.join(f'{one.fault}: {one.broke}' for one in broken)}")
    return [
        Seen(one.trial.fault, one.case.words, (one.case.namespace,), one.trial.expected, one.snapshot) for one in looked
    ]


async def _all(folder: Path, binaries: builds.Binaries, draw: Draw) -> list[Seen]:
    return [part for made in (staged, scenarios, well) for part in await made(folder, binaries, draw)]


def main(arguments: list[str] | None = None) -> int:
    """Stage, read, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.scoreboard.seen", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("-o", "--output", type=Path, default=KEPT)
    given = parser.parse_args(arguments)
    binaries = builds.control_plane()
    if isinstance(binaries, builds.Absent):
        print(f"There is no control plane (no {', '.join(binaries.names)}): make control-plane", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="skyflo-seen-") as folder:
        found = asyncio.run(_all(Path(folder), binaries, Draw(Random(given.seed))))
    save(found, given.output)
    print(f"{len(found)} incidents in {given.output}")
    return 0


__all__ = ["Seen", "load", "save"]

if __name__ == "__main__":
    raise SystemExit(main())
