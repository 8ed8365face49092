"""The flagship through REST: diagnosed, a notebook with evidence, proposed with what will be verified, judged."""

from pathlib import Path

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.snapshot import load
from skyflo_runbooks.model.incident import Incident
from tests.service.running import FLAGSHIP, running


async def test_an_incident_becomes_a_runbook(tmp_path: Path) -> None:
    """The cause first, the change dry-run, and the evidence outputs carry their time."""
    async with running(tmp_path) as service:
        found = await service.new()
        assert [finding["fault"] for finding in found["findings"]] == ["CON-07"]
        changes = [step for step in found["plan"]["steps"] if step["kind"] == "change"]
        assert [step["tool"] for step in changes] == ["k8s_set_resources"]
        assert {"memory_limit": "512Mi"}.items() <= {
            p["name"]: p["default"] for p in found["plan"]["parameters"]
        }.items()
        outputs = [cell for cell in found["notebook"]["cells"] if cell.get("outputs")]
        assert len(outputs) >= 2
        assert not any("skyflo.verdict" in str(cell) for cell in outputs)
        assert service.desk.gateway.store.find() == []


async def test_a_proposal_of_a_registered_runbook_knows_its_verify_step(tmp_path: Path) -> None:
    """With the run's parameters, so that the card can show it; and the gateway judges without the kernel."""
    async with running(tmp_path) as service:
        found = await service.new()
        values = {p["name"]: p["default"] for p in found["plan"]["parameters"]} | {"settle": "20s"}
        view = await service.propose(runbook=found["id"], run="run-1", parameters=values)
        assert view["verification"]["step"] == "recovered"
        windows = [c["arguments"].get("window") for c in view["verification"]["checks"] if c["name"] == "no_restarts"]
        assert windows == ["20s"]
        await service.decide(view["id"])
        body = {
            "runbook": found["id"],
            "run": "run-1",
            "step": "recovered",
            "changes": [view["id"]],
            "checks": view["verification"]["checks"],
            "after": ["raise_memory"],
        }
        async with service.client(service.kernel) as client:
            for _ in range(4):
                judgement = (await client.post("/api/v1/verdicts", json={**body, "wait": 30})).json()
                if judgement["final"]:
                    break
        assert (judgement["verdict"], judgement["final"]) == ("VERIFIED", True), judgement
        assert judgement["ledger"]["seq"] > 0


async def test_a_value_is_modified_by_the_parameters_name(tmp_path: Path) -> None:
    """As the runbook calls it, or by its place; and what is verified follows."""
    async with running(tmp_path) as service:
        found = await service.new()
        values = {p["name"]: p["default"] for p in found["plan"]["parameters"]}
        view = await service.propose(runbook=found["id"], parameters=values)
        async with service.client(service.kernel) as client:
            for name, value in (("memory_limit", "600Mi"), ("limits.memory", "700Mi")):
                asked = await client.post(f"/api/v1/proposals/{view['id']}/modify", json={"set": {name: value}})
                view = asked.json()
                assert view["arguments"]["limits"] == {"memory": value}
                assert value in str(view["verification"]["checks"])


async def test_a_namespace_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    """With the nearest names."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        answer = await client.post("/api/v1/incidents", json={"text": FLAGSHIP, "namespaces": ["chekout"]})
        assert answer.status_code == 400
        assert "checkout" in answer.json()["error"]["next_step"]


async def test_text_that_says_nothing_is_bad_input(tmp_path: Path) -> None:
    """Empty, or without a letter."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        for text in ("", "   ", "?!"):
            assert (await client.post("/api/v1/incidents", json={"text": text})).json()["error"]["code"] == 2


async def test_a_healthy_cluster_has_no_runbook_unless_asked_for(tmp_path: Path) -> None:
    """Nothing wrong is said; with `always` the runbook only reads."""
    async with running(tmp_path, "healthy") as service, service.client(service.kernel) as client:
        asked = {"text": service.practice.scenario.incident, "namespaces": []}
        found = (await client.post("/api/v1/incidents", json=asked)).json()
        assert (found["findings"], found["notebook"], found["diagnosis"]["unknown"]) == ([], None, [])
        found = (await client.post("/api/v1/incidents", json={**asked, "always": True})).json()
        assert not [step for step in found["plan"]["steps"] if step["kind"] == "change"]


async def test_a_replay_says_what_it_would_do_and_proposes_nothing(tmp_path: Path) -> None:
    """Would change, and after the change already in place."""
    async with running(tmp_path) as service:
        said = await service.propose(replay=True)
        assert said["would"] == "change"
        assert "+            memory: 512Mi" in said["diff"]
        assert service.desk.gateway.store.find() == []
        view = await service.propose()
        await service.decide(view["id"])
        await service.desk.gateway.settled(view["id"], 10)
        assert (await service.propose(replay=True))["would"] == "in_place"


async def test_a_runbook_of_another_cluster_is_refused(tmp_path: Path) -> None:
    """Until somebody makes it anew for this one."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        body = {"tool": "k8s_scale", "arguments": {}, "cluster": "another-uid"}
        answer = await client.post("/api/v1/proposals", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, 13)


async def test_a_lease_has_one_taker(tmp_path: Path) -> None:
    """Two tabs, one run of a cell."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        asked = {"key": "rb-1/kernel-1/pods", "seconds": 60}
        granted = [(await client.post("/api/v1/leases", json=asked)).json()["granted"] for _ in range(3)]
        assert granted == [True, False, False]


async def test_what_was_read_is_kept_masked_and_told(tmp_path: Path) -> None:
    """A snapshot holds the objects of the namespace and no secret; who took it stands in the ledger."""
    async with running(tmp_path) as service, service.client(service.kernel) as client:
        answer = await client.post("/api/v1/snapshots", json={"text": FLAGSHIP, "namespaces": ["checkout"]})
        taken = load(answer.content)
        assert taken.namespaces == ("checkout",)
        assert [one.fault for one in diagnose(taken, Incident(FLAGSHIP)).findings] == ["CON-07"]
        assert all(not {"data", "stringData"} & set(one) for one in taken.objects.get("Secret", []))
        (entry,) = [one for one in service.desk.gateway.store.entries() if one.kind == "snapshot"]
        assert entry.body["namespaces"] == ["checkout"]
        assert (await client.post("/api/v1/snapshots", json={"text": "?!"})).json()["error"]["code"] == 2
