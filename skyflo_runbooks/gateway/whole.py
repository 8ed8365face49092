"""Looks at a whole record, page by page, so that a gateway goes on serving while it does."""

import asyncio
from collections.abc import Collection

from skyflo_runbooks.gateway import checkpoints, export, ledger
from skyflo_runbooks.gateway.checkpoints import Checkpoint, Signer
from skyflo_runbooks.gateway.database import Database, RecordDamaged
from skyflo_runbooks.gateway.export import Envelope, Export, Link, Report


async def verified(database: Database, trusted: Collection[str]) -> Report:
    """Return whether the chain and its checkpoints hold; the first broken entry is named."""
    kept = list(checkpoints.kept(database))
    hashes: dict[int, str] = {}
    places = {one.seq for one in kept}
    last, prev = 0, ledger.GENESIS
    problems: list[str] = []
    try:
        while page := ledger.page(database, ledger.Wanted(since=last)):
            last = ledger.verify(iter(page), after=last, prev=prev)
            prev = page[-1].hash
            hashes.update((entry.seq, entry.hash) for entry in page if entry.seq in places)
            await asyncio.sleep(0)
    except ledger.LedgerBroken as error:
        return Report(False, error.good, len(kept), _covered(kept, error.good), _key(trusted), [str(error)])
    except RecordDamaged as error:
        return Report(False, last, len(kept), _covered(kept, last), _key(trusted), [str(error)])
    for one in kept:
        said = checkpoints.problem(one, hashes.get(one.seq), trusted)
        problems += [said] if said else []
    return Report(not problems, last, len(kept), _covered(kept, last), _key(trusted), problems)


async def exported(database: Database, signer: Signer, *, at: str, wanted: ledger.Wanted) -> Envelope:
    """Return the envelope with everything wanted: a run's entries, or all from `since` on."""
    links: list[Link] = []
    seqs: set[int] = set()
    last = wanted.since
    while page := ledger.page(database, ledger.Wanted(since=last, run=wanted.run)):
        links += [export.link(entry) for entry in page]
        seqs |= {entry.seq for entry in page}
        last = page[-1].seq
        await asyncio.sleep(0)
    kept = [one for one in checkpoints.kept(database) if one.seq in seqs]
    said = Export(of=wanted.run or "all", at=at, key=signer.public, entries=links, checkpoints=kept)
    return export.seal(said, signer)


def _covered(kept: list[Checkpoint], last: int) -> int:
    return max((one.seq for one in kept if one.seq <= last), default=0)


def _key(trusted: Collection[str]) -> str:
    return ", ".join(sorted(trusted))
