"""The checks of what controllers answer: yes, no, and that nobody did; by objects as written, and on a real server."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.gateway.checks import controllers
from skyflo_runbooks.gateway.checks.observe import observe
from skyflo_runbooks.gateway.checks.view import Observation, View
from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.fixtures import control_plane
from tests.control_plane.harness import ControlPlane

__all__ = ["control_plane"]

NOW = datetime(2026, 11, 24, 3, 0, 0, 500_000, tzinfo=UTC)
ACCEPTED = check.condition_true("HTTPRoute", "x", namespace="shop", condition="Accepted")
RUNS = check.run_began("x", namespace="shop")
SPREAD = check.on_more_nodes("x", namespace="shop", than=1)
SERVED = check.address_given("x", namespace="shop")


class Held(View):
    """A view of objects that are held here."""

    def __init__(self, *known: Json) -> None:
        super().__init__(Cluster(httpx.AsyncClient()), now=NOW, since=NOW)
        self._known = known

    async def get(self, kind: str, name: str, namespace: str) -> Json:
        """See View."""
        return next(one for one in self._known if (one["kind"], one["metadata"]["name"]) == (kind, name))

    async def list(self, kind: str, namespace: str) -> tuple[Json, ...]:
        """See View."""
        return tuple(one for one in self._known if one["kind"] == kind)


async def look(claim: Check, *known: Json) -> Observation:
    """Look once."""
    return await observe(claim, Held(*known))


def thing(kind: str, name: str = "x", *, at: float = 0, **parts: Any) -> Json:
    """An object of the namespace, made so many seconds after the change."""
    made = (NOW + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "namespace": "shop", "uid": f"u-{name}", "creationTimestamp": made}
    return {"kind": kind, "metadata": metadata | parts.pop("metadata", {}), **parts}


def by(parent: Json, status: str, **more: Any) -> Json:
    """What a parent's controller wrote."""
    said = {"type": "Accepted", "status": status, "reason": "R", **more}
    return {"parentRef": parent, "controllerName": "example.com/edge", "conditions": [said]}


FRONT: Json = {"name": "front"}
OTHER: Json = {"name": "front", "namespace": "edge", "sectionName": "https"}


@pytest.mark.parametrize(
    ("wanted", "parents", "holds"),
    [
        ([FRONT], [by(FRONT, "True")], "yes"),
        ([FRONT], [by({**FRONT, "kind": "Gateway", "namespace": "shop"}, "True")], "yes"),
        ([FRONT], [by(FRONT, "True", observedGeneration=3)], "yes"),
        ([FRONT], [by(FRONT, "True", observedGeneration=2)], "no"),
        ([FRONT], [by(FRONT, "False")], "no"),
        ([FRONT], [by(FRONT, "Unknown")], "unknown"),
        ([FRONT], [], "unknown"),
        ([FRONT], [by({"name": "old"}, "True")], "unknown"),
        ([FRONT, OTHER], [by(FRONT, "True"), by(OTHER, "True")], "yes"),
        ([FRONT, OTHER], [by(FRONT, "True")], "unknown"),
        ([FRONT, OTHER], [by(OTHER, "False")], "no"),
    ],
    ids=["said", "in-full", "of-this", "of-an-older", "refused", "waits", "silent", "another", "both", "one", "worse"],
)
async def test_a_route_is_asked_of_each_parent(wanted: list[Json], parents: list[Json], holds: str) -> None:
    """One parent that is silent leaves it unknown, one that refuses is a no."""
    route = thing("HTTPRoute", spec={"parentRefs": wanted}, status={"parents": parents}, metadata={"generation": 3})
    found = await look(ACCEPTED, route)
    assert found.holds == holds, found
    if holds == "unknown":
        assert "nothing answered" in found.observed


async def test_what_waits_for_a_controller_is_no_answer() -> None:
    """A Gateway is born with these words."""
    said = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
    gateway = thing("Gateway", status={"conditions": [said]})
    found = await look(check.condition_true("Gateway", "x", namespace="shop", condition="Accepted"), gateway)
    assert (found.holds, "Waiting for controller" in found.observed) == ("unknown", True)


def ingress(name: str, class_: str, *points: Json) -> Json:
    """An Ingress of a class, with its addresses."""
    return thing("Ingress", name, spec={"ingressClassName": class_}, status={"loadBalancer": {"ingress": [*points]}})


@pytest.mark.parametrize(
    ("own", "others", "holds"),
    [
        ([{"ip": "192.0.2.1"}], [], "yes"),
        ([{"hostname": "lb.example.com"}], [], "yes"),
        ([{}], [], "unknown"),
        ([], [], "unknown"),
        ([], [ingress("y", "edge", {"ip": "192.0.2.1"})], "no"),
        ([], [ingress("y", "other", {"ip": "192.0.2.1"})], "unknown"),
    ],
)
async def test_an_address_is_missed_only_where_they_are_written(
    own: list[Json], others: list[Json], holds: str
) -> None:
    """Some controllers write none."""
    found = await look(SERVED, ingress("x", "edge", *own), *others)
    assert found.holds == holds, found


def job(at: float, *, of: str = "u-x", by_hand: bool = False) -> Json:
    """A run of the CronJob."""
    above = [{"kind": "CronJob", "uid": of, "controller": True}]
    notes = {"cronjob.kubernetes.io/instantiate": "manual"} if by_hand else {}
    return thing("Job", "x-1", at=at, metadata={"ownerReferences": above, "annotations": notes})


@pytest.mark.parametrize(
    ("suspended", "last", "jobs", "holds"),
    [
        (False, "", [job(5)], "yes"),
        (False, "", [job(0)], "yes"),
        (False, "2026-11-24T03:01:00Z", [], "yes"),
        (False, "2026-11-24T02:59:00Z", [], "unknown"),
        (False, "", [job(-60)], "unknown"),
        (False, "", [job(5, of="u-y")], "unknown"),
        (False, "", [job(5, by_hand=True)], "unknown"),
        (True, "", [job(5)], "no"),
    ],
    ids=["began", "same-second", "gone-already", "not-yet", "before", "of-another", "by-hand", "suspended"],
)
async def test_a_run_is_one_of_the_schedule_since_the_change(
    suspended: bool, last: str, jobs: list[Json], holds: str
) -> None:
    """None is unknown until one is due; one that was begun by hand or before the change says nothing of it."""
    status = {"lastScheduleTime": last} if last else {}
    found = await look(
        RUNS, thing("CronJob", spec={"suspend": suspended, "schedule": "*/5 * * * *"}, status=status), *jobs
    )
    assert found.holds == holds, found


def agent(wanted: int, *, of: int = 2) -> Json:
    """A DaemonSet that is wanted on so many nodes."""
    status = {"desiredNumberScheduled": wanted, "observedGeneration": of}
    return thing("DaemonSet", metadata={"generation": 2}, spec={}, status=status)


def pods(*ready: str) -> list[Json]:
    """Its pods, Ready or not; and what tells which template they are of."""
    above = [{"kind": "DaemonSet", "uid": "u-x", "controller": True}]
    labels = {"controller-revision-hash": "one"}
    made = [
        thing(
            "Pod",
            f"x-{number}",
            metadata={"ownerReferences": above, "labels": labels},
            status={"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
        )
        for number, status in enumerate(ready)
    ]
    revision = thing("ControllerRevision", "x-one", revision=1, metadata={"ownerReferences": above, "labels": labels})
    return [*made, revision]


@pytest.mark.parametrize(
    ("held", "ready", "holds"),
    [
        (agent(2), ("True", "True"), "yes"),
        (agent(2), ("True", "False"), "no"),
        (agent(2), ("True",), "no"),
        (agent(1), ("True",), "no"),
        (agent(2, of=1), ("True", "True"), "no"),
    ],
    ids=["more", "one-not-ready", "one-missing", "as-before", "not-seen-yet"],
)
async def test_a_daemon_set_on_more_nodes(held: Json, ready: tuple[str, ...], holds: str) -> None:
    """Wanted on more, and there."""
    found = await look(SPREAD, held, *pods(*ready))
    assert found.holds == holds, found


# On both clusters -----------------------------------------------------------------------------------------------------


NAMESPACE = "answered"
CRON: Json = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "x", "namespace": NAMESPACE},
    "spec": {
        "schedule": "0 0 1 1 *",
        "jobTemplate": {
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "m", "image": "m:v1"}]}}}
        },
    },
}
FRONTED: Json = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "x", "namespace": NAMESPACE},
    "spec": {"ingressClassName": "edge", "defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
}
EVERYWHERE: Json = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "x", "namespace": NAMESPACE},
    "spec": {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "m", "image": "m:v1"}]}},
    },
}
ALL = [
    check.run_began("x", namespace=NAMESPACE),
    check.address_given("x", namespace=NAMESPACE),
    check.on_more_nodes("x", namespace=NAMESPACE, than=1_000),
]


async def seen(cluster: Cluster, claim: Check) -> Observation:
    """Look once at a cluster."""
    now = await cluster.now()
    view = View(cluster, now=now, since=now - timedelta(minutes=1))
    try:
        return await observe(claim, view)
    finally:
        await view.close()


def test_every_check_of_controllers_is_seen_on_both() -> None:
    """One that is added stands here, too; conditions are those of the other tests."""
    assert {one.name for one in ALL} | {"condition_true"} == set(controllers.OBSERVERS)


@pytest.mark.parametrize("claim", ALL, ids=str)
async def test_what_is_not_there_is_unknown_on_the_practice_cluster(claim: Check) -> None:
    """It has none of these objects, and says so."""
    app = PracticeCluster("healthy").app
    async with Cluster(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://practice")) as cluster:
        assert (await seen(cluster, claim)).holds == "unknown"


async def until(cluster: Cluster, claim: Check, holds: str) -> Observation:
    """Look until it is so: controllers take a moment."""
    for _ in range(200):
        found = await seen(cluster, claim)
        if found.holds == holds:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"expected {holds}: {found}")


@pytest.mark.control_plane
async def test_what_a_real_server_answers(control_plane: ControlPlane) -> None:
    """Nobody serves the Ingress and the schedule is a year's; then somebody does, and a run begins."""
    runs, served, spread = ALL
    space: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    other = {**FRONTED, "metadata": {"name": "y", "namespace": NAMESPACE}}
    control_plane.apply([space, CRON, FRONTED, other, EVERYWHERE])
    headers = {"Authorization": f"Bearer {control_plane.token('admin')}"}
    client = httpx.AsyncClient(base_url=control_plane.server, verify=control_plane.tls, headers=headers)
    address = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    ingresses = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses"
    async with Cluster(client) as cluster:
        assert "nothing answered" in (await until(cluster, served, "unknown")).observed
        assert "no run began" in (await until(cluster, runs, "unknown")).observed
        assert "before: 1000" in (await until(cluster, spread, "no")).observed

        control_plane.merge(f"{ingresses}/y/status", address)
        await until(cluster, served, "no")
        control_plane.merge(f"{ingresses}/x/status", address)
        await until(cluster, served, "yes")
        cron = control_plane.get(f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/x")
        above = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "x", "uid": cron["metadata"]["uid"]}
        run = {"name": "x-1", "namespace": NAMESPACE, "ownerReferences": [{**above, "controller": True}]}
        control_plane.apply(
            [{"apiVersion": "batch/v1", "kind": "Job", "metadata": run, "spec": CRON["spec"]["jobTemplate"]["spec"]}]
        )
        await until(cluster, runs, "yes")
