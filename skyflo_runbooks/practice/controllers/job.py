"""The Job controller: pods until enough have succeeded, or too many have failed.

Source: k8s.io/kubernetes/pkg/controller/job. Played: parallelism, completions, backoffLimit; not indexed jobs, pod
failure policies and deadlines. A failed pod is replaced after 10s, 20s, 40s …, at most 10 minutes.
"""

import random
from datetime import datetime, timedelta

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import parse, stamp
from skyflo_runbooks.practice.controllers.common import (
    MANAGER,
    active,
    delete_pod,
    is_ready,
    owned,
    set_condition,
    write_status,
)
from skyflo_runbooks.practice.controllers.replicaset import RETRY, create_pod
from skyflo_runbooks.practice.events import Occurrence, record
from skyflo_runbooks.practice.kinds import JOB, POD
from skyflo_runbooks.practice.store import Store, clone, key_of

COMPONENT = "job-controller"


def reconcile(store: Store, names: random.Random, owner: Json) -> datetime | None:
    """Bring a Job one step further; returns when to look again."""
    if owner["metadata"].get("deletionTimestamp") or _finished(owner):
        return None
    if not owner["spec"].get("selector"):
        owner = _label(store, owner)
    pods = owned(store, POD, owner)
    good = sum(at(pod, "status", "phase") == "Succeeded" for pod in pods)
    bad = [pod for pod in pods if at(pod, "status", "phase") == "Failed"]
    living = [pod for pod in pods if active(pod)]
    spec = owner["spec"]
    if good >= spec["completions"]:
        _close(store, owner, "Complete", "CompletionsReached", "Reached expected number of succeeded pods")
        return None
    if len(bad) > spec["backoffLimit"]:
        for pod in living:
            delete_pod(store, pod)
        _close(store, owner, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        return None
    wait = _backoff(bad)
    again = None
    if wait is not None and wait > store.clock.now():
        again = wait
    elif not spec.get("suspend"):
        for _ in range(min(spec["parallelism"], spec["completions"] - good) - len(living)):
            if create_pod(store, names, JOB, owner, COMPONENT):
                again = store.clock.now() + RETRY
                break
    _write(store, owner, [])
    return again


def _finished(owner: Json) -> bool:
    conditions = at(owner, "status", "conditions", default=[])
    return any(item["type"] in {"Complete", "Failed"} and item["status"] == "True" for item in conditions)


def _label(store: Store, owner: Json) -> Json:
    """Give the Job its generated selector, as the API server does at creation."""
    changed = clone(owner)
    uid, name = owner["metadata"]["uid"], owner["metadata"]["name"]
    changed["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = changed["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    return store.update(JOB, changed, MANAGER)


def _backoff(bad: list[Json]) -> datetime | None:
    if not bad:
        return None
    ends = [
        parse(state["finishedAt"])
        for pod in bad
        for status in at(pod, "status", "containerStatuses", default=[])
        if (state := at(status, "state", "terminated"))
    ]
    if not ends:
        return None
    return max(ends) + timedelta(seconds=min(600, 10 * 2 ** (len(bad) - 1)))


def _close(store: Store, owner: Json, kind: str, reason: str, message: str) -> None:
    now = stamp(store.clock.now())
    conditions: list[Json] = set_condition([], kind, "True", reason, message, now)
    shaped = [{"lastProbeTime": now, **{k: v for k, v in c.items() if k != "lastUpdateTime"}} for c in conditions]
    _write(store, owner, shaped)
    if kind == "Complete":
        record(store, owner, Occurrence("Normal", "Completed", "Job completed", COMPONENT))
    else:
        record(store, owner, Occurrence("Warning", reason, message, COMPONENT))


def _write(store: Store, owner: Json, conditions: list[Json]) -> None:
    current = store.find(JOB, *key_of(owner))
    if current is None:
        return
    pods = owned(store, POD, owner)
    living = [pod for pod in pods if active(pod)]
    phases = [at(pod, "status", "phase") for pod in pods]
    status: Json = {
        "active": len(living),
        "ready": sum(is_ready(pod) for pod in living),
        "succeeded": phases.count("Succeeded"),
        "failed": phases.count("Failed"),
        "startTime": at(current, "status", "startTime", default=stamp(store.clock.now())),
        "terminating": sum("deletionTimestamp" in pod["metadata"] for pod in pods),
    }
    status = {key: value for key, value in status.items() if value != 0 or key in {"ready", "terminating"}}
    if conditions:
        status["conditions"] = conditions
        if conditions[0]["type"] == "Complete":
            status["completionTime"] = stamp(store.clock.now())
    write_status(store, JOB, current, status)
