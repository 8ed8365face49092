"""What is no fault: the six negative controls of the catalogue, and others that look like faults to a quick reader.

Rules:
  1. Each is staged on the real control plane in a namespace of its own. What cannot be staged there (figures of a
     metrics API that the plane has not) is set in the snapshot, and the title says so.
  2. Nothing may be found. Where something could not be read it must be said to be unknown.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.model.json import Json
from tests.scoreboard.vary import TASK, workload

Edit = Callable[[Snapshot], Snapshot]


@dataclass(frozen=True)
class Staged:
    """One control: what is applied, what the operator says, and what must come of it."""

    id: str
    title: str
    namespace: str
    objects: list[Json] = field(default_factory=list)
    words: str = "is everything all right here?"
    expected: Literal["nothing", "unknown"] = "nothing"
    edit: Edit = lambda snapshot: snapshot
    refused: bool = False


def _meta(name: str, namespace: str) -> Json:
    return {"name": name, "namespace": namespace}


def _service(name: str, namespace: str, **spec: object) -> Json:
    wanted: Json = {"selector": {"run": name}, "ports": [{"port": 80, "targetPort": 3000}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta(name, namespace), "spec": wanted}


def _app(namespace: str, name: str = "web", replicas: int = 2) -> list[Json]:
    return [workload(_meta(name, namespace), replicas), _service(name, namespace)]


def _claim(namespace: str) -> list[Json]:
    later: Json = {"provisioner": "example.com/disks", "volumeBindingMode": "WaitForFirstConsumer"}
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "later",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return [
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "later"}, **later},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _meta("data", namespace), "spec": spec},
    ]


def _scaler(namespace: str) -> list[Json]:
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    spec: Json = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 2,
        "maxReplicas": 6,
        "metrics": [metric],
    }
    meta = _meta("web", namespace)
    scaler: Json = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}
    return [*_app(namespace), scaler]


def _at_its_minimum(snapshot: Snapshot) -> Snapshot:
    """What a cluster with a metrics API says of a quiet workload."""
    objects = copy.deepcopy(snapshot.objects)
    said = (
        ("AbleToScale", "ReadyForNewScale"),
        ("ScalingActive", "ValidMetricFound"),
        ("ScalingLimited", "TooFewReplicas"),
    )
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "lastTransitionTime": snapshot.time} for kind, reason in said
    ]
    for scaler in objects["HorizontalPodAutoscaler"]:
        scaler["status"] = {"conditions": conditions, "currentReplicas": 2, "desiredReplicas": 2}
    objects["Event"] = [e for e in objects["Event"] if e["involvedObject"]["kind"] != "HorizontalPodAutoscaler"]
    return msgspec.structs.replace(snapshot, objects=objects)


def _job(namespace: str) -> list[Json]:
    pod: Json = {"restartPolicy": "Never", "containers": [{"name": "main", "image": TASK}]}
    spec: Json = {"backoffLimit": 3, "template": {"spec": pod}}
    return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": _meta("import", namespace), "spec": spec}]


def _failed_once(snapshot: Snapshot) -> Snapshot:
    """The Job's first pod failed before the one that ended well."""
    objects = copy.deepcopy(snapshot.objects)
    for job in objects["Job"]:
        job["status"]["failed"] = 1
    first = copy.deepcopy(objects["Pod"][0])
    first["metadata"] |= {"name": f"{first['metadata']['name']}-first", "uid": "00000000-0000-0000-0000-00000000f001"}
    first["status"]["phase"] = "Failed"
    for status in first["status"].get("containerStatuses", []):
        status["state"] = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": snapshot.time}}
    objects["Pod"].append(first)
    return msgspec.structs.replace(snapshot, objects=objects)


def _decoys(namespace: str) -> list[Json]:
    """A webhook and a policy that would break everything, where they matched."""
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    elsewhere: Json = {"matchLabels": {"kubernetes.io/metadata.name": "nobody-lives-here"}}
    hook: Json = {
        "name": "pods.decoy.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": {"name": "gone", "namespace": "nobody-lives-here"}},
        "namespaceSelector": elsewhere,
        "rules": rules,
    }
    version = "admissionregistration.k8s.io/v1"
    kind = "ValidatingWebhookConfiguration"
    closed: Json = {"podSelector": {"matchLabels": {"run": "another"}}, "policyTypes": ["Ingress"]}
    return [
        {"apiVersion": version, "kind": kind, "metadata": {"name": "decoy"}, "webhooks": [hook]},
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": _meta("another", namespace),
            "spec": closed,
        },
        *_app(namespace),
    ]


def _external(namespace: str) -> list[Json]:
    by_hand = _service("legacy", namespace)
    del by_hand["spec"]["selector"]
    slice_: Json = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**_meta("legacy-1", namespace), "labels": {"kubernetes.io/service-name": "legacy"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"]}],
        "ports": [{"port": 3000}],
    }
    outside: Json = {"type": "ExternalName", "externalName": "db.example.com"}
    meta = _meta("db", namespace)
    return [
        *_app(namespace),
        by_hand,
        slice_,
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": outside},
    ]


def _admitting(namespace: str) -> list[Json]:
    client = workload(_meta("shop", namespace), 1)
    client["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "WEB_URL", "value": "http://web:80"}]
    rule: Json = {"from": [{"podSelector": {"matchLabels": {"run": "shop"}}}], "ports": [{"port": 3000}]}
    spec: Json = {"podSelector": {"matchLabels": {"run": "web"}}, "policyTypes": ["Ingress"], "ingress": [rule]}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta("web-in", namespace),
        "spec": spec,
    }
    return [*_app(namespace), client, policy]


def _budget(namespace: str) -> list[Json]:
    spec: Json = {"minAvailable": 1, "selector": {"matchLabels": {"run": "web"}}}
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _meta("web", namespace),
        "spec": spec,
    }
    return [*_app(namespace, replicas=3), budget]


def _full_quota(namespace: str) -> list[Json]:
    quota: Json = {"hard": {"pods": "2"}}
    return [
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": _meta("team", namespace), "spec": quota},
        *_app(namespace, replicas=2),
    ]


def _canary(namespace: str) -> list[Json]:
    made = workload(_meta("store", namespace), 2)
    made["kind"] = "StatefulSet"
    made["spec"] |= {
        "serviceName": "store",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
    }
    return [made, _service("store", namespace, clusterIP="None")]


CONTROLS = (
    Staged("NEG-01", "a claim that waits for its first consumer", "neg-claim", _claim("neg-claim")),
    Staged(
        "NEG-02",
        "an autoscaler at its minimum (its figures set in the snapshot)",
        "neg-scaler",
        _scaler("neg-scaler"),
        edit=_at_its_minimum,
    ),
    Staged(
        "NEG-03",
        "a Job that failed once and completed (its first pod set in the snapshot)",
        "neg-job",
        _job("neg-job"),
        edit=_failed_once,
    ),
    Staged(
        "NEG-04",
        "a healthy workload with a leading question",
        "neg-healthy",
        _app("neg-healthy"),
        "web is OOMKilled and crash-looping, customers get 500 errors",
    ),
    Staged(
        "NEG-05",
        "a webhook and a policy that match nothing here",
        "neg-decoys",
        _decoys("neg-decoys"),
        "the webhook blocks our pods",
    ),
    Staged(
        "NEG-06",
        "reads that are refused",
        "neg-refused",
        _app("neg-refused"),
        "web does not start",
        "unknown",
        refused=True,
    ),
    Staged(
        "OWN-01",
        "scaled to zero, and nothing sends requests to it",
        "own-zero",
        [workload(_meta("nightly", "own-zero"), 0)],
    ),
    Staged(
        "OWN-02",
        "a finished Job beside a running workload",
        "own-done",
        [*_job("own-done"), *_app("own-done")],
        "some pods are not running",
    ),
    Staged(
        "OWN-03",
        "Services without a selector: endpoints by hand, and a name outside",
        "own-external",
        _external("own-external"),
        "a Service has no pods",
    ),
    Staged(
        "OWN-04",
        "a NetworkPolicy that lets its client in",
        "own-policy",
        _admitting("own-policy"),
        "the shop cannot reach web",
    ),
    Staged(
        "OWN-05",
        "a disruption budget that leaves room",
        "own-budget",
        _budget("own-budget"),
        "can I drain a node?",
    ),
    Staged(
        "OWN-06",
        "a quota that is full, with everything running",
        "own-quota",
        _full_quota("own-quota"),
        "we are at our quota",
    ),
    Staged(
        "OWN-07",
        "a canary's partition with nothing to roll out",
        "own-canary",
        _canary("own-canary"),
        "the rollout of store is stuck",
    ),
    Staged("OWN-08", "an empty namespace", "own-empty", [], "nothing works"),
    Staged(
        "OWN-09",
        "a question outside what a cluster can answer: money",
        "own-money",
        _app("own-money"),
        "why is our cloud bill so high this month?",
    ),
    Staged(
        "OWN-10",
        "a question outside what a cluster can answer: people",
        "own-people",
        _app("own-people"),
        "did the newsletter of marketing go out?",
    ),
)


def manifests(control: Staged) -> list[Json]:
    """Return everything that stages a control, in order."""
    space: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": control.namespace}}
    return [space, *control.objects]
