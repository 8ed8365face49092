"""When a rollout is done, and what is said while it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import call, rollout

from skyflo_runbooks.model.json import Json
from tests.tools.worlds import World

OLD_SET: Json = {
    "kind": "ReplicaSet",
    "metadata": {
        "name": "web-1",
        "uid": "rs-1",
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "ownerReferences": [{"uid": "d", "controller": True}],
    },
}
NEW_SET: Json = {
    "kind": "ReplicaSet",
    "metadata": {
        "name": "web-2",
        "uid": "rs-2",
        "annotations": {"deployment.kubernetes.io/revision": "2"},
        "ownerReferences": [{"uid": "d", "controller": True}],
    },
}
SETS = [OLD_SET, NEW_SET]


def deployment(**changed: object) -> Json:
    """A Deployment of 3 whose rollout is complete, but for what is changed in its status or spec."""
    status: Json = {
        "observedGeneration": 4,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    spec: Json = {"replicas": 3}
    metadata: Json = {"uid": "d", "generation": 4, "annotations": {"deployment.kubernetes.io/revision": "2"}}
    for name, value in changed.items():
        place = next((part for part in (metadata, status, spec) if name in part), spec if name == "paused" else status)
        place[name] = value
    return {"kind": "Deployment", "metadata": metadata, "spec": spec, "status": status}


def pods(owner: str, count: int, *, restarts: int = 0, ready: bool = True, phase: str = "Running") -> list[Json]:
    """Pods of one ReplicaSet."""
    return [
        {
            "metadata": {"name": f"{owner}-{number}", "ownerReferences": [{"uid": owner, "controller": True}]},
            "status": {
                "phase": phase,
                "conditions": [{"type": "Ready", "status": str(ready)}],
                "containerStatuses": [{"name": "web", "restartCount": restarts}],
            },
        }
        for number in range(count)
    ]


def test_all_updated_available_and_nothing_old_is_complete() -> None:
    """With the numbers beside it."""
    state = rollout.status(deployment(), pods("rs-2", 3, restarts=2), SETS)
    assert (state.state, state.desired, state.ready, state.restarts, state.old_pods) == ("complete", 3, 3, 6, ())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"observedGeneration": 3}, "has not seen the latest change"),
        ({"updatedReplicas": 1}, "1 of 3 replicas are updated"),
        ({"availableReplicas": 2}, "2 of 3 updated replicas are available"),
        ({"availableReplicas": None}, "0 of 3 updated replicas are available"),
    ],
)
def test_each_thing_that_is_missing_keeps_it_progressing(changed: Json, said: str) -> None:
    """And the message names it."""
    state = rollout.status(deployment(**changed), pods("rs-2", 3), SETS)
    assert state.state == "progressing"
    assert said in state.message


def test_a_pod_of_the_old_template_keeps_it_progressing() -> None:
    """`rollout status` alone would already say done."""
    state = rollout.status(deployment(), pods("rs-2", 3) + pods("rs-1", 1), SETS)
    assert (state.state, state.old_pods) == ("progressing", ("rs-1-0",))
    assert "1 old pods" in state.message


def test_a_terminating_old_pod_is_still_an_old_pod() -> None:
    """It may still be serving."""
    (leaving,) = pods("rs-1", 1)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-05T10:00:00Z"
    assert rollout.status(deployment(), [*pods("rs-2", 3), leaving], SETS).state == "progressing"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_old_pod_that_ended_does_not_count(phase: str) -> None:
    """An evicted pod may lie there for days."""
    assert rollout.status(deployment(), pods("rs-2", 3) + pods("rs-1", 1, phase=phase), SETS).state == "complete"


def test_pods_of_somebody_else_do_not_count() -> None:
    """Whatever their labels are."""
    assert rollout.status(deployment(), pods("rs-2", 3) + pods("rs-9", 5), SETS).state == "complete"


def test_a_pod_too_many_keeps_it_progressing() -> None:
    """The surge pod has to go before it is over."""
    surplus = deployment()
    surplus["status"]["replicas"] = 4
    state = rollout.status(surplus, pods("rs-2", 4), SETS)
    assert state.state == "progressing"
    assert "1 pods more than desired" in state.message


GIVEN_UP = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}]


def test_a_controller_that_gave_up_is_stalled() -> None:
    """With its own words."""
    state = rollout.status(deployment(updatedReplicas=1, conditions=GIVEN_UP), pods("rs-2", 1), SETS)
    assert state.state == "stalled"
    assert "timed out" in state.message


def test_a_condition_that_outlived_its_rollout_stalls_nothing() -> None:
    """A stale ProgressDeadlineExceeded can outlive an undo."""
    assert rollout.status(deployment(conditions=GIVEN_UP), pods("rs-2", 3), SETS).state == "complete"
    unseen = rollout.status(deployment(conditions=GIVEN_UP, observedGeneration=3), pods("rs-2", 3), SETS)
    assert unseen.state == "progressing"


def test_a_paused_rollout_says_so() -> None:
    """It waits for a person, not for time."""
    state = rollout.status(deployment(paused=True, updatedReplicas=1), pods("rs-2", 1), SETS)
    assert state.state == "paused"
    assert rollout.status(deployment(paused=True), pods("rs-2", 3), SETS).state == "complete"


def test_a_deployment_of_none_is_complete_when_its_pods_are_gone() -> None:
    """Scaled to zero is a state like others."""
    empty = deployment(replicas=0, updatedReplicas=0, availableReplicas=0)
    empty["spec"]["replicas"] = 0
    assert rollout.status(empty, [], SETS).state == "complete"
    assert rollout.status(empty, pods("rs-1", 1), SETS).state == "progressing"


def stateful(updated: int, available: int, *, partition: int = 0) -> Json:
    """A StatefulSet of 3, from revision a to b."""
    return {
        "kind": "StatefulSet",
        "metadata": {"uid": "s", "generation": 1},
        "spec": {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": partition}}},
        "status": {
            "observedGeneration": 1,
            "replicas": 3,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "currentRevision": "a",
            "updateRevision": "b",
        },
    }


def members(*revisions: str, owner: str = "s") -> list[Json]:
    """Pods of a StatefulSet or DaemonSet at these revisions."""
    return [
        {
            "metadata": {
                "name": f"db-{index}",
                "labels": {"controller-revision-hash": revision},
                "ownerReferences": [{"uid": owner, "controller": True}],
            },
            "status": {"phase": "Running"},
        }
        for index, revision in enumerate(revisions)
    ]


def test_a_stateful_set_is_complete_when_every_pod_has_the_new_revision() -> None:
    """Its status names the revision."""
    assert rollout.status(stateful(3, 3), members("b", "b", "b")).state == "complete"
    state = rollout.status(stateful(1, 3), members("a", "a", "b"))
    assert (state.state, state.old_pods) == ("progressing", ("db-0", "db-1"))


def test_a_partition_keeps_as_many_old_pods_as_it_says() -> None:
    """A canary of one is complete with two old pods."""
    assert rollout.status(stateful(1, 3, partition=2), members("a", "a", "b")).state == "complete"
    assert rollout.status(stateful(1, 3, partition=1), members("a", "a", "b")).state == "progressing"


def daemon(updated: int) -> Json:
    """A DaemonSet on 2 nodes."""
    numbers = {"desiredNumberScheduled": 2, "currentNumberScheduled": 2, "numberAvailable": 2}
    status = {"observedGeneration": 1, "updatedNumberScheduled": updated, **numbers}
    return {"kind": "DaemonSet", "metadata": {"uid": "s", "generation": 1}, "spec": {}, "status": status}


def revision(name: str, number: int) -> Json:
    """A ControllerRevision of the DaemonSet."""
    owner = [{"uid": "s", "controller": True}]
    return {
        "metadata": {"name": name, "labels": {"controller-revision-hash": name}, "ownerReferences": owner},
        "revision": number,
    }


def test_a_daemon_set_is_judged_by_its_latest_revision() -> None:
    """Its status does not name it; its ControllerRevisions do."""
    known = [revision("b", 2), revision("a", 1)]
    assert rollout.status(daemon(2), members("b", "b"), known).state == "complete"
    state = rollout.status(daemon(1), members("a", "b"), known)
    assert (state.state, state.old_pods) == ("progressing", ("db-0",))


@given(
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 3),
    st.booleans(),
)
def test_complete_is_never_said_while_anything_is_missing(
    updated: int, available: int, desired: int, old: int, seen: bool
) -> None:
    """The law: complete means seen, all updated, all available, nothing old, and no pod too many."""
    workload = deployment(updatedReplicas=updated, availableReplicas=available, observedGeneration=4 if seen else 3)
    workload["spec"]["replicas"] = desired
    workload["status"]["replicas"] = updated + old
    state = rollout.status(workload, pods("rs-2", updated) + pods("rs-1", old), SETS).state
    done = seen and updated == desired and available >= desired and old == 0
    assert (state == "complete") == done


async def test_a_rollout_without_nodes_progresses_on_any_cluster(world: World) -> None:
    """Its pods cannot start, and that is what it says."""
    arguments = {"kind": "Deployment", "namespace": world.namespace, "name": "web"}

    async def seen() -> bool:
        found = await call(world.cluster, "k8s_rollout_status", arguments)
        assert isinstance(found, dict)
        return bool(found["observed_generation"] == found["generation"] and found["updated"] == 2)

    await world.until("the controller saw it", seen)
    found = await call(world.cluster, "k8s_rollout_status", arguments)
    assert isinstance(found, dict)
    assert found["state"] == "progressing"
    assert found["message"] == "0 of 2 updated replicas are available."
    assert (found["available"], found["old_pods"], found["restarts"]) == (0, [], 0)
