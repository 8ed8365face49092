"""Faults staged on a real control plane with played nodes: each in a namespace of its own, all at once.

There are two planes. On the first nothing measures and no DNS is played. The second (`WIDE`) is for what is of the
whole cluster: its figures are served, its DNS can be away, and nodes of its own can be full, silent or under pressure.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml

from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import scenario
from tests.control_plane import played
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until

IMAGE = "storefront:v5.1.0"
# Seconds in which everything of a round runs that is started at once, real processes on a busy machine included.
_RUNS = 240
# The families that are staged on the second plane.
WIDE = ("cluster",)
# Stands in a case's manifests for an address that answers by TLS, with a certificate of the cluster's authority.
SERVER = "https://served.invalid"
_RUNNING = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
_POLICIES = ("MutatingAdmissionPolicy", "ValidatingAdmissionPolicy")
_ADDED = ("gateway.networking.k8s.io", "argoproj.io", "security.istio.io", "networking.istio.io", "cert-manager.io")
_OF_THE_POD = (
    "nodeSelector", "affinity", "topologySpreadConstraints", "schedulingGates", "schedulerName", "nodeName", "volumes",
    "tolerations", "priorityClassName", "serviceAccountName", "securityContext", "initContainers", "dnsPolicy",
    "dnsConfig", "imagePullSecrets",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One fault: where it is staged, with what, which object the diagnosis has to name, and what a plan can do.

    `repair`: a change that repairs it here, one that can only be planned here, or advice in words because no change
    follows from what can be read. A fault that `stays` is there after its change as well: the change keeps others from
    it. `nodes` are changed before: `labels`, `taints`, `unschedulable`, `pods` (how many it
    may run) and `trouble` (`tests.control_plane.troubled`); and once the case's workload runs: `silent`, `evicts`.
    """

    fault: str
    namespace: str
    finds: str
    app: Json = field(default_factory=dict)
    objects: list[Json] = field(default_factory=list)
    after: list[Json] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    nodes: dict[str, Json] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    repair: Literal["change", "planned", "advice"] = "change"
    stays: bool = False
    words: str = "something is wrong here"

    def manifests(self) -> Iterator[Json]:
        """Yield everything that stages it, in order."""
        metadata: Json = {"name": self.namespace, "labels": self.labels}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        yield from self.objects
        if self.app:
            yield deployment(self.namespace, self.app)


def families(*, wide: bool | None = None) -> list[str]:
    """Return the families that have a file: all, or those of one plane."""
    found = sorted(path.stem for path in Path(__file__).parent.glob("*.yaml"))
    return [family for family in found if wide is None or (family in WIDE) == wide]


def cases(family: str) -> list[Case]:
    """Return the faults of a family's file."""
    path = Path(__file__).parent / f"{family}.yaml"
    return [Case(**one) for one in yaml.safe_load(path.read_text())]


def world(*, wide: bool = False) -> Json:
    """Return the scenario whose nodes and images are played on a plane."""
    told: Json = yaml.safe_load((scenario.folder() / "healthy.yaml").read_text())
    more: Json = yaml.safe_load((Path(__file__).parent / "world" / "played.yaml").read_text())
    told["images"] += more["images"]
    told["nodes"] += [{"name": name} for name in more["spare"] if wide]
    for node in told["nodes"]:
        node |= {"cpu": "4", "memory": "16Gi", "pods": 250}
    return told


def deployment(namespace: str, app: Json) -> Json:
    """Return a Deployment with one container, changed by what `app` says: others `before` it and `beside` it."""
    name, given = app["name"], dict(app)
    container: dict[str, Any] = {
        "name": given.get("container", name),
        "image": given.get("image", IMAGE),
        "ports": [{"name": "http", "containerPort": 3000}],
        "resources": {kind: given[kind] for kind in ("requests", "limits") if kind in given},
        **given.get("with", {}),
    }
    if "hostPort" in given:
        container["ports"][0]["hostPort"] = given["hostPort"]
    spec = {part: given[part] for part in _OF_THE_POD if part in given}
    spec["containers"] = [*given.get("before", []), container, *given.get("beside", [])]
    return {
        "apiVersion": "apps/v1",
        "kind": given.get("kind", "Deployment"),
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "replicas": given.get("replicas", 1),
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
            **given.get("spec", {}),
        },
    }


@contextmanager
def playing(plane: ControlPlane, told: Json) -> Iterator[None]:
    """Play a scenario's nodes on a plane, for the length of a `with` block."""
    path = plane.folder / "played.yaml"
    path.write_text(yaml.safe_dump(told))
    with played.playing(plane, str(path)):
        yield


def define(plane: ControlPlane, staged: list[Case]) -> None:
    """Let the API server serve the added kinds that these cases have objects of, without a schema and a controller."""
    wanted = {(str(item["apiVersion"]), str(item["kind"])) for case in staged for item in (*case.objects, *case.after)}
    added = sorted(one for one in wanted if one[0].partition("/")[0] in _ADDED)
    plane.apply(_definition(version, kind) for version, kind in added)
    for version, kind in added:
        wait_until(f"{kind} is served", partial(_serves, plane, version, kind))


def _definition(version: str, kind: str) -> Json:
    group, _, number = version.partition("/")
    singular = kind.lower()
    plural = (
        f"{singular[:-1]}ies" if singular.endswith("cy") else f"{singular}{'es' if singular.endswith('s') else 's'}"
    )
    schema: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served: Json = {"name": number, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    # The names of *.k8s.io are protected: https://github.com/kubernetes/enhancements/pull/1111
    approved = {"api-approved.kubernetes.io": "unapproved, a copy for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": approved},
        "spec": {
            "group": group,
            "names": {"plural": plural, "singular": singular, "kind": kind, "listKind": f"{kind}List"},
            "scope": "Cluster" if kind == "GatewayClass" else "Namespaced",
            "versions": [served],
        },
    }


def _serves(plane: ControlPlane, version: str, kind: str) -> bool:
    with plane.http() as client:
        answer = client.get(f"/apis/{version}")
    return answer.is_success and any(item["kind"] == kind for item in answer.json()["resources"])


def stage(plane: ControlPlane, staged: list[Case]) -> None:
    """Apply everything of these cases."""
    define(plane, staged)
    for case in staged:
        for name, change in case.nodes.items():
            _change_node(plane, name, change)
    for case in staged:
        plane.apply(served(plane, item) for item in case.manifests() if item["kind"] not in _RUNNING)
    for case in staged:
        if any(item["kind"] in _POLICIES for item in case.objects):
            wait_until(f"the policy of {case.namespace} is in force", partial(_in_force, plane, case))
        plane.apply(item for item in case.manifests() if item["kind"] in _RUNNING)


def _in_force(plane: ControlPlane, case: Case) -> bool:
    """Return whether a pod of the case is denied, or not made as its template says."""
    spec = deployment(case.namespace, case.app)["spec"]["template"]["spec"]
    tried: Json = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
    with plane.http() as client:
        answer = client.post(f"/api/v1/namespaces/{case.namespace}/pods", json=tried, params={"dryRun": "All"})
    if not answer.is_success:
        return "denied request" in answer.text
    return [one["image"] for one in answer.json()["spec"]["containers"]] != [one["image"] for one in spec["containers"]]


def served(plane: ControlPlane, item: Json) -> Json:
    """Return a manifest with the address of what answers by TLS in place of the word for it."""
    text = json.dumps(item)
    return dict(json.loads(text.replace(SERVER, plane.server))) if SERVER in text else item


async def until(
    look: Callable[[], Awaitable[Diagnosis]], enough: Callable[[Diagnosis], bool], within: float = 45.0
) -> Diagnosis:
    """Look again, once a second at most, until it is enough or the time (seconds) is over; return the last look."""
    found = await look()
    for _ in range(int(within)):
        if enough(found):
            break
        await asyncio.sleep(1)
        found = await look()
    return found


def go_on(plane: ControlPlane, staged: list[Case]) -> None:
    """Apply and delete what comes after the first state of these cases."""
    for case in staged:
        for workload in _changed_under(case):
            # What came before has to have been: a history that never was leaves no trace.
            wait_until(f"{workload['metadata']['name']} runs", partial(_runs, plane, workload), within=180)
        plane.apply(case.after)
        with plane.http() as client:
            for path in case.delete:
                wait_until(f"{path} is there", partial(_there, client, path))
                client.delete(path).raise_for_status()
        for name, change in case.nodes.items():
            if change.keys() & {"silent", "evicts"}:
                wait_until(f"{case.app['name']} runs", partial(_runs, plane, deployment(case.namespace, case.app)))
                _fail_node(plane, case, name, change)


def _there(client: httpx.Client, path: str) -> bool:
    return client.get(path).is_success


def _fail_node(plane: ControlPlane, case: Case, name: str, change: Json) -> None:
    """Let a node fall silent, or come under pressure and evict the case's pods that are on it."""
    if "silent" in change:
        played.ail(plane, name, {"silent": True})
        return
    said = {"reason": "KubeletHasInsufficientMemory", "message": "kubelet has insufficient memory available"}
    condition = {"type": "MemoryPressure", "status": "True", **said}
    # As a kubelet leaves it: k8s.io/kubernetes/pkg/kubelet/status/generate.go.
    unready = [{"type": kind, "status": "False", "reason": "PodFailed"} for kind in ("Ready", "ContainersReady")]
    ended: Json = {"phase": "Failed", "reason": "Evicted", "message": change["evicts"], "conditions": unready}
    pods = plane.get(f"/api/v1/namespaces/{case.namespace}/pods?fieldSelector=spec.nodeName={name}")["items"]
    with plane.http() as client:
        headers = {"Content-Type": "application/strategic-merge-patch+json"}
        under: Json = {"status": {"conditions": [condition]}}
        client.patch(f"/api/v1/nodes/{name}/status", json=under, headers=headers).raise_for_status()
        for pod in pods:
            path = f"/api/v1/namespaces/{case.namespace}/pods/{pod['metadata']['name']}/status"
            client.patch(path, json={"status": ended}, headers=headers).raise_for_status()


def _changed_under(case: Case) -> Iterator[Json]:
    """Yield the workloads of a case that come after changes, or that use something which it changes."""
    names = {str(changed["metadata"]["name"]) for changed in case.after}
    workloads = [item for item in case.manifests() if item["kind"] in ("Deployment", "StatefulSet")]
    for item in workloads:
        if any(name == item["metadata"]["name"] or repr(name) in repr(item["spec"]) for name in names):
            yield item


def _runs(plane: ControlPlane, workload: Json) -> bool:
    meta, plural = workload["metadata"], f"{workload['kind'].lower()}s"
    found = plane.get(f"/apis/apps/v1/namespaces/{meta['namespace']}/{plural}/{meta['name']}")
    return bool(at(found, "status", "readyReplicas", default=0) == at(found, "spec", "replicas", default=1))


def _change_node(plane: ControlPlane, name: str, change: Json) -> None:
    spec = {key: change[key] for key in ("taints", "unschedulable") if key in change}
    patch: Json = {"metadata": {"labels": change.get("labels", {})}, "spec": spec}
    with plane.http() as client:
        headers = {"Content-Type": "application/merge-patch+json"}
        client.patch(f"/api/v1/nodes/{name}", json=patch, headers=headers).raise_for_status()
        if "pods" in change:
            room: Json = {"status": {"allocatable": {"pods": str(change["pods"])}}}
            client.patch(f"/api/v1/nodes/{name}/status", json=room, headers=headers).raise_for_status()
    if "trouble" in change:
        played.ail(plane, name, change["trouble"])
