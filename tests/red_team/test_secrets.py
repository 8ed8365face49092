"""Promise 6 attacked from a cell: make the gateway itself say a value that it masked."""

import asyncio
from typing import Any

import msgspec
import pytest

from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.verdict import Judgement
from tests.gateway.world import KERNEL, Gated
from tests.red_team.house import Between, House
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

SECRET = "Tr0ub4dor-correct-horse"
BASE: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
ENV: Json = {
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "payment-service",
                        "image": "payment-svc:v2.4.1",
                        "env": [{"name": "DB_PASSWORD", "value": SECRET}],
                    }
                ]
            }
        }
    }
}


async def the_mark(house: House, world: Gated) -> str:
    """Put a secret into the Deployment and return the mark under which a cell sees it."""
    await house.somebody(ENV)()
    seen = await world.gate.read("k8s_get", dict(BASE), KERNEL)
    text = msgspec.json.encode(seen.result).decode()
    assert SECRET not in text
    _, _, rest = text.partition("«masked:")
    return f"«masked:{rest[:12]}»"


def borrowed(mark: str) -> list[tuple[str, Json]]:
    """Return changes that carry a masked value to a place that does not look secret."""
    return [
        ("k8s_set_image", {**BASE, "images": {"payment-service": f"{mark}:v1"}}),
        ("k8s_set_env", {**BASE, "container": "payment-service", "set": {"NOTE": f"it is {mark}"}}),
        ("k8s_patch", {**BASE, "patch": {"metadata": {"annotations": {"note": mark}}}}),
    ]


@pytest.mark.parametrize("place", range(3), ids=["image", "environment", "annotation"])
@against(ATTACKS["mark-moved"])
async def test_a_mark_moved_to_an_open_place(house: House, gate: Gate, place: int) -> None:
    """A cell proposes to put the masked value where nothing looks secret, and reads the card's diff."""
    async with house.besieged() as (world, _):
        tool, arguments = borrowed(await the_mark(house, world))[place]
        said = await tried(world, tool, arguments)
        gate.bites(SECRET in said + house.everything(world), said)


async def test_a_mark_in_a_read_does_not_come_back_in_the_error(house: House) -> None:
    """A cell asks for the Pod of that name: the answer quotes the name."""
    async with house.besieged() as (world, _):
        mark = await the_mark(house, world)
        with pytest.raises(SkyfloError) as refused:
            await world.gate.read("k8s_get", {"kind": "Pod", "namespace": "checkout", "name": mark}, KERNEL)
        assert SECRET not in str(refused.value)


@against(ATTACKS["refusal-quotes"])
async def test_an_admission_error_that_quotes_a_secret(house: House, gate: Gate) -> None:
    """A webhook refuses the dry run and repeats the value: it reaches neither the cell nor a rehearsal."""
    async with house.besieged() as (world, between):
        mark = await the_mark(house, world)
        refuse(between)
        arguments = {**BASE, "container": "payment-service", "set": {"API_TOKEN": mark}}
        said = await tried(world, "k8s_set_env", arguments)
        assert "denied" in said
        gate.bites(SECRET in said, said)


@against(ATTACKS["refusal-quotes"])
async def test_a_secret_in_a_refusal_after_the_approval(house: House, gate: Gate) -> None:
    """The webhook begins to refuse between approval and dispatch: the receipt and the ledger stay clean."""
    async with house.besieged() as (world, between):
        await the_mark(house, world)
        row = await world.propose()
        refuse(between)
        done = await world.approve(row)
        assert done.state == "void"
        gate.bites(SECRET in house.everything(world))


@against(ATTACKS["parameter-kept"])
async def test_a_secret_parameter(house: House, gate: Gate) -> None:
    """A run's parameter that is called a password does not lie in the clear in the database."""
    async with house.running() as service:
        view = await service.propose(parameters={"db_password": SECRET}, why=f"password={SECRET}", step="raise_memory")
        kept = b"".join(path.read_bytes() for path in (house.tmp / "data").iterdir() if path.is_file())
        gate.bites(SECRET in str(view) + kept.decode(errors="replace"))


@against(ATTACKS["incident-quotes"])
async def test_a_password_in_the_incidents_words(practice_house: House, gate: Gate) -> None:
    """The operator pastes a log line with a password: ledger, notebook and answer have the mark."""
    async with practice_house.running() as service, service.client(service.kernel) as client:
        text = f"payment-service pods are crash-looping in checkout: login with password={SECRET} failed"
        answer = await client.post("/api/v1/incidents", json={"text": text, "namespaces": ["checkout"]})
        assert answer.status_code == 200, answer.text
        told: Any = [entry.body for entry in service.desk.gateway.store.entries()]
        gate.bites(SECRET in str(told) + answer.text)


def refuse(between: Between) -> None:
    """From now on a webhook denies every dry run and quotes the environment."""
    between.refusals.append(f'admission webhook "policy" denied the request: env {SECRET} is not allowed')


async def tried(world: Gated, tool: str, arguments: Json) -> str:
    """Propose a change and return everything that a cell hears of it."""
    try:
        row = await world.propose(tool, arguments, step="borrow")
    except SkyfloError as error:
        return str(error)
    return msgspec.json.encode(world.gateway.view(row)).decode()


async def peeked(world: Gated, name: str, place: str, guess: str) -> Judgement:
    """Return what a verify step says of a guess."""
    arguments: dict[str, object] = {"namespace": "checkout", "path": place, "value": guess}
    check = build(name, ["Deployment", "payment-service"], arguments)
    judgement, _final = await world.gateway.verify(Task(f"peek {guess}", (), (check,), "1s"), (), 30)
    return judgement


@against(ATTACKS["check-peeks"])
async def test_a_verify_check_over_a_secret_value(house: House, gate: Gate) -> None:
    """A verify step over no change is anybody's to ask: it neither shows a masked value nor says whether it is one."""
    async with house.besieged() as (world, _):
        await the_mark(house, world)
        place = "/spec/template/spec/containers/payment-service/env/DB_PASSWORD/value"
        judged = await asyncio.gather(*(peeked(world, "field_equals", place, guess) for guess in ("x", SECRET)))
        told = {str(one.result) for judgement in judged for one in judgement.checks}
        gate.bites(
            told != {"UNKNOWN"} or f"is {SECRET!r}" in msgspec.json.encode([one.checks for one in judged]).decode(),
            told,
        )


async def test_a_read_takes_no_masked_value(house: House) -> None:
    """What a read asks, and whom, would carry the value out."""
    async with house.besieged() as (world, _):
        mark = await the_mark(house, world)
        asked: list[tuple[str, Json]] = [
            ("k8s_get", {**BASE, "name": mark}),
            ("k8s_http_get", {"namespace": "checkout", "name": "storefront", "path": f"/{mark}"}),
        ]
        for tool, arguments in asked:
            with pytest.raises(BadInput, match="takes no masked value"):
                await world.gate.read(tool, arguments, KERNEL)


def test_the_beginning_of_a_value_in_a_cut_message_is_masked() -> None:
    """A message that quotes its first characters, or quotes it as Python does, gives no part of it away."""
    redactor = Redactor()
    value = 'it\'s a "long" secret\\value that goes on and on'
    mark = redactor.reference(value)
    redactor.resolve(mark)
    for said in (f"no such name {value[:20]!r}", f"no such name {value!r}", f"bad: {value[:12]}…"):
        assert "secret" not in redactor.error(said)
        assert "it's a" not in redactor.error(said)
        assert mark in redactor.error(said)


def test_what_somebody_calls_a_token_in_his_own_data_is_masked() -> None:
    """Names of references are no values, but the keys of a ConfigMap are somebody's own."""
    redactor = Redactor()
    shown = str(redactor.mask({"kind": "ConfigMap", "data": {"token": "abc-123-def", "secret": "hunter2", "a": "b"}}))
    assert "abc-123-def" not in shown
    assert "hunter2" not in shown
    assert "'a': 'b'" in shown
