"""Family H, autoscaling and jobs: AUT-01 to AUT-04, JOB-01, JOB-02.

Source of the evidence: the conditions of HorizontalPodAutoscalers (reasons: k8s.io/kubernetes/pkg/controller/
podautoscaler) and of Jobs. An autoscaler that is limited at its minimum is healthy; so is a Job that failed once and
completed.
"""

import math
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import last_error
from skyflo_runbooks.diagnosis.pods import (
    condition,
    containers,
    each,
    name_of,
    namespace_of,
    pod_spec,
    quantity,
    whole,
)
from skyflo_runbooks.diagnosis.rules.base import INTENDED, INTENT, Rule, evidence
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.diagnosis.symptoms import followed
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_HOUR, _DAY = 3600.0, 25 * 3600.0
SCALER = "HorizontalPodAutoscaler"
# The days of the months that are shorter than others, February's of a leap year.
_DAYS = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def _said(scaler: Json, kind: str) -> Evidence:
    said = condition(scaler, kind)
    text = f"{said.get('status')}: {said.get('reason')}: {said.get('message', '')}"
    return evidence(scaler, f"condition {kind}", str(said.get("lastTransitionTime", "")), text)


def _target(scaler: Json) -> ObjectRef:
    named = at(scaler, "spec", "scaleTargetRef", default={})
    return ObjectRef(str(named.get("kind", "")), str(named.get("name", "")), namespace_of(scaler))


def no_metrics(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each autoscaler that gets no metrics because nothing serves them."""
    for scaler in graph.all(SCALER):
        said = condition(scaler, "ScalingActive")
        message = str(said.get("message", ""))
        metric = said.get("reason") in ("FailedGetResourceMetric", "FailedGetExternalMetric", "FailedGetPodsMetric")
        if said.get("status") != "False" or not metric or "missing request" in message or "did not receive" in message:
            continue
        if not any(word in message for word in ("could not find the requested resource", "unable to fetch metrics")):
            continue
        served = [item for item in graph.all("APIService") if name_of(item).endswith("metrics.k8s.io")]
        available = [condition(item, "Available") for item in served]
        more = tuple(
            evidence(item, "condition Available", str(c.get("lastTransitionTime", "")), str(c.get("message", "")))
            for item, c in zip(served, available, strict=True)
        )
        yield Finding(
            fault="AUT-01",
            title=f"{ref(scaler)} cannot scale: the metrics API does not answer",
            object=ref(served[0]) if len(served) == 1 else ref(scaler),
            confidence=0.9,
            evidence=(_said(scaler, "ScalingActive"), *more),
            related=(ref(scaler), _target(scaler)),
            explains=(ref(scaler),),
            advice="Install or restore metrics-server (or the adapter) and its APIService.",
        )


def no_request(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each autoscaler whose target has a container without the request that it scales by."""
    for scaler in graph.all(SCALER):
        said = condition(scaler, "ScalingActive")
        if said.get("status") != "False" or "missing request for" not in str(said.get("message", "")):
            continue
        target = graph.get(_target(scaler))
        resource = "memory" if "missing request for memory" in str(said.get("message")) else "cpu"
        lacking = [
            str(c.get("name"))
            for c in each(pod_spec(target or {}), "containers")
            if at(c, "resources", "requests", resource) is None
        ]
        yield Finding(
            fault="AUT-02",
            title=f"{ref(scaler)} cannot scale: {', '.join(lacking) or 'a container'} has no {resource} request",
            object=_target(scaler),
            confidence=0.95,
            evidence=(
                _said(scaler, "ScalingActive"),
                *(
                    (evidence(target, "template", graph.snapshot.time, f"no {resource} request: {', '.join(lacking)}"),)
                    if target
                    else ()
                ),
            ),
            facts={"container": lacking[0], "resource": resource} if lacking else {"resource": resource},
            related=(ref(scaler),),
            explains=(ref(scaler),),
            advice=f"Give every container of {_target(scaler)} a {resource} request.",
        )


def no_target(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each autoscaler whose target does not exist, or is another's as well."""
    from rapidfuzz import fuzz

    for scaler in graph.all(SCALER):
        said, target = condition(scaler, "AbleToScale"), _target(scaler)
        if said.get("status") != "False" or said.get("reason") != "FailedGetScale" or graph.get(target) is not None:
            continue
        names = [name_of(item) for item in graph.all(target.kind) if namespace_of(item) == target.namespace]
        near = [name for name in names if fuzz.ratio(name, target.name) >= 70]
        meant = near[0] if len(near) == 1 and not _scaled(graph, scaler, near[0]) else ""
        yield Finding(
            fault="AUT-03",
            title=f"{ref(scaler)} scales {target}, which does not exist",
            object=ref(scaler),
            confidence=0.95,
            evidence=(
                _said(scaler, "AbleToScale"),
                Evidence(
                    f"{target.kind}s of {target.namespace}",
                    graph.snapshot.time,
                    ", ".join(sorted(names)[:10]) or "none",
                ),
            ),
            facts={"target": target.name} | ({"meant": meant} if meant else {}),
            related=(ObjectRef(target.kind, meant, target.namespace),) if meant else (),
            advice="" if meant else "Set scaleTargetRef to the workload that it is for.",
        )
    yield from _at_odds(graph)


def _at_odds(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload that several autoscalers scale: each undoes what the other does."""
    named: dict[ObjectRef, list[Json]] = defaultdict(list)
    for scaler in graph.all(SCALER):
        if condition(scaler, "ScalingActive").get("reason") == "AmbiguousSelector":
            named[_target(scaler)].append(scaler)
    for target, scalers in named.items():
        names = [str(ref(scaler)) for scaler in scalers]
        if len(scalers) > 1:
            yield Finding(
                fault="AUT-03",
                title=f"{' and '.join(names)} both scale {target}, so that neither does",
                object=ref(scalers[-1]),
                confidence=0.93,
                evidence=tuple(_said(scaler, "ScalingActive") for scaler in scalers[:3]),
                related=(target, *(ref(scaler) for scaler in scalers)),
                explains=tuple(ref(scaler) for scaler in scalers),
                advice=f"One workload has one autoscaler: keep one of {', '.join(names)}, with what both are to do.",
            )


def _scaled(graph: Graph, scaler: Json, name: str) -> bool:
    """Return whether another autoscaler has this target: two of them would undo what the other does."""
    target = ObjectRef(_target(scaler).kind, name, namespace_of(scaler))
    return any(_target(other) == target for other in graph.all(SCALER) if other is not scaler)


def at_maximum(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each autoscaler that wants more replicas than its maximum allows."""
    for scaler in graph.all(SCALER):
        said, most = condition(scaler, "ScalingLimited"), whole(scaler, "spec", "maxReplicas")
        if said.get("status") != "True" or said.get("reason") != "TooManyReplicas":
            continue
        if whole(scaler, "status", "currentReplicas") < most:
            continue
        wanted = _wanted(scaler)
        yield Finding(
            fault="AUT-04",
            title=f"{ref(scaler)} stands at its maximum of {most} replicas and wants "
            + (str(wanted) if wanted > most else "more"),
            object=ref(scaler),
            confidence=0.93,
            evidence=(
                _said(scaler, "ScalingLimited"),
                evidence(scaler, "spec.maxReplicas", graph.snapshot.time, str(most)),
            ),
            facts={"maximum": str(most)} | ({"wanted": str(wanted)} if wanted > most else {}),
            related=(_target(scaler),),
            advice="Raise the maximum within what the nodes and the quota have room for.",
        )


def _wanted(scaler: Json) -> int:
    """Return how many replicas the measured use of resources asks for; 0 where the status does not tell.

    By the rule of https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/#algorithm-details
    """
    targets = {at(one, "resource", "name"): at(one, "resource", "target") for one in each(scaler, "spec", "metrics")}
    found = [0]
    for one in each(scaler, "status", "currentMetrics"):
        target, current = targets.get(at(one, "resource", "name")), at(one, "resource", "current")
        for measure in ("averageUtilization", "averageValue"):
            has, should = quantity(at(current, measure, default="")), quantity(at(target, measure, default=""))
            if has and should:
                found.append(math.ceil(whole(scaler, "status", "currentReplicas") * has / should))
    return max(found)


# Jobs -----------------------------------------------------------------------------------------------------------------


def job_failed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Job that failed for good and that no later run of the same CronJob followed well."""
    for job in graph.all("Job"):
        said = condition(job, "Failed")
        if said.get("status") != "True" or followed(graph, job):
            continue
        pods = [pod for pod in graph.owned(job) if pod.get("kind") == "Pod"]
        ends = [
            (pod, container, container.terminations[0])
            for pod in pods
            for container in containers(pod)
            if container.terminations and container.terminations[0].get("exitCode")
        ]
        logs = [graph.log(pod, c.name).splitlines()[-40:] for pod, c, _ in ends]
        told = next((line for lines in logs for line in (last_error(lines), *lines[-1:]) if line), "")
        yield Finding(
            fault="JOB-01",
            title=f"{ref(job)} failed: {said.get('reason')}" + (f"; its log tells: {told[:120]}" if told else ""),
            object=ref(job),
            confidence=0.6 if _long_ago(graph, job, said) else 0.92,
            evidence=(
                evidence(
                    job, "condition Failed", str(said.get("lastTransitionTime", "")), str(said.get("message", ""))
                ),
                *(
                    evidence(
                        pod,
                        f"status of container {c.name}",
                        str(end.get("finishedAt", "")),
                        f"exitCode {end.get('exitCode')}",
                    )
                    for pod, c, end in ends[:3]
                ),
                *(
                    evidence(pod, f"log of container {c.name}", graph.snapshot.time, told)
                    for pod, c, _ in ends
                    if told and told in graph.log(pod, c.name)
                ),
            ),
            facts={"reason": str(said.get("reason", ""))},
            related=(*(ref(pod) for pod in pods), *((ref(owner),) if (owner := graph.owner(job)) else ())),
            advice="Repair what its log says, then make a Job of the same template under a new name.",
        )


def _long_ago(graph: Graph, job: Json, said: Json) -> bool:
    """Return whether a Job failed long before anything that fails now: of a CronJob, more than a day ago."""
    passed = seconds_between(str(said.get("lastTransitionTime", "")), graph.snapshot.time)
    return passed is not None and passed > (_DAY if graph.owner(job) is not None else _HOUR)


def cron_suspended(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each CronJob that is suspended, or that a stuck run keeps from running again."""
    for cron in graph.all("CronJob"):
        active = [job for job in graph.owned(cron) if job.get("kind") == "Job" and whole(job, "status", "active")]
        if at(cron, "spec", "suspend", default=False):
            yield _cron(
                graph, cron, "is suspended", "spec.suspend", "true", {"suspend": "true", INTENT: "spec.suspend"}
            )
        elif never := _never(str(at(cron, "spec", "schedule", default=""))):
            yield msgspec.structs.replace(
                _cron(graph, cron, f"waits for {never}", "spec.schedule", str(at(cron, "spec", "schedule")), {}),
                confidence=0.93,
                advice="Set a schedule that comes: of a month's last days only those that each chosen month has.",
            )
        elif any(event.get("reason") == "TooManyMissedTimes" for event in graph.events(cron)):
            yield _cron(graph, cron, "missed too many runs", "event TooManyMissedTimes", "more than 100 missed", {})
        elif at(cron, "spec", "concurrencyPolicy") == "Forbid" and any(
            event.get("reason") == "JobAlreadyActive" for event in graph.events(cron)
        ):
            names = ", ".join(name_of(job) for job in active)
            yield _cron(graph, cron, f"waits for {names}", "spec.concurrencyPolicy", f"Forbid; active: {names}", {})


def _never(schedule: str) -> str:
    """Return the days that a schedule waits for if none of its months has one of them; empty where one comes.

    Days of the week, where they are given, come as well (either of the two is enough), and steps begin at 1.
    """
    fields = schedule.split()
    if len(fields) != 5 or fields[4] not in ("*", "?"):
        return ""
    days, months = _numbers(fields[2]), _numbers(fields[3])
    if not days or not months or any(min(days) <= _DAYS.get(month, 31) for month in months):
        return ""
    return f"day {', '.join(map(str, days))} of month {', '.join(map(str, months))}, which never comes"


def _numbers(field: str) -> list[int]:
    """Return the numbers of a list (`30,31`); nothing where it is anything else, which always holds some."""
    parts = field.split(",")
    return [int(part) for part in parts] if all(part.isdecimal() and len(part) < 3 for part in parts) else []


def _cron(graph: Graph, cron: Json, why: str, part: str, text: str, facts: dict[str, str]) -> Finding:
    last = str(at(cron, "status", "lastScheduleTime", default="never"))
    return Finding(
        fault="JOB-02",
        title=f"{ref(cron)} does not run: it {why}",
        object=ref(cron),
        confidence=INTENDED if facts else 0.85,
        evidence=(
            evidence(cron, part, graph.snapshot.time, text),
            evidence(cron, "status.lastScheduleTime", graph.snapshot.time, last),
        ),
        facts=facts,
        related=tuple(ref(job) for job in graph.owned(cron)),
        advice="Somebody suspended it: ask why before it runs again." if facts else "End the run that is stuck.",
    )


RULES = (
    Rule(fault="AUT-01", needs=(SCALER,), find=no_metrics),
    Rule(fault="AUT-02", needs=(SCALER,), find=no_request),
    Rule(fault="AUT-03", needs=(SCALER, "Deployment"), find=no_target),
    Rule(fault="AUT-04", needs=(SCALER,), find=at_maximum),
    Rule(fault="JOB-01", needs=("Job", "Pod"), find=job_failed),
    Rule(fault="JOB-02", needs=("CronJob",), find=cron_suspended),
)

__all__ = ["RULES"]
