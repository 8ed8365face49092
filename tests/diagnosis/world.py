"""Hand-made snapshots: a workload, its ReplicaSets and pods, as the API server lists them.

Every name is an argument, so that a test can show that a rule reads what Kubernetes says and no name.
"""

import copy
from collections.abc import Iterable

import msgspec

from skyflo_runbooks.diagnosis.snapshot import Gap, Log, Snapshot, Usage
from skyflo_runbooks.model.json import Json

NOW = "2026-05-04T10:22:00Z"
DEPLOYED = "2026-05-04T10:00:00Z"
EARLIER = "2026-05-01T08:00:00Z"


class Names(msgspec.Struct, frozen=True):
    """What things are called in one world."""

    namespace: str = "checkout"
    workload: str = "payment-service"
    container: str = "payment-service"
    service: str = "payment-service"
    image: str = "payment-svc"
    label: str = "app"


RENAMED = Names(
    namespace="team-blue",
    workload="otter",
    container="main",
    service="front-door",
    image="eu.example/otter",
    label="role",
)


def meta(name: str, namespace: str = "", *, labels: Json | None = None, created: str = EARLIER, **more: object) -> Json:
    """Return an object's metadata."""
    found: Json = {"name": name, "uid": f"uid-{namespace}-{name}", "creationTimestamp": created, **more}
    return found | ({"namespace": namespace} if namespace else {}) | ({"labels": labels} if labels else {})


def owned(kind: str, name: str) -> list[Json]:
    """Return the owner references of what `kind/name` controls."""
    return [{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def node(name: str = "node-a", *, cpu: str = "4", memory: str = "8Gi", images: Iterable[str] = ()) -> Json:
    """Return a Ready node."""
    return {
        "kind": "Node",
        "metadata": meta(name),
        "spec": {},
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "images": [{"names": [image]} for image in images],
        },
    }


def container(names: Names, image: str, **more: object) -> Json:
    """Return a container's specification."""
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}
    ports = [{"name": "http", "containerPort": 8080}]
    return {"name": names.container, "image": image, "ports": ports, "resources": resources, **more}


def template(names: Names, spec: Json) -> Json:
    """Return a pod template with one container."""
    return {"metadata": {"labels": {names.label: names.workload}}, "spec": {"containers": [spec]}}


def deployment(names: Names, spec: Json, *, replicas: int = 3, available: int = 0, **more: object) -> Json:
    """Return a Deployment whose status says how many pods serve."""
    return {
        "kind": "Deployment",
        "metadata": meta(names.workload, names.namespace, generation=2),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {names.label: names.workload}},
            "template": template(names, spec),
            **more,
        },
        "status": {"observedGeneration": 2, "replicas": replicas, "availableReplicas": available},
    }


def replica_set(names: Names, spec: Json, number: int, *, replicas: int = 3) -> Json:
    """Return the ReplicaSet of one revision; the second one was deployed 22 minutes ago."""
    annotations = {"deployment.kubernetes.io/revision": str(number)}
    return {
        "kind": "ReplicaSet",
        "metadata": meta(
            f"{names.workload}-r{number}",
            names.namespace,
            created=DEPLOYED if number > 1 else EARLIER,
            annotations=annotations,
            ownerReferences=owned("Deployment", names.workload),
        ),
        "spec": {"replicas": replicas, "template": template(names, spec)},
    }


def pod(names: Names, spec: Json, status: Json, *, index: int = 0, number: int = 2, serves: bool = False) -> Json:
    """Return one pod of a revision; `status` is its container's status."""
    phase = "Running" if "running" in status.get("state", {}) or status.get("restartCount") else "Pending"
    return {
        "kind": "Pod",
        "metadata": meta(
            f"{names.workload}-r{number}-{index}",
            names.namespace,
            labels={names.label: names.workload, "pod-template-hash": f"r{number}"},
            created=DEPLOYED,
            ownerReferences=owned("ReplicaSet", f"{names.workload}-r{number}"),
        ),
        "spec": {"nodeName": "node-a", "containers": [spec]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if serves else "False"}],
            "containerStatuses": [{"name": spec["name"], "ready": serves, "restartCount": 0, **status}],
        },
    }


def service(names: Names, selector: Json | None = None) -> Json:
    """Return the Service in front of the workload."""
    return {
        "kind": "Service",
        "metadata": meta(names.service, names.namespace),
        "spec": {
            "selector": selector or {names.label: names.workload},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def running(restarts: int = 0) -> Json:
    """Return the status of a container that runs and serves."""
    return {"state": {"running": {"startedAt": DEPLOYED}}, "restartCount": restarts}


def ended(code: int, reason: str, *, restarts: int, waiting: bool = True) -> Json:
    """Return the status of a container that ended and waits for its next start, or runs at the moment."""
    last = {
        "exitCode": code,
        "reason": reason,
        "startedAt": "2026-05-04T10:19:00Z",
        "finishedAt": "2026-05-04T10:20:00Z",
    }
    message = "back-off 5m0s restarting failed container"
    state: Json = {"waiting": {"reason": "CrashLoopBackOff", "message": message}} if waiting else {"running": {}}
    return {"state": state, "lastState": {"terminated": last}, "restartCount": restarts}


def snapshot(objects: Iterable[Json], **more: object) -> Snapshot:
    """Return a snapshot of these objects, one node, and the namespace of each."""
    by_kind: dict[str, list[Json]] = {}
    for item in objects:
        by_kind.setdefault(item["kind"], []).append(item)
    spaces = sorted({item["metadata"]["namespace"] for item in objects if "namespace" in item["metadata"]})
    by_kind["Namespace"] = [{"kind": "Namespace", "metadata": meta(name)} for name in spaces]
    by_kind.setdefault("Node", [node()])
    base = Snapshot(time=NOW, namespaces=tuple(spaces), objects=by_kind, elsewhere=())
    return msgspec.structs.replace(base, **more)


# The five faults and the healthy world


def healthy(names: Names = Names()) -> Snapshot:  # noqa: B008  (a frozen value)
    """Three pods that serve."""
    spec = container(names, f"{names.image}:v2.4.0")
    pods = [pod(names, spec, running(), index=index, number=1, serves=True) for index in range(3)]
    return snapshot([deployment(names, spec, available=3), replica_set(names, spec, 1), *pods, service(names)])


def oom_killed(names: Names = Names()) -> Snapshot:  # noqa: B008
    """Two pods wait in back-off, the third runs at the moment; all three were OOMKilled."""
    old, new = container(names, f"{names.image}:v2.4.0"), container(names, f"{names.image}:v2.4.1")
    pods = [
        pod(names, new, ended(137, "OOMKilled", restarts=6), index=0),
        pod(names, new, ended(137, "OOMKilled", restarts=6), index=1),
        pod(names, new, ended(137, "OOMKilled", restarts=2, waiting=False), index=2, serves=True),
    ]
    sets = [replica_set(names, old, 1, replicas=0), replica_set(names, new, 2)]
    use = Usage(names.namespace, f"{names.workload}-r2-2", names.container, memory=250 * 2**20, cpu=0.1)
    return snapshot([deployment(names, new, available=1), *sets, *pods, service(names)], usage=(use,))


def between_kills(names: Names = Names()) -> Snapshot:  # noqa: B008
    """All three pods were OOMKilled two minutes ago, and are ready at this very moment."""
    spec = container(names, f"{names.image}:v2.4.1")
    killed = ended(137, "OOMKilled", restarts=2, waiting=False)
    pods = [pod(names, spec, killed, index=index, serves=True) for index in range(3)]
    return snapshot([deployment(names, spec, available=3), replica_set(names, spec, 2), *pods, service(names)])


def missing_variable(names: Names = Names(), *, before: Json | None = None) -> Snapshot:  # noqa: B008
    """The process exits with 1 because a variable that the previous revision set is gone; the log names it."""
    reference = {"name": "LEDGER_URL", "valueFrom": {"secretKeyRef": {"name": "ledger", "key": "url"}}}
    old = container(names, f"{names.image}:v2.4.0", env=[before or reference])
    new = container(names, f"{names.image}:v2.4.1", env=[{"name": "LOG_LEVEL", "value": "info"}])
    pods = [pod(names, new, ended(1, "Error", restarts=5), index=index) for index in range(2)]
    sets = [replica_set(names, old, 1, replicas=0), replica_set(names, new, 2)]
    text = "INFO starting\nFATAL required environment variable LEDGER_URL is not set\n"
    logs = tuple(Log(names.namespace, item["metadata"]["name"], names.container, True, text) for item in pods)
    return snapshot([deployment(names, new, replicas=2), *sets, *pods, service(names)], logs=logs)


def wrong_image(names: Names = Names(), *, message: str = "") -> Snapshot:  # noqa: B008
    """The new revision's tag is not in the registry; the old pods still serve."""
    old, new = container(names, f"{names.image}:v2.4.0"), container(names, f"{names.image}:v2.4.9")
    said = message or (
        f'Back-off pulling image "{names.image}:v2.4.9": ErrImagePull: rpc error: code = NotFound desc = failed to '
        f'pull and unpack image "{names.image}:v2.4.9": failed to resolve reference "{names.image}:v2.4.9": '
        f"{names.image}:v2.4.9: not found"
    )
    stuck = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": said}}}
    pods = [pod(names, old, running(), index=index, number=1, serves=True) for index in range(3)]
    pods.append(pod(names, new, stuck, index=3))
    sets = [replica_set(names, old, 1), replica_set(names, new, 2, replicas=1)]
    return snapshot([deployment(names, new, available=3), *sets, *pods, service(names)])


def wrong_selector(names: Names = Names()) -> Snapshot:  # noqa: B008
    """The Service selects a label value that no pod carries."""
    spec = container(names, f"{names.image}:v2.4.0")
    pods = [pod(names, spec, running(), index=index, number=1, serves=True) for index in range(3)]
    front = service(names, {names.label: f"{names.workload}-v2"})
    return snapshot([deployment(names, spec, available=3), replica_set(names, spec, 1), *pods, front])


def no_room(names: Names = Names()) -> Snapshot:  # noqa: B008
    """The new revision asks for more CPU than the node has left; the old pods run and use little."""
    old = container(names, f"{names.image}:v2.4.0")
    new = copy.deepcopy(old) | {"image": f"{names.image}:v2.4.1"}
    new["resources"] = {"requests": {"cpu": "6", "memory": "128Mi"}}
    said = (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available"
    )
    pods = [pod(names, old, running(), index=index, number=1, serves=True) for index in range(3)]
    waiting = pod(names, new, {}, index=3)
    del waiting["spec"]["nodeName"]
    waiting["status"] = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": said,
                "lastTransitionTime": DEPLOYED,
            }
        ],
    }
    sets = [replica_set(names, old, 1), replica_set(names, new, 2, replicas=1)]
    uses = tuple(
        Usage(names.namespace, item["metadata"]["name"], names.container, memory=90 * 2**20, cpu=0.12) for item in pods
    )
    objects = [deployment(names, new, available=3), *sets, *pods, waiting, service(names)]
    return snapshot(objects, usage=uses)


FAULTS = {
    "CON-07": oom_killed,
    "CON-04": missing_variable,
    "IMG-01": wrong_image,
    "NET-01": wrong_selector,
    "SCH-02": no_room,
}


def without(found: Snapshot, kind: str, reason: str = "forbidden") -> Snapshot:
    """Return the snapshot as if the list of a kind had been refused."""
    objects = {name: items for name, items in found.objects.items() if name != kind}
    gap = Gap(kind, found.namespaces[0] if found.namespaces else "", reason)
    return msgspec.structs.replace(found, objects=objects, gaps=(*found.gaps, gap))
