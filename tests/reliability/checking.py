"""What must hold after a day of load, taken from the record's file, the cluster, and the cluster's own audit log.

Rules:
  1. Nothing is lost: each proposal and each decision that was acknowledged is in the record, the chain holds, and every
     checkpoint does.
  2. Nothing is applied twice: an executed attempt has exactly one write in the audit log, a void one none.
  3. No write without its attempt, no approval that is left in between, and `ledger reconcile` finds no difference.
  4. Each object is as the last executed proposal left it.
"""

import json
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from skyflo_runbooks.gateway import checkpoints, ledger, reconcile
from skyflo_runbooks.gateway.store import Store
from tests.reliability.load import Lived

MANAGER = "skyflo-"


class Found(msgspec.Struct, frozen=True):
    """What was counted, and everything that is wrong."""

    states: dict[str, int]
    attempts: int
    writes: int
    entries: int
    checkpoints: int
    alarms: int
    problems: list[str]


def writes(audit: Path) -> Counter[str]:
    """Return how many writes the API server has applied for each attempt, by its own log."""
    found: Counter[str] = Counter()
    for line in audit.read_text().splitlines():
        event = json.loads(line)
        manager = parse_qs(urlsplit(event["requestURI"]).query).get("fieldManager", [""])[0]
        if manager.startswith(MANAGER) and event["responseStatus"]["code"] < 300:
            found[manager.removeprefix(MANAGER)] += 1
    return found


def checked(store: Store, lived: Lived, audit: Path) -> Found:
    """Return what is wrong by the rules."""
    states = {str(id_): str(state) for id_, state in store.all("SELECT id, state FROM proposals")}
    attempts = {str(a): str(p) for a, p in store.all("SELECT id, proposal FROM attempts")}
    applied = writes(audit)
    kept = list(checkpoints.kept(store.database))
    told: dict[str, set[str]] = defaultdict(set)
    for entry in store.entries():
        told[entry.kind].add(str(entry.body.get("proposal")))
    problems = [
        *(f"{id_} ({fate}) is not in the record" for id_, fate in lived.fates.items() if id_ not in states),
        *(f"the approval of {id_} is not in the ledger" for id_ in lived.approved - told["approve"]),
        *(f"the rejection of {id_} is not in the ledger" for id_ in lived.rejected - told["reject"]),
        *(f"{id_} is still {state}" for id_, state in states.items() if state in ("approved", "executing", "unknown")),
        *(f"{count} writes of {attempt}" for attempt, count in applied.items() if count > 1),
        *(f"a write of {attempt}, which the record does not know" for attempt in applied if attempt not in attempts),
        *_unlike(attempts, states, applied),
        *_broken(store, kept),
        *_unreconciled(store, audit),
    ]
    return Found(
        dict(Counter(states.values())),
        len(attempts),
        sum(applied.values()),
        ledger.verify(store.entries()) if not problems else 0,
        len(kept),
        len(told["alarm"]),
        problems,
    )


def last_values(store: Store) -> dict[str, str]:
    """Return the value that each object must have: what the last executed attempt on it wrote."""
    values: dict[str, str] = {}
    rows = store.all(
        "SELECT p.id FROM attempts a JOIN proposals p ON p.id = a.proposal "
        "WHERE p.state IN ('executed', 'rolled_back') ORDER BY a.ended"
    )
    before: dict[str, str] = {}
    for (id_,) in rows:
        proposal = store.get(str(id_)).proposal
        name = proposal.requests[0].target.name
        if proposal.rollback_of:
            values[name] = before.get(proposal.rollback_of, "none")
        else:
            before[str(id_)] = values.get(name, "none")
            values[name] = str(proposal.arguments["patch"]["data"]["value"])
    return values


def _unlike(attempts: dict[str, str], states: dict[str, str], applied: Counter[str]) -> list[str]:
    expected = {"executed": 1, "rolled_back": 1, "void": 0}
    found = []
    for attempt, id_ in attempts.items():
        wanted = expected.get(states[id_])
        if wanted is not None and applied[attempt] != wanted:
            found.append(f"{id_} is {states[id_]}, and its attempt {attempt} has {applied[attempt]} writes")
    return found


def _unreconciled(store: Store, audit: Path) -> list[str]:
    """Return what `ledger reconcile` finds."""
    made = ({"kind": entry.kind, "at": entry.at, "body": entry.body} for entry in store.entries())
    with audit.open() as lines:
        return list(reconcile.reconcile(reconcile.read(lines, ()), reconcile.attempts(made)).differences)


def _broken(store: Store, kept: list[checkpoints.Checkpoint]) -> list[str]:
    hashes: dict[int, str] = {}
    try:
        for entry in store.entries():
            hashes[entry.seq] = entry.hash
        ledger.verify(store.entries())
    except ledger.LedgerBroken as error:
        return [str(error)]
    trusted = {store.book.signer.public}
    return [said for one in kept if (said := checkpoints.problem(one, hashes.get(one.seq), trusted))]
