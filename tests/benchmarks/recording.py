"""How many decisions a second are recorded durably, beside bare commits of the same database on the same disk."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skyflo_runbooks.gateway import decisions
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.proposal import Proposal, ProposalId
from tests.benchmarks.figures import Figure, Scale, Target, seconds
from tests.gateway.world import OPERATOR, World, world


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure: both rates are of batches that take turns."""
    yield asyncio.run(_measure(folder, scale))


async def _measure(folder: Path, scale: Scale) -> Figure:
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    bare.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
    batch = max(1, scale.decisions // 4)
    ours = plain = 0.0
    async with world(folder) as gate:
        row = await gate.propose()
        store = gate.gateway.store
        for start in range(0, scale.decisions, batch):
            ids = [_copy(store, row.proposal, number) for number in range(start, start + batch)]
            ballots = [(id_, _ballot(gate, id_)) for id_ in ids]
            ours += seconds(lambda ballots=ballots: _decide(gate, ballots))  # type: ignore[misc]
            plain += seconds(lambda: _commit(bare, batch))
    bare.close()
    count = 4 * batch if scale.decisions >= 4 else scale.decisions
    return Figure(
        "decisions_durable",
        plain / ours,
        "ratio",
        "decisions recorded a second (signature checked; nonce burnt, state moved, ledger entry chained in one fully "
        "synced transaction) over bare, fully synced SQLite commits of one row a second",
        Target(">=", 0.1),
        {"decisions_per_s": count / ours, "commits_per_s": count / plain},
    )


def _copy(store: Store, proposal: Proposal, number: int) -> ProposalId:
    """Store the same proposal under another id; its digest stays what a decision has to name."""
    id_ = ProposalId(f"ap-{number:06d}")
    store.add(msgspec.structs.replace(proposal, id=id_), same_key=f"copy-{number}")
    return id_


def _ballot(gate: World, id_: ProposalId) -> Ballot:
    return gate.ballot(gate.gateway.store.get(id_))


def _decide(gate: World, ballots: list[tuple[ProposalId, Ballot]]) -> None:
    for id_, ballot in ballots:
        decisions.decide(
            gate.gateway.store,
            policy=gate.gateway.policy,
            proposal=id_,
            ballot=ballot,
            who=OPERATOR,
            site=gate.gateway.approvals.site,
            access={},
        )


def _commit(bare: sqlite3.Connection, count: int) -> None:
    for _ in range(count):
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO rows (body) VALUES (?)", ("x" * 400,))
        bare.execute("COMMIT")
