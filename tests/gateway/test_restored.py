"""A record from yesterday, one that was cut off, and another one: noticed at the start; nothing old is applied."""

import logging
import os
import shutil
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.gateway import identity, restored
from skyflo_runbooks.gateway.database import RecordUnusable
from skyflo_runbooks.gateway.gateway import open_store
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.gateway.witness import SLOT, Sighting, Witness, contradiction
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.practice.kinds import CONFIG_MAP
from tests.gateway import requests as make
from tests.gateway.shapes import limited
from tests.gateway.world import OPERATOR, Gated, world

FILES = ("gateway.db", "gateway.db-wal", "gateway.db-shm")


def copy(source: Path, target: Path) -> None:
    """Copy a record's database as a backup does."""
    target.mkdir(exist_ok=True)
    for name in FILES:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copy(source / name, target / name)


async def approved(here: Gated) -> str:
    """Return a proposal that is approved and not dispatched, as a gateway leaves it that dies right then."""
    row = await here.propose()
    here.record(row)
    return row.proposal.id


async def test_an_approval_that_was_used_since_is_not_applied_again(tmp_path: Path) -> None:
    """Backup with an open approval; it is applied and rolled back; the backup is restored: nothing is applied."""
    async with world(tmp_path) as here:
        id_ = await approved(here)
        copy(tmp_path / "data", tmp_path / "yesterday")
        await here.gateway._executor.resume(here.gateway.store.get(id_).proposal.id)
        await here.approve(await here.gateway.roll_back(id_, OPERATOR))
        assert (here.gateway.store.get(id_).state, await here.limit()) == ("rolled_back", "256Mi")
    copy(tmp_path / "yesterday", tmp_path / "data")
    async with world(tmp_path) as again:
        row = again.gateway.store.get(id_)
        assert row.state == "void"
        told = {entry.kind: entry.body for entry in again.gateway.store.entries()}
        assert told["restored"]["taken_back"] == [id_]
        assert "but entry" in told["restored"]["message"]
        assert told["drift"]["message"].startswith("This record was restored or cut off")
        assert again.gateway.alarm.now()[0]["kind"] == "restored"
        assert (await again.limit(), again.writes()) == ("256Mi", 0)


async def test_what_was_being_executed_is_looked_for(tmp_path: Path) -> None:
    """The backup was taken in the middle: not sent again, but found in the cluster, or not."""
    async with world(tmp_path) as here:
        id_ = await approved(here)
        proposal = here.gateway.store.get(id_).proposal.id
        here.gateway.store.start_attempt(proposal, "at-0123456789")
        copy(tmp_path / "data", tmp_path / "yesterday")
        here.gateway.store.mark_sent("at-0123456789", 1)
    copy(tmp_path / "yesterday", tmp_path / "data")
    async with world(tmp_path) as again:
        assert again.gateway.store.get(id_).state in ("unknown", "void")
        settled = await again.gateway._executor.resume(proposal)
        assert (settled.state, again.writes()) == ("void", 0)


async def test_credentials_of_a_restored_record_are_gone(tmp_path: Path) -> None:
    """A link that was used since, a session that was ended since, a nonce that was burnt since."""
    store = Store(tmp_path / "data")
    link = identity.issue(store, "link", "gateway", identity.LINK_LIFE)
    session = identity.issue(store, "operator", "ann", identity.SESSION_LIFE)
    nonce = identity.new_nonce(store, proposal="ap-000000", operator="ann")
    store.record("note", {"n": 1})
    copy(tmp_path / "data", tmp_path / "yesterday")
    store.record("reject", {"n": 2})
    store.close()
    copy(tmp_path / "yesterday", tmp_path / "data")
    again = Store(tmp_path / "data")
    assert not identity.link_is_open(again, link)
    assert not identity.nonce_serves(again, nonce=nonce, proposal="ap-000000", operator="ann")
    with pytest.raises(NotAllowed):
        identity.identify(again, session)
    again.close()


async def test_it_is_said_once_and_the_record_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next start finds the witness as it should be; undecided proposals are still there to be decided."""
    async with world(tmp_path) as here:
        uid = await here.gateway.cluster.uid()
        waiting = await here.propose(arguments=limited("300Mi"))
        here.gateway.store.catch_up()
        copy(tmp_path / "data", tmp_path / "yesterday")
        await here.gateway.decide(waiting.proposal.id, here.ballot(waiting, "reject", "no"), OPERATOR)
    copy(tmp_path / "yesterday", tmp_path / "data")
    with caplog.at_level(logging.WARNING, "skyflo_runbooks"):
        Store(tmp_path / "data").close()
        Store(tmp_path / "data").close()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["This record was restored or cut off"]
    async with world(tmp_path, cluster_uid=uid) as again:
        assert again.gateway.store.book.restored == ""
        row = again.gateway.store.get(waiting.proposal.id)
        await again.gateway.decide(row.proposal.id, again.ballot(row, "reject", "still no"), OPERATOR)
        assert again.gateway.store.get(row.proposal.id).state == "rejected"


def test_a_record_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """An empty one in its place is another record."""
    store = Store(tmp_path)
    store.record("reject", {})
    store.close()
    for name in FILES:
        (tmp_path / name).unlink(missing_ok=True)
    again = Store(tmp_path)
    assert [entry.kind for entry in again.entries()] == ["restored"]
    again.close()


def test_another_record_of_the_same_length_is_noticed(tmp_path: Path) -> None:
    """Its entry at the witnessed place has another hash."""
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        store.record("reject", {"of": name})
        store.close()
    copy(tmp_path / "two", tmp_path / "one")
    again = Store(tmp_path / "one")
    assert "is not the one that was written" in again.book.restored
    again.close()


def test_a_record_without_its_witness_is_noticed(tmp_path: Path) -> None:
    """A whole directory that was brought from elsewhere has no witness here."""
    home = tmp_path / "home" / "witness"
    store = open_store(tmp_path / "data", home)
    store.record("note", {})
    store.close()
    again = open_store(tmp_path / "data", home)
    assert again.book.restored == ""
    again.close()
    home.unlink()
    moved = open_store(tmp_path / "data", home)
    assert "no witness has seen this record of 1 entries" in moved.book.restored
    moved.close()


def test_nothing_is_sent_that_the_witness_cannot_see(tmp_path: Path) -> None:
    """The mark that comes before a request fails where the witness cannot be written."""
    store = Store(tmp_path)
    os.close(store.book._witness._file)
    store.book._witness._file = os.open(tmp_path / "gateway.db", os.O_RDONLY)
    with pytest.raises(RecordUnusable, match=r"witness .* cannot be written"):
        store.mark_sent("at-0123456789", 1)
    store.record("note", {})  # What has no effect goes on.
    store.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=6), st.booleans())
def test_the_newest_whole_note_is_read(tmp_path_factory: pytest.TempPathFactory, seqs: list[int], torn: bool) -> None:
    """In whatever order the record grew or was replaced; a torn write leaves the one before."""
    path = tmp_path_factory.mktemp("witness") / "witness"
    witness = Witness(path)
    for seq in seqs:
        witness.note(seq=seq, hash_=f"{seq:064x}", at="2026-01-01T00:00:00.000Z")
    witness.close()
    expected = seqs
    if torn:
        raw = bytearray(path.read_bytes())
        start = (len(seqs) - 1) % 2 * SLOT
        raw[start : start + 40] = b"\0" * 40
        path.write_bytes(raw)
        expected = seqs[:-1]
    again = Witness(path)
    assert (again.last.seq if again.last else None) == (expected[-1] if expected else None)
    again.close()


@pytest.mark.parametrize(
    ("seen", "last", "then", "expected"),
    [
        (None, 0, None, ""),
        (None, 5, None, "no witness"),
        (Sighting(5, "a", "t"), 5, "a", ""),
        (Sighting(5, "a", "t"), 9, "a", ""),
        (Sighting(5, "a", "t"), 4, None, "ends at entry 4"),
        (Sighting(5, "a", "t"), 0, None, "ends at entry 0"),
        (Sighting(5, "a", "t"), 5, "b", "is not the one"),
        (Sighting(5, "a", "t"), 9, None, "is not the one"),
    ],
)
def test_when_a_record_is_the_witnessed_one(seen: Sighting | None, last: int, then: str | None, expected: str) -> None:
    """It may have grown; it may not have shrunk or changed."""
    said = contradiction(seen, last=last, hash_then=then)
    assert said.startswith(expected) or expected in said
    assert bool(said) == bool(expected)


@pytest.mark.parametrize("sent", [2, 3])
async def test_a_list_whose_middle_the_record_forgot_is_told_by_what_is_there(tmp_path: Path, sent: int) -> None:
    """The backup knows of the first request alone; how many more were written only the cluster tells."""
    listed = [make.create(make.settings(name)) for name in ("one", "two", "three")]
    async with world(tmp_path, tools=make.tool(listed)) as here:
        row = await here.propose("t", {})
        here.record(row)
        store, id_ = here.gateway.store, row.proposal.id
        store.start_attempt(id_, "at-0123456789")
        for place in range(sent):
            row = store.get(id_)
            assert row.attempt is not None
            sealed = here.gateway.proposer.sealed(id_)[place]
            assert await here.gateway._executor._step(row, row.attempt, sealed, place).apply() is None
            if place == 0:
                copy(tmp_path / "data", tmp_path / "yesterday")
        objects = here.practice.store
        kept = {name: objects.find(CONFIG_MAP, "checkout", name) for name in ("one", "two", "three")[:sent]}
    copy(tmp_path / "yesterday", tmp_path / "data")

    def front(request: httpx.Request) -> httpx.Response | None:
        found = kept.get(request.url.path.rpartition("/configmaps/")[2])
        return httpx.Response(200, json=found) if found else None

    async with world(tmp_path, tools=make.tool(listed), front=front) as again:
        done = await again.gateway._executor.resume(id_)
        while done.state == "unknown":  # what is not seen could still come
            await again.gateway.events.changed(0.1)
            done = await again.gateway._executor.resume(id_)
        assert done.state == ("executed" if sent == 3 else "failed")
        names = [f"create ConfigMap/checkout/{name}" for name in ("one", "two", "three")]
        assert f"applied: {', '.join(names[:sent])}" in done.message
        assert ("not seen: " + ", ".join(names[sent:]) in done.message) == (sent < 3)


def test_of_what_the_object_does_not_tell_nothing_is_claimed() -> None:
    """A deletion can be anybody's; what is seen and what is not known stand side by side."""
    requests = [make.create(), make.delete("a"), make.patch("b")]
    event, said = restored.settled(requests, ["applied", "not known", "not seen"])
    assert event == "settle_failed"
    assert "not known: delete ConfigMap/checkout/a" in said
    assert "not seen: patch ConfigMap/checkout/b" in said
    assert restored.settled(requests[:1], ["applied"])[0] == "settle_executed"
