"""Family H, Jobs that cannot end: JOB-03, a helper beside the work that runs on when the work is done.

Source of the evidence: the statuses of a Job's pod: the containers that did the work ended with exit code 0, and
another still runs, so that the pod never completes (https://kubernetes.io/docs/concepts/workloads/pods/
sidecar-containers/). A container that only works longer than its neighbour is no helper: one that serves something (it
declares a port or has a probe) is one soon, any other only after it ran twice as long as the work.
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import Container, condition, containers, leaving, name_of
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at

_SOON = 60.0
_LATE = 600.0
_LONGER = 10.0
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def kept_by_helper(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Job that a helper container keeps from completing."""
    for job in graph.all("Job"):
        if any(condition(job, end).get("status") == "True" for end in ("Complete", "Failed")):
            continue
        for pod in graph.owned(job):
            if pod.get("kind") == "Pod" and not leaving(pod):
                found = _kept(graph, job, pod)
                if found is not None:
                    yield found
                    break


def _kept(graph: Graph, job: Json, pod: Json) -> Finding | None:
    held = [container for container in containers(pod) if not container.init]
    done = [container for container in held if _ended_well(container)]
    helpers = [container for container in held if container.runs]
    if not done or not helpers or len(done) + len(helpers) != len(held):
        return None
    ends = [str(at(container.status, "state", "terminated", "finishedAt", default="")) for container in done]
    waited = seconds_between(max(ends), graph.snapshot.time)
    if waited is None or not all(waited > _patience(done, helper) for helper in helpers):
        return None
    return _finding(graph, job, pod, done, helpers, max(ends))


def _ended_well(container: Container) -> bool:
    return bool(at(container.status, "state", "terminated", "exitCode") == 0)


def _patience(done: list[Container], helper: Container) -> float:
    """Return after how many seconds beside finished work a container counts as a helper."""
    if helper.spec.get("ports") or any(helper.spec.get(probe) for probe in _PROBES):
        return _SOON
    worked = [
        seconds_between(str(end.get("startedAt", "")), str(end.get("finishedAt", ""))) or 0.0
        for container in done
        for end in container.terminations[:1]
    ]
    # Two that work side by side take about as long; the more so, the longer they do.
    return max(_SOON, min(_LATE, _LONGER * max(worked)), 2 * max(worked))


def _finding(
    graph: Graph, job: Json, pod: Json, done: list[Container], helpers: list[Container], ended: str
) -> Finding:
    owner = graph.workload(job)
    subject = owner if owner.get("kind") == "CronJob" else job
    names = ", ".join(container.name for container in helpers)
    work = ", ".join(container.name for container in done)
    return Finding(
        fault="JOB-03",
        title=f"{ref(job)} does not complete: {work} is done, and {names} beside it runs on",
        object=ref(subject),
        confidence=0.92,
        evidence=(
            *(evidence(pod, f"status of container {c.name}", ended, "terminated: Completed, exitCode 0") for c in done),
            *(evidence(pod, f"status of container {c.name}", graph.snapshot.time, "running") for c in helpers),
        ),
        facts={"helper": helpers[0].name, "job": name_of(job)} if len(helpers) == 1 else {"job": name_of(job)},
        related=(ref(job), ref(pod)),
        explains=(ref(job),),
        advice=f"Make {names} an init container with restartPolicy Always: such a one is ended when the work is done. "
        "A Job's template is fixed, so the Job that waits now has to be made anew.",
    )


RULES = (Rule(fault="JOB-03", needs=("Job", "Pod"), find=kept_by_helper),)

__all__ = ["RULES"]
