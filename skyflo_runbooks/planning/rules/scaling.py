"""Repairs of autoscalers: AUT-02, AUT-03, AUT-04."""

import math
from decimal import Decimal

from skyflo_runbooks.diagnosis.capacity import holds, rooms
from skyflo_runbooks.diagnosis.pods import each, namespace_of, pod_request, pod_spec, texts
from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.model.quantity import format_cpu, format_memory
from skyflo_runbooks.planning.rules.patches import one, related_hold, replace
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named

# What a container asks for stands this far above the most that it was measured to use.
_MARGIN = Decimal("1.5")
_LEAST = {"cpu": Decimal("0.01"), "memory": Decimal(16 * 2**20)}
_MORE = 1.5
# More than so many times the old maximum at once is no repair of a maximum: something else is wrong with the measure.
_AT_MOST = 3


def request_of_use(case: Case) -> Repair:
    """Give the container a request: what it was measured to use, and half as much again."""
    facts, graph = case.finding.facts, case.graph
    target = graph.get(case.finding.object)
    resource = "memory" if facts.get("resource") == "memory" else "cpu"
    containers = each(pod_spec(target or {}), "containers")
    lacking = [str(c.get("name")) for c in containers if at(c, "resources", "requests", resource) is None]
    uses = [
        Decimal(str(used))
        for pod in graph.pods(target or {})
        for use in graph.usage(pod)
        if [use.container] == lacking and (used := use.memory if resource == "memory" else use.cpu)
    ]
    if len(lacking) != 1 or not uses:
        return Repair(advice=advised(case))
    grain = _LEAST[resource]
    size = -(-(max(uses) * _MARGIN) // grain) * grain
    written = format_memory(size) if resource == "memory" else format_cpu(size)
    way = one(
        case,
        "k8s_set_resources",
        {**named(case), "container": lacking[0], "requests": {resource: param("request")}},
        f"Let {lacking[0]} request {written} of {resource}",
        f"{lacking[0]} has no {resource} request; it was measured to use at most "
        f"{format_memory(max(uses)) if resource == 'memory' else format_cpu(max(uses))}.",
        parameters=(Parameter("request", "str", written, f"{resource} request of {lacking[0]}"),),
        checks=related_hold(case, "HorizontalPodAutoscaler", "ScalingActive"),
    )
    return Repair(ways=(way,), advice=advised(case))


def target_that_exists(case: Case) -> Repair:
    """Scale the workload that exists."""
    meant = case.finding.facts.get("meant")
    if meant is None:
        return Repair(advice=advised(case))
    why = f"{case.finding.facts['target']} does not exist; {meant} does."
    found = check_of(case, "condition_true", condition="AbleToScale")
    return Repair(ways=(replace(case, {"/spec/scaleTargetRef/name": meant}, f"Scale {meant}", why, checks=(found,)),))


def raise_maximum(case: Case) -> Repair:
    """Allow half as many replicas again, or one more than the load asks for now, within three times as many."""
    facts = case.finding.facts
    now, wanted = int(facts["maximum"]), int(facts.get("wanted", "0"))
    most = max(now + 1, math.ceil(now * _MORE), min(wanted + 1, _AT_MOST * now))
    room = _room_for_more(case)
    if room == 0:
        return Repair(advice=("The nodes have no room for one more of its pods.", *advised(case)))
    most = most if room is None else min(most, now + room)
    asks = f"the measured load asks for {wanted}" if wanted else "it wants more"
    known = "Whether nodes and quota have room is on the card."
    if room is not None:
        known = f"The nodes have room for {room} more; whether the quota has it is on the card."
    why = f"It stands at {now}, and {asks}. {known}"
    below = build("below_maximum", [case.finding.object.name], {"namespace": param("namespace")})
    way = one(
        case,
        "k8s_patch",
        {**named(case), "patch": {"spec": {"maxReplicas": param("maximum")}}, "patch_type": "merge"},
        f"Raise the maximum to {most}",
        why,
        checks=(check_of(case, "field_equals", path="/spec/maxReplicas", value=param("maximum")), below),
        parameters=(Parameter("maximum", "int", most, "replicas that the autoscaler may go up to"),),
    )
    return Repair(ways=(way,), advice=advised(case))


def _room_for_more(case: Case) -> int | None:
    """Return how many more pods of an autoscaler's target find a node; None where it is not known."""
    named = texts(case.workload, "spec", "scaleTargetRef")
    target = case.graph.get(ObjectRef(named.get("kind", ""), named.get("name", ""), namespace_of(case.workload)))
    spec = pod_spec(target) if target is not None else {}
    found = rooms(case.graph, spec) if spec else None
    if found is None or target is None:
        return None
    waiting = sum(1 for pod in case.graph.pods(target) if not at(pod, "spec", "nodeName"))
    return max(0, holds(found, cpu=pod_request(spec, "cpu"), memory=pod_request(spec, "memory")) - waiting)


REPAIRS = {
    "AUT-02": request_of_use,
    "AUT-03": target_that_exists,
    "AUT-04": raise_maximum,
}

__all__ = ["REPAIRS"]
