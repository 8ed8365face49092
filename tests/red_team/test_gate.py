"""What a gate can be talked into: by a cluster's words, by arguments, by what comes at another time."""

from pathlib import Path

import httpx

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.practice.kinds import SECRET
from tests.gateway import requests as make
from tests.gateway.test_secrets import OLD, PATH, REQUESTS, VAULT, coded, leaks
from tests.gateway.world import RAISE, world
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

NARROW = Identity("kernel", "narrow", namespaces=("default",))


@against(ATTACKS["value-quoted"])
async def test_a_webhook_quotes_a_value(tmp_path: Path, gate: Gate) -> None:
    """It refuses the trial of the way back, which carries the value as it is today."""

    def front(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH" or coded(OLD).encode() not in request.content:
            return None
        said = f"value {OLD} ({coded(OLD)}) is weak"
        return httpx.Response(422, json={"kind": "Status", "code": 422, "reason": "Invalid", "message": said})

    async with world(tmp_path, tools=make.tool([REQUESTS["merge patch"]]), front=front) as here:
        await make.put(here.gateway.cluster, {**VAULT, "data": {}}, PATH)
        here.practice.store.get(SECRET, "checkout", "vault")["data"] = VAULT["data"]
        row = await here.propose("t", {})
        gate.bites(bool(leaks(here, tmp_path, row.proposal.id)))


@against(ATTACKS["token-learns-elsewhere"])
async def test_a_narrowed_token_learns_from_an_error(tmp_path: Path, gate: Gate) -> None:
    """There is no container of that name, and the error lists those that there are."""
    arguments: Json = {**RAISE, "container": "guessed"}
    said = ""
    async with world(tmp_path) as here:
        try:
            await here.gateway.propose(Wish("k8s_set_resources", arguments, Origin(requester=str(NARROW))), NARROW)
        except SkyfloError as error:
            said = str(error)
        gate.bites("payment-service" in said, said)
