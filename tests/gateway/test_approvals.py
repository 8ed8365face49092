"""Several approvers, and what the executor makes of a record that somebody else has written in."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.database import Transaction
from skyflo_runbooks.gateway.identity import Identity, Rank
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import NotAllowed, Refused
from skyflo_runbooks.model.json import Json
from tests.gateway.operator import Key
from tests.gateway.world import OPERATOR, RAISE, Gated, World, signed, world

ALICE, BOB, EVE = (Identity("operator", name, "admin") for name in ("alice", "bob", "eve"))
APPROVERS = [{"role": "approver", "operators": ["alice", "bob", OPERATOR.name]}]


def policy(**members: Any) -> PolicyFile:
    """Return a configuration."""
    return msgspec.convert({"bindings": APPROVERS, **members}, PolicyFile)


def paired(here: Gated, who: Identity, rank: Rank = "admin") -> Key:
    """Pair a key for an operator."""
    key = Key()
    link = identity.issue(here.gateway.store, "link", identity.GATEWAY, identity.LINK_LIFE, rank=rank)
    identity.pair(here.gateway.store, link=link, name=who.name, key=identity.read_key(key.jwk))
    return key


async def vote(here: World, row: Row, who: Identity, key: Key, kind: Any = "approve", reason: str = "") -> Row:
    """Decide and wait until nothing more is under way."""
    await here.gateway.decide(row.proposal.id, signed(here.gateway, row, who, key, kind, reason), who)
    state = here.gateway.store.get(row.proposal.id).state
    return here.gateway.store.get(row.proposal.id) if state == "proposed" else await settled(here, row)


async def settled(here: World, row: Row) -> Row:
    """Wait until the proposal is at rest."""
    async with asyncio.timeout(20):
        while here.gateway.store.get(row.proposal.id).state in ("approved", "executing"):
            await here.gateway.events.changed(0.2)
    return here.gateway.store.get(row.proposal.id)


# Several approvers


async def test_two_of_two_apply_it_and_one_does_not(tmp_path: Path) -> None:
    """The first moves nothing, the same person again is refused, the second applies it; the receipt names both."""
    async with world(tmp_path, policy=policy(approvals=2)) as here:
        alice, bob = paired(here, ALICE), paired(here, BOB)
        row = await here.propose()
        waiting = await vote(here, row, ALICE, alice)
        assert (waiting.state, await here.limit()) == ("proposed", "256Mi")
        again = paired(here, ALICE)
        for key in (alice, again):
            with pytest.raises(Refused, match="already"):
                await vote(here, row, ALICE, key)
        done = await vote(here, row, BOB, bob)
        assert (done.state, await here.limit(), here.writes()) == ("executed", "512Mi", 1)
        shown = here.gateway.view(done)
        assert shown["approvers"] == ["alice", "bob"]
        assert list(shown["receipt"]["approvers"]) == ["alice", "bob"]
        assert (shown["receipt"]["operator"], shown["receipt"]["requester"]) == ("bob", "kernel:notebook")
        assert shown["receipt"]["executor"] == "practice-admin"
        told = [entry for entry in here.gateway.store.entries() if entry.kind == "dispatch"]
        assert [entry.body["approvers"] for entry in told] == [["alice", "bob"]]
        assert {"requester", "executor", "generator"} <= set(told[0].body)


async def test_one_no_ends_it(tmp_path: Path) -> None:
    """Also where somebody has approved before, and also the same person's."""
    async with world(tmp_path, policy=policy(approvals=2)) as here:
        alice, bob = paired(here, ALICE), paired(here, BOB)
        for who, key in ((BOB, bob), (ALICE, alice)):
            row = await here.propose(step=f"no-{who.name}")
            await vote(here, row, ALICE, alice)
            done = await vote(here, row, who, key, "reject", "not tonight")
            assert done.state == "rejected"
            assert here.gateway.store.get(row.proposal.id).decision == done.decisions[-1]
        assert await here.limit() == "256Mi"


async def test_a_revision_carries_no_approval_over(tmp_path: Path) -> None:
    """The first approval was for another digest; both approve anew."""
    async with world(tmp_path, policy=policy(approvals=2)) as here:
        alice, bob = paired(here, ALICE), paired(here, BOB)
        row = await here.propose()
        await vote(here, row, ALICE, alice)
        other = await here.gateway.modify(row.proposal.id, {"limits.memory": "600Mi"}, BOB)
        assert other.decisions == ()
        assert (await vote(here, other, BOB, bob)).state == "proposed"
        with pytest.raises(Refused):
            await vote(here, row, BOB, bob)
        assert (await vote(here, other, ALICE, alice)).state == "executed"
        assert await here.limit() == "600Mi"


async def test_who_asked_does_not_approve(tmp_path: Path) -> None:
    """Nor does anybody where the notebook's token is nobody's; one that is somebody's is approved by others."""
    async with world(tmp_path, policy=policy(not_the_requester=True)) as here:
        alice, bob = paired(here, ALICE), paired(here, BOB)
        unknown = await here.propose(step="unknown")
        with pytest.raises(NotAllowed, match="names no person"):
            await vote(here, unknown, ALICE, alice)
        mine = await here.gateway.modify(unknown.proposal.id, {"limits.memory": "600Mi"}, ALICE)
        with pytest.raises(NotAllowed, match="who asks may not approve"):
            await vote(here, mine, ALICE, alice)
        assert (await vote(here, mine, BOB, bob)).state == "executed"


async def test_a_key_counts_for_no_more_than_its_link_allowed(tmp_path: Path) -> None:
    """A session of high rank does not lift the key of a viewer."""
    async with world(tmp_path, policy=policy()) as here:
        key = paired(here, ALICE, rank="viewer")
        row = await here.propose()
        with pytest.raises(NotAllowed, match="no role"):
            await vote(here, row, ALICE, key)


async def test_only_keys_that_the_configuration_names_sign(tmp_path: Path) -> None:
    """A key that was paired later, by whatever link, is none of them."""
    key = Key()
    named = {"alice": {"keys": [identity.key_id(identity.read_key(key.jwk))]}}
    async with world(tmp_path, policy=policy(operators=named)) as here:
        link = identity.issue(here.gateway.store, "link", identity.GATEWAY, identity.LINK_LIFE)
        identity.pair(here.gateway.store, link=link, name="alice", key=identity.read_key(key.jwk))
        row = await here.propose()
        with pytest.raises(NotAllowed, match="names the keys of alice"):
            await vote(here, row, ALICE, paired(here, ALICE))
        assert (await vote(here, row, ALICE, key)).state == "executed"


async def test_a_deletion_takes_the_typed_name(tmp_path: Path) -> None:
    """Under the signature: another name, none, or one that was put in afterwards does not count."""
    pod: Json = {"kind": "ConfigMap", "namespace": "checkout", "name": "payment-config"}
    async with world(tmp_path) as here:
        live = await here.gateway.cluster.list("ConfigMap", "checkout")
        pod["name"] = live.items[0]["metadata"]["name"]
        row = await here.propose("k8s_delete", pod)
        for typed in ("", "another", pod["name"].upper()):
            ballot = here.ballot(row, typed=typed)
            with pytest.raises(NotAllowed):
                await here.gateway.decide(row.proposal.id, ballot, OPERATOR)
        assert (await here.approve(row)).state == "executed"


async def test_at_most_so_many_in_an_hour(tmp_path: Path) -> None:
    """The second is refused, and nothing of it is recorded."""
    async with world(tmp_path, policy=policy(approvals_per_hour=1)) as here:
        assert (await here.approve(await here.propose())).state == "executed"
        row = await here.propose(step="more", arguments={**RAISE, "limits": {"memory": "600Mi"}})
        with pytest.raises(NotAllowed, match="in the last hour"):
            await here.gateway.decide(row.proposal.id, here.ballot(row), OPERATOR)
        assert here.gateway.store.get(row.proposal.id).decisions == ()


async def test_another_policy_voids_what_waits(tmp_path: Path) -> None:
    """A gateway that starts with other conditions does not take approvals that were shown without them."""
    async with world(tmp_path) as here:
        row = await here.propose()
    async with world(tmp_path, policy=policy(approvals=2)) as here:
        async with asyncio.timeout(20):
            while here.gateway.store.get(row.proposal.id).state == "proposed":
                await here.gateway.events.changed(0.2)
        assert here.gateway.store.get(row.proposal.id).state == "void"
        assert "policy was changed" in here.gateway.store.get(row.proposal.id).message


# A record that somebody else wrote in


def state(to: str) -> Callable[[Transaction, Row], None]:
    """Return what sets a proposal's state past the ledger."""

    def write(db: Transaction, row: Row) -> None:
        db.execute("UPDATE proposals SET state = ? WHERE id = ?", (to, row.proposal.id))

    return write


def content(**members: Any) -> Callable[[Transaction, Row], None]:
    """Return what exchanges members of the binding in the stored proposal."""

    def write(db: Transaction, row: Row) -> None:
        binding = msgspec.structs.replace(row.proposal.binding, **members)
        changed = msgspec.structs.replace(row.proposal, binding=binding)
        db.execute("UPDATE proposals SET content = ? WHERE id = ?", (msgspec.json.encode(changed), row.proposal.id))

    return write


def decision(**members: Any) -> Callable[[Transaction, Row], None]:
    """Return what exchanges members of the stored decision."""

    def write(db: Transaction, row: Row) -> None:
        (body,) = db.execute("SELECT body FROM decisions WHERE proposal = ?", (row.proposal.id,)).fetchone()
        forged = {**msgspec.json.decode(body, type=dict), **members}
        db.execute("UPDATE decisions SET body = ? WHERE proposal = ?", (msgspec.json.encode(forged), row.proposal.id))

    return write


def no_key(db: Transaction, row: Row) -> None:
    """Take the key away that signed."""
    db.execute("DELETE FROM operators")


def another_jwk(db: Transaction, row: Row) -> None:
    """Lay another public key under the thumbprint of the one that signed."""
    db.execute("UPDATE operators SET jwk = ?", (msgspec.json.encode(Key().jwk).decode(),))


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (content(requester="operator:nobody"), "does not give the digest"),
        (content(expires="2099-01-01T00:00:00.000Z"), "does not give the digest"),
        (content(policy="none"), "does not give the digest"),
        (decision(reason="the boss said so"), "none of this operator's paired keys"),
        (decision(operator="alice"), "ledger tells of no such approval"),
        (decision(digest="sha256:other"), "for another digest"),
        (decision(signature=Key().sign(b"x")), "ledger tells of no such approval"),
        (decision(typed="x"), "none of this operator's paired keys"),
        (no_key, "none of this operator's paired keys"),
        (another_jwk, "none of this operator's paired keys"),
    ],
)
async def test_a_forged_record_is_not_executed(
    tmp_path: Path, forge: Callable[[Transaction, Row], None], says: str
) -> None:
    """Between the approval and its dispatch the database is written to: it is void, says why, and nothing is sent."""
    async with world(tmp_path) as here:
        row = await here.propose()
        here.record(row)
        with here.gateway.store.transaction() as db:
            forge(db, row)
        done = await here.gateway._executor.resume(row.proposal.id)
        assert says in done.message
        assert (done.state, here.writes()) == ("void", 0)


async def test_an_approval_that_nobody_gave_is_not_executed(tmp_path: Path) -> None:
    """The state alone, in the table, makes nothing."""
    async with world(tmp_path) as here:
        row = await here.propose()
        with here.gateway.store.transaction() as db:
            state("approved")(db, row)
        done = await settled(here, row)
        assert (done.state, here.writes()) == ("void", 0)
        assert "not executed" in done.message


@pytest.mark.parametrize("to", ["approved", "executing"])
async def test_a_used_approval_is_not_used_again(tmp_path: Path, to: str) -> None:
    """Set back in the table, its attempt forgotten: the ledger tells that it was used."""
    async with world(tmp_path) as here:
        done = await here.approve(await here.propose())
        with here.gateway.store.transaction() as db:
            state(to)(db, done)
            if to == "approved":
                db.execute("DELETE FROM attempts")
            else:
                db.execute("UPDATE attempts SET sent = 0, applied = x'5b5d', ended = ''")
        after = await settled(here, done)
        assert (after.state, here.writes()) == ("void", 1)
        assert "the ledger tells that it is executed" in after.message


async def test_a_key_that_was_written_into_the_table_signs_nothing(tmp_path: Path) -> None:
    """Neither a decision that arrives, nor one that stands in the record already."""
    async with world(tmp_path) as here:
        row, key = await here.propose(), Key()
        public = identity.read_key(key.jwk)
        with here.gateway.store.transaction() as db:
            db.execute(
                "INSERT INTO operators (key, name, jwk, paired, rank) VALUES (?, ?, ?, ?, 'admin')",
                (identity.key_id(public), OPERATOR.name, msgspec.json.encode(public).decode(), "2026-01-01T00:00:00Z"),
            )
        with pytest.raises(NotAllowed, match="none of this operator's paired keys"):
            await vote(here, row, OPERATOR, key)


async def test_a_key_that_was_paired_after_the_decision_does_not_vouch_for_it(tmp_path: Path) -> None:
    """Decision and ledger entry are forged, then a key is paired that fits them: it came too late."""
    async with world(tmp_path) as here:
        row, key = await here.propose(), Key()
        ballot = signed(here.gateway, row, OPERATOR, key)
        made: Json = {
            **{name: getattr(ballot, name) for name in ("digest", "nonce", "signature", "reason", "typed")},
            "kind": "approve", "operator": OPERATOR.name, "at": row.proposal.created, "key": "",
        }  # fmt: skip
        id_ = row.proposal.id
        with here.gateway.store.transaction() as db:
            db.execute("INSERT INTO decisions VALUES (?, ?, 1, ?)", (id_, OPERATOR.name, msgspec.json.encode(made)))
            here.gateway.store.append(db, "approve", {"proposal": id_, "state": "approved", **made})
        link = identity.issue(here.gateway.store, "link", identity.GATEWAY, identity.LINK_LIFE)
        identity.pair(here.gateway.store, link=link, name=OPERATOR.name, key=identity.read_key(key.jwk))
        with here.gateway.store.transaction() as db:
            state("approved")(db, row)
        done = await settled(here, row)
        assert (done.state, here.writes()) == ("void", 0)
        assert "does not count" in done.message


async def test_requests_of_another_object_under_the_seal_are_not_sent(tmp_path: Path) -> None:
    """Whoever has the key of the seal as well puts another object there: it is not what was approved."""
    async with world(tmp_path) as here:
        row = await here.propose()
        here.record(row)
        (sealed,) = here.gateway.proposer._images.read(row.proposal.id)
        sealed["request"]["target"]["name"] = "web-frontend"
        here.gateway.proposer._images.keep(f"{row.proposal.id}x", [sealed])
        with here.gateway.store.transaction() as db:
            db.execute("DELETE FROM preimages WHERE proposal = ?", (row.proposal.id,))
        here.gateway.proposer._images.keep(row.proposal.id, [sealed])
        done = await here.gateway._executor.resume(row.proposal.id)
        assert "not those that were approved" in done.message
        assert (done.state, here.writes()) == ("void", 0)


async def test_what_the_policy_says_at_the_dispatch_counts(tmp_path: Path) -> None:
    """Approved under one policy, found by a gateway with another: a freeze that came in between stops it."""
    freeze = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z", "reason": "incident"}
    async with world(tmp_path) as here:
        row = await here.propose()
        here.record(row)
        here.gateway.approvals.rules = msgspec.structs.replace(
            here.gateway.rules, policy=Frozen(here.gateway.policy, policy(freezes=[freeze]))
        )
        done = await here.gateway._executor.resume(row.proposal.id)
        assert (done.state, here.writes()) == ("void", 0)
        assert "frozen" in done.message


class Frozen:
    """The policy of a proposal, by its name, in which a freeze has begun since."""

    def __init__(self, before: Any, file: PolicyFile) -> None:
        from skyflo_runbooks.gateway.policy.calendar import Freezes

        self.name = before.name
        self.asks = before.asks
        self._freeze = Freezes(file.freezes)

    def admit(self, case: Any) -> None:
        """See `Policy`."""
        self._freeze.admit(case)
