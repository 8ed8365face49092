"""`resolve` runs through the agent graph: waits at the gate, resumes there after a restart, and loops back."""

from pathlib import Path
from typing import Any

from skyflo_runbooks.gateway.policy.file import Binding, PolicyFile
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from tests.service.running import FLAGSHIP, Service, running
from tests.service.test_roles import Person


async def start(service: Service, **parameters: Any) -> str:
    """Start to resolve the flagship."""
    body = {"text": FLAGSHIP, "namespaces": ["checkout"], "parameters": {"settle": "20s", **parameters}}
    async with service.client(service.kernel) as client:
        answer = await client.post("/api/v1/resolve", json=body)
    return str(answer.json()["session"])


async def until(service: Service, session: str, *states: str) -> Json:
    """Wait until the session is in one of these states."""
    async with service.client(service.kernel) as client:
        for _ in range(8):
            view: Json = (await client.get(f"/api/v1/resolve/{session}", params={"wait": 20})).json()
            if view["state"] in states:
                return view
    raise AssertionError(f"{session} did not get to {states}: {view['state']} at {view['node']}")


async def choose(service: Service, session: str, option: str, **set_: Any) -> None:
    """Choose as the operator."""
    async with service.client(service.session) as client:
        answer = await client.post(f"/api/v1/resolve/{session}/choose", json={"option": option, "set": set_})
        assert answer.status_code == 200, answer.text


async def test_the_story_runs_to_its_verdict(tmp_path: Path) -> None:
    """Diagnosed, proposed, waiting; approved, applied, VERIFIED."""
    async with running(tmp_path) as service:
        session = await start(service)
        view = await until(service, session, "waiting")
        assert (view["node"], len(view["proposals"])) == ("gate", 1)
        assert view["diagnosis"]["findings"][0]["fault"] == "CON-07"
        assert view["notebook"]["cells"]
        await service.decide(view["proposals"][0]["id"])
        view = await until(service, session, "done")
        assert (view["outcome"], view["judgement"]["verdict"]) == ("verified", "VERIFIED")


async def test_a_service_that_stops_at_the_gate_resumes_there(tmp_path: Path) -> None:
    """The next process takes the session up at the gate, with the same proposal, and finishes it."""
    practice = PracticeCluster("oomkilled-payment", speed=20, leap=2)
    async with practice.running():
        async with running(tmp_path, practice=practice) as service:
            session = await start(service)
            waiting = await until(service, session, "waiting")
        async with running(tmp_path, practice=practice) as service:
            view = await until(service, session, "waiting")
            assert [p["id"] for p in view["proposals"]] == [p["id"] for p in waiting["proposals"]]
            await service.decide(view["proposals"][0]["id"])
            assert (await until(service, session, "done"))["outcome"] == "verified"


async def test_a_failed_verify_offers_ways_and_repeats_nothing_by_itself(tmp_path: Path) -> None:
    """300Mi fails; nothing is proposed until a person chooses; roll back needs its own approval; retry too."""
    async with running(tmp_path) as service:
        session = await start(service, memory_limit="300Mi")
        view = await until(service, session, "waiting")
        await service.decide(view["proposals"][0]["id"])
        view = await until(service, session, "waiting")
        assert (view["node"], view["judgement"]["verdict"]) == ("choose", "FAILED")
        assert view["options"] == ["retry", "rollback", "escalate"]
        assert len(service.desk.gateway.store.find()) == 1
        await choose(service, session, "retry", **{"limits.memory": "512Mi"})
        view = await until(service, session, "waiting")
        assert (view["node"], view["proposals"][0]["state"]) == ("gate", "proposed")
        await service.decide(view["proposals"][0]["id"])
        assert (await until(service, session, "done"))["outcome"] == "verified"


async def test_who_chooses_is_who_asks(tmp_path: Path) -> None:
    """Bob cannot approve the values that he chose for alice's session; carol may not choose what is not hers to ask."""
    approvers = Binding(role="approver", operators=("alice", "bob"))
    elsewhere = Binding(role="requester", operators=("carol",), namespaces=("default",))
    policy = PolicyFile(not_the_requester=True, bindings=(approvers, elsewhere))
    async with running(tmp_path, policy=policy) as service:
        alice, carol = Person(service, "alice"), Person(service, "carol")
        await service.login("bob")
        body = {"text": FLAGSHIP, "namespaces": ["checkout"], "parameters": {"settle": "10s", "memory_limit": "300Mi"}}
        session = (await alice.ask("POST", "/resolve", body)).json()["session"]
        view = await until(service, session, "waiting")
        assert (await service.decide(view["proposals"][0]["id"])).status_code == 200
        assert (await until(service, session, "waiting"))["node"] == "choose"
        for option in ("retry", "rollback", "escalate"):
            refused = await carol.ask("POST", f"/resolve/{session}/choose", {"option": option})
            assert refused.status_code == 403, refused.text
        await choose(service, session, "retry", **{"limits.memory": "3Gi"})
        (chosen,) = (await until(service, session, "waiting"))["proposals"]
        assert chosen["requester"] == "operator:bob"
        assert (await service.decide(chosen["id"])).status_code == 403


async def test_a_rejection_ends_it(tmp_path: Path) -> None:
    """Nothing is applied and nothing is verified."""
    async with running(tmp_path) as service:
        session = await start(service)
        view = await until(service, session, "waiting")
        await service.decide(view["proposals"][0]["id"], "reject", "not tonight")
        view = await until(service, session, "done")
        assert view["proposals"][0]["state"] == "rejected"


async def test_a_modification_on_the_page_is_followed(tmp_path: Path) -> None:
    """The graph waits for the proposal that replaced the first one."""
    async with running(tmp_path) as service:
        session = await start(service)
        first = (await until(service, session, "waiting"))["proposals"][0]["id"]
        async with service.client(await service.login()) as client:
            answer = await client.post(f"/api/v1/proposals/{first}/modify", json={"set": {"limits.memory": "768Mi"}})
        second = answer.json()["id"]
        view = await until(service, session, "waiting")
        assert view["proposals"][0]["id"] == second
        await service.decide(second)
        assert (await until(service, session, "done"))["outcome"] == "verified"


async def test_a_healthy_cluster_is_said_to_be_healthy(tmp_path: Path) -> None:
    """The session ends without a plan."""
    async with running(tmp_path, "healthy") as service, service.client(service.kernel) as client:
        asked = {"text": service.practice.scenario.incident}
        session = (await client.post("/api/v1/resolve", json=asked)).json()["session"]
        assert (await until(service, session, "done"))["outcome"] == "healthy"
