"""Signed checkpoints: when one is made, what it says, and each way in which it does not hold."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.gateway import checkpoints, ledger
from skyflo_runbooks.gateway.checkpoints import Checkpoint, Signer, Statement, due
from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.keys import key_file
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import canonical


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A record in memory."""
    made = Store(tmp_path, SqliteDatabase())
    yield made
    made.close()


def kept(store: Store) -> list[Checkpoint]:
    """Return every checkpoint."""
    return list(checkpoints.kept(store.database))


@pytest.mark.parametrize(
    ("kind", "seq", "last", "expected"),
    [
        ("approve", 2, 1, True),
        ("succeed", 2, 1, True),
        ("verdict", 2, 1, True),
        ("note", 2, 1, False),
        ("note", 100, 0, True),
        ("note", 99, 0, False),
        ("note", 250, 100, True),
    ],
)
def test_what_ends_something_is_signed_and_every_hundredth_entry(
    kind: str, seq: int, last: int, expected: bool
) -> None:
    """By rule 2."""
    assert due(kind, seq, last) is expected


def test_a_checkpoint_is_made_with_the_entry_that_ends_something(store: Store) -> None:
    """It names cluster, place, hash and time, and holds."""
    store.book.cluster = "uid-1"
    store.record("note", {"n": 1})
    assert kept(store) == []
    entry = store.record("verdict", {"n": 2})
    (made,) = kept(store)
    said = msgspec.json.decode(made.signed, type=Statement)
    assert said == Statement("uid-1", 2, entry.hash, entry.at)
    assert checkpoints.problem(made, entry.hash, {store.book.signer.public}) == ""


def test_long_stretches_without_an_end_are_signed_too(store: Store) -> None:
    """Every hundredth entry at the latest."""
    for n in range(250):
        store.record("note", {"n": n})
    assert [one.seq for one in kept(store)] == [100, 200]


def test_what_is_left_is_signed_after_a_time(store: Store) -> None:
    """Not before `SECONDS` are over, and not twice."""
    entry = store.record("note", {"n": 1})
    then = datetime.fromisoformat(entry.at)
    store.book.catch_up(then + timedelta(seconds=checkpoints.SECONDS - 1), entry.at)
    assert kept(store) == []
    store.book.catch_up(then + timedelta(seconds=checkpoints.SECONDS), entry.at)
    store.book.catch_up(then + timedelta(seconds=checkpoints.SECONDS * 2), entry.at)
    assert [one.seq for one in kept(store)] == [1]
    assert store.book.unsigned_for(datetime.now(UTC)) is None


def test_a_transaction_that_fails_leaves_neither_entry_nor_checkpoint(store: Store) -> None:
    """They are one."""
    with pytest.raises(BadInput):
        store.move(msgspec.convert("ap-000000", str), "expire")  # type: ignore[arg-type]
    assert (list(store.entries()), kept(store)) == ([], [])


def test_the_cluster_is_kept_where_it_is_not_known_yet(tmp_path: Path) -> None:
    """A gateway that starts while the cluster is away signs for the one that it knew."""
    store = Store(tmp_path)
    store.book.cluster = "uid-1"
    store.record("verdict", {})
    store.close()
    again = Store(tmp_path)
    again.record("verdict", {})
    assert [checkpoints.cluster_of(one) for one in kept(again)] == ["uid-1", "uid-1"]
    again.close()


def test_each_way_not_to_hold_is_named(store: Store, tmp_path: Path) -> None:
    """Another key, another signature, another statement, a chain written anew, and one that was cut off."""
    entry = store.record("verdict", {"n": 1})
    (made,) = kept(store)
    ours = {store.book.signer.public}
    (tmp_path / "other").mkdir()
    other = Signer(tmp_path / "other")
    said = canonical(msgspec.to_builtins(Statement("", 1, "f" * 64, "")))
    forged = Checkpoint(1, said.decode(), other.public, other.sign(said))
    elsewhere = msgspec.structs.replace(made, seq=7)
    garbage = msgspec.structs.replace(made, signed="{}", signature=store.book.signer.sign(b"{}"))
    assert "which is not the gateway's" in checkpoints.problem(forged, entry.hash, ours)
    assert "not signed by the key" in checkpoints.problem(
        msgspec.structs.replace(forged, key=store.book.signer.public), entry.hash, ours
    )
    assert "signs something else" in checkpoints.problem(elsewhere, entry.hash, ours)
    assert "is no statement" in checkpoints.problem(garbage, entry.hash, ours)
    assert "was cut off" in checkpoints.problem(made, None, ours)
    assert "written anew" in checkpoints.problem(made, "0" * 64, ours)
    for signature in ("", "AAAA", "not base64!", made.signature[:-4]):
        assert "not signed" in checkpoints.problem(msgspec.structs.replace(made, signature=signature), entry.hash, ours)


def test_the_private_key_is_for_nobody_else(store: Store, tmp_path: Path) -> None:
    """Mode 0600, made once, and not in what is printed of it."""
    file = tmp_path / checkpoints.KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Signer(tmp_path).public == store.book.signer.public
    assert file.read_bytes().hex() not in repr(store.book.signer)
    assert checkpoints.key_id(store.book.signer.public) in repr(store.book.signer)
    assert [path.name for path in tmp_path.glob("checkpoints.*")] == [checkpoints.KEY_FILE]


def test_a_key_file_of_another_length_is_refused(tmp_path: Path) -> None:
    """Nothing is signed with half a key."""
    (tmp_path / "half.key").write_bytes(b"x" * 16)
    with pytest.raises(BadInput, match="holds 16 bytes, expected 32"):
        key_file(tmp_path, "half.key")


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 44, "ed25519:" + "!" * 44])
def test_a_public_key_has_one_form(text: str) -> None:
    """Anything else is bad input with a next step."""
    with pytest.raises(BadInput, match="Expected a public key"):
        checkpoints.public_bytes(text)


def test_checkpoints_are_append_only(store: Store) -> None:
    """The database refuses, also to ourselves."""
    import sqlite3

    store.record("verdict", {})
    for statement in ("UPDATE checkpoints SET signed = ''", "DELETE FROM checkpoints"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), store.transaction() as db:
            db.execute(statement)
    assert ledger.verify(store.entries()) == 1
