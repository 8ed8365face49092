"""The lock: every way to have a change applied that nobody who may decide it has approved."""

from contextlib import suppress
from datetime import timedelta

import httpx
import msgspec
import pytest

from skyflo_runbooks.gateway import credentials, decisions, identity
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from tests.gateway.operator import Key
from tests.gateway.world import OPERATOR
from tests.red_team.house import Clock, House, at_rest, tried, voted
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS
from tests.service.running import Served

SCALE: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service", "replicas": 0}


async def approve_by(service: Served, client: httpx.AsyncClient, id_: str) -> str:
    """Approve over HTTP with a key that nobody paired; return the state that comes of it."""
    path = f"/api/v1/proposals/{id_}"
    asked = await client.get(f"{path}/nonce")
    said = asked.json() if asked.status_code == 200 else {"nonce": "x", "digest": "sha256:0", "message": "{}"}
    body = {"decision": "approve", "digest": said["digest"], "nonce": said["nonce"]}
    await client.post(f"{path}/decision", json={**body, "signature": Key().sign(said["message"].encode())})
    return await at_rest(service.desk.gateway, id_)


@against(ATTACKS["anonymous-approval"])
async def test_anonymous(house: House, gate: Gate) -> None:
    """Without a credential: the door asks for one, and behind it the signature is another's."""
    async with house.running() as service:
        view = await service.propose()
        await service.login()
        async with service.client() as client:
            gate.bites(await approve_by(service, client, view["id"]) == "executed")


@against(ATTACKS["foreign-key"])
async def test_a_session_without_its_key(house: House, gate: Gate) -> None:
    """A stolen session, as a bearer token, from any program."""
    async with house.running() as service:
        view = await service.propose()
        async with service.client(await service.login()) as thief:
            gate.bites(await approve_by(service, thief, view["id"]) == "executed")


@pytest.mark.parametrize("role", ["kernel", "agent"])
@against(ATTACKS["wrong-role"])
async def test_another_role(house: House, gate: Gate, role: str) -> None:
    """Under the operator's own name, with a ballot that this operator signed."""
    async with house.world() as at_home:
        row = await at_home.propose()
        who = msgspec.convert({"role": role, "name": OPERATOR.name}, Identity)
        gate.bites(await voted(at_home, row, at_home.ballot(row), who) == "executed")


@against(ATTACKS["expired-approval"])
async def test_after_its_time(house: House, gate: Gate) -> None:
    """A ballot that is right in everything else comes a second late; the patrol has not been by."""
    async with house.besieged(store=Clock) as (at_home, _):
        row = await at_home.propose()
        Clock.of(at_home).offset = timedelta(minutes=30, seconds=1)
        gate.bites(await voted(at_home, row, at_home.ballot(row)) == "executed")


@against(ATTACKS["clock-back"])
async def test_a_clock_set_back(house: House, gate: Gate) -> None:
    """To before the proposal was made: its time has not come."""
    async with house.besieged(store=Clock) as (at_home, _):
        row = await at_home.propose()
        ballot = at_home.ballot(row)
        Clock.of(at_home).offset = timedelta(hours=-2)
        gate.bites(await voted(at_home, row, ballot) == "executed")


@against(ATTACKS["signature-replay"])
async def test_a_signature_of_another_approval(house: House, gate: Gate) -> None:
    """The operator approved a harmless change; a thief of the session takes the signature to another one."""
    async with house.world() as at_home:
        harmless, evil = await at_home.propose(), await at_home.propose("k8s_scale", SCALE, step="away")
        signed = at_home.ballot(harmless)
        nonce = identity.new_nonce(at_home.gateway.store, proposal=evil.proposal.id, operator=OPERATOR.name)
        ballot = msgspec.structs.replace(signed, nonce=nonce, digest=evil.proposal.digest)
        gate.bites(await voted(at_home, evil, ballot) == "executed")


@against(ATTACKS["nonce-replay"])
async def test_a_wish_for_a_link_sent_twice(practice_house: House, gate: Gate) -> None:
    """Whoever records the operator's call sends it again, and would be an operator."""
    async with practice_house.world() as at_home:
        store = at_home.gateway.store
        nonce = identity.new_nonce(store, proposal=credentials.LINK, operator=OPERATOR.name)
        signature = at_home.key.sign(credentials.message(credentials.LINK, nonce, {}))
        made: set[str] = set()
        for _ in range(2):
            with suppress(SkyfloError):
                made.add(
                    credentials.new_link(
                        store,
                        at_home.gateway.rules.roles,
                        nonce=nonce,
                        signature=signature,
                        rank="",
                        operator="",
                        who=OPERATOR,
                    )
                )
        gate.bites(len(made) > 1)


@against(ATTACKS["link-replay"])
async def test_a_link_used_again(house: House, gate: Gate) -> None:
    """It was left in a terminal's history; who finds it pairs a key of his own and approves with it."""
    async with house.world() as at_home:
        store = at_home.gateway.store
        row = await at_home.propose()
        link = identity.issue(store, "link", identity.GATEWAY, identity.LINK_LIFE)
        identity.pair(store, link=link, name="a", key=identity.read_key(Key().jwk))
        at_home.key = Key()
        with suppress(SkyfloError):
            identity.pair(store, link=link, name=OPERATOR.name, key=identity.read_key(at_home.key.jwk))
        gate.bites(await voted(at_home, row, at_home.ballot(row)) == "executed")


@against(ATTACKS["approval-used-twice"])
async def test_an_approval_used_twice(house: House, gate: Gate) -> None:
    """It was applied, somebody set the old value since, and a second ballot comes for the same proposal."""
    async with house.besieged() as (at_home, between):
        row = await at_home.propose()
        assert (await at_home.approve(row)).state == "executed"
        await house.somebody({"spec": {"minReadySeconds": 1}})()
        await tried(at_home.gateway.decide(row.proposal.id, at_home.ballot(row), OPERATOR))
        with suppress(TimeoutError):
            await at_rest(at_home.gateway, row.proposal.id, 2)
        gate.bites(between.writes > 1)


@against(ATTACKS["digest-exchanged"])
async def test_another_digest_than_the_one_that_waits(house: House, gate: Gate) -> None:
    """The page showed another change, and the person signed what it showed."""
    async with house.world() as at_home:
        shown, waits = await at_home.propose(), await at_home.propose("k8s_scale", SCALE, step="away")
        id_, digest = waits.proposal.id, shown.proposal.digest
        nonce = identity.new_nonce(at_home.gateway.store, proposal=id_, operator=OPERATOR.name)
        message = decisions.message(proposal=id_, digest=digest, decision="approve", nonce=nonce, reason="")
        ballot = Ballot("approve", digest, nonce, at_home.key.sign(message))
        gate.bites(await voted(at_home, waits, ballot) == "executed")


@against(ATTACKS["request-exchanged"])
async def test_a_request_exchanged_after_the_approval(house: House, gate: Gate) -> None:
    """In the database, sealed as it is, it is laid into the approved proposal's place."""
    async with house.besieged() as (at_home, _):
        row, evil = await at_home.propose(), await at_home.propose("k8s_scale", SCALE, step="away")
        await at_home.gateway.decide(row.proposal.id, at_home.ballot(row), OPERATOR)
        with at_home.gateway.store.transaction() as db:
            (sealed,) = db.execute("SELECT sealed FROM preimages WHERE proposal = ?", (evil.proposal.id,)).fetchone()
            db.execute("UPDATE preimages SET sealed = ? WHERE proposal = ?", (sealed, row.proposal.id))
        await at_rest(at_home.gateway, row.proposal.id)
        gate.bites(await at_home.replicas() == 0)


@pytest.mark.parametrize(
    "patch",
    [{"spec": {"replicas": 4}}, {"metadata": {"labels": {"team": "others"}}}],
    ids=["spec", "label"],
)
@against(ATTACKS["object-changed"])
async def test_an_object_changed_in_between(house: House, gate: Gate, patch: Json) -> None:
    """The person saw another object than the one that it would be applied to."""
    async with house.besieged() as (at_home, _):
        row = await at_home.propose()
        await house.somebody(patch)()
        gate.bites(await voted(at_home, row, at_home.ballot(row)) == "executed")


@against(ATTACKS["revision-survived"])
async def test_an_approval_of_the_version_before(house: House, gate: Gate) -> None:
    """The plan was revised to 768Mi; a ballot for the first version, signed before, comes now."""
    async with house.world() as at_home:
        first = await at_home.propose()
        ballot = at_home.ballot(first)
        await at_home.gateway.modify(first.proposal.id, {"limits.memory": "768Mi"}, OPERATOR)
        gate.bites(await voted(at_home, first, ballot) == "executed")
