"""The record from a terminal: the key, exports and copies that are verified without a gateway, and paging."""

import base64
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.record import pages
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.json import Json
from tests.cli.conftest import Terminal


def test_an_export_is_verified_without_the_gateway(terminal: Terminal, flagship: Bench) -> None:
    """With its public key it is whole, without one that is not known, with another one it is not."""
    flagship.propose("1200Mi", "exported")
    key = terminal.at(flagship)("ledger", "key").out.strip()
    assert terminal("ledger", "key", "--json").json["key"] == key
    assert terminal("ledger", "export", "-o", "record.json").code == 0
    assert terminal("ledger", "export", "-o", "record.json").code == 2
    whole = terminal("ledger", "verify", "record.json", "--key", key, "--json")
    assert (whole.code, whole.json["ok"], whole.json["key"]) == (0, True, key)
    unknown = terminal("ledger", "verify", "record.json")
    assert unknown.code == 4
    assert "IS NOT KNOWN" in unknown.out
    other = "ed25519:" + base64.b64encode(b"x" * 32).decode()
    assert terminal("ledger", "verify", "record.json", "--key", other).code == 11
    assert terminal("ledger", "verify", "record.json", "--key", "nonsense").code == 2
    assert terminal("ledger", "verify", "nowhere.json", "--key", key).code == 2


def test_a_tampered_export_is_11(terminal: Terminal, flagship: Bench) -> None:
    """One letter of one entry."""
    flagship.propose("1201Mi", "tampered")
    key = terminal.at(flagship)("ledger", "key").out.strip()
    assert terminal("ledger", "export", "-o", "tampered.json").code == 0
    file = terminal.folder / "tampered.json"
    envelope = json.loads(file.read_text())
    payload = base64.b64decode(envelope["payload"]).replace(b"tampered", b"temPered")
    file.write_text(json.dumps({**envelope, "payload": base64.b64encode(payload).decode()}))
    said = terminal("ledger", "verify", "tampered.json", "--key", key)
    assert said.code == 11
    assert "THE RECORD IS NOT WHOLE" in said.out
    assert "not what its hash says" in said.out


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A record that no gateway has open."""
    store = Store(tmp_path / "data")
    for number in range(3):
        store.record("verdict", {"n": number})
    store.close()
    return tmp_path / "data" / "gateway.db"


def test_a_copy_of_a_record_is_verified(terminal: Terminal, record: Path, tmp_path: Path) -> None:
    """By the key beside it; by none where that is not there; and it is left as it was."""
    before = record.read_bytes()
    said = terminal("ledger", "verify", str(record), "--json")
    assert (said.code, said.json["entries"], said.json["checkpoints"]) == (0, 3, 3)
    alone = Path(shutil.copy(record, tmp_path / "alone.db"))
    assert terminal("ledger", "verify", str(alone)).code == 4
    assert terminal("ledger", "verify", str(alone), "--key", said.json["key"]).code == 0
    assert record.read_bytes() == before


def test_the_first_broken_row_of_a_copy_is_named(terminal: Terminal, record: Path) -> None:
    """Also where a later one is broken as well."""
    file = sqlite3.connect(record, isolation_level=None)
    file.execute("DROP TRIGGER entries_never_change")
    file.execute("UPDATE entries SET kind = 'nothing' WHERE seq > 1")
    file.close()
    said = terminal("ledger", "verify", str(record))
    assert said.code == 11
    assert "Ledger entry 2 is broken" in said.out


def test_a_damaged_copy_is_bad_input(terminal: Terminal, record: Path) -> None:
    """It is no database any more."""
    raw = bytearray(record.read_bytes())
    raw[100:2000] = b"\xff" * 1900
    record.write_bytes(raw)
    said = terminal("ledger", "verify", str(record))
    assert said.code == 2
    assert "damaged" in said.err


class Pages(Gateway):
    """Answers with pages of two out of seven entries, and counts how often it was asked."""

    asked = 0

    def get(self, path: str, *, query: object = None, timeout: float = 0.0) -> list[Json]:
        """See `Gateway`."""
        self.asked += 1
        said = query if isinstance(query, dict) else {}
        seqs = list(range(1, 8))
        if said.get("newest"):
            seqs = [seq for seq in seqs[::-1] if seq < said.get("before", 99)]
        else:
            seqs = [seq for seq in seqs if seq > said.get("since", 0)]
        return [{"seq": seq} for seq in seqs[:2]]


def test_entries_come_a_page_at_a_time() -> None:
    """Forwards and backwards, each once; who has enough asks no further."""
    gateway = Pages("http://localhost", "")
    assert [one["seq"] for one in pages(gateway, {})] == [1, 2, 3, 4, 5, 6, 7]
    assert [one["seq"] for one in pages(gateway, {"newest": 1})] == [7, 6, 5, 4, 3, 2, 1]
    gateway.asked = 0
    latest = pages(gateway, {"newest": 1})
    assert [next(latest)["seq"] for _ in range(3)] == [7, 6, 5]
    assert gateway.asked == 2


def test_an_export_of_an_unknown_run_names_the_known_ones(terminal: Terminal, flagship: Bench) -> None:
    """It would be a signed file that says nothing: no file is written."""
    flagship.propose("1202Mi", "known-run", run="run-known")
    said = terminal.at(flagship)("ledger", "export", "-o", "none.json", "--run", "run-unknown")
    assert said.code == 2
    assert "no entry of a run 'run-unknown'" in said.err
    assert "run-known" in said.err.partition("The latest are ")[2]
    assert not (terminal.folder / "none.json").exists()
    assert terminal("ledger", "export", "-o", "one.json", "--run", "run-known").code == 0
    shown = terminal("ledger", "show", "--run", "run-unknown", "--json")
    assert (shown.code, shown.json) == (0, [])
    assert "no entry of a run run-unknown" in shown.err
