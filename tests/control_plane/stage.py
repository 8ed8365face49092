"""A scenario file staged on a real control plane: its history is played step by step, as it once happened.

Each step's manifests are applied, and every Deployment is rolled out before the next step comes, so the revisions and
ReplicaSets of the past are real ones. The last step is the incident: nothing is waited for there. Times are those of
the staging; the scenario's "22 minutes ago" is the practice cluster's alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.scenario import Scenario
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until
from tests.control_plane.sightings import Sightings, sight

# What a pod says once the incident shows, by the fault that the scenario is of. Other faults do not show on pods.
_SIGNS = {
    "CON-04": "CrashLoopBackOff",
    "CON-07": "CrashLoopBackOff",
    "IMG-01": "ImagePullBackOff",
    "SCH-02": "Unschedulable",
}
_AFTER_READY = {"CON-07"}  # containers that fail after they were ready: the rollout replaced every pod all the same


@dataclass(frozen=True)
class Staged:
    """A control plane on which a scenario's incident shows, and what was staged."""

    plane: ControlPlane
    scenario: Scenario

    def pods(self, label: str = "") -> list[Json]:
        """The pods of the scenario's namespace that are not being deleted; with a label, those that have it."""
        path = f"/api/v1/namespaces/{self.scenario.namespace}/pods?labelSelector={label}"
        return [pod for pod in self.plane.get(path)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def deployment(self, name: str) -> str:
        """The API path of a Deployment of the scenario's namespace."""
        return f"/apis/apps/v1/namespaces/{self.scenario.namespace}/deployments/{name}"

    def ask(self, service: str, path: str) -> httpx.Response:
        """An HTTP answer of a Service, through the API server's proxy, as the reader."""
        with self.plane.http("reader") as client:
            return client.get(f"/api/v1/namespaces/{self.scenario.namespace}/services/{service}:80/proxy{path}")

    def set_limit(self, deployment: str, memory: str) -> None:
        """Patch the memory limit of a Deployment's first container, as an operator."""
        limit = "/spec/template/spec/containers/0/resources/limits/memory"
        with self.plane.http("operator") as client:
            patch = [{"op": "replace", "path": limit, "value": memory}]
            headers = {"Content-Type": "application/json-patch+json"}
            client.patch(self.deployment(deployment), json=patch, headers=headers).raise_for_status()

    def seen(self, prefix: str) -> Sightings:
        """What is said of the pods whose names begin so."""
        events = self.plane.get(f"/api/v1/namespaces/{self.scenario.namespace}/events")["items"]
        return sight(self.pods(), events, prefix)


def play(plane: ControlPlane, scenario: Scenario, within: float = 120) -> None:
    """Play the history of a scenario; somebody must play, or be, the nodes.

    Args:
        within: seconds for each step of the past to roll out.

    Raises:
        NotInTime: a step of the past did not roll out.
    """
    *past, incident = scenario.history
    for step in past:
        plane.apply(step.apply, manager=step.by)
        for deployment in (_path(each) for each in step.apply if each["kind"] == "Deployment"):
            wait_until(f"{deployment} rolled out", partial(rolled_out, plane, deployment), within)
    changed = [_path(each) for each in incident.apply if each["kind"] == "Deployment"]
    with ExitStack() as stack:
        for path in changed if scenario.expect.fault in _AFTER_READY else []:
            stack.enter_context(_at_once(plane, path))
        plane.apply(incident.apply, manager=incident.by)


@contextmanager
def _at_once(plane: ControlPlane, path: str) -> Iterator[None]:
    """Let the Deployment replace all its pods at once, and give it its own strategy back.

    In the past that the scenario tells of, the new pods were ready for long enough to replace all old ones. Pods that
    are killed seconds after they are ready would take minutes for that, and some luck. The template is not touched, so
    the revisions are those of the scenario.
    """
    strategy = plane.get(path)["spec"]["strategy"]
    everything = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": "100%"}}
    plane.merge(path, {"spec": {"strategy": everything}})
    yield
    wait_until(f"only new pods of {path}", partial(_all_new, plane, path))
    plane.merge(path, {"spec": {"strategy": strategy}})


def rolled_out(plane: ControlPlane, path: str) -> bool:
    """Every pod of the Deployment at this API path is new and available, and no old one is left."""
    found = plane.get(path)
    status, wanted = found["status"], found["spec"]["replicas"]
    counted = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    return counted == [wanted] * 3 and status.get("observedGeneration") == found["metadata"]["generation"]


def _path(deployment: Json) -> str:
    metadata = deployment["metadata"]
    return f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"


def wait_shown(plane: ControlPlane, scenario: Scenario, within: float = 180) -> float:
    """Wait until the incident shows, and no pod is on its way any more; the seconds that it took."""
    sign = _SIGNS.get(scenario.expect.fault)
    deployments = f"/apis/apps/v1/namespaces/{scenario.namespace}/deployments"

    def shown() -> bool:
        pods = plane.get(f"/api/v1/namespaces/{scenario.namespace}/pods")["items"]
        if sign:
            return all(_signs(pod) for pod in pods) and any(sign in _signs(pod) for pod in pods)
        names = [each["metadata"]["name"] for each in plane.get(deployments)["items"]]
        return bool(names) and all(rolled_out(plane, f"{deployments}/{name}") for name in names)

    return wait_until(f"the incident of {scenario.scenario}", shown, within)


def _all_new(plane: ControlPlane, path: str) -> bool:
    found = plane.get(path)
    counted = [found["status"].get(name, 0) for name in ("updatedReplicas", "replicas")]
    seen = found["status"].get("observedGeneration") == found["metadata"]["generation"]
    return seen and counted == [found["spec"]["replicas"]] * 2


def _signs(pod: Json) -> set[str]:
    """What a pod says of itself for longer than a moment; nothing while it is on its way."""
    conditions = {each["type"]: each for each in at(pod, "status", "conditions", default=[])}
    statuses = at(pod, "status", "containerStatuses", default=[])
    waiting = {str(at(each, "state", "waiting", "reason", default="")) for each in statuses}
    said = waiting | {str(at(conditions, "PodScheduled", "reason", default=""))}
    said |= {"Ready"} if at(conditions, "Ready", "status") == "True" else set()
    said |= {"Restarted"} if any(each.get("restartCount", 0) for each in statuses) else set()
    return said - {"", "ContainerCreating", "PodInitializing", "ErrImagePull"}
