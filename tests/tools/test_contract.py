"""The contract of every change tool: its preview changes nothing, applied it does what it says.

On the practice cluster for the kinds that it plays, and on one real control plane for all of them.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from skyflo_mcp.kubernetes import TOOLS, Cluster, NotFound, call

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered, Request
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.harness import ControlPlane
from tests.tools.cases import CASES, ELSEWHERE, ONCE, Case
from tests.tools.worlds import World

NAMESPACE = "contract"
_PLAYED = [case for case in CASES if case.played]
RUNGS = [
    *(pytest.param(("practice", case), id=f"practice: {case.id}") for case in _PLAYED),
    *(
        pytest.param(("control plane", case), id=f"control plane: {case.id}", marks=pytest.mark.control_plane)
        for case in CASES
    ),
]


@pytest.fixture(scope="module")
def kubeconfig(request: pytest.FixtureRequest) -> str:
    """A namespace on the real control plane, with the definitions and classes that some cases want."""
    plane: ControlPlane = request.getfixturevalue("control_plane")
    plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *ONCE])
    return str(plane.kubeconfig("admin"))


@pytest.fixture
async def staged(request: pytest.FixtureRequest) -> AsyncIterator[tuple[World, Case]]:
    """The case's objects, on the rung that the test names."""
    rung, case = request.param
    if rung == "practice":
        practice = PracticeCluster("healthy")
        client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
        world = World(Cluster(client), NAMESPACE, lambda: practice.advance(1))
        await world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    else:
        opened = Cluster.from_kubeconfig(request.getfixturevalue("kubeconfig"))
        world = World(opened, NAMESPACE, lambda: asyncio.sleep(0.05))
    async with world.cluster:
        for manifest in case.objects:
            await world.create(named(manifest))
        await settled(world, case)
        yield world, case


async def settled(world: World, case: Case) -> None:
    """Wait until claims have their volumes, and the node controller has taken its first taint from nodes."""

    async def done() -> bool:
        return all([_done(await world.get(one["kind"], one["metadata"]["name"])) for one in slow])

    slow = [named(one) for one in case.objects if one["kind"] in ("PersistentVolumeClaim", "Node")]
    await world.until("claims and nodes are settled", done)


def _done(manifest: Json) -> bool:
    if manifest["kind"] == "PersistentVolumeClaim":
        return bool(at(manifest, "status", "phase") == "Bound")
    taints = {one["key"] for one in at(manifest, "spec", "taints", default=[])}
    return "node.kubernetes.io/not-ready" not in taints


def named(value: Json) -> Json:
    """Return a manifest or arguments with the namespace's name for `{ns}`."""
    if isinstance(value, dict):
        return {key: named(item) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item) for item in value]
    return value.replace("{ns}", NAMESPACE) if isinstance(value, str) else value


async def live(world: World, target: ObjectRef) -> Json | None:
    """Return the object, or None where there is none."""
    try:
        return await world.cluster.get(target)
    except NotFound:
        return None


async def unmoved(world: World, request: Request) -> None:
    """Dry-run one request; the object is afterwards, to the resourceVersion, what it was.

    Controllers write status at any moment: then it is tried again.
    """

    async def still() -> bool:
        before = await live(world, request.target)
        await world.cluster.send(request, dry_run=True, field_manager="tests-dry")
        after = await live(world, request.target)
        assert (before is None) == (after is None)
        assert not at(after, "metadata", "deletionTimestamp")
        assert "tests-dry" not in str(at(after, "metadata", "managedFields"))
        return before == after

    await world.until(f"{request.verb} {request.target} dry-run and nothing moved", still)


def shown(manifest: Json, pointer: str) -> object:
    """Return what lies at a JSON Pointer, None where nothing does."""
    parts = [part.replace("~1", "/") for part in pointer.split("/")[1:]]
    return at(manifest, *(int(part) if part.isdigit() else part for part in parts))


@pytest.mark.parametrize("staged", RUNGS, indirect=True)
async def test_a_preview_changes_nothing_and_what_is_applied_is_what_was_said(staged: tuple[World, Case]) -> None:
    """Each request is dry-run, then sent; the first one's object shows it."""
    world, case = staged
    change = await call(world.cluster, case.tool, named(case.arguments))
    assert isinstance(change, Rendered)
    assert len(change.requests) == case.requests
    assert all(any(note in said for said in change.notes) for note in case.notes), change.notes
    for request in change.requests:
        await unmoved(world, request)
        await world.cluster.send(request, dry_run=False, field_manager="tests")
    after = await live(world, change.requests[0].target)
    if case.shows is None:
        assert after is None or at(after, "metadata", "deletionTimestamp")
        return
    assert after is not None
    assert {pointer: shown(after, pointer) for pointer in case.shows} == case.shows


def test_every_change_tool_is_tried() -> None:
    """A new one cannot be forgotten here."""
    changes = {name for name, tool in TOOLS.items() if tool.effect == "change"}
    assert {case.tool for case in CASES} | ELSEWHERE == changes


def test_every_case_has_a_name_of_its_own() -> None:
    """Or one would hide another."""
    assert len({case.id for case in CASES}) == len(CASES)
