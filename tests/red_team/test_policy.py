"""The policy: everything that an approval takes besides a signature, and what tries to do without it."""

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from starlette.responses import JSONResponse

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from tests.gateway.authenticator import Authenticator
from tests.gateway.operator import Key
from tests.gateway.test_approvals import ALICE, APPROVERS, BOB, paired
from tests.gateway.test_passkeys import FROM_LOW, ORIGIN, ballot, register
from tests.gateway.test_reviews import ADMIN, STRANGER, mapped
from tests.gateway.world import OPERATOR, RAISE, Gated, signed
from tests.red_team.house import Between, House, at_rest, tried, voted
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS
from tests.service.running import FLAGSHIP, Served
from tests.service.test_roles import BODY, Person

MORE: Json = {**RAISE, "limits": {"memory": "600Mi"}}
WEB: Json = {"kind": "Deployment", "namespace": "checkout", "name": "storefront", "replicas": 3}


def read(**members: Any) -> PolicyFile:
    """Return a configuration."""
    return msgspec.convert(members, PolicyFile)


async def said_yes(here: Gated, row: Row, who: Identity, key: Key) -> str:
    """Try an approval by this operator and key; return the state in which the proposal comes to rest."""
    return await voted(here, row, signed(here.gateway, row, who, key), who)


@against(ATTACKS["rank-too-low"])
async def test_who_may_only_look(house: House, gate: Gate) -> None:
    """A viewer's session and a viewer's key, over HTTP: the route asks for a rank, and so does the policy."""
    async with house.running() as service:
        view = await service.propose()
        viewer = Person(service, "viewer", "viewer")
        await viewer.ask("POST", f"/proposals/{view['id']}/decision", await viewer.ballot(view["id"]))
        gate.bites(await at_rest(service.desk.gateway, view["id"]) == "executed")


@against(ATTACKS["wrong-namespace"])
async def test_an_approver_of_another_namespace(house: House, gate: Gate) -> None:
    """Bound to payments, and the change lies in checkout."""
    bound = [{"role": "approver", "operators": ["alice"], "namespaces": ["payments"]}]
    async with house.world(policy=read(bindings=bound)) as here:
        key = paired(here, ALICE)
        gate.bites(await said_yes(here, await here.propose(), ALICE, key) == "executed")


@against(ATTACKS["own-request"])
async def test_who_asked_approves(house: House, gate: Gate) -> None:
    """Also by way of a modification: what somebody modified is what they asked for."""
    async with house.world(policy=read(not_the_requester=True)) as here:
        key = paired(here, ALICE)
        asked = await here.gateway.modify((await here.propose()).proposal.id, {"limits.memory": "600Mi"}, ALICE)
        gate.bites(await said_yes(here, asked, ALICE, key) == "executed")


@against(ATTACKS["counted-twice"])
async def test_one_approver_counts_twice(house: House, gate: Gate) -> None:
    """Two are needed; alice approves on two machines."""
    async with house.world(policy=read(approvals=2, bindings=APPROVERS)) as here:
        row = await here.propose()
        for key in (paired(here, ALICE), paired(here, ALICE)):
            state = await said_yes(here, row, ALICE, key)
        gate.bites(state == "executed")


@against(ATTACKS["passkey-missing"])
async def test_without_the_passkey(house: House, gate: Gate) -> None:
    """The paired key was stolen, the passkey was not."""
    async with house.world(policy=FROM_LOW) as here:
        register(here, Authenticator(ORIGIN))
        row = await here.propose()
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


@against(ATTACKS["passkey-replay"])
async def test_a_passkeys_answer_again(house: House, gate: Gate) -> None:
    """Recorded at an approval that counted; the paired key was stolen besides."""
    async with house.world(policy=FROM_LOW) as here:
        device = Authenticator(ORIGIN)
        register(here, device)
        harmless = await here.propose()
        used = ballot(here, harmless, device)
        assert await voted(here, harmless, used) == "executed"
        row = await here.propose(arguments=MORE, step="more")
        replayed = msgspec.structs.replace(here.ballot(row), passkey=used.passkey)
        gate.bites(await voted(here, row, replayed) == "executed")


@pytest.mark.parametrize("typed", ["", "another"])
@against(ATTACKS["name-untyped"])
async def test_a_deletion_without_its_name(house: House, gate: Gate, typed: str) -> None:
    """Signed as it was typed."""
    async with house.world() as here:
        live = await here.gateway.cluster.list("ConfigMap", "checkout")
        named = {"kind": "ConfigMap", "namespace": "checkout", "name": live.items[0]["metadata"]["name"]}
        row = await here.propose("k8s_delete", named)
        gate.bites(await voted(here, row, mistyped(here, row, typed)) == "executed")


def mistyped(here: Gated, row: Row, typed: str) -> Any:
    """Return a ballot that is rightly signed over what was typed."""
    from skyflo_runbooks.gateway import decisions

    nonce = identity.new_nonce(here.gateway.store, proposal=row.proposal.id, operator=OPERATOR.name)
    said: Any = {"digest": row.proposal.digest, "nonce": nonce, "decision": "approve", "reason": "", "typed": typed}
    message = decisions.message(proposal=row.proposal.id, **said)
    return decisions.Ballot(**said, signature=here.key.sign(message))


@against(ATTACKS["freeze-ignored"])
async def test_in_a_freeze(house: House, gate: Gate) -> None:
    """It was announced for the whole time."""
    freeze = {"from": "2020-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z", "reason": "year-end"}
    async with house.world(policy=read(freezes=[freeze])) as here:
        row = await here.propose()
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


@against(ATTACKS["rate-exceeded"])
async def test_more_than_an_hour_allows(house: House, gate: Gate) -> None:
    """One is allowed, and was given."""
    async with house.world(policy=read(approvals_per_hour=1)) as here:
        assert (await here.approve(await here.propose())).state == "executed"
        row = await here.propose(arguments=MORE, step="more")
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


@against(ATTACKS["cluster-says-no"])
async def test_what_the_cluster_would_not_let_them(house: House, gate: Gate) -> None:
    """The gateway may do it, the approver at the cluster may not."""
    async with house.world(policy=mapped(STRANGER)) as here:
        row = await here.propose()
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


class Silencing(Between):
    """Refuses to have anything reviewed."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything else on."""
        if scope.get("path", "").endswith("subjectaccessreviews"):
            await JSONResponse({"kind": "Status", "code": 403, "message": "no"}, 403)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


@against(ATTACKS["evidence-missing"])
async def test_a_review_that_is_kept_from_answering(house: House, gate: Gate) -> None:
    """Whoever can make the API server's reviews fail would be rid of the condition."""

    async with house.besieged(policy=mapped(ADMIN), between=Silencing) as (here, _):
        row = await here.propose()
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


# A record that somebody wrote in


def forged(here: Gated, row: Row, *, told: bool) -> None:
    """Write a decision that nobody made into the record, `told` in the ledger as well."""
    made: Json = {
        "kind": "approve", "operator": OPERATOR.name, "digest": row.proposal.digest, "at": row.proposal.created,
        "reason": "", "key": "", "signature": "AAAA", "nonce": "made-up", "typed": "",
    }  # fmt: skip
    id_, store = row.proposal.id, here.gateway.store
    with store.transaction() as db:
        db.execute("INSERT INTO decisions VALUES (?, ?, 1, ?)", (id_, OPERATOR.name, msgspec.json.encode(made)))
        if told:
            store.append(db, "approve", {"proposal": id_, "state": "approved", **made})


async def set_approved(here: Gated, row: Row) -> str:
    """Write the state into the table; return the one that comes of it."""
    with here.gateway.store.transaction() as db:
        db.execute("UPDATE proposals SET state = 'approved' WHERE id = ?", (row.proposal.id,))
    return await at_rest(here.gateway, row.proposal.id)


@pytest.mark.parametrize("decided", [False, True], ids=["state", "decision"])
@against(ATTACKS["forged-state"])
async def test_a_state_in_the_table(house: House, gate: Gate, decided: bool) -> None:
    """Whoever can write to the file, and nothing else."""
    async with house.world() as here:
        row = await here.propose()
        if decided:
            forged(here, row, told=False)
        gate.bites(await set_approved(here, row) == "executed")


@against(ATTACKS["forged-decision"])
async def test_a_decision_in_table_and_ledger(house: House, gate: Gate) -> None:
    """The whole story is told; only the operator's key was not there."""
    async with house.world() as here:
        row = await here.propose()
        forged(here, row, told=True)
        gate.bites(await set_approved(here, row) == "executed")


@against(ATTACKS["forged-key"])
async def test_a_key_in_the_table(house: House, gate: Gate) -> None:
    """Of the attacker's, under the operator's name."""
    async with house.world() as here:
        row, here.key = await here.propose(), Key()
        public = identity.read_key(here.key.jwk)
        jwk = msgspec.json.encode(public).decode()
        with here.gateway.store.transaction() as db:
            db.execute("DELETE FROM operators")
            db.execute(
                "INSERT INTO operators (key, name, jwk, paired, rank) VALUES (?, ?, ?, ?, 'admin')",
                (identity.key_id(public), OPERATOR.name, jwk, "2026-01-01T00:00:00Z"),
            )
        gate.bites(await voted(here, row, here.ballot(row)) == "executed")


@against(ATTACKS["forged-requester"])
async def test_another_name_for_who_asked(house: House, gate: Gate) -> None:
    """Who asks may not approve; so alice puts bob down as who asked."""
    async with house.world(policy=read(not_the_requester=True)) as here:
        key = paired(here, ALICE)
        asked = await here.gateway.modify((await here.propose()).proposal.id, {"limits.memory": "600Mi"}, ALICE)
        binding = msgspec.structs.replace(asked.proposal.binding, requester=str(BOB))
        changed = msgspec.structs.replace(asked.proposal, binding=binding)
        with here.gateway.store.transaction() as db:
            db.execute(
                "UPDATE proposals SET content = ? WHERE id = ?", (msgspec.json.encode(changed), asked.proposal.id)
            )
        gate.bites(await said_yes(here, asked, ALICE, key) == "executed")


# Several at once


async def two(service: Served, operator: Person) -> list[Json]:
    """Propose two changes and return the operator's ballots for them."""
    ids = [(await service.propose(tool="k8s_scale", arguments=WEB, step="web"))["id"], (await service.propose())["id"]]
    return [{"id": id_, "ballot": await operator.ballot(id_)} for id_ in ids]


async def one_by_one(service: Served, operator: Person, ballots: list[Json]) -> None:
    """Hand the ballots in as the page does: the next one when the one before is carried out."""
    for one in ballots:
        await operator.ask("POST", f"/proposals/{one['id']}/decision", one["ballot"])
        await at_rest(service.desk.gateway, one["id"])


@against(ATTACKS["several-one-moved"])
async def test_several_of_which_one_moved(house: House, gate: Gate) -> None:
    """The second's object was changed after its card was looked at; the first is applied all the same."""
    async with house.running() as service:
        operator = Person(service, "on-call")
        ballots = await two(service, operator)
        await house.somebody({"spec": {"minReadySeconds": 1}})()
        await one_by_one(service, operator, ballots)
        states = [service.desk.gateway.store.get(one["id"]).state for one in ballots]
        assert states[0] == "executed", states
        gate.bites(states[1] == "executed", states)


@against(ATTACKS["several-one-revised"])
async def test_several_of_which_one_was_revised(house: House, gate: Gate) -> None:
    """A kernel revised the second after its card was looked at: the first version is not applied."""
    async with house.running() as service:
        operator = Person(service, "on-call")
        ballots = await two(service, operator)
        old = ballots[1]["id"]
        async with service.client(service.kernel) as kernel:
            revised = await kernel.post(f"/api/v1/proposals/{old}/modify", json={"set": {"limits.memory": "768Mi"}})
            assert revised.status_code == 200
        await one_by_one(service, operator, ballots)
        gate.bites(service.desk.gateway.store.get(old).state == "executed")


# A narrowed token


def narrowed(service: Served, place: str = "payments") -> httpx.AsyncClient:
    """Return a client with a kernel's token that reaches one namespace and no other."""
    store = service.desk.gateway.store
    token = identity.issue(store, "kernel", "narrow", timedelta(days=1), namespaces=(place,), owner="on-call")
    return service.client(token)


@against(ATTACKS["token-reads-elsewhere"])
async def test_a_narrowed_token_reads(house: House, gate: Gate) -> None:
    """Pods of checkout, or of everywhere."""
    async with house.running() as service, narrowed(service) as client:
        pods = {"arguments": {"kind": "Pod", "namespace": "checkout"}}
        gate.bites((await client.post("/api/v1/tools/k8s_get", json=pods)).status_code == 200)


@against(ATTACKS["token-asks-elsewhere"])
async def test_a_narrowed_token_proposes(house: House, gate: Gate) -> None:
    """A change in checkout, which an operator might approve without looking who asked."""
    async with house.running() as service, narrowed(service) as client:
        await client.post("/api/v1/proposals", json=BODY)
        gate.bites(bool(service.desk.gateway.store.find()))


@pytest.mark.parametrize("said", ["argument", "manifest"])
@against(ATTACKS["token-moves-elsewhere"])
async def test_a_narrowed_token_modifies(house: House, gate: Gate, said: str) -> None:
    """What it proposed in its own namespace becomes a change in checkout, by the argument or by the manifest."""
    async with house.running() as service, narrowed(service, "default") as client:
        arguments = {"content": [settings()], "namespace": "default"}
        own = (await client.post("/api/v1/proposals", json={"tool": "k8s_apply", "arguments": arguments})).json()["id"]
        set_ = {"namespace": "checkout"} if said == "argument" else {"content": [settings(namespace="checkout")]}
        answer = await client.post(f"/api/v1/proposals/{own}/modify", json={"set": set_})
        places = {one.target.namespace for row in service.desk.gateway.store.find() for one in row.proposal.requests}
        gate.bites("checkout" in places, answer.text)


def settings(**metadata: str) -> Json:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe", **metadata}, "data": {"a": "b"}}


@against(ATTACKS["token-rehearses-elsewhere"])
async def test_a_narrowed_token_rehearses(house: House, gate: Gate) -> None:
    """The argument says its own namespace, the manifest says checkout."""
    async with house.running() as service, narrowed(service, "default") as client:
        arguments = {"content": [settings(namespace="checkout")], "namespace": "default"}
        asked = {"tool": "k8s_apply", "arguments": arguments, "replay": True}
        answer = await client.post("/api/v1/proposals", json=asked)
        gate.bites(bool(answer.json().get("diff")), answer.text)


@against(ATTACKS["program-changes-others"])
async def test_a_program_modifies_what_others_asked_for(house: House, gate: Gate) -> None:
    """Alice's notebook proposed; bob's puts in values of its own, and alice's card is gone."""
    async with house.world() as here:
        asked = Origin(requester=str(Identity("kernel", "alices", owner="alice")), step="raise_memory")
        row = await here.gateway.propose(Wish("k8s_set_resources", RAISE, asked))
        bobs = Identity("kernel", "bobs", "admin", owner="bob")
        await tried(here.gateway.modify(row.proposal.id, {"limits.memory": "2Gi"}, bobs))
        gate.bites(here.gateway.store.get(row.proposal.id).state == "superseded")


@against(ATTACKS["session-asks-elsewhere"])
async def test_a_session_for_who_may_not_ask(practice_house: House, gate: Gate) -> None:
    """Bob proposes in default and nowhere else; the incident lies in checkout."""
    bound = [{"role": "requester", "operators": ["bob"], "namespaces": ["default"]}]
    async with practice_house.running(policy=read(bindings=bound)) as service:
        bob = Person(service, "bob")
        asked = await bob.ask("POST", "/resolve", {"text": FLAGSHIP, "namespaces": ["checkout"]})
        view = (await bob.ask("GET", f"/resolve/{asked.json()['session']}?wait=20")).json()
        gate.bites(bool(service.desk.gateway.store.find()), view["error"])
        if not gate.weakened:
            assert (view["state"], view["proposals"]) == ("failed", [])
            assert view["error"]["message"] == "bob may not propose changes in checkout."


@against(ATTACKS["token-sees-elsewhere"])
async def test_a_narrowed_token_sees(house: House, gate: Gate) -> None:
    """Proposals in checkout, one by one and in the list."""
    async with house.running() as service, narrowed(service) as client:
        view = await service.propose()
        one = await client.get(f"/api/v1/proposals/{view['id']}")
        gate.bites(one.status_code == 200 and len((await client.get("/api/v1/proposals")).json()) == 1)
        if not gate.weakened:
            assert (one.status_code, (await client.get("/api/v1/proposals")).json()) == (403, [])
