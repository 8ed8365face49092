"""Earlier templates of StatefulSets and DaemonSets: read where one is not well, told in the time line, gone back to."""

import asyncio
import copy
from typing import Any

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster
from skyflo_mcp.kubernetes.change.undo import k8s_rollout_undo

from skyflo_runbooks.diagnosis import Snapshot, diagnose, take
from skyflo_runbooks.diagnosis.anonymise import anonymise
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.pods import template_container
from skyflo_runbooks.diagnosis.rules.base import outdated
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from tests.control_plane.fixtures import control_plane
from tests.control_plane.harness import ControlPlane
from tests.diagnosis import world
from tests.diagnosis.test_take import Memory
from tests.diagnosis.world import DEPLOYED, EARLIER, Names
from tests.planning.tries import planned, prose_of

__all__ = ["control_plane"]

NAMES = Names()
HERE = NAMES.namespace
KINDS = pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
HASH = "controller-revision-hash"


def image(number: int) -> str:
    """The image of a revision."""
    return f"{NAMES.image}:v{number}"


def noted(kind: str, number: int, *, at: str = EARLIER, data: str = "") -> Json:
    """A ControllerRevision as the controller writes it."""
    name = f"{NAMES.workload}-{number}"
    spec = world.container(NAMES, data or image(number))
    held = {"$patch": "replace", **world.template(NAMES, spec)}
    above = world.owned(kind, NAMES.workload)
    labels = {HASH: str(number)} if kind == "DaemonSet" else {"controller.kubernetes.io/hash": str(number)}
    return {
        "kind": "ControllerRevision",
        "metadata": world.meta(name, HERE, labels=labels, created=at, ownerReferences=above),
        "revision": number,
        "data": {"spec": {"template": held}},
    }


def pod_of(kind: str, number: int, status: Json, place: int, *, serves: bool = False) -> Json:
    """A pod of a revision."""
    made = world.pod(NAMES, world.container(NAMES, image(number)), status, index=place, serves=serves)
    of = str(number) if kind == "DaemonSet" else f"{NAMES.workload}-{number}"
    labels = {**made["metadata"]["labels"], HASH: of}
    above = world.owned(kind, NAMES.workload)
    made["metadata"] |= {"name": f"{NAMES.workload}-{place}", "labels": labels, "ownerReferences": above}
    return made


def released(kind: str, *, now: int = 2, known: tuple[int, ...] = (1, 2)) -> Snapshot:
    """What a cluster has after a release whose last pod crashes and says why; those before it still serve."""
    above = world.deployment(NAMES, world.container(NAMES, image(now)), replicas=2, available=1) | {"kind": kind}
    current = f"{NAMES.workload}-{known[0]}"
    above["status"] |= {"readyReplicas": 1, "currentRevision": current, "updateRevision": f"{NAMES.workload}-{now}"}
    above["status"] |= {"desiredNumberScheduled": 2, "numberReady": 1, "updatedNumberScheduled": 1}
    well, ill = pod_of(kind, 1, world.running(), 0, serves=True), pod_of(kind, now, CRASHED, 1)
    revisions = [noted(kind, one, at=DEPLOYED if one == now else EARLIER) for one in known]
    log = Log(HERE, ill["metadata"]["name"], NAMES.container, True, "panic: schema 41 is not known\n")
    return world.snapshot([above, well, ill, world.service(NAMES), *revisions], logs=(log,))


CRASHED = world.ended(2, "Error", restarts=4)


async def read(found: Snapshot, **more: Any) -> tuple[Snapshot, Memory]:
    """Take a snapshot of it."""
    reader = Memory(found, **more)
    return await take(reader, [HERE]), reader


def changes(made: Plan) -> list[ChangeStep]:
    """The changes of a plan."""
    return [step for step in made.steps if isinstance(step, ChangeStep)]


# What is read ---------------------------------------------------------------------------------------------------------


@KINDS
async def test_earlier_templates_are_read_where_a_workload_is_not_well(kind: str) -> None:
    """In the form that those of Deployments have: a number, and a template without the patch's own directive."""
    taken, reader = await read(released(kind))

    assert reader.asked.count(("ControllerRevision", HERE)) == 1
    first, second = taken.objects["ControllerRevision"]
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert set(second) == {"kind", "metadata", "spec"}
    assert set(second["spec"]["template"]) == {"metadata", "spec"}


async def test_nothing_more_is_read_where_all_is_well() -> None:
    """A list of what nobody looks at would cost each diagnosis."""
    well = world.healthy()
    held = copy.deepcopy(well.objects["Deployment"][0]) | {"kind": "StatefulSet"}
    held["status"] |= {"readyReplicas": held["spec"]["replicas"]}
    well.objects["StatefulSet"] = [held]
    _, reader = await read(well)

    assert not [kind for kind, _ in reader.asked if kind == "ControllerRevision"]


async def test_a_pod_that_falls_between_two_looks_counts() -> None:
    """All numbers are as they should be in the moment of the reading."""
    found = released("StatefulSet")
    held = found.objects["StatefulSet"][0]
    held["status"] |= {"readyReplicas": 2, "currentRevision": "x", "updateRevision": "x"}
    _, reader = await read(found)

    assert ("ControllerRevision", HERE) in reader.asked


async def test_a_refused_read_is_a_gap_and_no_empty_history() -> None:
    """The diagnosis stands; what is not known is said."""
    refused = NotAllowed("may not list controllerrevisions")
    taken, _ = await read(released("StatefulSet"), errors={"ControllerRevision": refused})

    assert [gap.kind for gap in taken.gaps if "Log" not in gap.kind and "Usage" not in gap.kind] == [
        "ControllerRevision"
    ]
    assert diagnose(taken, Incident("payment-service crashes")).findings[0].fault == "CON-05"


async def test_a_template_is_anonymised_as_every_other() -> None:
    """Its values are no words of the API."""
    found = released("StatefulSet")
    env = [{"name": "GREETING", "value": "Good morning, Mrs Miller"}]
    found.objects["ControllerRevision"][0]["data"]["spec"]["template"]["spec"]["containers"][0]["env"] = env
    taken, _ = await read(found)

    assert "Miller" in str(taken.objects["ControllerRevision"])
    assert "Miller" not in str(anonymise(taken))


# What it tells --------------------------------------------------------------------------------------------------------


@KINDS
async def test_the_revision_that_serves_is_the_one_before(kind: str) -> None:
    """One that was released in between, and never ran, is passed by."""
    taken, _ = await read(released(kind, now=3, known=(1, 2, 3)))
    graph = Graph(taken)
    (held,) = taken.objects[kind]
    before = graph.previous(held)

    assert before is not None
    found = template_container(before, NAMES.container)
    assert found is not None
    assert found[2]["image"] == image(1)


async def test_notes_are_no_part_of_what_runs() -> None:
    """They are neither pods nor what makes them."""
    taken, _ = await read(released("DaemonSet"))
    graph = Graph(taken)
    (held,) = taken.objects["DaemonSet"]

    assert {item["kind"] for item in graph.owned(held)} == {"Pod"}
    assert not [edge for edge in graph.edges() if "ControllerRevision" in (edge.source.kind, edge.target.kind)]


@pytest.mark.parametrize(
    ("strategy", "old"), [({}, True), ({"type": "RollingUpdate"}, True), ({"type": "OnDelete"}, False)]
)
async def test_a_daemon_sets_pod_of_before_is_not_what_to_repair(strategy: Json, old: bool) -> None:
    """Unless it stays as it is until a person deletes it."""
    taken, _ = await read(released("DaemonSet"))
    graph = Graph(taken)
    (held,) = taken.objects["DaemonSet"]
    held["spec"]["updateStrategy"] = strategy
    first, second = sorted(taken.objects["Pod"], key=lambda one: str(one["metadata"]["name"]))

    assert (outdated(graph, held, first), outdated(graph, held, second)) == (old, False)


@KINDS
async def test_the_time_line_says_what_a_release_changed(kind: str) -> None:
    """By the template of before, and when the new one was noted."""
    taken, _ = await read(released(kind))
    told = [(one.at, one.what) for one in diagnose(taken, Incident("it crashes")).timeline.changes]

    assert (DEPLOYED, f"revision 2: image of {NAMES.container} {image(1)} → {image(2)}") in told


# What is done ---------------------------------------------------------------------------------------------------------


async def test_a_stateful_set_goes_back_and_its_broken_pod_is_made_anew() -> None:
    """Both are changes with an approval of their own; that data may be newer than the program is said."""
    found = released("StatefulSet")
    found.objects["StatefulSet"][0]["spec"]["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    taken, _ = await read(found)
    made = await planned(taken)
    back, deleted = changes(made)

    assert made.findings[0].fault == "CON-05"
    assert (back.tool, back.arguments["kind"], back.arguments["to_revision"]) == ("k8s_rollout_undo", "StatefulSet", 1)
    assert (deleted.tool, deleted.arguments["name"]) == ("k8s_delete", f"{NAMES.workload}-1")
    assert "data stay as the newer one left them" in prose_of(made)


async def test_a_daemon_set_goes_back() -> None:
    """Its controller replaces the pods itself."""
    taken, _ = await read(released("DaemonSet"))
    (back,) = changes(await planned(taken))

    assert (back.tool, back.arguments["kind"], back.arguments["to_revision"]) == ("k8s_rollout_undo", "DaemonSet", 1)


@KINDS
async def test_without_an_earlier_one_there_is_advice(kind: str) -> None:
    """The first revision has nothing to go back to."""
    taken, _ = await read(released(kind, now=1, known=(1,)))

    assert changes(await planned(taken)) == []


# On a real API server -------------------------------------------------------------------------------------------------


def asked_for(kind: str, number: int) -> Json:
    """A workload with the image of a revision."""
    spec = {"containers": [{"name": NAMES.container, "image": image(number)}]}
    labels = {"app": kind.lower()}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": kind.lower(), "namespace": "templates"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


async def noticed(cluster: Cluster, many: int) -> None:
    """Wait until the controllers noted so many revisions."""
    for _ in range(200):
        if len((await cluster.list("ControllerRevision", "templates")).items) == many:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"expected {many} ControllerRevisions")


@pytest.mark.control_plane
async def test_what_real_controllers_note_is_gone_back_to(control_plane: ControlPlane) -> None:
    """The number that a plan names is the one that the tool finds; of a DaemonSet without nodes nothing is unwell."""
    control_plane.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "templates"}}])
    headers = {"Authorization": f"Bearer {control_plane.token('admin')}"}
    client = httpx.AsyncClient(base_url=control_plane.server, verify=control_plane.tls, headers=headers)
    async with Cluster(client) as cluster:
        for number in (1, 2):
            control_plane.apply([asked_for("StatefulSet", number), asked_for("DaemonSet", number)])
            await noticed(cluster, 2 * number)
        taken = await take(cluster, ["templates"])
        graph = Graph(taken)
        for kind in ("StatefulSet", "DaemonSet"):
            (held,) = taken.objects[kind]
            numbers = [
                one["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for one in graph.revisions(held)
            ]
            before = graph.previous(held)
            assert before is not None
            assert numbers == ["2", "1"]
            assert image(1) in str(before["spec"]["template"])
            rendered = await k8s_rollout_undo(
                cluster, kind=kind, namespace="templates", name=kind.lower(), to_revision=1
            )
            assert image(1) in str(rendered.requests[0].body)
