"""A one-time link makes an operator, so nothing but an operator's signature makes a link."""

from pathlib import Path

import httpx

from tests.gateway.operator import Key
from tests.service.running import Service, running


async def ask(service: Service, key: Key, headers: dict[str, str]) -> httpx.Response:
    """Ask for a link with these headers, signed by this key."""
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as client:
        challenge = (await client.get("/api/v1/links/nonce")).json()
        wish = {"nonce": challenge["nonce"], "signature": key.sign(challenge["message"].encode())}
        return await client.post("/api/v1/links", json=wish)


async def test_an_operators_key_makes_a_link_that_pairs(tmp_path: Path) -> None:
    """The link serves one more operator."""
    async with running(tmp_path) as service:
        session = await service.login()
        made = await ask(service, service.key, {"Authorization": f"Bearer {session}"})
        assert made.status_code == 200
        token = made.json()["login"].rpartition("/")[2]
        async with service.client() as client:
            pairing = {"token": token, "name": "second", "key": Key().jwk}
            assert (await client.post("/api/v1/pair", json=pairing)).status_code == 200


async def test_a_stolen_session_makes_no_operator(tmp_path: Path) -> None:
    """Outside a browser every header can be forged: as a bearer or as the cookie, without the key it gets no link."""
    async with running(tmp_path) as service:
        session = await service.login()
        page = {"Origin": service.url, "X-Skyflo-Page": "1"}
        for headers in ({"Authorization": f"Bearer {session}"}, {"Cookie": f"skyflo_session={session}", **page}):
            assert (await ask(service, Key(), headers)).status_code == 403
            async with httpx.AsyncClient(base_url=service.url, headers=headers) as client:
                assert (await client.post("/api/v1/links", json={})).status_code == 400


async def test_a_wish_counts_once_and_for_nothing_else(tmp_path: Path) -> None:
    """Neither is a used nonce good again, nor one that was made for a decision."""
    async with running(tmp_path) as service:
        view = await service.propose()
        async with service.client(await service.login()) as client:
            challenge = (await client.get("/api/v1/links/nonce")).json()
            wish = {"nonce": challenge["nonce"], "signature": service.key.sign(challenge["message"].encode())}
            answers = [(await client.post("/api/v1/links", json=wish)).status_code for _ in range(2)]
            assert answers == [200, 403]

            other = (await client.get(f"/api/v1/proposals/{view['id']}/nonce")).json()["nonce"]
            signed = challenge["message"].replace(challenge["nonce"], other).encode()
            refused = await client.post("/api/v1/links", json={"nonce": other, "signature": service.key.sign(signed)})
            assert refused.status_code == 403
