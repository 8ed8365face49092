"""The contract of every change tool: its preview changes nothing, it does what it says, and there is a way back.

On the practice cluster for the kinds that it plays, and on one real control plane for all of them.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from skyflo_mcp.kubernetes import TOOLS, Cluster, NotFound, call
from skyflo_mcp.kubernetes.errors import Rejected

from skyflo_runbooks.gateway.traces import managers
from skyflo_runbooks.model.digest import desired_state
from skyflo_runbooks.model.errors import Refused
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Rendered, Request
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.harness import ControlPlane
from tests.gateway.world import OPERATOR, gated
from tests.tools.cases import CASES, ELSEWHERE, ONCE, Case
from tests.tools.worlds import World

NAMESPACE = "contract"
# The practice cluster's pods have no gates: it refuses as the server does for a field that does not change.
_GATES = ("k8s_remove_scheduling_gate",)
_CONTROLLERS = re.compile(r"kubernetes\.io/|deprecated\.daemonset")
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


def named(value: Json, namespace: str = NAMESPACE) -> Json:
    """Return a manifest or arguments with the namespace's name for `{ns}`."""
    if isinstance(value, dict):
        return {key: named(item, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item, namespace) for item in value]
    return value.replace("{ns}", namespace) if isinstance(value, str) else value


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


async def shows(world: World, target: ObjectRef, case: Case) -> bool:
    """Return whether the object is as the case says; a difference is an assertion."""
    after = await live(world, target)
    if case.shows is None:
        return after is None or bool(at(after, "metadata", "deletionTimestamp"))
    expected = named(case.shows)
    assert {pointer: shown(after or {}, pointer) for pointer in expected} == expected
    return True


@pytest.mark.parametrize("staged", RUNGS, indirect=True)
async def test_a_preview_changes_nothing_what_is_approved_is_applied_and_there_is_a_way_back(
    staged: tuple[World, Case], tmp_path: Path
) -> None:
    """Or it is said in words that there is no way back."""
    world, case = staged
    change = await call(world.cluster, case.tool, named(case.arguments))
    assert isinstance(change, Rendered)
    assert len(change.requests) == case.requests
    assert all(any(note in said for said in change.notes) for note in case.notes), change.notes
    for request in change.requests:
        if request.preview == "server":
            await unmoved(world, request)
    target = change.requests[0].target
    before = [await live(world, request.target) for request in change.requests]
    async with gated(world.cluster, tmp_path) as gate:
        row = await gate.propose(case.tool, named(case.arguments), step="change")
        assert row.state == "proposed"
        for request, was in zip(change.requests, before, strict=True):
            assert_untouched(was, await live(world, request.target))
        done = await gate.approve(row)
        assert done.state == "executed", done.attempt
        assert await shows(world, target, case)
        if not case.back:
            with pytest.raises(Refused, match="no way back"):
                await gate.gateway.roll_back(row.proposal.id, OPERATOR)
            assert "None" in row.proposal.assessment.way_back
            return
        back = await gate.approve(await gate.gateway.roll_back(row.proposal.id, OPERATOR))
        assert back.state == "executed", back.attempt
        for request, was in zip(change.requests, before, strict=True):
            if request.verb == "evict":
                continue  # a controller makes the pod again, and who has none is lost
            await world.until(f"{request.target} is as it was", partial(restored, world, request, was))


def assert_untouched(was: Json | None, now: Json | None) -> None:
    """Nobody but controllers wrote while it was proposed, and they no desired state."""
    assert (was is None) == (now is None)
    if was is not None and now is not None:
        assert at(was, "metadata", "uid") == at(now, "metadata", "uid")
        assert not at(now, "metadata", "deletionTimestamp")
        assert not [name for name in managers(now) if name.startswith("skyflo")]
        if at(was, "metadata", "resourceVersion") != at(now, "metadata", "resourceVersion"):
            assert was.get("spec") == now.get("spec") or was["kind"] == "Node"


async def restored(world: World, request: Request, was: Json | None) -> bool:
    """Return whether the object's desired state is the one before: it is gone, or holds what it held."""
    now = await live(world, request.target)
    if was is None:
        return now is None or bool(at(now, "metadata", "deletionTimestamp"))
    return now is not None and kept(was) == kept(now)


def kept(manifest: Json) -> Json:
    """Return what somebody wants of an object, without what the server and its controllers write into it."""
    whole = desired_state(manifest, secret_key=b"tests")
    spec = whole.get("spec")
    if isinstance(spec, dict):
        for allocated in ("clusterIP", "clusterIPs", "selector", "nodeName"):
            spec.pop(allocated, None)
        for taint in list(spec.get("taints") or []):
            if taint["key"].startswith("node.kubernetes.io/"):
                spec["taints"].remove(taint)
    if whole.get("kind") == "Job":
        at(whole, "spec", "template", "metadata", default={}).pop("labels", None)  # its controller's
    annotations = at(whole, "metadata", "annotations", default={})
    own = {key: value for key, value in annotations.items() if not _CONTROLLERS.search(key)}
    labels, finalizers = (at(whole, "metadata", member) for member in ("labels", "finalizers"))
    return {**whole, "metadata": {"labels": labels, "finalizers": finalizers, "annotations": own}}


_NOT_PLAYED = [case for case in CASES if not case.played]


@pytest.mark.parametrize("case", _NOT_PLAYED, ids=str)
async def test_what_the_practice_cluster_does_not_play_it_refuses(case: Case) -> None:
    """A kind that it only lists is named, an object that it cannot hold is not there; nothing pretends."""
    practice = PracticeCluster("healthy")
    client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
    async with Cluster(client) as cluster:
        with pytest.raises(Rejected) as refused:
            await tried(World(cluster, "default", lambda: practice.advance(1)), case)
    said = str(refused.value)
    assert case.tool in _GATES or re.search(r"only lists this kind|serves no kind|practice cluster|not find", said), (
        said
    )


async def tried(world: World, case: Case) -> None:
    """Make a case's objects, render its change, and try the first request."""
    for manifest in case.objects:
        await world.create(named(manifest, world.namespace))
    change = await call(world.cluster, case.tool, named(case.arguments, world.namespace))
    assert isinstance(change, Rendered)
    await world.cluster.send(change.requests[0], dry_run=True, field_manager="tests")


def test_every_change_tool_is_tried() -> None:
    """A new one cannot be forgotten here."""
    changes = {name for name, tool in TOOLS.items() if tool.effect == "change"}
    assert {case.tool for case in CASES} | ELSEWHERE == changes


def test_every_case_has_a_name_of_its_own() -> None:
    """Or one would hide another."""
    assert len({case.id for case in CASES}) == len(CASES)
