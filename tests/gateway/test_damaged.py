"""A record whose bytes were flipped: said in words, nothing decided or applied on it, and left as it is."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.gateway import checkpoints, ledger
from skyflo_runbooks.gateway.database import RecordDamaged
from skyflo_runbooks.gateway.ledger import LedgerBroken
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import ExitCode
from tests.gateway.shapes import SHAPE, laid


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record with its log merged into the one file."""
    folder = laid(SHAPE, tmp_path_factory.mktemp("whole"))
    Store(folder).close()
    return folder


def flipped(whole: Path, folder: Path, place: int, length: int = 64) -> Path:
    """Return a copy of a record in which `length` bytes from `place` are others."""
    raw = bytearray((whole / "gateway.db").read_bytes())
    place = place % (len(raw) - length)
    for index in range(place, place + length):
        raw[index] ^= 0xFF
    folder.mkdir(exist_ok=True)
    (folder / "gateway.db").write_bytes(raw)
    for name in ("witness", "checkpoints.key"):
        if (whole / name).exists():
            (folder / name).write_bytes((whole / name).read_bytes())
    return folder


def test_a_broken_header_stops_the_start(whole: Path, tmp_path: Path) -> None:
    """Exit 2, with the next step; the file is left as it is."""
    folder = flipped(whole, tmp_path / "copy", 0)
    before = (folder / "gateway.db").read_bytes()
    with pytest.raises(RecordDamaged, match="is damaged") as told:
        Store(folder)
    assert told.value.exit_code == ExitCode.BAD_INPUT
    assert "Restore the data directory from a backup" in told.value.next_step
    assert (folder / "gateway.db").read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE entries SET body = replace(body, 'way_back', 'no_way_b') WHERE seq = (SELECT max(seq) FROM entries)",
         "Ledger entry .* is broken"),
        ("UPDATE entries SET body = '[1]' WHERE seq = (SELECT max(seq) FROM entries)", "is broken"),
        ("UPDATE entries SET hash = 'x' WHERE seq = (SELECT max(seq) FROM checkpoints)", "written anew"),
        ("UPDATE checkpoints SET signed = replace(signed, 'seq', 'sec')", "not signed by the key"),
    ],
    ids=["an entry", "no object", "a hash", "a checkpoint"],
)  # fmt: skip
def test_a_broken_end_stops_the_start(whole: Path, tmp_path: Path, statement: str, said: str) -> None:
    """What was written after the last checkpoint, or the checkpoint itself, is not what it was."""
    folder = flipped(whole, tmp_path / "copy", 0, 0)
    store = Store(folder)
    store.record("note", {"of": "way_back"})
    store.close()
    file = sqlite3.connect(folder / "gateway.db", isolation_level=None)
    for trigger in ("entries_never_change", "checkpoints_never_change"):
        file.execute(f"DROP TRIGGER {trigger}")
    assert file.execute(statement).rowcount
    file.close()
    with pytest.raises(LedgerBroken, match=said) as told:
        Store(folder)
    assert told.value.exit_code == ExitCode.BAD_INPUT


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 2**20))
def test_flipped_bytes_never_pass_for_the_record(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, place: int
) -> None:
    """Wherever they lie: the start is refused, or the chain is broken, or everything that was signed is still there."""
    folder = flipped(whole, tmp_path_factory.mktemp("copy"), place)
    try:
        store = Store(folder)
    except (RecordDamaged, LedgerBroken):
        return
    try:
        count = ledger.verify(store.entries())
        made = list(checkpoints.kept(store.database))
        assert count >= max((one.seq for one in made), default=0)
    except (RecordDamaged, LedgerBroken):
        return
    finally:
        store.close()
