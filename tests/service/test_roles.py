"""Roles, narrowed tokens and several decisions, over HTTP: what each credential may, tried with each."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from skyflo_runbooks.gateway import credentials, identity
from skyflo_runbooks.gateway.identity import Rank
from skyflo_runbooks.gateway.policy.file import RANKS, PolicyFile
from skyflo_runbooks.model.json import Json
from tests.gateway.operator import Key
from tests.service.running import Served, running

BODY: Json = {
    "tool": "k8s_set_resources",
    "arguments": {
        "kind": "Deployment", "namespace": "checkout", "name": "payment-service", "container": "payment-service",
        "limits": {"memory": "700Mi"},
    },
}  # fmt: skip


class Person:
    """An operator with a key and a session."""

    def __init__(self, service: Served, name: str, rank: Rank = "admin") -> None:
        self._service = service
        self.name = name
        self.key = Key()
        store = service.desk.gateway.store
        link = identity.issue(store, "link", identity.GATEWAY, identity.LINK_LIFE, rank=rank)
        self.session = identity.pair(store, link=link, name=name, key=identity.read_key(self.key.jwk))

    async def ask(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        """Call the API by this operator's session."""
        async with self._service.client(self.session) as client:
            return await client.request(method, f"/api/v1{path}", json=body)

    async def wish(self, kind: str, path: str, **members: Any) -> httpx.Response:
        """Ask for something that takes a signature."""
        asked = (await self.ask("GET", f"/credentials/nonce?for={kind}")).json()
        signed = credentials.message(asked["schema"], asked["nonce"], members)
        return await self.ask("POST", path, {"nonce": asked["nonce"], "signature": self.key.sign(signed), **members})

    async def ballot(self, id_: str, kind: str = "approve") -> Json:
        """Return a signed decision."""
        asked = (await self.ask("GET", f"/proposals/{id_}/nonce?decision={kind}&reason=r")).json()
        said = {"decision": kind, "reason": "r", "digest": asked["digest"], "nonce": asked["nonce"]}
        return {**said, "signature": self.key.sign(asked["message"].encode())}


@pytest.mark.parametrize("rank", RANKS)
async def test_what_each_rank_may(tmp_path: Path, rank: Rank) -> None:
    """A viewer looks, a requester asks and changes their own, an approver decides; all see the same card."""
    async with running(tmp_path) as service:
        view = await service.propose()
        person = Person(service, "somebody", rank)
        seen = (await person.ask("GET", f"/proposals/{view['id']}")).json()
        assert seen == view
        assert (await person.ask("GET", "/proposals")).json() == [view]
        proposed = await person.ask("POST", "/proposals", BODY)
        others = await person.ask("POST", f"/proposals/{view['id']}/modify", {"set": {"limits.memory": "800Mi"}})
        assert (proposed.status_code == 200) == (rank != "viewer")
        assert (others.status_code == 200) == (rank in ("approver", "admin"))
        if rank == "viewer":
            for path in ("/resolve", "/incidents", "/snapshots", "/verdicts"):
                assert (await person.ask("POST", path, {"text": "x", "step": "x", "checks": []})).status_code == 403
            own = view["id"] if others.status_code != 200 else others.json()["id"]
        else:
            own = proposed.json()["id"]
            changed = await person.ask("POST", f"/proposals/{own}/modify", {"set": {"limits.memory": "900Mi"}})
            assert changed.status_code == 200, changed.text
            own = changed.json()["id"]
        requires = (await person.ask("GET", f"/proposals/{own}/nonce")).json()["requires"]
        assert (requires["refused"] == "") == (rank in ("approver", "admin"))
        decided = await person.ask("POST", f"/proposals/{own}/decision", await person.ballot(own))
        assert decided.status_code == (200 if rank in ("approver", "admin") else 403)


async def test_the_card_says_the_conditions_to_everybody(tmp_path: Path) -> None:
    """The same sentences for a kernel and for every rank."""
    policy = msgspec.convert(
        {
            "approvals": 2,
            "bindings": [
                {"role": "approver", "operators": ["alice", "bob"]},
                {"role": "viewer", "operators": ["carol"]},
            ],
        },
        PolicyFile,
    )
    async with running(tmp_path, policy=policy) as service:
        view = await service.propose()
        assert "2 different approvers are needed." in view["conditions"]
        assert "May be decided by: alice, bob." in view["conditions"]
        alice, carol = Person(service, "alice"), Person(service, "carol")
        for person in (alice, carol):
            assert (await person.ask("GET", f"/proposals/{view['id']}")).json()["conditions"] == view["conditions"]
        nonce = (await alice.ask("GET", f"/proposals/{view['id']}/nonce")).json()
        assert nonce["requires"] == {
            "typed": "", "passkey": False, "approvals": {"needed": 2, "have": 0}, "refused": "",
            "next_step": "",
        }  # fmt: skip
        assert "no role" in (await carol.ask("GET", f"/proposals/{view['id']}/nonce")).json()["requires"]["refused"]


async def test_a_link_gives_at_most_its_makers_rank(tmp_path: Path) -> None:
    """A requester makes none, an approver none for an admin, and a name is an admin's to open."""
    async with running(tmp_path) as service:
        admin, approver = Person(service, "admin"), Person(service, "approver", "approver")
        requester = Person(service, "requester", "requester")
        assert (await requester.wish("link", "/links")).status_code == 403
        assert (await approver.wish("link", "/links", role="admin")).status_code == 403
        assert (await approver.wish("link", "/links", operator="carol")).status_code == 403
        made = await approver.wish("link", "/links", role="viewer")
        token = made.json()["login"].rpartition("/")[2]
        async with service.client() as client:
            paired = await client.post("/api/v1/pair", json={"token": token, "name": "v", "key": Key().jwk})
            assert paired.json()["rank"] == "viewer"
            named = (await admin.wish("link", "/links", operator="carol", role="approver")).json()["login"]
            body = {"token": named.rpartition("/")[2], "name": "dave", "key": Key().jwk}
            assert (await client.post("/api/v1/pair", json=body)).status_code == 403
            assert (await client.post("/api/v1/pair", json={**body, "name": "carol"})).json()["rank"] == "approver"


async def test_a_name_of_the_configuration_is_not_opened_by_whom_it_does_not_concern(tmp_path: Path) -> None:
    """An approver cannot pair the second approver's name with a key of their own."""
    bound = {"bindings": [{"role": "approver", "operators": ["alice", "bob"]}]}
    async with running(tmp_path, policy=msgspec.convert(bound, PolicyFile)) as service:
        alice = Person(service, "alice")
        token = (await alice.wish("link", "/links")).json()["login"].rpartition("/")[2]
        async with service.client() as client:
            answer = await client.post("/api/v1/pair", json={"token": token, "name": "bob", "key": Key().jwk})
            assert answer.status_code == 403
            assert "another operator's" in answer.text


async def test_a_wish_is_exactly_what_was_signed(tmp_path: Path) -> None:
    """A role, a name or a namespace that was put in afterwards is not under the signature."""
    async with running(tmp_path) as service:
        admin = Person(service, "admin")
        for kind, path, signed, sent in (
            ("link", "/links", {"role": "viewer"}, {"role": "admin"}),
            ("token", "/credentials/tokens", {"role": "kernel", "name": "ci", "namespaces": ["a"], "days": 1.0},
             {"role": "kernel", "name": "ci", "namespaces": ["*"], "days": 1.0}),
        ):  # fmt: skip
            asked = (await admin.ask("GET", f"/credentials/nonce?for={kind}")).json()
            signature = admin.key.sign(credentials.message(asked["schema"], asked["nonce"], signed))
            answer = await admin.ask("POST", path, {"nonce": asked["nonce"], "signature": signature, **sent})
            assert answer.status_code == 403, kind


async def test_a_narrowed_token_stays_within_its_namespaces(tmp_path: Path) -> None:
    """It reads, proposes and sees there; elsewhere, and what concerns everything, is refused."""
    async with running(tmp_path) as service:
        admin = Person(service, "admin")
        view = await service.propose()
        tokens = {}
        for name, namespaces in (("here", ["check*"]), ("away", ["payments"])):
            made = await admin.wish(
                "token", "/credentials/tokens", role="kernel", name=name, namespaces=namespaces, days=1.0
            )
            assert made.status_code == 200, made.text
            tokens[name] = made.json()["token"]
        for name, reaches in (("here", True), ("away", False)):
            async with service.client(tokens[name]) as client:
                pods = {"arguments": {"kind": "Pod", "namespace": "checkout"}}
                wanted = 200 if reaches else 403
                assert (await client.post("/api/v1/tools/k8s_get", json=pods)).status_code == wanted
                assert (await client.get(f"/api/v1/proposals/{view['id']}")).status_code == wanted
                assert (await client.post("/api/v1/proposals", json=BODY)).status_code == wanted
                assert len((await client.get("/api/v1/proposals")).json()) == (2 if reaches else 0)
                nodes = [{"kind": "Node"}, {"kind": "Node", "namespace": "checkout"}, {"kind": "Pod"}]
                for arguments in nodes:
                    answer = await client.post("/api/v1/tools/k8s_get", json={"arguments": arguments})
                    assert answer.status_code == 403, arguments
                for path in ("/ledger", "/ledger/export", "/credentials"):
                    assert (await client.get(f"/api/v1{path}")).status_code == 403, path
        asked = [row.proposal.binding.requester for row in service.desk.gateway.store.find()]
        assert "kernel:here for admin" in asked


async def test_what_was_revoked_serves_no_more(tmp_path: Path) -> None:
    """A token, a session, a key: each by signature, and told in the ledger; of others only by an admin."""
    async with running(tmp_path) as service:
        view = await service.propose()
        admin, bob = Person(service, "admin"), Person(service, "bob", "approver")
        wanted = {"role": "agent", "name": "ci", "namespaces": ["*"], "days": 1.0}
        token = (await bob.wish("token", "/credentials/tokens", **wanted)).json()
        listed = (await bob.ask("GET", "/credentials")).json()
        assert token["token"] not in str(listed)
        foreign = next(one["id"] for one in listed if one["kind"] == "key" and one["name"] == "admin")
        assert (await bob.wish("revoke", "/credentials/revoke", id=foreign)).status_code == 403
        assert (await bob.wish("revoke", "/credentials/revoke", id=token["id"])).status_code == 200
        async with service.client(token["token"]) as client:
            assert (await client.get("/api/v1/status")).status_code == 403
        ballot = await bob.ballot(view["id"])
        key = next(one["id"] for one in listed if one["kind"] == "key" and one["name"] == "bob")
        assert (await admin.wish("revoke", "/credentials/revoke", id=key)).status_code == 200
        refused = await bob.ask("POST", f"/proposals/{view['id']}/decision", ballot)
        assert (refused.status_code, "paired keys" in refused.text) == (403, True)
        told = [entry.body["by"] for entry in service.desk.gateway.store.entries() if entry.kind == "revoked"]
        assert told == ["bob", "admin"]
