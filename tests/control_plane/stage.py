"""A scenario file staged on a real control plane: its history is played step by step, as it once happened.

Each step's manifests are applied, and every Deployment is rolled out before the next step comes, so the revisions and
ReplicaSets of the past are real ones. The last step is the incident: nothing is waited for there. Times are those of
the staging; the scenario's "22 minutes ago" is the practice cluster's alone.
"""

from __future__ import annotations

from functools import partial

import msgspec

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.scenario import Image, Scenario, Seconds
from tests.control_plane.harness import ControlPlane
from tests.control_plane.processes import wait_until

_CRASHES = {"CON-04", "CON-07"}  # fault ids whose incident is a container that ends again and again
_AFTER_READY = {"CON-07"}  # and of these, the ones that were ready before, so that the rollout replaced every pod
_RAMP = 8.0  # seconds


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
    plane.apply(incident.apply, manager=incident.by)


def paced(scenario: Scenario) -> Scenario:
    """The scenario with images that take at least eight seconds to their peak of memory.

    A rollout goes on only when new pods were ready for a moment. In the practice cluster's past, traffic was lighter;
    here a pod must live from its start to the next look of its readiness probe, whatever the probe's period of two
    seconds does to it.
    """
    images = (_slowed(image) for image in scenario.images)
    return msgspec.structs.replace(scenario, images=tuple(images))


def _slowed(image: Image) -> Image:
    memory = msgspec.structs.replace(image.memory, peak_after=Seconds(max(_RAMP, image.memory.peak_after)))
    return msgspec.structs.replace(image, memory=memory)


def wait_shown(plane: ControlPlane, scenario: Scenario, within: float = 180) -> float:
    """Wait until the incident shows; the seconds that it took.

    No pod is on its way any more, and where the scenario is one of crashing, the back-off between crashes shows.
    """
    crashing = scenario.expect.fault in _CRASHES
    replaced = [_path(each) for each in scenario.history[-1].apply if scenario.expect.fault in _AFTER_READY]

    def shown() -> bool:
        pods = plane.get(f"/api/v1/namespaces/{scenario.namespace}/pods")["items"]
        settled = all(_settled(pod) for pod in pods)
        if not pods or not settled or not all(_all_new(plane, path) for path in replaced):
            return False
        return not crashing or any("CrashLoopBackOff" in _waits(pod) for pod in pods)

    return wait_until(f"the incident of {scenario.scenario}", shown, within)


def _all_new(plane: ControlPlane, path: str) -> bool:
    found = plane.get(path)
    counted = [found["status"].get(name, 0) for name in ("updatedReplicas", "replicas")]
    return counted == [found["spec"]["replicas"]] * 2


def _settled(pod: Json) -> bool:
    """Ready, ended, waiting for something that does not come by itself, or not schedulable."""
    conditions = {each["type"]: each for each in at(pod, "status", "conditions", default=[])}
    if at(conditions, "PodScheduled", "reason") == "Unschedulable" or at(conditions, "Ready", "status") == "True":
        return True
    crashed = any(each.get("restartCount", 0) for each in at(pod, "status", "containerStatuses", default=[]))
    return crashed or bool(_waits(pod) - {"ContainerCreating", "PodInitializing"})


def _waits(pod: Json) -> set[str]:
    reasons = (at(each, "state", "waiting", "reason") for each in at(pod, "status", "containerStatuses", default=[]))
    return {str(reason) for reason in reasons if reason}


def rolled_out(plane: ControlPlane, path: str) -> bool:
    """Every pod of the Deployment at this API path is new and available, and no old one is left."""
    found = plane.get(path)
    status, wanted = found["status"], found["spec"]["replicas"]
    counted = [status.get(name, 0) for name in ("updatedReplicas", "availableReplicas", "replicas")]
    return counted == [wanted] * 3 and status.get("observedGeneration") == found["metadata"]["generation"]


def _path(deployment: Json) -> str:
    metadata = deployment["metadata"]
    return f"/apis/apps/v1/namespaces/{metadata['namespace']}/deployments/{metadata['name']}"
