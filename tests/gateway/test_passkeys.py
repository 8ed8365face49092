"""A passkey signs what the key signs: for this decision, by this operator, once, on the gateway's own page."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyflo_runbooks.gateway import decisions, identity, passkeys
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.passkeys import Site
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import BadInput, NotAllowed, SkyfloError
from skyflo_runbooks.model.json import Json
from tests.gateway.authenticator import Authenticator
from tests.gateway.operator import Key
from tests.gateway.test_approvals import ALICE, paired
from tests.gateway.world import OPERATOR, Gated, World, world

ORIGIN = "http://localhost:7717"
FROM_LOW = PolicyFile(passkey_from="low")


def register(here: Gated, device: Authenticator, who: Identity = OPERATOR, key: Key | None = None) -> Any:
    """Register a passkey as the gateway's page does."""
    store, site = here.gateway.store, here.gateway.approvals.site
    asked = passkeys.options(store, site, who)
    made = device.create(asked["options"])
    signed = passkeys.registration_message(nonce=asked["nonce"], credential=str(made.get("id", "")))
    signature = (key or here.key).sign(signed)
    return passkeys.register(
        store, site, nonce=asked["nonce"], signature=signature, credential=made, label="laptop", who=who
    )


def ballot(
    here: Gated, row: Row, device: Authenticator, who: Identity = OPERATOR, key: Key | None = None, **other: Any
) -> Ballot:
    """Return a ballot with an assertion; `other` are members that the passkey is made to sign instead."""
    nonce = identity.new_nonce(here.gateway.store, proposal=row.proposal.id, operator=who.name)
    said: dict[str, Any] = {
        "proposal": row.proposal.id, "digest": row.proposal.digest, "decision": "approve", "nonce": nonce, "reason": ""
    }  # fmt: skip
    signed = decisions.message(**said)
    asked = passkeys.asked(here.gateway.store, Site(ORIGIN), decisions.message(**{**said, **other}), who.name)
    return Ballot("approve", row.proposal.digest, nonce, (key or here.key).sign(signed), passkey=device.get(asked))


async def refused(here: World, row: Row, made: Ballot, who: Identity = OPERATOR) -> str:
    """The ballot is refused, and nothing is applied; return why."""
    with pytest.raises(SkyfloError) as error:
        await here.gateway.decide(row.proposal.id, made, who)
    assert here.gateway.store.get(row.proposal.id).state == "proposed"
    assert await here.limit() == "256Mi"
    return str(error.value)


async def test_a_passkey_approves_and_is_checked_again_at_the_dispatch(tmp_path: Path) -> None:
    """With a counter that stays 0, as many have it; the ledger keeps who signed for the passkey."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        kept = register(here, device)
        row = await here.propose()
        requires = await here.gateway.approvals.requires(row, OPERATOR, "approve")
        assert (requires.passkey, requires.refused) == (True, "")
        await here.gateway.decide(row.proposal.id, ballot(here, row, device), OPERATOR)
        assert (await here.gateway.settled(row.proposal.id, 10)).state == "executed"
        told = [entry.body for entry in here.gateway.store.entries() if entry.kind == "passkey"]
        assert [(body["passkey"], body["operator"]) for body in told] == [(kept.id, OPERATOR.name)]


async def test_without_one_it_is_refused(tmp_path: Path) -> None:
    """The signature alone is not enough from this risk on."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        register(here, Authenticator(ORIGIN))
        row = await here.propose()
        assert "passkey is needed" in await refused(here, row, here.ballot(row))


@pytest.mark.parametrize(
    "other",
    [{"digest": "sha256:other"}, {"nonce": "x"}, {"decision": "reject"}, {"proposal": "ap-zzzzzz"}, {"reason": "x"},
     {"typed": "x"}],
)  # fmt: skip
async def test_an_assertion_over_something_else_does_not_count(tmp_path: Path, other: Json) -> None:
    """Digest, nonce, decision, proposal, reason and typed name are all in its challenge."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        register(here, device)
        row = await here.propose()
        assert "challenge" in await refused(here, row, ballot(here, row, device, **other))


async def test_an_assertion_counts_once(tmp_path: Path) -> None:
    """Its challenge is burnt with the nonce: with a fresh one it is over something else."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        register(here, device)
        row = await here.propose()
        used = ballot(here, row, device)
        again = msgspec.structs.replace(here.ballot(row), passkey=used.passkey)
        assert "challenge" in await refused(here, row, again)


@pytest.mark.parametrize("origin", ["http://localhost:8888", "http://127.0.0.1:7717", "https://localhost:7717"])
async def test_another_origin_does_not_count(tmp_path: Path, origin: str) -> None:
    """Another port of the same host is another page, when it registers and when it signs."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        register(here, device)
        row = await here.propose()
        device.origin = origin
        assert "origin" in await refused(here, row, ballot(here, row, device))
        with pytest.raises(NotAllowed, match="origin"):
            register(here, Authenticator(origin))


async def test_who_holds_it_is_checked(tmp_path: Path) -> None:
    """A touch alone is not enough: neither when it registers nor when it signs."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        with pytest.raises(NotAllowed, match="verification"):
            register(here, Authenticator(ORIGIN, verifies=False))
        device = Authenticator(ORIGIN)
        register(here, device)
        row = await here.propose()
        device.verifies = False
        assert "verification" in await refused(here, row, ballot(here, row, device))


async def test_a_counter_that_does_not_grow_is_a_copy(tmp_path: Path) -> None:
    """A passkey that counts has counted on since."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN, count=7)
        register(here, device)
        row = await here.propose()
        assert "sign count" in await refused(here, row, ballot(here, row, device))
        device.count = 8
        await here.gateway.decide(row.proposal.id, ballot(here, row, device), OPERATOR)
        assert (await here.gateway.settled(row.proposal.id, 10)).state == "executed"


async def test_it_is_its_operators_own(tmp_path: Path) -> None:
    """Somebody else's passkey does not approve, nor one that was written into the table."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        alice, device = paired(here, ALICE), Authenticator(ORIGIN)
        kept = register(here, device, ALICE, alice)
        row = await here.propose()
        assert "none of yours" in await refused(here, row, ballot(here, row, device))
        with here.gateway.store.transaction() as db:
            db.execute("UPDATE passkeys SET operator = ? WHERE id = ?", (OPERATOR.name, kept.id))
        assert "none of yours" in await refused(here, row, ballot(here, row, device))


async def test_a_session_without_the_key_registers_none(tmp_path: Path) -> None:
    """And a nonce serves one registration; the same passkey is registered once."""
    async with world(tmp_path) as here:
        with pytest.raises(NotAllowed, match="not signed for"):
            register(here, Authenticator(ORIGIN), key=Key())
        device = Authenticator(ORIGIN)
        register(here, device)
        with pytest.raises(NotAllowed, match="registered already"):
            register(here, device)


@pytest.mark.parametrize("made", [{}, {"id": "x"}, {"id": 5, "rawId": [], "type": "x", "response": 1}])
async def test_what_is_no_assertion_is_refused(tmp_path: Path, made: Json) -> None:
    """With an error of ours, whatever it is."""
    async with world(tmp_path, policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        kept = register(here, device)
        row = await here.propose()
        await refused(here, row, msgspec.structs.replace(here.ballot(row), passkey=made))
        shaped = {**made, "id": kept.id}
        await refused(here, row, msgspec.structs.replace(here.ballot(row), passkey=shaped))
        with pytest.raises((BadInput, NotAllowed)):
            register(here, Garbled(made))


class Garbled(Authenticator):
    """Answers with whatever it was given."""

    def __init__(self, answer: Json) -> None:
        super().__init__(ORIGIN)
        self._given = answer

    def create(self, options: Json) -> Json:
        """See `Authenticator`."""
        return self._given
