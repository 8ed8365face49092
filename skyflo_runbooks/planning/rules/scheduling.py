"""Repairs of family A, scheduling: SCH-02."""

from decimal import ROUND_CEILING, Decimal

import msgspec

from skyflo_runbooks.diagnosis.capacity import holds, rooms
from skyflo_runbooks.diagnosis.pods import (
    Resource,
    amount,
    each,
    name_of,
    namespace_of,
    pod_request,
    pod_spec,
    quantity,
    replicas,
    template_container,
    texts,
)
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import ChangeStep, Parameter, param
from skyflo_runbooks.model.quantity import format_cpu, format_memory
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.way import Case, Repair, Way, check_of, named, settle, steady, web_checks

# A request stands this far above the greatest use that was measured.
_MARGIN = Decimal("1.5")
_LEAST_CPU = Decimal("0.01")
_GRAIN_MEMORY = 16 * 2**20


class Lower(msgspec.Struct, frozen=True):
    """A smaller request (cores or bytes) and where it comes from."""

    size: Decimal
    why: str


def lower_request(case: Case) -> Repair:
    """Lower the request to what was observed, or to what the revision before asked for, where that fits."""
    facts = case.finding.facts
    resource: Resource = "memory" if facts.get("resource") == "memory" else "cpu"
    asked = quantity(facts.get("request", ""))
    if asked is None:
        return Repair(advice=(case.finding.advice,))
    advice = (f"Otherwise: scale down other workloads, or add a node with {facts['pod_request']} {resource} to spare.",)
    back = roll_back(case, because=f"It asked for less {resource}.") if _asked_less(case, resource, asked) else ()
    found = next(
        (lower for lower in _sizes(case, resource) if lower.size < asked and _fits(case, resource, lower)), None
    )
    if found is None:
        nothing = f"No smaller {resource} request that fits follows from the evidence, so none is proposed."
        return Repair(ways=back, advice=(nothing, *advice))
    return Repair(ways=(_lower(case, resource, found), *back), advice=advice)


def _lower(case: Case, resource: Resource, lower: Lower) -> Way:
    facts = case.finding.facts
    container, size = facts["container"], _written(lower.size, resource)
    change = ChangeStep(
        id="lower_request",
        tool="k8s_set_resources",
        arguments={**named(case), "container": container, "requests": {resource: param(f"{resource}_request")}},
        why=f"No node has {facts['pod_request']} {resource} left; {lower.why}.",
    )
    name = f"{resource}_request"
    return Way(
        title=f"Lower the {resource} request of {container} from {facts['request']} to {size}",
        change=change,
        checks=(check_of(case, "pods_scheduled"), *steady(case), *web_checks(case, window=param("settle"))),
        parameters=(Parameter(name, "str", size, f"new {resource} request of {container}"), settle()),
        reasons=(f"{facts['request']} → {size}: {lower.why}.", _room(case, resource, lower)),
    )


def _sizes(case: Case, resource: Resource) -> list[Lower]:
    found: list[Lower] = []
    observed = quantity(case.finding.facts.get("observed", ""))
    if observed is not None and observed > 0:
        said = _written(observed, resource)
        found.append(
            Lower(_rounded(observed * _MARGIN, resource), f"{said} is the most that was measured, times {_MARGIN}")
        )
    before = _before(case, resource)
    if before is not None:
        found.append(Lower(before, "the revision before ran with this request"))
    return [lower for lower in found if lower.size >= _least(case, resource)]


def _before(case: Case, resource: Resource) -> Decimal | None:
    workload = case.workload
    before = case.graph.previous(workload)
    found = template_container(before, case.finding.facts["container"]) if before else None
    return amount(found[2], "requests", resource) if found else None


def _asked_less(case: Case, resource: Resource, asked: Decimal) -> bool:
    before = _before(case, resource)
    return before is not None and before < asked and _fits(case, resource, Lower(before, ""))


def _least(case: Case, resource: Resource) -> Decimal:
    """Return the smallest request that the namespace's LimitRanges allow."""
    least = [
        quantity(at(item, "min", resource, default="0")) or Decimal(0)
        for limit_range in case.graph.all("LimitRange")
        if namespace_of(limit_range) == namespace_of(case.workload)
        for item in each(limit_range, "spec", "limits")
        if item.get("type") == "Container"
    ]
    return max(least, default=Decimal(0))


def _pod(case: Case, resource: Resource, lower: Lower) -> tuple[Json, Decimal, Decimal]:
    """Return the pod's specification with the smaller request, and what it then asks for: CPU, memory."""
    name = case.finding.facts["container"]
    present: Json = pod_spec(case.workload)
    listed = each(present, "containers")
    changed = [_asking(item, resource, lower) if item.get("name") == name else item for item in listed]
    spec = {**present, "containers": changed}
    return spec, pod_request(spec, "cpu"), pod_request(spec, "memory")


def _asking(container: Json, resource: Resource, lower: Lower) -> Json:
    requests = {**texts(container, "resources", "requests"), resource: str(lower.size)}
    return {
        **container,
        "resources": {"limits": at(container, "resources", "limits", default={}), "requests": requests},
    }


def _fits(case: Case, resource: Resource, lower: Lower) -> bool:
    """Return whether all wanted pods find place with this request, and the first one beside those that run now."""
    spec, cpu, memory = _pod(case, resource, lower)
    own = case.graph.pods(case.workload)
    rest, now = rooms(case.graph, spec, without=own), rooms(case.graph, spec)
    if rest is None or now is None:
        return False
    return holds(rest, cpu=cpu, memory=memory) >= replicas(case.workload) and holds(now, cpu=cpu, memory=memory) >= 1


def _room(case: Case, resource: Resource, lower: Lower) -> str:
    spec, cpu, memory = _pod(case, resource, lower)
    found = rooms(case.graph, spec, without=case.graph.pods(case.workload)) or ()
    count = holds(found, cpu=cpu, memory=memory)
    return f"With it {count} pods of {name_of(case.workload)} fit on the nodes; {replicas(case.workload)} are wanted."


def _rounded(size: Decimal, resource: Resource) -> Decimal:
    """Return the size rounded up to 10m of CPU or 16Mi of memory."""
    if resource == "cpu":
        return (size / _LEAST_CPU).to_integral_value(rounding=ROUND_CEILING) * _LEAST_CPU
    return Decimal(-(-int(size) // _GRAIN_MEMORY) * _GRAIN_MEMORY)


def _written(size: Decimal, resource: Resource) -> str:
    return format_memory(size) if resource == "memory" else format_cpu(size)


REPAIRS = {"SCH-02": lower_request}

__all__ = ["REPAIRS", "lower_request"]
