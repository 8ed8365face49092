"""The rounds of a scoreboard: every case alone, the shipped scenarios, the controls, and two faults at once.

Each round has a control plane of its own. On it everything is staged, then diagnosed, then (cases and scenarios) shaken
and repaired. What breaks in one trial is written into that trial and ends no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import httpx
import yaml
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.planning import plan
from skyflo_runbooks.practice import scenario
from tests.control_plane import harness, played
from tests.control_plane import stage as history
from tests.control_plane.builds import Binaries
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import NotInTime, wait_until
from tests.faults import kubelets, staging
from tests.faults.kubelets import Family
from tests.faults.staging import Case
from tests.gateway.world import gated
from tests.planning.staged import dry_run_on
from tests.real_node import node as real_node
from tests.real_node.images import Stock
from tests.scoreboard import controls, names, state, trial, vary
from tests.scoreboard.k8sgpt import K8sgpt
from tests.scoreboard.result import Control, Crowd, Said, Trial
from tests.scoreboard.trial import Bench, Looked
from tests.scoreboard.vary import Varied

_AT_ONCE = 5  # trials side by side: more would make a small machine late


@dataclass
class Draw:
    """What a run draws from: one random source, and the names that are given already."""

    random: Random
    taken: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What one round stages: varied cases with what is expected of each.

    `late`: what did not come to its incident, by its namespace, and why. It counts as it is found.
    """

    varied: Sequence[tuple[Varied, tuple[str, ...]]]
    late: Mapping[str, str] = field(default_factory=dict)


def cases(only: Sequence[str], *, wide: bool = False) -> list[Case]:
    """Return the staged cases of these faults; of all where none is named. `wide`: those of the whole cluster."""
    found = [case for family in staging.families(wide=wide) for case in staging.cases(family)]
    return [case for case in found if not only or case.fault in only]


def of_a_node(only: Sequence[str]) -> Family:
    """Return the cases of these faults that one real node shows, of all where none is named; and its images."""
    found = kubelets.load(kubelets.families())
    small = kubelets.images(list(vary.small_images().values()))
    cases_ = tuple(case for case in found.cases if not only or case.fault in only)
    return Family(cases_, replace(found.stock, images=tuple({*found.stock.images, *small})))


def shipped(only: Sequence[str]) -> tuple[str, ...]:
    """Return the shipped scenarios of these faults; of all where none is named."""
    broken = [name for name in scenario.names() if scenario.load(name).expect.fault]
    return tuple(name for name in broken if not only or scenario.load(name).expect.fault in only)


def alone(found: Sequence[Case], draw: Draw, room: vary.Room = vary.PLAYED) -> Given:
    """Return each case under circumstances of its own."""
    now = datetime.now(UTC)
    varied = [vary.vary(case, draw.random, draw.taken, now, room) for case in found]
    return Given([(one, (f"{one.case.fault} {one.case.finds}",)) for one in varied])


def in_pairs(found: list[Case], draw: Draw, count: int) -> Given:
    """Return pairs of cases, each pair in one namespace and no case twice.

    No case that closes its namespace, ends it or changes a node can be one of two: it would be a part of the other.
    """
    now = datetime.now(UTC)
    open_ = [case for case in found if not vary.closed(case) and case.fault != "DEL-01" and not case.nodes]
    draw.random.shuffle(open_)
    two = list(zip(open_[::2], open_[1::2], strict=False))[:count]
    return Given([_together(vary.vary(one, draw.random, draw.taken, now), other, draw) for one, other in two])


def _together(first: Varied, other: Case, draw: Draw) -> tuple[Varied, tuple[str, ...]]:
    second = vary.rename(other, draw.random, draw.taken)
    moved = names.renamed(list(second.manifests())[1:], {second.namespace: first.case.namespace})
    assert isinstance(moved, list)  # a list stays one
    again = replace(second, namespace=first.case.namespace)
    after = names.renamed(second.after, {second.namespace: first.case.namespace})
    assert isinstance(after, list)
    case = replace(first.case, fault=f"{first.case.fault}+{other.fault}", words="two things are wrong here")
    case = replace(
        case,
        objects=[*case.objects, *moved],
        after=[*case.after, *after],
        delete=[*case.delete, *_renamed_paths(second.delete, {second.namespace: case.namespace})],
    )
    kind, _, name = second.finds.partition("/")
    finds = f"{kind}/{name}" if "/" not in name else f"{kind}/{again.namespace}/{name.partition('/')[2]}"
    expected = (f"{first.case.fault} {first.case.finds}", f"{other.fault} {finds}")
    return Varied(case, (*first.drawn, f"with {other.fault} beside it")), expected


def _renamed_paths(paths: list[str], made: dict[str, str]) -> list[str]:
    return [str(names.renamed(path, made)) for path in paths]


@contextmanager
def plane(
    folder: Path, binaries: Binaries, draw: Draw, stories: Sequence[Json] = (), *, wide: bool = False
) -> Iterator[ControlPlane]:
    """A control plane with played nodes under drawn names, and something broken where nobody asks.

    `wide`: the one for faults of the whole cluster.
    """
    (folder / "plane").mkdir(parents=True)
    told = vary.world(draw.taken, draw.random, stories, wide=wide)
    with harness.running(folder / "plane", binaries) as made, staging.playing(made, told):
        if wide:
            played.measure(made)
        made.apply(vary.elsewhere())
        yield made


@contextmanager
def node(folder: Path, built: Binaries, stock: Stock) -> Iterator[ControlPlane]:
    """A control plane with one real node, whose registries hold this."""
    folder.mkdir(parents=True)
    with real_node.running(folder, built, stock) as made:
        yield made.plane


@asynccontextmanager
async def bench(made: ControlPlane, folder: Path) -> AsyncIterator[Bench]:
    """A gateway over the plane, and reads beside it."""
    with made.http() as client:
        async with (
            Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster,
            Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as behind,
            gated(behind, folder) as gate,
        ):
            gate.gateway.verifier.tick = 2.0
            yield Bench(cluster, gate, client, state.collections(client), asyncio.Lock())


async def each(items: Sequence[Looked], do: Callable[[Looked], Awaitable[None]]) -> None:
    """Do it to all, a few at a time; what breaks is written into the trial."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Looked) -> None:
        async with gate:
            try:
                await do(item)
            # The boundary of a trial: one that breaks is shown as broken, and the others go on.
            except Exception as error:  # noqa: BLE001
                item.trial.broke = f"{type(error).__name__}: {error}"[:300]

    await asyncio.gather(*(one(item) for item in items))


async def looked(cluster: Cluster, given: Given) -> tuple[list[Looked], list[Trial]]:
    """Diagnose everything that was staged; beside it the trials that broke meanwhile."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(varied: Varied, expected: tuple[str, ...]) -> Looked | Trial:
        late = given.late.get(varied.case.namespace, "")
        async with gate:
            try:
                found = await trial.look(cluster, varied, expected)
            # The boundary of a trial: one that breaks is shown as broken, and the others go on.
            except Exception as error:  # noqa: BLE001
                return trial.broken(varied, expected, late or f"{type(error).__name__}: {error}"[:300])
        found.trial.broke = late
        return found

    every = await asyncio.gather(*(one(*pair) for pair in given.varied))
    return [item for item in every if isinstance(item, Looked)], [item for item in every if isinstance(item, Trial)]


def late(steps: Iterable[tuple[str, Callable[[], object]]]) -> dict[str, str]:
    """Do what brings each of these to its incident; return which did not come there in time, and why."""
    found: dict[str, str] = {}
    for name, step in steps:
        try:
            step()
        except NotInTime as slow:
            found[name] = f"not staged: {slow}"
    return found


def stage(made: ControlPlane, given: Given) -> Given:
    """Stage a round: everything once, then what comes after the first state; return it with what was late."""
    all_cases = [varied.case for varied, _ in given.varied]
    staging.stage(made, all_cases)
    return replace(given, late=late((case.namespace, partial(staging.go_on, made, [case])) for case in all_cases))


def stock(stories: Sequence[Json]) -> Stock:
    """Return what the registry of these scenarios holds, each reference once."""
    told = [scenario.parse(yaml.safe_dump(story), str(story["scenario"])) for story in stories]
    return Stock(tuple({image.image: image for one in told for image in one.images}.values()))


async def played_scenarios(made: ControlPlane, stories: Sequence[Json], where: str = "on played nodes") -> Given:
    """Play renamed scenarios, each to its incident."""
    told = [scenario.parse(yaml.safe_dump(story), str(story["scenario"])) for story in stories]
    slow = await asyncio.to_thread(late, [(one.namespace, partial(_play, made, one)) for one in told])
    varied = [
        (Varied(_case_of(one), ("everything renamed", where)), (f"{one.expect.fault} {one.expect.object}",))
        for one in told
    ]
    return Given(varied, slow)


def _play(made: ControlPlane, told: scenario.Scenario) -> None:
    history.play(made, told)
    history.wait_shown(made, told)


def _case_of(other: scenario.Scenario) -> Case:
    target = other.expect.object.rpartition("/")[2]
    replicas = [
        item["spec"]["replicas"]
        for step in other.history
        for item in step.apply
        if item["metadata"]["name"] == target and "replicas" in item.get("spec", {})
    ]
    app: Json = {"name": target, "replicas": replicas[-1] if replicas else 1}
    return Case(other.expect.fault, other.namespace, other.expect.object, app=app, words=other.incident)


async def whole(made: ControlPlane, folder: Path, given: Given, other: K8sgpt | None) -> list[Trial]:
    """Diagnose, shake, compare and repair."""
    async with bench(made, folder) as table:
        seen, broken = await looked(table.cluster, given)
        for item in seen:
            await asyncio.to_thread(trial.shake, item)
            if item.trial.said:
                await trial.timed(table, item)
            if other:
                item.trial.other = await asyncio.to_thread(other.look, made, item.case, item.trial.fault, item.noise)
        # A repaired node lets pods of other cases go on: those cases first.
        of_nodes = [item for item in seen if item.case.finds.startswith("Node/")]
        for part in ([item for item in seen if item not in of_nodes], of_nodes):
            await each(part, lambda item: trial.repair(table, item))
    return [*(item.trial for item in seen), *broken]


async def found(made: ControlPlane, given: Given) -> list[Trial]:
    """Diagnose only."""
    async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
        seen, broken = await looked(cluster, given)
        return [*(item.trial for item in seen), *broken]


# Controls


async def controlled(made: ControlPlane, wanted: Sequence[controls.Staged], other: K8sgpt | None) -> list[Control]:
    """Stage what is no fault, wait until it is well, and ask about it."""
    for control in wanted:
        made.apply(controls.manifests(control))
    waits = [(one.id, partial(wait_until, f"{one.id} is well", partial(is_well, made, one), 120)) for one in wanted]
    slow = await asyncio.to_thread(late, waits)
    judged: list[Control] = []
    async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
        for control in wanted:
            if control.refused:
                async with _stranger(made, control.namespace) as stranger:
                    judged.append(await _asked(stranger, control))
            else:
                judged.append(await _asked(cluster, control))
            judged[-1].broke = slow.get(control.id, "")
            if other:
                judged[-1].other = await asyncio.to_thread(
                    other.look, made, Case("", control.namespace, ""), "", frozenset()
                )
    return judged


async def crowded(made: ControlPlane, other: K8sgpt, pods: int = 100) -> Crowd:
    """Fill a namespace with healthy pods and one that cannot pull its image; time ours and the other's, in turns.

    Each workload has its Service in front, as in a namespace that somebody uses.
    """
    space, broken = "crowd", vary.workload({"name": "broken", "namespace": "crowd"}, 1, "storefront:v0.0.0-missing")
    apps = [vary.workload({"name": f"app-{n}", "namespace": space}, 9) for n in range(pods // 9)]
    fronts = [_in_front(app) for app in (*apps, broken)]
    made.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}, *apps, broken, *fronts])
    control = controls.Staged("crowd", "", space, apps)
    await asyncio.to_thread(wait_until, "the crowd is ready", partial(_nearly_well, made, control, pods // 9), 180)
    case = Case("IMG-01", space, f"Deployment/{space}/broken", app={"name": "broken"})
    said = Incident("broken does not start", (space,))
    ours, first = [], False
    async with Cluster.from_kubeconfig(str(made.kubeconfig("admin"))) as cluster:
        for _ in range(4):
            began = time.perf_counter()
            snapshot = await take(cluster, [space])
            found = diagnose(snapshot, said)
            await plan(found, said, snapshot, dry_run_on(cluster))
            ours.append(time.perf_counter() - began)
            first = [f"{one.fault} {one.object}" for one in found.findings[:1]] == [f"IMG-01 {case.finds}"]
    theirs = [await asyncio.to_thread(other.look, made, case, "IMG-01", frozenset({"app"})) for _ in range(3)]
    middle = sorted(theirs, key=lambda one: one.seconds)[1]
    return Crowd(pods, sorted(ours[1:])[1], first, middle)


def _in_front(app: Json) -> Json:
    """Return a Service of the workload's name that sends to its pods."""
    port = app["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]
    wanted: Json = {"selector": app["spec"]["selector"]["matchLabels"], "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": dict(app["metadata"]), "spec": wanted}


def _nearly_well(made: ControlPlane, control: controls.Staged, wanted: int) -> bool:
    """All but the broken one are ready."""
    items = made.get(f"/apis/apps/v1/namespaces/{control.namespace}/deployments")["items"]
    ready = [item for item in items if item["status"].get("readyReplicas", 0) == item["spec"]["replicas"]]
    return len(ready) >= wanted


async def _asked(cluster: Cluster, control: controls.Staged) -> Control:
    snapshot = control.edit(await take(cluster, [control.namespace]))
    said = diagnose(snapshot, Incident(control.words, (control.namespace,)))
    findings = tuple(Said(one.fault, str(one.object), one.confidence, False) for one in said.findings)
    return Control(id=control.id, title=control.title, expected=control.expected, said=findings, unknown=said.unknown)


def is_well(made: ControlPlane, control: controls.Staged) -> bool:
    namespaced = f"namespaces/{control.namespace}"
    apps = [
        item
        for kind in ("deployments", "statefulsets")
        for item in made.get(f"/apis/apps/v1/{namespaced}/{kind}")["items"]
    ]
    jobs = made.get(f"/apis/batch/v1/{namespaced}/jobs")["items"]
    ready = all(item["status"].get("readyReplicas", 0) == item["spec"]["replicas"] for item in apps)
    return ready and all(job["status"].get("succeeded", 0) == 1 for job in jobs)


@asynccontextmanager
async def _stranger(made: ControlPlane, namespace: str) -> AsyncIterator[Cluster]:
    """The cluster as somebody who may list Services and nothing else."""
    made.apply([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "stranger", "namespace": namespace}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "services", "namespace": namespace},
            "rules": [{"apiGroups": [""], "resources": ["services"], "verbs": ["list", "get"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "services", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "services"},
            "subjects": [{"kind": "ServiceAccount", "name": "stranger", "namespace": namespace}],
        },
    ])  # fmt: skip
    with made.http() as admin:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/stranger/token"
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = admin.post(path, json=asked).raise_for_status().json()["status"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    async with Cluster(httpx.AsyncClient(base_url=made.server, verify=made.tls, headers=headers)) as cluster:
        yield cluster
