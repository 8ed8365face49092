"""A day of load in CI's size: about a hundred proposals, ten kills. Nothing is lost, nothing is applied twice."""

import json
from collections import Counter
from pathlib import Path

import pytest

from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.store import Store
from tests.reliability.checking import checked, writes
from tests.reliability.day import live
from tests.reliability.fates import SHARES, fates, kills
from tests.reliability.load import Lived


@pytest.mark.timeout(280)
async def test_a_day_of_load_loses_nothing_and_applies_nothing_twice(tmp_path: Path) -> None:
    """Through every fate, with the gateway killed at random and at the worst moments; the same for one seed."""
    day = await live(tmp_path, proposals=100, killed=10, seed=20261124, expires=20.0)
    assert day.found.problems == []
    assert (day.begun, day.killed) == (100, 10)
    states = Counter(day.found.states)
    assert states["executed"] + states["rolled_back"] == day.found.writes > 50
    assert min(states[state] for state in ("void", "rejected", "expired", "rolled_back")) >= 1
    assert states["proposed"] + states["approved"] + states["executing"] + states["unknown"] == 0
    assert day.found.checkpoints > 100


def test_a_day_is_drawn_from_its_seed() -> None:
    """Every fate occurs, kills lie within the day, and the same seed gives the same day."""
    assert fates(500, 1) == fates(500, 1)
    assert set(fates(500, 1)) == set(SHARES)
    drawn = kills(50, 500, 1)
    assert drawn == kills(50, 500, 1) == sorted(drawn, key=lambda kill: kill[0])
    assert all(0 < place < 500 for place, _, _ in drawn)
    assert {moment for _, _, moment in drawn} == {"any", "before", "after"}


def note(manager: str, code: int = 200) -> str:
    """Return one line of an audit log: a patch by a field manager."""
    event = {
        "stage": "ResponseComplete",
        "verb": "patch",
        "requestURI": f"/api/v1/namespaces/checkout/configmaps/a?fieldManager={manager}",
        "responseStatus": {"code": code},
        "user": {"username": "practice-admin"},
        "objectRef": {},
        "stageTimestamp": "2026-01-01T00:00:00Z",
    }
    return json.dumps(event) + "\n"


def test_what_was_lost_or_written_twice_is_found(tmp_path: Path) -> None:
    """The check itself: each kind of loss is a problem that names what it is about."""
    audit = tmp_path / "audit.jsonl"
    audit.write_text(note("skyflo-at-01") * 2 + note("skyflo-at-02") + note("skyflo-at-03", 409) + note("by-hand"))
    assert writes(audit) == {"at-01": 2, "at-02": 1}
    store = Store(tmp_path / "data", SqliteDatabase())
    lived = Lived(fates={"ap-000001": "apply"}, approved={"ap-000001"}, rejected={"ap-000002"})
    found = checked(store, lived, audit).problems
    store.close()
    for said in (
        "ap-000001 (apply) is not in the record",
        "the approval of ap-000001 is not in the ledger",
        "the rejection of ap-000002 is not in the ledger",
        "2 writes of at-01",
        "a write of at-02, which the record does not know",
        "1 writes of at-02, which the ledger does not know",
    ):
        assert said in found, found
