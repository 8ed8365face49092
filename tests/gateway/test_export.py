"""The export that a third party verifies: our own verifier and the page in `docs` agree, on whole and tampered ones."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docs import verify_ledger
from skyflo_runbooks.gateway import export, whole
from skyflo_runbooks.gateway.checkpoints import Signer
from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.ledger import Wanted
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json

AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A record of some entries, two of which end something; texts that are hard to write canonically."""
    made = Store(tmp_path_factory.mktemp("record"), SqliteDatabase())
    made.book.cluster = "uid-1"
    made.record("note", {"text": "ünï©ode \u2028 \ud7ff 😀", "numbers": [1, 1.5, 1e21, 2**60], "ﬁ": 1, "\U0001f600": 2})
    made.record("verdict", {"run": "run-1", "verdict": "VERIFIED"})
    made.record("note", {"run": "run-2"})
    made.record("verdict", {"run": "run-2", "verdict": "FAILED"})
    made.record("note", {"after": "the last checkpoint"})
    yield made
    made.close()


def sealed(store: Store, **wanted: object) -> Json:
    """Return an export's envelope as JSON."""
    asked = msgspec.convert(wanted, Wanted)
    made = asyncio.run(whole.exported(store.database, store.book.signer, at=AT, wanted=asked))
    envelope: Json = json.loads(msgspec.json.encode(made))
    return envelope


def both(envelope: Json, key: str) -> list[str]:
    """Return what our verifier and the page in `docs` say is wrong; they must agree that something is."""
    ours = export.verify(msgspec.json.encode(envelope), [key]).problems
    try:
        verify_ledger.verify(envelope, key)
        theirs = ""
    except ValueError as error:
        theirs = str(error)
    assert bool(ours) == bool(theirs), (ours, theirs)
    return ours


def resealed(store: Store, envelope: Json, change: Json) -> Json:
    """Return the envelope with another payload, signed anew by the gateway's own key: what only the chain can show."""
    said = {**json.loads(base64.b64decode(envelope["payload"])), **change}
    payload = json.dumps(said).encode()
    signature = store.book.signer.sign(export.pae(export.TYPE, payload))
    return {
        "payloadType": export.TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"sig": signature, "keyid": ""}],
    }


def test_a_whole_export_holds(store: Store) -> None:
    """All entries, both checkpoints."""
    envelope = sealed(store)
    assert both(envelope, store.book.signer.public) == []
    report = export.verify(msgspec.json.encode(envelope), [store.book.signer.public])
    assert (report.entries, report.checkpoints, report.signed) == (5, 2, 4)


def test_an_export_of_a_run_or_of_the_end_holds(store: Store) -> None:
    """Single entries of one run; and everything after a place."""
    assert both(sealed(store, run="run-2"), store.book.signer.public) == []
    assert "single entries of run-2" in verify_ledger.verify(sealed(store, run="run-2"), store.book.signer.public)
    assert both(sealed(store, since=3), store.book.signer.public) == []


def test_another_key_is_not_trusted(store: Store, tmp_path: Path) -> None:
    """Also where the envelope names it itself."""
    other = Signer(tmp_path)
    assert "not signed by the gateway's key" in both(sealed(store), other.public)[0]
    report = export.verify(msgspec.json.encode(sealed(store)), [])
    assert not report.ok


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_each_flipped_bit_of_the_payload_is_found(store: Store, place: int, bit: int) -> None:
    """By the envelope's signature."""
    envelope = sealed(store)
    payload = bytearray(base64.b64decode(envelope["payload"]))
    payload[place % len(payload)] ^= 1 << bit
    forged = {**envelope, "payload": base64.b64encode(payload).decode()}
    with pytest.raises(ValueError, match="not signed"):
        verify_ledger.verify(forged, store.book.signer.public)
    try:
        assert not export.verify(msgspec.json.encode(forged), [store.book.signer.public]).ok
    except BadInput as error:
        assert "no ledger export" in str(error)  # noqa: PT017  # either of both is right, no third


@pytest.mark.parametrize("way", ["an entry's text", "one left out", "the order", "a hash", "the first", "a checkpoint"])
def test_what_only_the_chain_shows_is_found(store: Store, way: str) -> None:
    """Whoever has the key and changes the past is still contradicted by hashes and checkpoints."""
    envelope = sealed(store)
    said = json.loads(base64.b64decode(envelope["payload"]))
    entries, kept = said["entries"], said["checkpoints"]
    if way == "an entry's text":
        entries[2]["signed"] = entries[2]["signed"].replace("run-2", "run-3")
    elif way == "one left out":
        del entries[2]
    elif way == "the order":
        entries[1], entries[2] = entries[2], entries[1]
    elif way == "a hash":
        entries[4]["hash"] = "0" * 64
    elif way == "the first":
        entries[0]["signed"] = entries[0]["signed"].replace("0" * 64, "1" * 64)
    else:
        kept[1]["signed"] = kept[1]["signed"].replace("uid-1", "uid-2")
    forged = resealed(store, envelope, {"entries": entries, "checkpoints": kept})
    assert both(forged, store.book.signer.public)


def test_a_chain_written_anew_contradicts_its_checkpoints(store: Store, tmp_path: Path) -> None:
    """A consistent other chain, with the old checkpoints: the first one that does not fit is named."""
    other = Store(tmp_path, SqliteDatabase())
    for entry in store.entries():
        other.record(entry.kind, {**entry.body, "forged": True})
    entries = json.loads(base64.b64decode(sealed(other)["payload"]))["entries"]
    other.close()
    said = both(resealed(store, sealed(store), {"entries": entries}), store.book.signer.public)
    assert "checkpoint at entry 2" in said[0]
    assert "written anew" in said[0]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"payloadType": "x", "payload": "", "signatures": []}', b"\xff"])
def test_something_else_is_bad_input(raw: bytes) -> None:
    """Not a failed verification, and no traceback."""
    with pytest.raises(BadInput):
        export.verify(raw, [])


def test_the_page_runs_by_itself(store: Store, tmp_path: Path) -> None:
    """With the standard library and cryptography only; 0 and 1 are its exit codes."""
    page = Path(verify_ledger.__file__)
    assert len(page.read_text().splitlines()) < 90
    copied = tmp_path / "verify_ledger.py"
    copied.write_text(page.read_text())
    file = tmp_path / "export.json"
    file.write_text(json.dumps(sealed(store)))
    argv = [sys.executable, "-I", str(copied), str(file)]
    done = subprocess.run([*argv, store.book.signer.public], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.partition(" ")[0]) == (0, "5"), done.stderr
    forged = subprocess.run([*argv, Signer(tmp_path).public], capture_output=True, text=True, timeout=60, check=False)
    assert (forged.returncode, "NOT VERIFIED" in forged.stderr) == (1, True)


def test_a_whole_record_is_looked_at_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end, its checkpoints, and its first broken entry are named also across pages."""
    store = Store(tmp_path, SqliteDatabase())
    for number in range(1050):
        store.record("note", {"n": number})
    trusted = {store.book.signer.public}
    report = asyncio.run(whole.verified(store.database, trusted))
    assert (report.ok, report.entries, report.checkpoints, report.signed) == (True, 1050, 10, 1000)
    with store.transaction() as db:
        db.execute("DROP TRIGGER entries_never_change")
        db.execute("UPDATE entries SET body = '{}' WHERE seq = 1020")
    report = asyncio.run(whole.verified(store.database, trusted))
    assert (report.ok, report.entries) == (False, 1019)
    assert "Ledger entry 1020 is broken" in report.problems[0]
    store.close()
