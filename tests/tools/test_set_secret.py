"""k8s_set_secret: keys are seen, values are not, and nobody writes a value down to set it."""

import base64
from pathlib import Path

import pytest
from skyflo_mcp.kubernetes import TOOLS, call

from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import MERGE_PATCH, Rendered
from tests.gateway.world import KERNEL
from tests.gateway.world import world as world_of
from tests.tools.apiserver import Asked, Reply, with_discovery
from tests.tools.worlds import World

VALUE = "correct-horse-battery"
ENCODED = base64.b64encode(VALUE.encode()).decode()


async def rendered(world: World, name: str, **more: object) -> Rendered:
    """The change, with a value that the gateway has put in."""
    change = await call(
        world.cluster, "k8s_set_secret", {"namespace": world.namespace, "name": name, "values": {"key": VALUE}, **more}
    )
    assert isinstance(change, Rendered)
    return change


async def test_a_key_of_a_secret_is_patched_and_the_others_stay(world: World) -> None:
    """The value is in the request and nowhere else."""
    change = await rendered(world, "password")
    (request,) = change.requests
    assert (request.verb, request.content_type) == ("patch", MERGE_PATCH)
    assert request.body == {"apiVersion": "v1", "kind": "Secret", "data": {"key": ENCODED}}
    assert VALUE not in change.title + change.equivalent
    assert ENCODED not in change.title + change.equivalent
    before = await world.get("Secret", "password")
    await world.cluster.send(request, dry_run=True, field_manager="tests", uid=before["metadata"]["uid"])
    assert await world.get("Secret", "password") == before
    await world.cluster.send(request, dry_run=False, field_manager="tests", uid=before["metadata"]["uid"])
    assert (await world.get("Secret", "password"))["data"] == {"value": "aHVudGVyMg==", "key": ENCODED}


async def test_a_secret_that_is_not_there_is_created(world: World) -> None:
    """Of the type that was asked for."""
    change = await rendered(world, "fresh", type="example.com/token")
    (request,) = change.requests
    assert request.verb == "create"
    await world.cluster.send(request, dry_run=False, field_manager="tests")
    made = await world.get("Secret", "fresh")
    assert (made["type"], made["data"]) == ("example.com/token", {"key": ENCODED})
    assert ENCODED not in change.title + change.equivalent


@pytest.mark.parametrize(
    "arguments",
    [
        {"values": {}},
        {"values": {"a/b": VALUE}},
        {"values": {"": VALUE}},
        {"values": {"key": "x" * 2**21}},
        {"name": "../x"},
        {"type": "a b"},
    ],
    ids=str,
)
async def test_what_cannot_be_a_secret_is_refused(practice_world: World, arguments: Json) -> None:
    """Without a value in the words."""
    with pytest.raises(BadInput) as refused:
        await rendered(practice_world, **{"name": "password", **arguments})
    assert VALUE not in str(refused.value)


async def test_an_immutable_secret_is_not_patched() -> None:
    """Said before anybody types a value."""
    secret: Json = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "db"}, "immutable": True}

    def answer(asked: Asked) -> Reply:
        return Reply(body=secret)

    server = with_discovery(answer)
    async with server.cluster() as cluster:
        with pytest.raises(BadInput, match="immutable"):
            await call(cluster, "k8s_set_secret", {"namespace": "shop", "name": "db", "values": {"key": VALUE}})


def test_the_values_are_sealed() -> None:
    """The catalogue says so, and the gate goes by it."""
    assert TOOLS["k8s_set_secret"].sealed == ("values",)
    assert [name for name, tool in TOOLS.items() if tool.sealed] == ["k8s_set_secret"]


async def test_a_value_that_a_cell_wrote_down_is_refused_at_the_gate(tmp_path: Path) -> None:
    """It would be in the notebook; the words do not repeat it. An entry and a reference pass."""
    async with world_of(tmp_path) as gate:
        arguments: Json = {"namespace": "checkout", "name": "db", "values": {"password": VALUE}}
        with pytest.raises(BadInput, match="'password' is written down") as refused:
            await gate.gate.render("k8s_set_secret", arguments)
        assert VALUE not in str(refused.value)
        assert ENTRY in refused.value.next_step
        entry = await gate.gate.render("k8s_set_secret", {**arguments, "values": {"password": ENTRY}})
        assert entry.requests[0].verb == "create"
        mark = gate.gateway.redactor.reference(VALUE)
        known = await gate.gate.render("k8s_set_secret", {**arguments, "values": {"password": mark}})
        assert known.requests[0].body["data"] == {"password": ENCODED}


async def test_a_read_through_the_gate_says_how_long_a_value_is(tmp_path: Path) -> None:
    """And gives no reference to that, which could be taken for one to the value."""
    async with world_of(tmp_path) as gate:
        mark = gate.gateway.redactor.reference(VALUE)
        change = await gate.gate.render(
            "k8s_set_secret", {"namespace": "checkout", "name": "db", "values": {"password": mark}}
        )
        await gate.gateway.cluster.send(change.requests[0], dry_run=False, field_manager="tests")
        answer = await gate.gate.read("k8s_get", {"kind": "Secret", "namespace": "checkout", "name": "db"}, KERNEL)
    assert isinstance(answer.result, dict)
    assert answer.result["data"] == {"password": f"({len(VALUE)} bytes)"}
