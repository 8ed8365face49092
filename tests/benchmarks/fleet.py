"""A cluster of thousands of pods that stands still: its lists are written once and served from memory, page by page.

Rules:
  1. Ten pods a Deployment, a hundred pods a node and a namespace. Everything is rolled out, and has what a real server
     says of it: pods of about 3 kB, ReplicaSets, Services, slices, an event a pod, managedFields.
  2. One Deployment cannot pull its image. It is what a diagnosis has to find among all the others.
  3. A change is refused, so that a plan is made without one: its dry runs would measure this server.
  4. `python -m tests.benchmarks.fleet PODS KUBECONFIG` serves it by plain HTTP on loopback until it is ended. The
     kubeconfig is written when it is ready.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import yaml

from skyflo_runbooks.model.json import Json

BROKEN = "app-0"
MISSING = "registry.example.com/app:v9"
_EACH = 10
_CROWD = 100
_BORN = "2026-01-05T08:00:00Z"
NOW = "2026-01-05T10:00:00Z"
_DATE = "Mon, 05 Jan 2026 10:00:00 GMT"
_KINDS = {
    "v1": (
        ("Pod", "pods", True), ("Event", "events", True), ("Service", "services", True), ("Node", "nodes", False),
        ("ConfigMap", "configmaps", True), ("ResourceQuota", "resourcequotas", True),
        ("LimitRange", "limitranges", True),
        ("PersistentVolumeClaim", "persistentvolumeclaims", True), ("ServiceAccount", "serviceaccounts", True),
        ("Namespace", "namespaces", False), ("PersistentVolume", "persistentvolumes", False),
    ),
    "apps/v1": (
        ("Deployment", "deployments", True), ("ReplicaSet", "replicasets", True), ("StatefulSet", "statefulsets", True),
        ("DaemonSet", "daemonsets", True),
    ),
    "batch/v1": (("Job", "jobs", True), ("CronJob", "cronjobs", True)),
    "discovery.k8s.io/v1": (("EndpointSlice", "endpointslices", True),),
    "autoscaling/v2": (("HorizontalPodAutoscaler", "horizontalpodautoscalers", True),),
    "policy/v1": (("PodDisruptionBudget", "poddisruptionbudgets", True),),
    "networking.k8s.io/v1": (
        ("Ingress", "ingresses", True), ("NetworkPolicy", "networkpolicies", True),
        ("IngressClass", "ingressclasses", False),
    ),
    "storage.k8s.io/v1": (("StorageClass", "storageclasses", False),),
    "scheduling.k8s.io/v1": (("PriorityClass", "priorityclasses", False),),
    "rbac.authorization.k8s.io/v1": (("Role", "roles", True), ("RoleBinding", "rolebindings", True)),
    "admissionregistration.k8s.io/v1": (
        ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", False),
        ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", False),
    ),
    "apiregistration.k8s.io/v1": (("APIService", "apiservices", False),),
}  # fmt: skip

Objects: TypeAlias = dict[str, list[Json]]


def objects(pods: int) -> Objects:
    """Return the whole cluster by kind."""
    made: Objects = {kind: [] for kinds in _KINDS.values() for kind, _, _ in kinds}
    crowds = range(max(1, pods // _CROWD))
    made["Node"] = [_node(f"node-{number}") for number in crowds]
    made["Namespace"] = [_plain("Namespace", "v1", f"team-{number}", "") for number in crowds]
    for number in range(pods // _EACH):
        for item in _app(number, len(crowds)):
            made[str(item["kind"])].append(item)
    return made


def _meta(name: str, namespace: str, **more: object) -> Json:
    uid = f"00000000-0000-4000-8000-{abs(hash((name, namespace))) % 10**12:012d}"
    fields: Json = {f"f:field-{number}": {"f:value": {}} for number in range(20)}
    managed = [{"manager": "kube-controller-manager", "operation": "Update", "time": _BORN, "fieldsV1": fields}]
    own: Json = {"name": name, "uid": uid, "resourceVersion": "1", "creationTimestamp": _BORN, "managedFields": managed}
    return {**own, **({"namespace": namespace} if namespace else {}), **more}


def _plain(kind: str, version: str, name: str, namespace: str) -> Json:
    return {"kind": kind, "apiVersion": version, "metadata": _meta(name, namespace), "status": {"phase": "Active"}}


def _node(name: str) -> Json:
    room = {"cpu": "64", "memory": "256Gi", "pods": "250"}
    ready = [{"type": "Ready", "status": "True", "lastHeartbeatTime": NOW, "lastTransitionTime": _BORN}]
    images = [{"names": [f"registry.example.com/app:v{n}"], "sizeBytes": 5_000_000} for n in range(1, 9)]
    status = {"capacity": room, "allocatable": room, "conditions": ready, "images": images}
    meta = _meta(name, "", labels={"kubernetes.io/hostname": name})
    return {"kind": "Node", "apiVersion": "v1", "metadata": meta, "spec": {}, "status": status}


def _app(number: int, crowds: int) -> Iterator[Json]:
    name, namespace = f"app-{number}", f"team-{number * _EACH // _CROWD % crowds}"
    broken = name == BROKEN
    labels = {"app": name, "pod-template-hash": "7d4"}
    selector = {"matchLabels": {"app": name}}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": _spec(MISSING if broken else "registry.example.com/app:v8"),
    }
    counts = dict.fromkeys(("replicas", "updatedReplicas"), _EACH) | {"observedGeneration": 1}
    counts |= {} if broken else dict.fromkeys(("readyReplicas", "availableReplicas"), _EACH)
    wanted: Json = {"replicas": _EACH, "selector": selector, "template": template}
    above = [{"kind": "Deployment", "name": name, "controller": True}]
    revision = {"deployment.kubernetes.io/revision": "1"}
    deployment = _meta(name, namespace, generation=1, annotations=revision)
    yield {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": deployment, "spec": wanted, "status": counts}
    meta = _meta(f"{name}-7d4", namespace, annotations=revision, ownerReferences=above, labels=labels)
    yield {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": meta, "spec": wanted, "status": counts}
    spec: Json = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], "clusterIP": "10.96.0.9"}
    yield {"kind": "Service", "apiVersion": "v1", "metadata": _meta(name, namespace), "spec": spec}
    yield _plain("ConfigMap", "v1", name, namespace) | {"data": {"LEVEL": "info"}}
    pods = [_pod(f"{name}-7d4-{place}", name, namespace, number, template["spec"], broken) for place in range(_EACH)]
    yield from pods
    yield _slice(name, namespace, pods, broken)
    yield from (_event(pod, broken) for pod in pods)


def _spec(image: str) -> Json:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10, "failureThreshold": 3}
    container = {
        "name": "main",
        "image": image,
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": probe,
        "livenessProbe": probe,
        "imagePullPolicy": "IfNotPresent",
    }
    return {"containers": [container], "restartPolicy": "Always", "serviceAccountName": "default"}


def _pod(name: str, app: str, namespace: str, number: int, spec: object, broken: bool) -> Json:
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    well = {kind: not broken or kind in ("PodScheduled", "Initialized") for kind in kinds}
    why = f'Back-off pulling image "{MISSING}": ErrImagePull: rpc error: {MISSING}: not found'
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": why}}
    one: Json = {
        "name": "main",
        "image": MISSING if broken else "registry.example.com/app:v8",
        "ready": not broken,
        "restartCount": 0,
        "state": waiting if broken else {"running": {"startedAt": _BORN}},
    }
    status: Json = {
        "phase": "Pending" if broken else "Running",
        "podIP": "10.0.0.1",
        "conditions": [{"type": k, "status": str(v), "lastTransitionTime": _BORN} for k, v in well.items()],
        "containerStatuses": [one],
    }
    labels = {"app": app, "pod-template-hash": "7d4"}
    owner = [{"kind": "ReplicaSet", "name": f"{app}-7d4", "controller": True}]
    meta = _meta(name, namespace, labels=labels, ownerReferences=owner)
    whole = {**spec, "nodeName": f"node-{number * _EACH // _CROWD}"} if isinstance(spec, dict) else {}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": whole, "status": status}


def _slice(name: str, namespace: str, pods: list[Json], broken: bool) -> Json:
    targets = [{"kind": "Pod", "name": pod["metadata"]["name"], "namespace": namespace} for pod in pods]
    ready = {"ready": not broken, "serving": not broken, "terminating": False}
    ends = [{"addresses": ["10.0.0.1"], "conditions": ready, "targetRef": target} for target in targets]
    meta = _meta(f"{name}-q", namespace, labels={"kubernetes.io/service-name": name})
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": meta,
        "endpoints": ends,
        "ports": ports,
    }


def _event(pod: Json, broken: bool) -> Json:
    name, namespace = str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"])
    said = f'Failed to pull image "{MISSING}": {MISSING}: not found' if broken else "Started container main"
    return {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": _meta(f"{name}.1", namespace),
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": name},
        "type": "Warning" if broken else "Normal",
        "reason": "Failed" if broken else "Started",
        "message": said,
        "firstTimestamp": _BORN,
        "lastTimestamp": _BORN,
        "count": 1,
        "source": {"component": "kubelet"},
    }


# Serving --------------------------------------------------------------------------------------------------------------


class Lists:
    """Every answer of the cluster, written once."""

    def __init__(self, made: Objects) -> None:
        self._items: dict[str, list[tuple[str, bytes]]] = {}
        self._fixed = {"/version": _bytes({"major": "1", "minor": "36", "gitVersion": "v1.36.3"})}
        self._fixed["/api"] = _bytes({"kind": "APIVersions", "versions": ["v1"]})
        self._fixed["/apis"] = _bytes({"kind": "APIGroupList", "groups": [_group(v) for v in _KINDS if "/" in v]})
        for version, kinds in _KINDS.items():
            root = f"/apis/{version}" if "/" in version else f"/api/{version}"
            listed = [
                {"name": plural, "singularName": kind.lower(), "namespaced": inside, "kind": kind, "verbs": ["list"]}
                for kind, plural, inside in kinds
            ]
            self._fixed[root] = _bytes({"kind": "APIResourceList", "groupVersion": version, "resources": listed})
            for kind, plural, _ in kinds:
                self._items[f"{root}/{plural}"] = [
                    (str(item["metadata"].get("namespace", "")), _bytes(item)) for item in made[kind]
                ]

    def answer(self, target: str) -> bytes | None:
        """Return what is served at a path with its query, or None."""
        parts = urlsplit(target)
        if parts.path in self._fixed:
            return self._fixed[parts.path]
        steps = parts.path.split("/")
        namespace = ""
        if "namespaces" in steps[:-2]:
            place = steps.index("namespaces")
            namespace = steps[place + 1]
            del steps[place : place + 2]
        items = self._items.get("/".join(steps))
        if items is None:
            return None
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        wanted = [item for home, item in items if not namespace or home == namespace]
        return _page(wanted, int(query.get("continue", "0")), int(query.get("limit", "0")) or len(wanted))


def _page(items: list[bytes], start: int, limit: int) -> bytes:
    more = start + limit if start + limit < len(items) else 0
    meta = {"resourceVersion": "1", **({"continue": str(more)} if more else {})}
    head = f'{{"kind":"List","apiVersion":"v1","metadata":{json.dumps(meta)},"items":['.encode()
    return head + b",".join(items[start : start + limit]) + b"]}"


def _group(version: str) -> Json:
    listed = {"groupVersion": version, "version": version.rpartition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [listed], "preferredVersion": listed}


def _status(reason: str, code: int) -> bytes:
    return _bytes({"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": reason})


def _bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def main(pods: int, kubeconfig: Path) -> None:
    """Serve until ended."""
    lists = Lists(objects(pods))

    class Handler(BaseHTTPRequestHandler):
        """Answers from memory."""

        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            body = lists.answer(self.path)
            self._say(404 if body is None else 200, body or _status("NotFound", 404))

        def do_PATCH(self) -> None:
            """Refuse at once: what stands still takes no change, not even in a dry run."""
            self.rfile.read(int(self.headers.get("content-length", "0")))
            self._say(403, _status("Forbidden", 403))

        def do_POST(self) -> None:
            """Refuse likewise."""
            self.do_PATCH()

        def _say(self, code: int, said: bytes) -> None:
            self.send_response_only(code)
            self.send_header("content-type", "application/json")
            self.send_header("date", _DATE)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    there = {"server": f"http://127.0.0.1:{server.server_address[1]}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fleet", "cluster": there}],
        "users": [{"name": "fleet", "user": {"token": "of-no-use-elsewhere"}}],
        "contexts": [{"name": "fleet", "context": {"cluster": "fleet", "user": "fleet"}}],
        "current-context": "fleet",
    }
    written = kubeconfig.with_suffix(".new")
    written.touch(mode=0o600)
    written.write_text(yaml.safe_dump(config))
    written.replace(kubeconfig)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
