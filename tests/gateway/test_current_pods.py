"""Which pods a check looks at: those of the current template alone, and none before the controller has seen it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from skyflo_runbooks.gateway.checks.observe import observe
from skyflo_runbooks.gateway.checks.view import Observation, Pods, View
from skyflo_runbooks.model import check
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json
from tests.tools.apiserver import DISCOVERY, Asked, Reply, Scripted, status

NOW = datetime(2026, 11, 24, 3, 0, 0, tzinfo=UTC)
KINDS = {
    "Deployment": "deployments",
    "StatefulSet": "statefulsets",
    "DaemonSet": "daemonsets",
    "ReplicaSet": "replicasets",
    "ControllerRevision": "controllerrevisions",
}
_APPS: Json = {
    "groupVersion": "apps/v1",
    "resources": [
        {"kind": kind, "name": plural, "namespaced": True, "verbs": ["get", "list"]} for kind, plural in KINDS.items()
    ],
}
_JOBS: Json = {
    "groupVersion": "batch/v1",
    "resources": [{"kind": "Job", "name": "jobs", "namespaced": True, "verbs": ["get", "list"]}],
}
_BATCH = {"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}]}
_KNOWN: dict[str, Json] = {
    **DISCOVERY,
    "/apis": {"groups": [*DISCOVERY["/apis"]["groups"], _BATCH]},
    "/apis/apps/v1": _APPS,
    "/apis/batch/v1": _JOBS,
}
_PLURALS = {**KINDS, "Job": "jobs", "Pod": "pods"}


def _view(*there: Json) -> View:
    def answer(asked: Asked) -> Reply:
        last = asked.path.rpartition("/")[2]
        if last in _PLURALS.values():
            return Reply(body={"items": [one for one in there if _PLURALS[one["kind"]] == last]})
        plural = asked.path.split("/")[-2]
        found = [one for one in there if (_PLURALS[one["kind"]], one["metadata"]["name"]) == (plural, last)]
        return Reply(body=found[0]) if found else status(404, f"no {last}", "NotFound")

    server = Scripted(lambda asked: Reply(body=_KNOWN[asked.path]) if asked.path in _KNOWN else answer(asked))
    return View(server.cluster(), now=NOW, since=NOW)


async def current(kind: str, *there: Json) -> Pods:
    """Tell the pods of the workload `w` apart."""
    view = _view(*there)
    try:
        return await view.pods(kind, "w", "shop")
    finally:
        await view.close()


async def look(claim: Check, *there: Json) -> Observation:
    """Look once at a cluster that holds these objects."""
    view = _view(*there)
    try:
        return await observe(claim, view)
    finally:
        await view.close()


def workload(kind: str, generation: int, observed: int, **said: Any) -> Json:
    """A workload whose controller has seen so much of it."""
    metadata = {
        "name": "w",
        "namespace": "shop",
        "uid": "u",
        "generation": generation,
        "annotations": {"deployment.kubernetes.io/revision": "1"},
    }
    return {
        "kind": kind,
        "metadata": metadata,
        "spec": {"replicas": 1},
        "status": {"observedGeneration": observed, **said},
    }


def of(kind: str, name: str, owner: str = "u", **parts: Any) -> Json:
    """What a controller made."""
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "ownerReferences": [{"uid": owner, "controller": True}],
        **parts.pop("metadata", {}),
    }
    return {"kind": kind, "metadata": metadata, **parts}


def revision(number: int) -> Json:
    """A ControllerRevision."""
    return of(
        "ControllerRevision",
        f"r{number}",
        revision=number,
        metadata={"labels": {"controller-revision-hash": f"h{number}"}},
    )


def made_from(number: int, name: str, **parts: Any) -> Json:
    """A pod of a revision."""
    return of("Pod", name, metadata={"labels": {"controller-revision-hash": f"h{number}"}}, **parts)


def names(pods: tuple[Json, ...]) -> list[str]:
    """Their names."""
    return [one["metadata"]["name"] for one in pods]


REPLICAS = of("ReplicaSet", "w-1", metadata={"annotations": {"deployment.kubernetes.io/revision": "1"}})
KILLED: Json = {
    "phase": "Running",
    "containerStatuses": [
        {"name": "app", "lastState": {"terminated": {"reason": "OOMKilled", "finishedAt": "2026-11-24T03:00:00Z"}}}
    ],
}


@pytest.mark.parametrize(
    ("kind", "besides"),
    [
        ("Deployment", (REPLICAS, of("Pod", "p", "w-1"))),
        ("StatefulSet", (made_from(1, "p"),)),
        ("DaemonSet", (revision(1), made_from(1, "p"))),
    ],
)
async def test_no_pod_is_of_a_template_that_the_controller_has_not_seen(kind: str, besides: tuple[Json, ...]) -> None:
    """The revision that is noted there is still the one from before the change."""
    late = await current(kind, workload(kind, 2, 1, updateRevision="h1"), *besides)
    assert (names(late.new), names(late.old)) == ([], ["p"])
    seen = await current(kind, workload(kind, 2, 2, updateRevision="h1"), *besides)
    assert (names(seen.new), names(seen.old)) == (["p"], [])


async def test_a_kill_of_an_old_pod_in_the_second_of_the_change_says_nothing_of_the_new_limit() -> None:
    """A cluster tells the time of a kill to the second."""
    claim = check.no_oom_kills("Deployment", "w", namespace="shop", window="5s")
    pod = of("Pod", "p", "w-1", spec={"containers": [{"name": "app"}]}, status=KILLED)
    late = await look(claim, workload("Deployment", 2, 1), REPLICAS, pod)
    assert (late.holds, late.observed) == ("unknown", "there is no pod of the current template")
    seen = await look(claim, workload("Deployment", 2, 2), REPLICAS, pod)
    assert (seen.holds, "1 OOMKilled since the change" in seen.observed) == ("no", True)


async def test_a_daemonsets_newest_revision_tells_its_current_pods() -> None:
    """Also after a roll-back, which gives an old revision the highest number."""
    back = {**revision(1), "revision": 3}
    found = await current(
        "DaemonSet", workload("DaemonSet", 2, 2), back, revision(2), made_from(1, "new"), made_from(2, "old")
    )
    assert (names(found.new), names(found.old)) == (["new"], ["old"])


async def test_a_job_has_one_template_and_its_ended_pods_count() -> None:
    """Its controller does not tell what it has seen."""
    job = workload("Job", 1, 0)
    ended = of("Pod", "p", status={"phase": "Failed"})
    assert names((await current("Job", job, ended)).new) == ["p"]
