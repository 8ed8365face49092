"""A record that an older version wrote is opened by this one: same shape as a fresh one, nothing lost, chain whole."""

import re
from pathlib import Path

import pytest

from skyflo_runbooks.gateway import ledger
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.gateway.view import view
from skyflo_runbooks.model.json import Json
from tests.gateway.shapes import STATES, fixture, laid

SHAPES = range(1, len(MIGRATIONS) + 1)


def schema(store: Store) -> dict[str, str]:
    """Return every table, index and trigger of a record, without its line breaks."""
    rows = store.all("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {str(name): re.sub(r"\s+", " ", str(sql)) for name, sql in rows}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_record_of_each_shape_is_kept(shape: int) -> None:
    """Whoever adds a migration runs `python -m tests.gateway.shapes` and adds the file."""
    assert fixture(shape).is_file(), f"run: python -m tests.gateway.shapes (for {fixture(shape).name})"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_old_record_comes_to_the_present_shape(tmp_path: Path, shape: int) -> None:
    """Table by table as a fresh record has them."""
    old, fresh = Store(laid(shape, tmp_path / "old")), Store(tmp_path / "fresh")
    try:
        assert old.database.shape() == fresh.database.shape() == len(MIGRATIONS)
        assert schema(old) == schema(fresh)
    finally:
        old.close()
        fresh.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_of_an_old_record_is_lost(tmp_path: Path, shape: int) -> None:
    """Every proposal is read and shown as it was, and the chain holds to the same end."""
    store = Store(laid(shape, tmp_path))
    try:
        rows = {row.proposal.origin.step: row for row in store.find() if row.state != "proposed"}
        assert {step: row.state for step, row in rows.items() if step in STATES} == {
            step: state for step, state in STATES.items() if step != "way_back"
        }
        assert rows["rolled_back!back"].state == STATES["way_back"]
        shown: list[Json] = [
            view(store.get(row.proposal.id), None, told=store.told(row.proposal.id)) for row in rows.values()
        ]
        receipts = {one["step"]: one["receipt"] for one in shown}
        assert receipts["rejected"]["reason"] == "not tonight"
        assert receipts["rolled_back"]["applied"][0]["status"] == 200
        assert all(receipts[step]["operator"] == "on-call" for step in ("approved", "unknown", "rolled_back"))
        told = list(store.entries())
        assert ledger.verify(iter(told)) == len(told) >= 26
    finally:
        store.close()


def test_an_old_record_opens_again_as_it_was(tmp_path: Path) -> None:
    """A second start makes no migration again."""
    Store(laid(1, tmp_path)).close()
    store = Store(tmp_path)
    assert store.database.shape() == len(MIGRATIONS)
    store.close()
