"""The StatefulSet controller: pods in order, each ready before the next, replaced from the last to the first.

Source: k8s.io/kubernetes/pkg/controller/statefulset/stateful_set_control.go. Played: OrderedReady and Parallel,
RollingUpdate with its partition, OnDelete. Volume claims are refused by validation of the field's use, not here.
"""

import random
from datetime import datetime

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.controllers.common import (
    active,
    delete_pod,
    is_ready,
    owned,
    template_hash,
    write_status,
)
from skyflo_runbooks.practice.controllers.replicaset import RETRY, create_pod
from skyflo_runbooks.practice.events import Occurrence, record
from skyflo_runbooks.practice.kinds import POD, STATEFUL_SET
from skyflo_runbooks.practice.store import Author, Store, clone, key_of

COMPONENT = "statefulset-controller"
HASH = "controller-revision-hash"
_AUTHOR = Author("kube-controller-manager")


def reconcile(store: Store, names: random.Random, owner: Json) -> datetime | None:
    """Bring a StatefulSet one step further; returns when to try again if the server refused a pod."""
    if owner["metadata"].get("deletionTimestamp"):
        return None
    revision = f"{owner['metadata']['name']}-{template_hash(owner['spec']['template'])}"
    pods = {_ordinal(pod): pod for pod in owned(store, POD, owner)}
    refused = _scale_up(store, names, owner, pods, revision)
    if not refused:
        _scale_down_or_replace(store, owner, pods, revision)
    _write(store, owner, revision)
    return store.clock.now() + RETRY if refused else None


def _ordinal(pod: Json) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _scale_up(store: Store, names: random.Random, owner: Json, pods: dict[int, Json], revision: str) -> str:
    ordered = owner["spec"]["podManagementPolicy"] == "OrderedReady"
    for place in range(owner["spec"]["replicas"]):
        pod = pods.get(place)
        if pod is not None and at(pod, "status", "phase") in {"Failed", "Succeeded"}:
            delete_pod(store, pod)
            return ""
        if pod is None:
            labelled = clone(owner)
            name = f"{owner['metadata']['name']}-{place}"
            meta = labelled["spec"]["template"].setdefault("metadata", {})
            meta.setdefault("labels", {}).update(
                {HASH: revision, "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(place)}
            )
            labelled["spec"]["template"]["spec"]["hostname"] = name
            labelled["spec"]["template"]["spec"]["subdomain"] = owner["spec"].get("serviceName", "")
            if refused := create_pod(store, names, STATEFUL_SET, labelled, COMPONENT, name):
                return refused
        if ordered and (pod is None or not is_ready(pod)):
            return ""
    return ""


def _scale_down_or_replace(store: Store, owner: Json, pods: dict[int, Json], revision: str) -> None:
    surplus = [place for place in pods if place >= owner["spec"]["replicas"]]
    going = [pod for pod in pods.values() if not active(pod)]
    if surplus:
        if not going:
            _delete(store, owner, pods[max(surplus)])
        return
    strategy = owner["spec"]["updateStrategy"]
    if strategy["type"] != "RollingUpdate" or going:
        return
    partition = at(strategy, "rollingUpdate", "partition", default=0)
    for place in sorted((p for p in pods if p >= partition), reverse=True):
        pod = pods[place]
        if pod["metadata"]["labels"].get(HASH) != revision:
            _delete(store, owner, pod)
            return
        if not is_ready(pod):
            return


def _delete(store: Store, owner: Json, pod: Json) -> None:
    delete_pod(store, pod)
    name = pod["metadata"]["name"]
    text = f"delete Pod {name} in StatefulSet {owner['metadata']['name']} successful"
    record(store, owner, Occurrence("Normal", "SuccessfulDelete", text, COMPONENT))


def _write(store: Store, owner: Json, revision: str) -> None:
    pods = [pod for pod in owned(store, POD, owner) if active(pod)]
    updated = [pod for pod in pods if pod["metadata"]["labels"].get(HASH) == revision]
    ready = sum(is_ready(pod) for pod in pods)
    current = store.find(STATEFUL_SET, *key_of(owner))
    if current is None:
        return
    done = len(updated) == len(pods)
    status: Json = {
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": len(pods) if done else len(pods) - len(updated),
        "updatedReplicas": len(updated),
        "currentRevision": revision if done else at(owner, "status", "currentRevision", default=revision),
        "updateRevision": revision,
        "observedGeneration": owner["metadata"]["generation"],
        "collisionCount": 0,
    }
    write_status(store, STATEFUL_SET, current, status)
