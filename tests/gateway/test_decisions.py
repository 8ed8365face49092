"""Who decides what: every way to approve without being the operator who saw this digest is refused."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.gateway import decisions, identity
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.policy.base import AllOf, Case
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from skyflo_runbooks.model.lifecycle import TooLate, WrongDigest
from tests.gateway.operator import Key
from tests.gateway.world import KERNEL, OPERATOR, World, world


async def refused(gate: World, id_: str, ballot: Ballot, who: Identity, kind: type[Exception]) -> None:
    """The ballot is refused, nothing is applied, and the proposal still waits."""
    before = gate.gateway.store.get(id_).state
    with pytest.raises(kind):
        await gate.gateway.decide(id_, ballot, who)
    assert gate.gateway.store.get(id_).state == before
    assert await gate.limit() == "256Mi"


async def test_only_an_operator_decides(tmp_path: Path) -> None:
    """A rightly signed ballot does not help a kernel, an agent, or an operator without that key."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        for who in (KERNEL, Identity("agent", "a"), Identity("kernel", OPERATOR.name), Identity("operator", "other")):
            await refused(gate, row.proposal.id, gate.ballot(row), who, NotAllowed)


async def test_a_signature_by_another_key_is_refused(tmp_path: Path) -> None:
    """Also one in a wrong form, and none at all."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        for signature in (Key().sign(b"x"), "", "AAAA", "%%%", "A" * 86):
            await refused(gate, row.proposal.id, gate.ballot(row, signature=signature), OPERATOR, NotAllowed)


async def test_what_was_signed_cannot_be_exchanged(tmp_path: Path) -> None:
    """Digest, reason, decision, nonce and proposal are all under the signature."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        other = await gate.propose("k8s_scale", {**_scale(), "replicas": 5}, step="scale")
        id_ = row.proposal.id
        await refused(gate, id_, gate.ballot(row, digest=other.proposal.digest), OPERATOR, NotAllowed)
        await refused(gate, id_, msgspec.structs.replace(gate.ballot(row), reason="the boss"), OPERATOR, NotAllowed)
        await refused(gate, id_, gate.ballot(other), OPERATOR, NotAllowed)
        signed_no = gate.ballot(row, "reject", "no")
        turned = Ballot("approve", signed_no.digest, signed_no.nonce, signed_no.signature, "no")
        await refused(gate, id_, turned, OPERATOR, NotAllowed)


async def test_a_rightly_signed_wrong_digest_is_refused(tmp_path: Path) -> None:
    """The page showed another change than the one that waits now."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        nonce = identity.new_nonce(gate.gateway.store, proposal=row.proposal.id, operator=OPERATOR.name)
        message = decisions.message(
            proposal=row.proposal.id, digest="sha256:other", decision="approve", nonce=nonce, reason=""
        )
        ballot = Ballot("approve", "sha256:other", nonce, gate.key.sign(message))
        await refused(gate, row.proposal.id, ballot, OPERATOR, WrongDigest)


async def test_a_ballot_counts_once(tmp_path: Path) -> None:
    """Sent again, by whomever, it changes nothing: one attempt, one write."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        ballot = gate.ballot(row)
        await gate.gateway.decide(row.proposal.id, ballot, OPERATOR)
        with pytest.raises((NotAllowed, Refused)):
            await gate.gateway.decide(row.proposal.id, ballot, OPERATOR)
        await gate.gateway.settled(row.proposal.id, 10)
        with pytest.raises(Refused):
            await gate.gateway.decide(row.proposal.id, gate.ballot(row), OPERATOR)
        assert gate.writes() == 1


async def test_after_its_time_the_answer_is_no(tmp_path: Path) -> None:
    """A proposal whose time is over is not approved, and the patrol says so in the record."""
    async with world(tmp_path, life=0.2) as gate:
        row = await gate.propose()
        ballot = gate.ballot(row)
        while gate.gateway.store.get(row.proposal.id).state == "proposed":
            await gate.gateway.events.changed(1.0)
        with pytest.raises((TooLate, Refused)):
            await gate.gateway.decide(row.proposal.id, ballot, OPERATOR)
        assert gate.gateway.store.get(row.proposal.id).state == "expired"
        assert await gate.limit() == "256Mi"


async def test_a_proposal_cannot_live_longer_than_a_day(tmp_path: Path) -> None:
    """A configuration that tries is refused at start."""
    with pytest.raises(BadInput, match="24 h"):
        async with world(tmp_path, life=timedelta(hours=25).total_seconds()):
            pass


async def test_a_rejection_needs_a_reason_and_applies_nothing(tmp_path: Path) -> None:
    """The reason stands in the record."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        with pytest.raises(BadInput, match="reason"):
            await gate.gateway.decide(row.proposal.id, gate.ballot(row, "reject"), OPERATOR)
        done = await gate.gateway.decide(row.proposal.id, gate.ballot(row, "reject", "not tonight"), OPERATOR)
        assert done.state == "rejected"
        assert await gate.limit() == "256Mi"
        assert "not tonight" in [entry.body.get("reason") for entry in gate.gateway.store.entries()]


async def test_without_a_policy_nobody_decides(tmp_path: Path) -> None:
    """Policies fail closed."""
    async with world(tmp_path) as gate:
        row = await gate.propose()
        with pytest.raises(NotAllowed, match="No policy"):
            AllOf([]).admit(Case(proposal=row.proposal, who=OPERATOR, now=gate.gateway.store.now()))


async def test_a_link_serves_once(tmp_path: Path) -> None:
    """The second browser with the same link gets nothing."""
    async with world(tmp_path) as gate:
        store = gate.gateway.store
        link = identity.issue(store, "link", "l", identity.LINK_LIFE)
        assert identity.link_is_open(store, link)
        identity.pair(store, link=link, name="a", key=identity.read_key(Key().jwk))
        assert not identity.link_is_open(store, link)
        with pytest.raises(NotAllowed, match="used already"):
            identity.pair(store, link=link, name="b", key=identity.read_key(Key().jwk))


async def test_a_link_from_an_operator_gives_no_other_operators_name(tmp_path: Path) -> None:
    """The invited one pairs under a name of its own; the gateway's own link lets somebody log in again."""
    async with world(tmp_path) as gate:
        store = gate.gateway.store
        invited = identity.issue(store, "link", "somebody", identity.LINK_LIFE)
        with pytest.raises(NotAllowed, match="another operator's"):
            identity.pair(store, link=invited, name=OPERATOR.name, key=identity.read_key(Key().jwk))
        assert identity.link_is_open(store, invited)
        assert identity.pair(store, link=invited, name="newcomer", key=identity.read_key(Key().jwk))
        again = identity.issue(store, "link", identity.GATEWAY, identity.LINK_LIFE)
        assert identity.pair(store, link=again, name=OPERATOR.name, key=identity.read_key(Key().jwk))


async def test_a_key_stays_its_operators(tmp_path: Path) -> None:
    """Somebody who saw the public half cannot take it over under another name."""
    async with world(tmp_path) as gate:
        link = identity.issue(gate.gateway.store, "link", identity.GATEWAY, identity.LINK_LIFE)
        with pytest.raises(NotAllowed, match="another operator's"):
            identity.pair(gate.gateway.store, link=link, name="thief", key=identity.read_key(gate.key.jwk))
        assert (await gate.approve(await gate.propose())).state == "executed"


async def test_a_link_or_session_is_no_other_credential(tmp_path: Path) -> None:
    """A link identifies nobody, a session opens no pairing."""
    async with world(tmp_path) as gate:
        store = gate.gateway.store
        link = identity.issue(store, "link", "l", identity.LINK_LIFE)
        with pytest.raises(NotAllowed):
            identity.identify(store, link)
        session = identity.pair(store, link=link, name="a", key=identity.read_key(Key().jwk))
        assert str(identity.identify(store, session)) == "operator:a"
        with pytest.raises(NotAllowed):
            identity.pair(store, link=session, name="b", key=identity.read_key(Key().jwk))


async def test_tokens_are_kept_as_hashes_only(tmp_path: Path) -> None:
    """Whoever reads the database gets no credential."""
    async with world(tmp_path) as gate:
        token = identity.issue(gate.gateway.store, "kernel", "k", identity.LINK_LIFE)
    files = [path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file()]
    assert files
    assert not any(token.encode() in content for content in files)


@pytest.mark.parametrize("jwk", [{}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "oct", "k": "AA"}])
def test_what_is_no_key_on_the_curve_is_refused(jwk: dict[str, str]) -> None:
    """A made-up point would verify made-up signatures."""
    with pytest.raises(BadInput, match="P-256"):
        identity.read_key(jwk)


def _scale() -> dict[str, object]:
    return {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
