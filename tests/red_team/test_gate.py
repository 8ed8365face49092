"""What a gate can be talked into: by a cluster's words, by arguments, by what comes at another time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from skyflo_runbooks.gateway.clock import Clock
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.practice.kinds import CONFIG_MAP, SECRET
from skyflo_runbooks.practice.kinds import POD as PODS
from tests.gateway import requests as make
from tests.gateway.test_running import tool
from tests.gateway.test_secrets import OLD, PATH, REQUESTS, VAULT, coded, leaks
from tests.gateway.world import OPERATOR, RAISE, World, world
from tests.red_team.grounds import body_of
from tests.red_team.house import Between, House, saying, voted
from tests.red_team.test_policy import forged, set_approved
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS
from tests.tools.podserver import STDOUT, PodServer, Talk

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
async def test_a_narrowed_token_learns_from_an_error(house: House, gate: Gate) -> None:
    """There is no container of that name, and the error lists those that there are."""
    arguments: Json = {**RAISE, "container": "guessed"}
    said = ""
    async with house.world() as here:
        try:
            await here.gateway.propose(Wish("k8s_set_resources", arguments, Origin(requester=str(NARROW))), NARROW)
        except SkyfloError as error:
            said = str(error)
        gate.bites("payment-service" in said, said)


class Elsewhere(Between):
    """A webhook that sends a pod to another node than it was shown to send it to."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one call on."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/pods"):
            self.calls += 1
            body = await body_of(receive)
            if self.calls > 2:
                body = body.replace(b"node-approved", b"node-elsewhere")
            await self._app(scope, saying(body), send)
            return
        await super().__call__(scope, receive, send)


SMALL = {"cpu": "10m", "memory": "16Mi"}
CONTAINER: Json = {"name": "main", "image": "shop:1", "resources": {"limits": SMALL, "requests": SMALL}}
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "placed", "namespace": "checkout"},
    "spec": {"nodeName": "node-approved", "containers": [CONTAINER]},
}


@against(ATTACKS["allocated-exchanged"])
async def test_what_the_server_could_have_given_is_given_otherwise(practice_house: House, gate: Gate) -> None:
    """The manifest names its node, and so does the card; what is created is on another one."""
    async with practice_house.besieged(between=Elsewhere) as (here, _):
        row = await here.propose("k8s_create", {"manifest": POD, "namespace": "checkout"})
        state = await voted(here, row, here.ballot(row))
        async with practice_house.cluster() as cluster:
            made = await cluster.list("Pod", "checkout", field_selector="metadata.name=placed")
        gate.bites([one["spec"]["nodeName"] for one in made.items] == ["node-elsewhere"], state)


@against(ATTACKS["sent-late"])
async def test_what_was_begun_in_time_is_sent_after_it(tmp_path: Path, gate: Gate) -> None:
    """The first of two requests is written in the last minute, the second when the time is over."""
    listed = [make.create(make.settings(name)) for name in ("one", "two")]
    late: list[bool] = []

    async with world(tmp_path, tools=make.tool(listed), front=lambda request: _late(request, late)) as here:
        row = await here.propose("t", {})
        clock = here.gateway.store.clock
        here.gateway.store.clock = Clock(wall=lambda: datetime.now(UTC) + timedelta(minutes=31 * bool(late)))
        done = await here.approve(row)
        here.gateway.store.clock = clock
        gate.bites(here.practice.store.find(CONFIG_MAP, "checkout", "two") is not None, done.message)
        assert here.practice.store.find(CONFIG_MAP, "checkout", "one") is not None


def _late(request: httpx.Request, late: list[bool]) -> None:
    """Let the time be over as soon as the first request is written."""
    if request.method == "POST" and b'"one"' in request.content and "dryRun" not in str(request.url):
        late.append(True)


@against(ATTACKS["pod-exchanged"])
async def test_another_pod_answers(tmp_path: Path, gate: Gate) -> None:
    """Between the last look and the stream the approved pod is replaced by one of its name."""
    here_: list[World] = []

    async def says(talk: Talk) -> None:
        here_[0].practice.store.get(PODS, "checkout", pod)["metadata"]["uid"] = "another-uid"
        await talk.say(STDOUT, "done")
        await talk.end()

    async with PodServer(says).running() as server, world(tmp_path, tools=tool(), streams=server.streams()) as here:
        here_.append(here)
        pod = (await make.pods(here.gateway.cluster))[0]
        done = await here.approve(await here.propose("run", {"pod": pod, "command": ["check"]}))
        gate.bites(done.state == "executed", done.message)


@against(ATTACKS["forger-names"])
async def test_who_is_named_by_a_forged_decision(house: House, gate: Gate) -> None:
    """It is not executed, but the view names an operator who decided nothing."""
    async with house.world() as here:
        row = await here.propose()
        forged(here, row, told=False)
        assert await set_approved(here, row) == "void"
        view = here.gateway.view(here.gateway.store.get(row.proposal.id))
        assert "the ledger tells" in view["receipt"]["message"]
        gate.bites(OPERATOR.name in (*view["approvers"], view["receipt"]["operator"], *view["receipt"]["approvers"]))
