"""The ReplicaSet controller: as many pods as asked, the least useful deleted first.

Source: k8s.io/kubernetes/pkg/controller/replicaset and controller_utils.go (ranking of pods to delete).
"""

import random
from datetime import datetime, timedelta

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import quota
from skyflo_runbooks.practice.clock import parse, stamp
from skyflo_runbooks.practice.controllers.common import (
    MANAGER,
    active,
    delete_pod,
    is_ready,
    owned,
    owner_reference,
    restarts,
    set_condition,
    suffix,
    write_status,
)
from skyflo_runbooks.practice.defaults import apply_defaults
from skyflo_runbooks.practice.errors import ApiError
from skyflo_runbooks.practice.events import Occurrence, record
from skyflo_runbooks.practice.kinds import POD, REPLICA_SET, Kind
from skyflo_runbooks.practice.store import Store, clone

COMPONENT = "replicaset-controller"
RETRY = timedelta(seconds=30)


def reconcile(store: Store, names: random.Random, replica_set: Json) -> datetime | None:
    """Create or delete pods until the count fits; returns when to try again if the server refused one."""
    if replica_set["metadata"].get("deletionTimestamp"):
        return None
    pods = owned(store, POD, replica_set)
    living = [pod for pod in pods if active(pod)]
    wanted = replica_set["spec"]["replicas"]
    refused = ""
    for _ in range(wanted - len(living)):
        refused = create_pod(store, names, REPLICA_SET, replica_set, COMPONENT)
        if refused:
            break
    for pod in sorted(living, key=_usefulness)[: max(0, len(living) - wanted)]:
        delete_pod(store, pod)
        text = f"Deleted pod: {pod['metadata']['name']}"
        record(store, replica_set, Occurrence("Normal", "SuccessfulDelete", text, COMPONENT))
    _write(store, replica_set, refused)
    return store.clock.now() + RETRY if refused else None


def _usefulness(pod: Json) -> tuple[bool, bool, bool, int, float]:
    """Sort the least useful first: unassigned, pending, unready, most restarts, youngest."""
    born = parse(pod["metadata"]["creationTimestamp"]).timestamp()
    running = at(pod, "status", "phase") == "Running"
    return (bool(at(pod, "spec", "nodeName")), running, is_ready(pod), -restarts(pod), -born)


def pod_from(kind: Kind, owner: Json, name: str, namespace: str, generate: str = "") -> Json:
    """Return the pod that `owner`'s template describes."""
    template = clone(owner["spec"]["template"])
    meta = template.get("metadata", {})
    meta |= {"name": name, "namespace": namespace, "ownerReferences": [owner_reference(kind, owner)]}
    if generate:
        meta["generateName"] = generate
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template["spec"]}


def create_pod(store: Store, names: random.Random, kind: Kind, owner: Json, component: str, name: str = "") -> str:
    """Create one pod of a template; returns why the server refused it, or an empty string."""
    generate = f"{owner['metadata']['name']}-"
    pod = pod_from(
        kind, owner, name or generate + suffix(names), owner["metadata"]["namespace"], "" if name else generate
    )
    apply_defaults(POD, pod)
    try:
        quota.admit(store, pod)
    except ApiError as refused:
        shown = (
            refused.message.replace(f'"{pod["metadata"]["name"]}"', f'"{generate}"', 1) if not name else refused.message
        )
        record(store, owner, Occurrence("Warning", "FailedCreate", f"Error creating: {shown}", component))
        return shown
    made = store.create(POD, pod, MANAGER)
    text = f"Created pod: {made['metadata']['name']}"
    record(store, owner, Occurrence("Normal", "SuccessfulCreate", text, component))
    return ""


def _write(store: Store, replica_set: Json, refused: str) -> None:
    pods = [pod for pod in owned(store, POD, replica_set) if active(pod)]
    ready = sum(is_ready(pod) for pod in pods)
    status: Json = {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "observedGeneration": replica_set["metadata"]["generation"],
    }
    status = {key: value for key, value in status.items() if value or key == "replicas"}
    conditions = at(replica_set, "status", "conditions", default=[])
    if refused:
        now = stamp(store.clock.now())
        conditions = set_condition(conditions, "ReplicaFailure", "True", "FailedCreate", refused, now)
    elif len(pods) >= replica_set["spec"]["replicas"]:
        conditions = [item for item in conditions if item["type"] != "ReplicaFailure"]
    if conditions:
        status["conditions"] = conditions
    current = store.find(REPLICA_SET, replica_set["metadata"]["namespace"], replica_set["metadata"]["name"])
    if current is not None:
        write_status(store, REPLICA_SET, current, status)
