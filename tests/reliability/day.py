"""One day of load, from the first proposal to the figures."""

import asyncio
import time
from pathlib import Path

import msgspec

from skyflo_runbooks.gateway.gateway import open_store
from skyflo_runbooks.service.server import witness_file
from tests.reliability.checking import Found, checked, last_values
from tests.reliability.fates import fates, kills
from tests.reliability.house import House, house
from tests.reliability.load import Load

WORKERS = 6


class Day(msgspec.Struct, frozen=True):
    """What was asked for, what came of it, and how long it took."""

    proposals: int
    kills: int
    seed: int
    begun: int
    killed: int
    seconds: float
    slowest_start_ms: float
    median_start_ms: float
    megabytes: float
    refusals: dict[str, int]
    found: Found


async def live(
    folder: Path, *, proposals: int, killed: int, seed: int, expires: float, limit: float = float("inf")
) -> Day:
    """Live one day and check it; nothing new is begun after `limit` seconds."""
    begun = time.monotonic()
    async with house(folder, objects=WORKERS, expires=expires) as here:
        load = Load(here, fates(proposals, seed), WORKERS, limit)
        await load.run(kills(killed, proposals, seed))
        await _quiet(here, expires)
        values = {f"settings-{number}": here.value(f"settings-{number}") for number in range(WORKERS)}
        starts = sorted(here.started)
    seconds = time.monotonic() - begun
    data = folder / "home" / "data"
    store = open_store(data, witness_file(folder / "home", data))
    try:
        found = checked(store, load.lived, folder / "audit.jsonl")
        wanted = last_values(store)
        problems = [
            f"{name} is {values[name]}, expected {value}" for name, value in wanted.items() if values[name] != value
        ]
        if store.book.restored:
            problems.append(store.book.restored)
        found = msgspec.structs.replace(found, problems=[*found.problems, *problems])
    finally:
        store.close()
    return Day(
        proposals=proposals,
        kills=killed,
        seed=seed,
        begun=load.lived.begun,
        killed=load.lived.killed,
        seconds=round(seconds, 1),
        slowest_start_ms=round(starts[-1] * 1000),
        median_start_ms=round(starts[len(starts) // 2] * 1000),
        megabytes=round((data / "gateway.db").stat().st_size / 2**20, 1),
        refusals=dict(load.lived.refusals),
        found=found,
    )


async def _quiet(here: House, expires: float) -> None:
    """Wait until nothing is under way and what nobody decided has expired."""
    async with asyncio.timeout(expires + 60):
        while True:
            views = await here.call("GET", "/api/v1/proposals?open=1")
            if not [view for view in views if view["state"] in ("proposed", "approved", "executing", "unknown")]:
                return
            await asyncio.sleep(0.5)
