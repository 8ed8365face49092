"""A verdict is about what is suffered: who answers, what a controller says; a field that was written is not enough."""

import copy

import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import Plan, VerifyStep, param
from tests.diagnosis import added, scenes, world
from tests.diagnosis.test_oddities import daemon
from tests.diagnosis.world import Names
from tests.planning.tries import planned

NAMES = Names()


def checks(made: Plan) -> list[Check]:
    """The checks that follow the change."""
    return [check for step in made.steps if isinstance(step, VerifyStep) for check in step.checks]


def looked(made: Plan, name: str) -> list[Json]:
    """The arguments of the checks of one name."""
    return [check.arguments for check in checks(made) if check.name == name]


def behind(service: str) -> Json:
    """That somebody answers behind a Service of the plan's namespace."""
    return {"service": service, "namespace": param("namespace")}


@pytest.mark.parametrize("build", [added.wrong_port, added.lost_subset], ids=["GWY-01", "MES-02"])
async def test_who_is_led_to_answers(build: scenes.Scene) -> None:
    """A route that names what exists leads somewhere only where somebody is there."""
    assert behind(NAMES.service) in looked(await planned(build(NAMES)), "endpoints_ready")


def told(found: Snapshot, kind: str, *conditions: str) -> Snapshot:
    """The same, with what the object's controller says of it."""
    held = [{"type": name, "status": "False", "reason": "Invalid"} for name in conditions]
    status = found.objects[kind][0].setdefault("status", {})
    status["conditions"] = held
    return found


async def test_a_gateway_is_accepted_by_its_controller() -> None:
    """Where none has said anything of it, too: a verdict rests on somebody's answer."""
    silent = await planned(added.no_gateway_class(NAMES))
    said = await planned(told(added.no_gateway_class(NAMES), "Gateway", "Accepted", "Programmed"))

    assert [one["condition"] for one in looked(silent, "condition_true")] == ["Accepted", "Programmed"]
    assert [one["condition"] for one in looked(said, "condition_true")] == ["Accepted", "Programmed"]


async def test_a_route_is_accepted_by_its_parents() -> None:
    """What it leads to is one thing, that somebody leads is another."""
    made = await planned(added.wrong_port(NAMES))

    assert [one["condition"] for one in looked(made, "condition_true")] == ["Accepted", "ResolvedRefs"]
    assert {one["kind"] for one in looked(made, "condition_true")} == {"HTTPRoute"}


async def test_nobody_writes_of_a_mesh_object() -> None:
    """No check waits for words that never come."""
    assert looked(await planned(added.lost_subset(NAMES)), "condition_true") == []


async def test_a_silent_rollout_is_no_good_one() -> None:
    """Without a controller, that it is no longer paused is what was written."""
    found = held_up()
    found.objects["Rollout"][0]["status"] = {"phase": "Paused"}

    assert [one["condition"] for one in looked(await planned(found), "condition_true")] == ["Healthy"]


async def test_a_cron_job_begins_a_run() -> None:
    """That it is not suspended is what was written."""
    cron: Json = {
        "kind": "CronJob",
        "metadata": world.meta("nightly", NAMES.namespace),
        "spec": {"schedule": "0 3 * * *", "suspend": True, "jobTemplate": {"spec": {}}},
    }
    found = Incident("the nightly report does not run", (NAMES.namespace,))
    made = await planned(world.snapshot([cron]), incident=found)

    assert made.findings[0].fault == "JOB-02"
    assert looked(made, "run_began") == [{"name": "nightly", "namespace": param("namespace")}]


async def test_a_daemon_set_comes_to_more_nodes() -> None:
    """On as few as before it is rolled out, too."""
    made = await planned(daemon({"disk": "fast-sdd"}, disk="fast-ssd"))

    assert made.findings[0].fault == "ROL-07"
    assert [one["than"] for one in looked(made, "on_more_nodes")] == [0]


def held_up(*steps: Json) -> Snapshot:
    """A Rollout that somebody paused, with these steps of its own; its controller tells of it."""
    found = told(added.degraded(NAMES), "Rollout", "Available", "Healthy")
    rollout = found.objects["Rollout"][0]
    rollout["spec"] |= {"paused": True, "strategy": {"canary": {"steps": [*steps]}}}
    rollout["status"] |= {"phase": "Paused", "abort": False}
    return found


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (told(added.degraded(NAMES), "Rollout", "Available", "Healthy"), "Healthy"),
        (held_up({"setWeight": 20}), "Healthy"),
        (held_up({"pause": {"duration": "30s"}}), "Healthy"),
        (held_up({"setWeight": 20}, {"pause": {}}), "Available"),
    ],
    ids=["degraded", "paused", "paused-with-a-timed-step", "paused-with-a-step-for-a-person"],
)
async def test_a_rollout_goes_where_it_should(found: Snapshot, wanted: str) -> None:
    """By its controller's word, and its Service has endpoints; a step for a person is not waited for."""
    made = await planned(found)

    assert made.findings[0].fault == "DLV-02"
    assert [one["condition"] for one in looked(made, "condition_true")] == [wanted]
    assert behind(NAMES.service) in looked(made, "endpoints_ready")


async def test_a_claim_that_could_not_grow_has_grown() -> None:
    """That its class allows it is what was written; its capacity is what was asked for."""
    made = await planned(scenes.fixed_size(NAMES))

    assert made.findings[0].fault == "STO-05"
    assert [one["name"] for one in looked(made, "claim_bound")] == [
        item["metadata"]["name"] for item in scenes.fixed_size(NAMES).objects["PersistentVolumeClaim"][:1]
    ]


@pytest.mark.parametrize("writes", [True, False])
async def test_an_ingress_leads_to_who_answers(writes: bool) -> None:
    """The class that exists, endpoints behind it, and an address where the class's controller writes them."""
    backend = {"service": {"name": NAMES.service, "port": {"number": 80}}}
    spec = {"ingressClassName": "egde", "rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]}
    front: Json = {"kind": "Ingress", "metadata": world.meta("front", NAMES.namespace), "spec": spec}
    edge: Json = {"kind": "IngressClass", "metadata": world.meta("edge"), "spec": {"controller": "example.com/edge"}}
    other = copy.deepcopy(front) | {"metadata": world.meta("other", NAMES.namespace)}
    other["spec"]["ingressClassName"] = "edge"
    other["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}] if writes else []}}
    made = await planned(world.snapshot([*scenes.serving(NAMES), world.service(NAMES), front, other, edge]))

    assert made.findings[0].fault == "NET-06"
    assert [one["name"] for one in looked(made, "address_given")] == (["front"] if writes else [])
    assert behind(NAMES.service) in looked(made, "endpoints_ready")
